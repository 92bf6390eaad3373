"""Option types and options that more than one command has."""

import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

ARGUMENTS = "keras_audiogan.cli.arguments"
"""Where the context keeps what the user typed."""

SEED = click.IntRange(min=0, max=2**32 - 1)
COUNT = click.IntRange(min=1)
PRECISION = click.Choice(["auto", "float32", "mixed_bfloat16", "mixed_float16"])
FOLDER = click.Path(file_okay=False, path_type=pathlib.Path)
REPORT = click.Path(dir_okay=False, writable=True, path_type=pathlib.Path)


class ParsedType(click.ParamType):
    """A type whose `parse` makes a value of text, or says why it cannot."""

    def parse(self, text: str) -> Any:
        """Return the value; a `ValueError` has the reason why there is none."""
        raise NotImplementedError

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: Any
    ) -> Any:
        """Return the value of text; values that are none stay."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Names(ParsedType):
    """Names between commas, as a tuple."""

    name = "names"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the names, none of which may be empty."""
        names = tuple(name.strip() for name in text.split(","))
        if not all(names):
            raise ValueError(f"expected names between commas. Received: {text}")
        return names


class Counts(ParsedType):
    """A number of 1 or more, or several between commas as a tuple."""

    name = "n[,n...]"

    def parse(self, text: str) -> int | tuple[int, ...]:
        """Return the number, or the numbers."""
        try:
            numbers = tuple(int(part) for part in text.split(","))
        except ValueError:
            numbers = (0,)
        if min(numbers) < 1:
            raise ValueError(
                "expected a whole number of 1 or more, or several between "
                f"commas. Received: {text}"
            )
        return numbers[0] if len(numbers) == 1 else numbers


class HubUri(ParsedType):
    """The address of a preset on the Hub, hf://owner/name[@revision]."""

    name = "hf uri"

    def parse(self, text: str) -> str:
        """Return the address as it was given."""
        from keras_audiogan import zoo

        return str(zoo.parse_uri(text))


