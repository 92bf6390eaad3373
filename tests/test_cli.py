"""The frame of the command line: help, speed, errors, the choice of backend."""

import errno
import importlib
import importlib.util
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings

import click
import pytest
from cli_support import audiogan
from click.testing import CliRunner

from keras_audiogan import zoo
from keras_audiogan.cli import _backend, _errors, _options
from keras_audiogan.cli.main import COMMANDS, main
from keras_audiogan.runs import bars

# Seconds that `--help` and `list` may take on a busy machine; 0.1 were seen
# on an idle one, and the aim is 0.3.
PATIENCE = 1.0
HEAVY = ("keras", "tensorflow", "jax", "torch", "numpy", "rich")


def in_a_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-m", "keras_audiogan.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def run_raising(error, **options):
    """Run a command with an --output and a --batch-size that raises."""

    @click.group(cls=type(main))
    def group():
        pass

    @click.command()
    @click.option("-o", "--output")
    @click.option("--batch-size", type=int)
    @click.argument("preset", default="")
    def command(output, batch_size, preset):
        raise error

    group.get_command = lambda ctx, name: command
    return CliRunner().invoke(group, ["sample"], **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    result = audiogan(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"audiogan {name}" in result.output.partition("Example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_their_help_says(name):
    module = importlib.import_module(f"keras_audiogan.cli.{name}")
    first = module.command.help.partition("\n\n")[0]
    assert " ".join(first.split()) == COMMANDS[name]


def processor_seconds():
    """Of all processes that have ended: other tests run beside this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"]])
def test_light_commands_are_quick_and_import_nothing_heavy(arguments):
    begin = processor_seconds()
    result = in_a_process(*arguments)
    seconds = processor_seconds() - begin
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert seconds < PATIENCE

    code = (
        "import sys; from keras_audiogan.cli.main import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        f"print('loaded', [m for m in {HEAVY} if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.splitlines()[-1] == "loaded []"


def test_list_fits_a_terminal_of_a_hundred_columns():
    result = in_a_process("list", COLUMNS="100")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    for name in ("preset", "task", "sound", "size", "where", "measured"):
        assert name in lines[0].split()
    assert "parameters" not in lines[0]
    assert any("hifigan_speech" in x and " 22.05 kHz " in x for x in lines)


def test_list_of_a_task():
    result = audiogan("list", "--task", "vocode", "--json")
    infos = json.loads(result.stdout)
    assert {info["task"] for info in infos} == {"vocode"}
    assert "hifigan_speech" in [info["name"] for info in infos]
    assert {info["where"] for info in infos} <= {"package", "checkout"}
    result = audiogan("list", "wave*", "--task", "classify")
    assert result.exit_code == 1
    assert "for the task classify matches 'wave*'" in result.output
    assert "digit_classifier" in result.output


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("li", ["plain,list"]),
        ("sample wavegan_di", ["plain,wavegan_digits"]),
        ("push projection_wavegan_di", ["plain,projection_wavegan_digits"]),
        ("sample ./mine", ["dir,./mine"]),
        ("list --task v", ["plain,vocode"]),
    ],
)
def test_the_shell_completes(typed, wanted):
    words = f"audiogan {typed}"
    begin = time.perf_counter()
    result = in_a_process(
        _AUDIOGAN_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert time.perf_counter() - begin < PATIENCE
    assert result.stdout.split() == wanted, result.stderr


def test_completing_a_preset_imports_nothing_heavy():
    code = (
        "import sys; from keras_audiogan.cli.main import main\n"
        "from click.shell_completion import ShellComplete\n"
        "complete = ShellComplete(main, {}, 'audiogan', '_X')\n"
        "found = complete.get_completions(['sample'], 'wavegan_di')\n"
        "print(*(item.value for item in found))\n"
        f"print('loaded', [m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == ["wavegan_digits", "loaded []"]


def test_unknown_command_names_the_nearest():
    result = audiogan("fintune")
    assert result.exit_code == 2
    assert "Did you mean finetune?" in result.output


def test_unknown_flag_names_the_nearest():
    result = audiogan("sample", "x", "--sed", "1")
    assert result.exit_code == 2
    assert "--seed" in result.output


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (
            ValueError("`batch_size` must be 1 or more.\nReceived: 0"),
            "--batch-size must be 1 or more. Received: 0",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/a.wav"),
            "The disk is full while writing 'out/a.wav'. Free some space or "
            "choose another folder with --output.",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "out"),
            "No permission for 'out': Permission denied. Change its "
            "permissions or choose another folder with --output.",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "a.txt/b"),
            "'a.txt/b' is not a folder, or lies in something that is not one.",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "nowhere"),
            "'nowhere' does not exist.",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "This needs torch, which is not installed. Install it with: "
            "pip install 'keras-audiogan[convert]'.",
        ),
        (
            zoo.HubError("Cannot pull hf://me/x: the client is offline."),
            "Error: Cannot pull hf://me/x: the client is offline.\n",
        ),
        (MemoryError(), "Memory ran out. Choose a smaller --batch-size."),
        (ZeroDivisionError("oh"), "ZeroDivisionError: oh"),
    ],
)
def test_errors_are_one_line_that_names_the_flag(error, wanted, monkeypatch):
    monkeypatch.delenv("AUDIOGAN_DEBUG", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    result = run_raising(error)
    assert result.exit_code == 1
    assert wanted in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    is_ours = isinstance(error, ZeroDivisionError)
    assert ("fault of audiogan itself" in result.stderr) == is_ours


def test_a_list_in_an_error_keeps_its_lines():
    result = run_raising(ValueError("2 bad files:\n  a.wav\n  b.wav"))
    assert result.stderr == "Error: 2 bad files:\n  a.wav\n  b.wav\n"


def test_debug_shows_the_error_itself(monkeypatch):
    monkeypatch.setenv("AUDIOGAN_DEBUG", "1")
    result = run_raising(ValueError("as it is"))
    assert isinstance(result.exception, ValueError)


def test_ctrl_c_exits_with_130():
    result = run_raising(KeyboardInterrupt())
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr


def test_own_warnings_are_one_line_and_others_are_hidden(capsys):
    group = click.Context(click.Group())
    with _errors.reported(group):
        warnings.simplefilter("always")
        place = str(_errors.__file__)
        warnings.warn_explicit("slow\n  indeed", UserWarning, place, 1)
        warnings.warn_explicit("theirs", UserWarning, "/lib/other.py", 1)
    assert capsys.readouterr().err == "Warning: slow indeed\n"


def test_a_real_ctrl_c_leaves_no_traceback():
    code = (
        "import sys, time, click\n"
        "from keras_audiogan.cli.main import main\n"
        "@click.command()\n"
        "def command():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "type(main).get_command = lambda self, ctx, name: command\n"
        "main(['sample'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr == "\nInterrupted.\n"


def installed_only(monkeypatch, *names):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: (
            (real("json") if name in names else None)
            if name in _backend.BACKENDS
            else real(name)
        ),
    )


@pytest.fixture
def no_choice(monkeypatch, tmp_path):
    """No backend asked for, neither by the environment nor by a file."""
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in _backend.QUIET:
        monkeypatch.setenv(name, os.environ.get(name, "3"))
    return tmp_path


def test_without_tensorflow_the_installed_backend_is_taken(
    monkeypatch, no_choice, capsys
):
    installed_only(monkeypatch, "jax", "torch")
    assert _backend.prepare() == "jax"
    assert os.environ["KERAS_BACKEND"] == "jax"
    note = capsys.readouterr().err
    assert note.startswith("tensorflow is not installed: using the jax")
    assert note.count("\n") == 1


def test_the_settings_file_of_keras_is_kept(monkeypatch, no_choice, capsys):
    installed_only(monkeypatch, *_backend.BACKENDS)
    (no_choice / "keras.json").write_text('{"backend": "torch"}')
    assert _backend.prepare() == "torch"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"backend": "theano"}'])
def test_a_broken_settings_file_of_keras_means_its_default(
    monkeypatch, no_choice, text
):
    installed_only(monkeypatch, *_backend.BACKENDS)
    (no_choice / "keras.json").write_text(text)
    assert _backend.prepare() == "tensorflow"


def test_a_backend_that_is_not_installed_is_refused(monkeypatch, no_choice):
    installed_only(monkeypatch, "tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(click.ClickException, match="pip install jax"):
        _backend.prepare()


def test_no_backend_at_all_says_what_to_install(monkeypatch, no_choice):
    installed_only(monkeypatch)
    with pytest.raises(click.ClickException, match="pip install tensorflow"):
        _backend.prepare()


@pytest.mark.parametrize(
    "uri", ["me/gan", "hf://gan", "hf://a/b/c", "hf://../x", "hf://a/b@"]
)
def test_wrong_hub_addresses_are_refused_with_the_form(uri):
    result = audiogan("pull", uri)
    assert result.exit_code == 2
    assert "hf://owner/name[@revision]" in result.output


def test_hub_addresses_with_a_revision_are_taken():
    uri = "hf://me/my-gan_2.0@refs/pr/1"
    assert _options.HubUri().convert(uri, None, None) == uri


def test_progress_is_silent_where_stderr_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(bars, "PATIENCE", -1.0)
    with bars.progress("Counting", 3) as advance:
        advance()
        advance(2)
    captured = capsys.readouterr()
    assert captured.out.strip() == captured.err.strip() == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.mark.parametrize(("patience", "shown"), [(-1.0, True), (60.0, False)])
def test_progress_on_a_terminal_waits_a_moment(monkeypatch, patience, shown):
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(bars, "PATIENCE", patience)
    with bars.progress("Counting", 3) as advance:
        advance(2)
        advance()
    text = terminal.getvalue()
    assert ("Counting 3 of 3" in text) == shown
    assert (text == "") != shown


def test_a_bar_gives_the_terminal_back_after_ctrl_c(monkeypatch):
    terminal = make_terminal(monkeypatch)
    monkeypatch.setattr(bars, "PATIENCE", -1.0)
    with pytest.raises(KeyboardInterrupt):
        with bars.progress("Counting", 3) as advance:
            advance()
            raise KeyboardInterrupt
    text = terminal.getvalue()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert text.rindex(shown) > text.rindex(hidden)


def test_a_bar_knows_rate_and_time_left(monkeypatch):
    """8 steps in 4 s: 2 a second, and 12 more take 6 s."""
    now = iter([100.0, 102.0, 104.0])
    monkeypatch.setattr(bars.time, "monotonic", lambda: next(now))
    bar = bars.Bar("step", 20, "steps", io.StringIO())
    assert bar.where() == "step 0 of 20"
    for done in (0, 3, 8):
        bar.set(done)
    assert bar.where() == "step 8 of 20, 2 steps/s, 6 s left"
