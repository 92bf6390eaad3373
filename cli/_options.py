"""Option types and options that more than one command has."""

import pathlib
import re
from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

SEED = click.IntRange(min=0, max=2**32 - 1)
COUNT = click.IntRange(min=1)
PRECISION = click.Choice(["auto", "float32", "mixed_bfloat16", "mixed_float16"])
FOLDER = click.Path(file_okay=False, path_type=pathlib.Path)
EXISTING_FOLDER = click.Path(
    exists=True, file_okay=False, path_type=pathlib.Path
)


class HubUri(click.ParamType):
    """hf://owner/name, with @revision where `revision` allows it."""

    name = "hf uri"

    def __init__(self, revision: bool = True) -> None:
        self.revision = revision

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Return `value`, or fail with the form that is expected."""
        form = "hf://owner/name" + ("[@revision]" if self.revision else "")
        part = r"[A-Za-z0-9][\w.-]*"
        pattern = rf"hf://{part}/{part}" + (
            r"(@[\w./-]+)?" if self.revision else ""
        )
        if not re.fullmatch(pattern, value):
            self.fail(
                f"expected {form}, such as hf://me/my_gan. Received: {value}",
                param,
                ctx,
            )
        return value


preset_argument: Decorator = click.argument("preset", metavar="PRESET")


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
