"""Commands that read and write presets, on a tiny preset of noise."""

import csv
import importlib
import json
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys

import click
import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from hub_server import HubServer, User

from keras_audiogan import zoo
from keras_audiogan.cli.main import COMMANDS
from keras_audiogan.cli.sample import SampleWriter
from keras_audiogan.presets import tasks

pytestmark = pytest.mark.usefixtures("in_a_new_folder")

DATA = pathlib.Path(__file__).parent / "data"
TRAINING = {
    "data": {"name": "made up", "license": "CC0-1.0", "hours": 0.5},
    "recipe": {"loss": "wgan-gp", "batch_size": 64},
    "steps": 3,
    "wall_time_seconds": 3723,
    "metrics": {"inception_score": {"value": 3.25}},
    "notes": ["a note \x1b[31m in red"],
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A folder `tiny`: 16 kHz, 64 samples, random weights."""
    from keras_audiogan.models import WaveGAN
    from keras_audiogan.saving import save_preset

    folder = tmp_path_factory.mktemp("presets") / "tiny"
    gan = WaveGAN(slice_length=64, dim=2, labels=("low", "high"))
    return str(save_preset(gan, folder, training=TRAINING))


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sample_writes_sounds_table_and_picture(preset, tmp_path):
    result = audiogan("sample", preset, "-n", 3, "--seed", 7, "-o", "out")
    assert result.exit_code == 0, result.output
    assert "seed 7" in result.stdout
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        *(f"tiny_7_{index:02d}.wav" for index in range(3)),
        "tiny_7.csv",
        "tiny_7.png",
        "tiny_7.html",
    }
    assert (out / "tiny_7.png").read_bytes().startswith(b"\x89PNG")
    expected = zoo.from_preset(preset).sample(3, seed=7)
    rows = read_table(out / "tiny_7.csv")
    for index, row in enumerate(rows):
        assert (row["seed"], row["index"]) == ("7", str(index))
        assert row["preset"] == preset
        assert row["revision"].startswith("sha256:")
        sound, rate = soundfile.read(out / row["file"], always_2d=True)
        assert rate == 16000
        # 16 bit files round to half a step.
        np.testing.assert_allclose(sound, expected[index], atol=2 / 2**16)
    assert len(rows) == 3


def test_a_seed_is_drawn_printed_and_makes_the_same_sounds(preset, tmp_path):
    first = audiogan("sample", preset, "-n", 1, "-o", "a", "--no-plot")
    second = audiogan("sample", preset, "-n", 1, "-o", "b", "--no-plot")
    assert first.stdout != second.stdout.replace("to b", "to a")
    (table,) = (tmp_path / "a").glob("*.csv")
    (row,) = read_table(table)
    assert f"seed {row['seed']}" in first.stdout
    audiogan(
        *("sample", preset, "-n", 2, "--batch-size", 1, "--no-plot"),
        *("--seed", row["seed"], "-o", "c"),
    )
    sounds = [(tmp_path / d / row["file"]).read_bytes() for d in ("a", "c")]
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize("extension", ["flac", "ogg"])
def test_sample_writes_other_formats(preset, tmp_path, extension):
    result = audiogan(
        *("sample", preset, "-n", 1, "--seed", 0, "-o", "out"),
        *("--format", extension, "--no-plot"),
    )
    assert result.exit_code == 0, result.output
    info = soundfile.info(tmp_path / "out" / f"tiny_0_00.{extension}")
    assert info.format == extension.upper()
    assert not list((tmp_path / "out").glob("*.png"))


def test_interpolation_starts_and_ends_at_the_seeds(preset, tmp_path):
    result = audiogan(
        *("sample", preset, "-n", 4, "--interpolate", 3, 8, "-o", "out"),
    )
    assert result.exit_code == 0, result.output
    gan = zoo.from_preset(preset)
    for index, seed in ((0, 3), (3, 8)):
        sound, _ = soundfile.read(
            tmp_path / "out" / f"tiny_3-8_{index:02d}.wav", always_2d=True
        )
        np.testing.assert_allclose(
            sound, gan.sample(1, seed=seed)[0], atol=2 / 2**16
        )
    rows = read_table(tmp_path / "out" / "tiny_3-8.csv")
    assert [row["position"] for row in rows] == [
        "0",
        "0.333333",
        "0.666667",
        "1",
    ]


def test_a_path_is_joined_into_one_file(preset, tmp_path):
    path = ("sample", preset, "-n", 4, "--interpolate", 3, 8, "--no-plot")
    gan = zoo.from_preset(preset)
    time = gan.slice_length
    fade = round(0.0005 * gan.sampling_rate)
    assert 0 < fade < time // 2
    for flags, length in (
        ((), 4 * time - 3 * fade),
        (("--loop",), 4 * time - 4 * fade),
    ):
        out = tmp_path / f"out{len(flags)}"
        result = audiogan(
            *(*path, "-o", out, "--join", "--crossfade", 0.0005, *flags)
        )
        assert result.exit_code == 0, result.output
        assert {file.name for file in out.iterdir()} == {
            "tiny_3-8.csv",
            "tiny_3-8.html",
            "tiny_3-8.wav",
        }
        assert soundfile.info(out / "tiny_3-8.wav").frames == length
        rows = read_table(out / "tiny_3-8.csv")
        assert {row["file"] for row in rows} == {"tiny_3-8.wav"}
        assert [row["index"] for row in rows] == ["0", "1", "2", "3"]


def test_the_page_plays_every_sound_without_a_network(preset, tmp_path):
    command = ("sample", preset, "--seed", 0, "-o", "out")
    assert audiogan(*command, "-n", 3, "--loop").exit_code == 0
    page = (tmp_path / "out" / "tiny_0.html").read_text("utf-8")
    for name in ("tiny_0_00.wav", "tiny_0_01.wav", "tiny_0_02.wav"):
        assert page.count(f'src="{name}"') == 1
    assert 'src="tiny_0.png"' in page and "://" not in page
    assert audiogan(*command, "-n", 1, "--no-page").exit_code == 0


def test_truncation_changes_the_sounds(preset, tmp_path):
    for name, factor in (("a", 1.0), ("b", 0.1)):
        audiogan(
            *("sample", preset, "-n", 1, "--seed", 0, "-o", name),
            *("--truncation", factor, "--no-plot"),
        )
    full, less = (
        (tmp_path / name / "tiny_0_00.wav").read_bytes() for name in "ab"
    )
    assert full != less


def test_sample_replaces_its_own_files_and_no_others(preset, tmp_path):
    command = ("sample", preset, "-n", 2, "--seed", 0, "-o", "out")
    assert audiogan(*command, "--no-plot").exit_code == 0
    assert audiogan(*command).exit_code == 0

    (tmp_path / "out" / "tiny_0.csv").unlink()
    (tmp_path / "out" / "tiny_0_01.wav").write_bytes(b"precious")
    result = audiogan(*command)
    assert result.exit_code == 1
    assert "and 3 more" in result.stderr
    assert "--overwrite" in result.stderr
    assert (tmp_path / "out" / "tiny_0_01.wav").read_bytes() == b"precious"

    assert audiogan(*command, "--overwrite").exit_code == 0
    assert (tmp_path / "out" / "tiny_0_01.wav").read_bytes() != b"precious"


def test_the_table_goes_on_listing_sounds_of_earlier_runs(preset, tmp_path):
    command = ("sample", preset, "--seed", 0, "-o", "out", "--no-plot")
    assert audiogan(*command, "-n", 3).exit_code == 0
    assert audiogan(*command, "-n", 1, "--truncation", 0.5).exit_code == 0
    assert audiogan(*command, "-n", 2, "--format", "flac").exit_code == 0
    rows = read_table(tmp_path / "out" / "tiny_0.csv")
    assert {row["file"]: row["truncation"] for row in rows} == {
        "tiny_0_00.flac": "",
        "tiny_0_01.flac": "",
        "tiny_0_00.wav": "0.5",
        "tiny_0_01.wav": "",
        "tiny_0_02.wav": "",
    }
    assert len(rows) == 5
    assert audiogan(*command, "-n", 3).exit_code == 0


def _write_clips(folder, num_samples, batches):
    writer = SampleWriter(folder, "tiny", "0", num_samples, "wav", False)
    return writer.write(batches, 8000)


def test_a_killed_run_leaves_a_table_and_can_be_repeated(tmp_path):
    out, killed = tmp_path / "out", tmp_path / "killed"
    clips = np.zeros((1, 16, 1), "float32")

    def batches():
        yield clips
        yield clips
        # What a kill at this moment would leave.
        shutil.copytree(out, killed)
        yield clips

    _write_clips(out, 3, batches())
    rows = read_table(killed / "tiny_0.csv")
    assert [row["file"] for row in rows] == ["tiny_0_00.wav", "tiny_0_01.wav"]
    # Killed between a file and its row.
    shutil.copy(killed / "tiny_0_00.wav", killed / "tiny_0_02.wav")
    _write_clips(killed, 4, iter([clips] * 4))
    assert len(read_table(killed / "tiny_0.csv")) == 4
    shutil.copy(killed / "tiny_0_00.wav", killed / "tiny_0_05.wav")
    with pytest.raises(click.ClickException, match="'tiny_0_05.wav', which no"):
        _write_clips(killed, 6, iter([clips] * 6))


def test_an_interrupted_run_lists_all_that_lies_there(tmp_path):
    clips = np.zeros((1, 16, 1), "float32")
    _write_clips(tmp_path, 3, iter([clips] * 3))

    def interrupted():
        yield clips
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _write_clips(tmp_path, 3, interrupted())
    rows = read_table(tmp_path / "tiny_0.csv")
    assert sorted(row["file"] for row in rows) == [
        f"tiny_0_{index:02d}.wav" for index in range(3)
    ]
    assert {path.name for path in tmp_path.glob("*.wav")} == {
        row["file"] for row in rows
    }


def test_a_table_that_is_not_ours_is_not_replaced(preset, tmp_path):
    (tmp_path / "tiny_0.csv").write_text("my,own\n1,2\n")
    result = audiogan("sample", preset, "-n", 1, "--seed", 0, "-o", ".")
    assert result.exit_code == 1
    assert "already holds 'tiny_0.csv'" in result.stderr
    assert (tmp_path / "tiny_0.csv").read_text() == "my,own\n1,2\n"


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("-n", 0), "-n"),
        (("--seed", -1), "--seed"),
        (("--seed", "x"), "--seed"),
        (("--truncation", 0), "--truncation"),
        (("--truncation", 1.5), "--truncation"),
        (("--format", "mp4"), "--format"),
        (("--precision", "float8"), "--precision"),
        (("--batch-size", 0), "--batch-size"),
        (("--interpolate", 1, 2, "--seed", 3), "--interpolate"),
        (("--interpolate", 1, 2, "-n", 1), "-n"),
    ],
)
def test_wrong_flags_are_named(preset, tmp_path, flags, wanted):
    result = audiogan("sample", preset, "-o", "out", *flags)
    assert result.exit_code == 2
    assert wanted in result.stderr.partition("Error")[2]
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file_is_refused(preset, tmp_path):
    (tmp_path / "out").write_text("")
    result = audiogan("sample", preset, "-o", "out")
    assert result.exit_code == 2
    assert "'--output'" in result.stderr
    assert "is a file" in result.stderr


def test_output_that_cannot_be_made_names_the_flag(preset, tmp_path):
    (tmp_path / "file").write_text("")
    result = audiogan("sample", preset, "-o", "file/out")
    assert result.exit_code == 1
    assert "--output" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("no_such_preset", "No preset is called 'no_such_preset'"),
        ("./nowhere", "No preset is called './nowhere'"),
        (".", "no config.json"),
        ("https://huggingface.co/me/gan", "hf://me/gan"),
        ("hf://gan", "hf://owner/name[@revision]"),
        ("me/gan", "write hf:// before it"),
    ],
)
def test_a_preset_that_is_none_is_told_in_one_line(name, wanted, tmp_path):
    result = audiogan("sample", name, "-o", "out")
    assert result.exit_code == 1
    assert wanted in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_info_shows_what_the_preset_says_of_itself(preset):
    result = audiogan("info", preset)
    assert result.exit_code == 0, result.output
    for wanted in (
        "wavegan (keras_audiogan>WaveGAN)",
        "64 samples, 0.004 s",
        "16,000 Hz",
        "low, high",
        "CC0-1.0",
        "1 h 02 min",
        "wgan-gp",
        "3.25",
    ):
        assert wanted in result.stdout
    assert "\x1b" not in result.stdout


def test_info_and_list_as_json(preset):
    info = json.loads(audiogan("info", preset, "--json").stdout)
    assert info["num_parameters"].keys() == {"generator", "discriminator"}
    assert info["training"]["steps"] == 3
    listed = json.loads(audiogan("list", "--json").stdout)
    assert [entry["name"] for entry in listed] == zoo.list_presets()


def test_list_shows_a_row_for_every_bundled_preset():
    result = audiogan("list")
    assert result.exit_code == 0, result.output
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows[1:]] == zoo.list_presets()


def test_list_of_a_pattern_that_nothing_matches():
    result = audiogan("list", "no_such_*")
    assert result.exit_code == 1
    assert "No preset of the zoo matches 'no_such_*'" in result.stderr


def test_convert_refuses_a_folder_in_use_and_what_is_no_checkpoint(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    result = audiogan("convert", "anything", "full")
    assert result.exit_code == 2
    assert "is not empty" in result.stderr

    result = audiogan("convert", "full", "new")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_convert_makes_a_preset_of_a_checkpoint(tmp_path):
    result = audiogan("convert", DATA / "wavegan_tf1_16384", "new")
    assert result.exit_code == 0, result.output
    info = zoo.preset_info(tmp_path / "new")
    assert info["slice_length"] == 16384
    assert info["storage_dtype"] == "float32"


@pytest.fixture
def digits(tmp_path):
    """A preset of 2,048 samples at 8 kHz, to be evaluated on digits."""
    from keras_audiogan.models import WaveGAN

    WaveGAN(slice_length=2048, dim=1, sampling_rate=8000).save_to_preset(
        tmp_path / "digits", training=TRAINING
    )
    return "digits"


def test_evaluate_prints_reports_and_saves_figures(digits, tmp_path):
    command = (
        *("evaluate", digits, "--data", str(DATA / "digits"), "-n", "12"),
        *("--test", "*_[67].flac", "--report", "report.html", "--save"),
        *("--classifier", "none"),
    )
    result = audiogan(*command)
    assert result.exit_code == 0, result.output
    assert "Audible distance to training clips  " in result.stdout
    assert "d_train" not in result.stdout
    assert "--classifier" in result.stdout
    page = (tmp_path / "report.html").read_text()
    assert page.count("<audio") >= 10
    training = json.loads((tmp_path / digits / "training.json").read_text())
    figure = training["metrics"]["d_train"]
    assert figure["command"] == "audiogan " + shlex.join(command)
    assert training["metrics"]["inception_score"] == {"value": 3.25}
    assert training["steps"] == 3
    card = (tmp_path / digits / "README.md").read_text()
    assert "| Audible distance to training clips |" in card
    # What was written is still a preset.
    assert audiogan("info", digits).exit_code == 0


def test_evaluate_by_a_classifier_of_the_same_labels(digits, tmp_path):
    from keras_audiogan.models import DigitClassifier

    DigitClassifier(
        ["zero", "one", "two"], sampling_rate=8000, slice_length=2048
    ).save_to_preset(tmp_path / "judge")
    result = audiogan(
        *("evaluate", digits, "--data", DATA / "digits", "-n", 12, "--json"),
        *("--test", "*_[67].flac", "--classifier", "judge"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["classifier"]["labels"] == ["zero", "one", "two"]
    # Four slices of zeros, which come last by the names of the folders and
    # first by the classifier's labels.
    confusion = np.array(report["confusion"]["real_test"])
    assert confusion.sum(axis=1).tolist() == [4, 3, 3]


@pytest.mark.parametrize(
    ("command", "wanted", "able"),
    [
        (
            ("sample", "hifigan_speech"),
            "hifigan_speech is a vocoder (hifigan)",
            "audiogan vocode hifigan_speech recordings/ -o out/. Bundled "
            "presets that can sample: acgan_wavegan_words,",
        ),
        (
            ("sample", "digit_classifier"),
            "which tells which label a sound has; it cannot sample",
            "--classifier digit_classifier. Bundled presets that can sample",
        ),
        (
            ("sample", "melgan_speech", "--interpolate", 1, 2),
            "it cannot interpolate",
            "can interpolate: acgan_wavegan_words,",
        ),
        (
            ("vocode", "wavegan_drums", DATA, "-o", "out"),
            "wavegan_drums is a generator (wavegan)",
            "audiogan sample wavegan_drums -n 8 -o out/. Bundled presets that "
            "can vocode: hifigan_speech, melgan_speech, "
            "multiband_melgan_speech, parallel_wavegan_speech, vocos_music, "
            "vocos_speech.",
        ),
        (
            ("evaluate", "word_classifier", "--data", DATA),
            "it cannot sample or vocode",
            "hifigan_speech",
        ),
        (
            ("evaluate", "wavegan_digits", "--data", DATA / "digits")
            + ("--classifier", "wavegan_drums"),
            "value for --classifier: wavegan_drums is a generator",
            "can predict: digit_classifier, drum_classifier, "
            "instrument_classifier, lstm_classifier, pitch_classifier, "
            "word_classifier, yes_no_classifier.",
        ),
        (
            ("finetune", "lstm_classifier", DATA, "-o", "out"),
            "it cannot sample or vocode",
            "wavegan_words",
        ),
        (
            ("train", "wavegan", DATA, "-o", "out")
            + ("--classifier", "hifigan_speech"),
            "value for --classifier: hifigan_speech is a vocoder",
            "can predict: digit_classifier",
        ),
    ],
)
def test_a_preset_that_cannot_names_the_command_and_those_that_can(
    command, wanted, able, tmp_path
):
    result = audiogan(*command)
    assert result.exit_code == 2
    (line,) = result.stderr.partition("Error: ")[2].splitlines()
    assert wanted in line
    assert able in line
    assert not (tmp_path / "out").exists()


def test_every_task_has_commands_that_exist():
    for task in tasks.TASKS.values():
        for line in task.tries("hf://me/gan"):
            program, command, *arguments = shlex.split(line)
            assert program == "audiogan" and command in COMMANDS
            assert "hf://me/gan" in arguments
            known = importlib.import_module(f"keras_audiogan.cli.{command}")
            flags = {
                flag for param in known.command.params for flag in param.opts
            }
            assert {a for a in arguments if a.startswith("-")} <= flags


def test_the_task_of_a_config():
    vocoder = tasks.task_of({"task": "vocode"})
    assert vocoder.name == "vocode"
    assert tasks.task_of({"task": "autoencode"}).can("encode", "mel")
    assert not vocoder.can("sample", "encode")
    with pytest.raises(ValueError, match="Received: task='segment'"):
        tasks.task_of({"task": "segment"})


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--data", "nowhere"), "--data"),
        (("--data", "."), "No usable sound in ."),
        (("--data", DATA / "digits", "--report", "r.txt"), "--report"),
        (("--data", DATA / "digits", "--test", "*.xyz"), "*.xyz"),
    ],
)
def test_evaluate_refuses_what_it_cannot_use(digits, flags, wanted):
    result = audiogan("evaluate", digits, *flags)
    assert result.exit_code in (1, 2)
    assert wanted in result.stderr


def test_push_to_a_hub_that_cannot_be_reached_is_one_line(preset):
    result = audiogan("push", preset, "hf://me/my_gan", "--token", "hf_x")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "hf_x" not in result.stderr


@pytest.mark.slow
def test_push_pull_and_info_through_a_hub(preset, tmp_path):
    """Real processes, since the Hub client reads its settings once."""
    with HubServer({"hf_secret": User("me")}) as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
        }

        def run(*arguments):
            return subprocess.run(
                [sys.executable, "-P", "-m", "keras_audiogan.cli", *arguments],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )

        pushed = run(
            *("push", preset, "hf://me/my_gan@trial", "--private"),
            *("--token", "hf_secret", "-m", "First try"),
        )
        assert pushed.returncode == 0, pushed.stderr
        assert f"Pushed {preset} to {server.url}/me/my_gan" in pushed.stdout
        assert "config.json" in server.files("me/my_gan", "trial")

        refused = run("info", "hf://me/my_gan@trial")
        assert refused.returncode == 1
        assert "hf auth login" in refused.stderr
        assert "Traceback" not in refused.stderr

        token = ("--token", "hf_secret")
        pulled = run("pull", "hf://me/my_gan@trial", "-o", "mine", *token)
        assert pulled.returncode == 0, pulled.stderr
        assert pulled.stdout == "hf://me/my_gan@trial is in mine\n"
        told = run("info", "hf://me/my_gan@trial", *token)
        assert told.stdout.startswith("hf://me/my_gan@trial: Makes")
    for file in ("config.json", "generator.safetensors"):
        original = pathlib.Path(preset, file).read_bytes()
        assert (tmp_path / "mine" / file).read_bytes() == original


SAMPLE_MANY = """
import resource, sys
from keras_audiogan.cli.main import main
from keras_audiogan.cli.sample import SampleWriter
main([*sys.argv[1:], "-n", "70", "-o", "few"], standalone_mode=False)
few = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
main([*sys.argv[1:], "-n", "700", "-o", "many"], standalone_mode=False)
many = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(many - few)
"""


@pytest.mark.slow
def test_many_clips_need_the_memory_of_one_batch(tmp_path):
    """700 clips of 256 KiB, 175 MiB in all, in batches of 35."""
    from keras_audiogan.models import WaveGAN

    folder = tmp_path / "long"
    WaveGAN(slice_length=65536, dim=1, max_channels=2).save_to_preset(folder)
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c", SAMPLE_MANY),
            *("sample", str(folder), "--seed", "0", "--no-plot"),
            *("--batch-size", "35"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(list((tmp_path / "many").glob("*.wav"))) == 700
    grown = int(done.stdout.splitlines()[-1]) * (
        1 if sys.platform == "darwin" else 1024
    )
    assert grown < 60 * 2**20


@pytest.mark.slow
def test_without_tensorflow_another_backend_samples(preset, tmp_path):
    """A real process that finds no TensorFlow takes JAX, and says so."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib import machinery\n"
        "find = machinery.PathFinder.find_spec\n"
        "def find_others(name, path=None, target=None):\n"
        "    hidden = name.partition('.')[0] == 'tensorflow'\n"
        "    return None if hidden else find(name, path, target)\n"
        "machinery.PathFinder.find_spec = find_others\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for name in ("KERAS_BACKEND", "KERAS_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "keras_audiogan.cli", "sample"),
            *(preset, "-n", "1", "--seed", "0", "-o", "out", "--no-plot"),
        ],
        env={**environment, "KERAS_HOME": str(tmp_path / "keras")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "tensorflow is not installed: using the jax backend "
        "(KERAS_BACKEND=jax hides this note).\n"
    )
    sound, _ = soundfile.read(
        tmp_path / "out" / "tiny_0_00.wav", always_2d=True
    )
    expected = zoo.from_preset(preset).sample(1, seed=0)[0]
    np.testing.assert_allclose(sound, expected, atol=1e-4)


def test_a_write_that_fails_leaves_no_sound(preset, tmp_path):
    """A limit on the size of files stands in for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        result = audiogan(
            "sample", preset, "-n", 1, "--seed", 0, "-o", "out", "--no-plot"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == 1
    assert "tiny_0_00.wav" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.wav"))


@pytest.mark.slow
def test_a_real_run_keeps_both_streams_clean(preset, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "keras_audiogan.cli", "sample"),
            *(preset, "-n", "2", "--seed", "1", "-o", "out"),
        ],
        env={
            name: value
            for name, value in os.environ.items()
            if name != "TF_CPP_MIN_LOG_LEVEL"
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == (
        "Wrote 2 sounds to out with a picture, tiny_1.png and a page that "
        "plays them, tiny_1.html (seed 1).\n"
    )
