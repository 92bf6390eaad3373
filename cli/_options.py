"""Option types and options that more than one command has."""

import os
import pathlib
from collections.abc import Callable
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
EXISTING_FOLDER = click.Path(
    exists=True, file_okay=False, path_type=pathlib.Path
)


class Names(click.ParamType):
    """Names between commas, as a tuple."""

    name = "names"

    def convert(
        self,
        value: str | tuple[str, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Return the names, or fail if one is empty."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(
                f"expected names between commas. Received: {value}", param, ctx
            )
        return names


NAMES = Names()


class HubUri(click.ParamType):
    """The address of a preset on the Hub, hf://owner/name[@revision]."""

    name = "hf uri"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Return `value`, or fail with the form that is expected."""
        from keras_audiogan import zoo

        try:
            return str(zoo.parse_uri(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


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


def precision_option(default: str) -> Decorator:
    """Return the option `--precision`."""
    return click.option(
        "--precision",
        type=PRECISION,
        default=default,
        show_default=True,
        help="Arithmetic of the networks. auto: mixed_float16 on a GPU, "
        "mixed_bfloat16 on a CPU that has its instructions, else float32.",
    )


def token_option() -> Decorator:
    """Return the option `--token` of commands that speak to the Hub."""
    return click.option(
        "--token",
        metavar="TOKEN",
        help="Access token of the Hub. Default: HF_TOKEN, or the one that "
        "`hf auth login` stored.",
    )


def make_folder(folder: pathlib.Path) -> None:
    """Make the folder of --output, with its parents, if it does not exist.

    Raises:
        click.ClickException: if it cannot be made or written to.
    """
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


def check_new(folder: pathlib.Path, hint: str) -> None:
    """Refuse a folder to write to that holds something already.

    Args:
        folder: where a command is about to write.
        hint: the argument or flag that named it.

    Raises:
        click.BadParameter: if the folder is not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise click.BadParameter(
            f"{str(folder)!r} is not empty. Choose a new folder, or empty "
            "this one yourself.",
            param_hint=hint,
        )


def check_generator(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """Return the config of a preset that makes sound; Keras stays out.

    Args:
        folder: a preset's folder, as `zoo.resolve` finds it.
        name: what the user called the preset.

    Raises:
        click.ClickException: if the preset makes no sound.
    """
    from keras_audiogan.saving import read_config

    config = read_config(folder)
    if "generator" not in config["weights"]:
        raise click.ClickException(
            f"{name} is a {config['architecture']}, which makes no sound. "
            "Choose a preset that has a generator; `audiogan info` tells."
        )
    return config


def is_vocoder(config: dict[str, Any]) -> bool:
    """Return whether a preset makes sound of mels; Keras is imported here.

    Args:
        config: as `check_generator` returns it.
    """
    from keras_audiogan.models import get_architecture

    model_class = get_architecture(config["architecture"])
    return bool(getattr(model_class, "is_vocoder", False))


def revision(folder: pathlib.Path, preset: str, config: dict[str, Any]) -> str:
    """Return a commit of the Hub, or else the weights' own checksum.

    Args:
        folder: a preset's folder, as `zoo.resolve` finds it.
        preset: what the user called it.
        config: as `check_generator` returns it.
    """
    if preset.startswith("hf://"):
        return folder.name
    return f"sha256:{config['weights']['generator']['sha256'][:16]}"


def load_gan(folder: pathlib.Path, precision: str) -> Any:
    """Build the generator of a preset; Keras is imported here.

    Args:
        folder: a preset's folder that `check_generator` has passed.
        precision: as `--precision`.
    """
    from keras_audiogan.saving import load_preset
    from keras_audiogan.training.precision import resolve_precision

    return load_preset(
        folder,
        weights=["generator"],
        dtype=resolve_precision(precision),
    )
