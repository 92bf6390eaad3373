"""The command `audiogan` and its lazy table of sub-commands."""

import difflib
import importlib
import io
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from keras_audiogan._names import SHOWN
from keras_audiogan.cli import _errors
from keras_audiogan.cli._options import ARGUMENTS

COMMANDS = {
    "list": "Show the presets of the zoo, and where each of them is.",
    "info": "Show what a preset is, what it was trained on, how good it is.",
    "sample": "Write sounds made by a preset.",
    "play": "Play a MIDI file with a preset whose labels are pitches.",
    "vocode": "Make sound again of recordings or of mel spectrograms.",
    "reconstruct": "Encode recordings into latents, and decode them again.",
    "data": "Fetch a data set that the zoo was trained on.",
    "train": "Train an architecture from nothing on a folder of sounds.",
    "finetune": "Train a preset further on a folder of sounds.",
    "evaluate": "Measure a preset against a folder of real sounds.",
    "judge": "Fetch a published network that `audiogan evaluate` judges music "
    "by.",
    "export": "Write a preset for ONNX, LiteRT or TensorFlow alone.",
    "convert": "Turn an original author's checkpoint into a preset.",
    "pull": "Fetch a preset from the Hub.",
    "push": "Upload a preset or a training run to the Hub.",
}


class LazyGroup(click.Group):
    """A click group that imports a command's module when it is chosen.

    Every error that a command raises leaves as one line (see `_errors`).
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; no name of a file is one that cannot be printed."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=SHOWN)
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what the user typed; cards say how a figure was measured."""
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of a first visit."""
        return list(COMMANDS)

    def get_command(
        self, ctx: click.Context, cmd_name: str
    ) -> click.Command | None:
        """Import the module of `cmd_name` and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"keras_audiogan.cli.{cmd_name}")
        return module.command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command, and name the nearest one for a misspelt name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = " or ".join(difflib.get_close_matches(args[0], COMMANDS))
            advice = f" Did you mean {near}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{advice}")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Complete a command without importing any of them."""
        commands = [
            CompletionItem(name, help=help)
            for name, help in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command with errors turned into one line."""
        with _errors.reported(ctx):
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(
    package_name="keras-audiogan", message="audiogan %(version)s"
)
def main() -> None:
    """Sound from generative adversarial networks: sample, train, share.

    \b
    Examples:
      audiogan list
      audiogan sample wavegan_digits -n 8 -o out/
      audiogan vocode hifigan_speech recordings/ -o out/
      audiogan finetune wavegan_digits my_sounds/ -o runs/mine
      audiogan push runs/mine hf://me/my_gan

    PRESET is the name of a bundled preset (see `audiogan list`), a folder
    that holds one, a training run, or hf://owner/name[@revision].

    Errors are one line; AUDIOGAN_DEBUG=1 shows where they come from.

    \b
    The Tab key completes commands, options and presets after this line
    in ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish:
      bash  eval "$(_AUDIOGAN_COMPLETE=bash_source audiogan)"
      zsh   eval "$(_AUDIOGAN_COMPLETE=zsh_source audiogan)"
      fish  _AUDIOGAN_COMPLETE=fish_source audiogan | source
    """