def complete_preset(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a preset that is here, or else a folder's."""
    from keras_audiogan import zoo

    names = [n for n in zoo.list_presets() if n.startswith(incomplete)]
    if not names:
        return [CompletionItem(incomplete, type="dir")]
    return [CompletionItem(name) for name in names]


preset_argument: Decorator = click.argument(
    "preset", metavar="PRESET", shell_complete=complete_preset
)


def output_option(help: str, **kwargs: Any) -> Decorator:
    """Return the option `-o / --output`, a folder."""
    return click.option(
        "-o",
        "--output",
        type=FOLDER,
        metavar="DIR",
        help=help,
        show_default="default" in kwargs,
        **kwargs,
    )


PRECISION_HELP = (
    "Arithmetic of the networks. auto: mixed_float16 on a GPU, "
    "mixed_bfloat16 on a CPU that has its instructions, else float32."
)
precision_option: Decorator = click.option(
    "--precision", type=PRECISION, default="float32", help=PRECISION_HELP
)
format_option: Decorator = click.option(
    "--format",
    "audio_format",
    type=click.Choice(["wav", "flac", "ogg"]),
    default="wav",
    help="Kind of sound file.",
)
token_option: Decorator = click.option(
    "--token",
    metavar="TOKEN",
    help="Access token of the Hub. Default: HF_TOKEN, or the one that "
    "`hf auth login` stored.",
)
truncation_option: Decorator = click.option(
    "--truncation",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Factor on the latents: less is more typical and less varied.",
)
batch_size_option: Decorator = click.option(
    "--batch-size",
    type=COUNT,
    default=64,
    help="Sounds made at a time; memory is that of one batch.",
)
runtime_option: Decorator = click.option(
    "--runtime",
    type=click.Choice(["onnxruntime", "openvino"]),
    help="What runs a preset that `audiogan export --engine` wrote. Default: "
    "what is installed, onnxruntime first; for bfloat16 OpenVINO.",
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON."
)


def make_folder(folder: pathlib.Path) -> None:
    """Make the folder of --output with its parents, or say why it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        reason = "permission denied"
    except OSError as error:
        writable, reason = False, str(error.strerror)
    if not writable:
        raise click.ClickException(
            f"Cannot write to {str(folder)!r}: {reason}. Choose another "
            "folder with --output."
        )


def first_of(names: Sequence[object]) -> str:
    """Return the first name in quotes, and how many more there are."""
    more = f" and {len(names) - 1} more" if names[1:] else ""
    return f"{str(names[0])!r}{more}"


def check_report(report: pathlib.Path | None, endings: Sequence[str]) -> None:
    """Refuse a file for --report that a preset's task has no report for."""
    if report is not None and report.suffix not in endings:
        raise click.BadParameter(
            f"of this preset, expected a file that ends in "
            f"{' or '.join(endings)}. Received: {str(report)!r}",
            param_hint="--report",
        )


def echo_written(
    number: int,
    folder: pathlib.Path,
    picture: pathlib.Path | None,
    detail: str = "",
    page: pathlib.Path | None = None,
) -> None:
    """Say how many sounds were written, and where."""
    from keras_audiogan.data.reports import count

    extras = []
    if picture:
        extras.append(f"a picture, {picture.name}")
    if page:
        extras.append(f"a page that plays them, {page.name}")
    extra = f" with {' and '.join(extras)}" if extras else ""
    click.echo(f"Wrote {count(number, 'sound')} to {folder}{extra}{detail}.")


def echo_mixed(number: int, num_channels: int) -> None:
    """Say how many files have more channels than are made of them."""
    from keras_audiogan.data.reports import channel_name, count

    if number:
        click.echo(
            f"{count(number, 'file')} with more channels mixed to "
            f"{channel_name(num_channels)}.",
            err=True,
        )


def check_new(folder: pathlib.Path, hint: str) -> None:
    """Refuse the folder that `hint` named if it holds something already."""
    if folder.is_dir() and any(folder.iterdir()):
        raise click.BadParameter(
            f"{str(folder)!r} is not empty. Choose a new folder, or empty "
            "this one yourself.",
            param_hint=hint,
        )


def find_preset(
    preset: str,
    *capabilities: str,
    hint: str = "PRESET",
    weights: Sequence[str] | None = None,
    engines: bool = False,
) -> tuple[pathlib.Path, dict[str, Any]]:
    """Return folder and config of a preset; Keras stays out.

    Args:
        preset: what the user called it.
        *capabilities: methods, see `keras_audiogan.presets.tasks`, of which
            one is enough.
        hint: the argument or flag that named it.
        weights: which weights are needed, of a preset on the Hub.
        engines: whether one that runs without Keras will do.

    Raises:
        click.BadParameter: if it has none of these; the message says what it
            is, which command is for it, and which bundled presets have them.
    """
    from keras_audiogan import zoo
    from keras_audiogan.presets.tasks import task_of
    from keras_audiogan.saving import read_config

    try:
        folder = zoo.resolve(preset, weights=weights, samples=False)
    except ValueError:
        if not preset.startswith("hf://"):
            raise
        # It has no such weights: what is it, then?
        folder = zoo.resolve(preset, weights=(), samples=False)
    config = read_config(folder)
    if "engine" in config and not engines:
        raise click.BadParameter(
            f"{preset} is an engine, which `audiogan sample` and `audiogan "
            "vocode` run without Keras. For anything else take the preset "
            "that it was exported from.",
            param_hint=hint,
        )
    task = task_of(config)
    if task.can(*capabilities):
        return folder, config
    able = [
        name
        for name in zoo.list_presets()
        if task_of(read_config(zoo.resolve(name))).can(*capabilities)
    ]
    verb = " or ".join(capabilities)
    raise click.BadParameter(
        f"{preset} is a {task.noun} ({config['architecture']}), which "
        f"{task.summary}; it cannot {verb}. For it there is: "
        f"{' or '.join(task.tries(preset))}. Bundled presets that can {verb}: "
        f"{', '.join(able) or 'none'}.",
        param_hint=hint,
    )


def revision(folder: pathlib.Path, preset: str, config: dict[str, Any]) -> str:
    """Return a commit of the Hub, or else the weights' own checksum."""
    if preset.startswith("hf://"):
        return folder.name
    return f"sha256:{config['weights']['generator']['sha256'][:16]}"


def preset_stem(preset: str) -> str:
    """Return what the files of a preset are called."""
    if preset.startswith("hf://"):
        name = preset.rpartition("/")[2].partition("@")[0]
    else:
        name = pathlib.Path(preset).resolve().name
    return re.sub(r"[^\w.-]+", "_", name) or "preset"


def load_model(
    folder: pathlib.Path,
    precision: str,
    *,
    runtime: str | None = None,
    weights: Sequence[str] = ("generator",),
) -> Any:
    """Build a preset's model for use, not training.

    Keras is imported here, unless the preset is an engine.
    """
    from keras_audiogan.saving import load_preset, read_config

    if runtime is not None or "engine" in read_config(folder):
        return load_preset(
            folder, weights=["generator"], dtype=precision, runtime=runtime
        )
    from keras_audiogan.training.precision import resolve_precision

    dtype = resolve_precision(precision)
    model = load_preset(folder, weights=weights, dtype=dtype)
    if getattr(model, "weight_norm", False):
        model = model.fuse_weight_norm()
    return model
