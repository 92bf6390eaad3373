"""Errors of the library and of the system, turned into one line of advice."""

import contextlib
import errno
import os
import pathlib
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping

import click

BACKENDS = ("tensorflow", "jax", "torch")
_EXTRAS = {
    "mido": "keras-audiogan[midi]",
    "torch": "keras-audiogan[convert]",
}
_OWN_FOLDERS = tuple(
    str(pathlib.Path(__file__).parents[level]) for level in (0, 1)
)
# Whose errors are written for people: ours, such as HubError, and the Hub's.
_WELL_SPOKEN = ("keras_audiogan.", "huggingface_hub")
# Their advice is about the cache, and complete.
_OF_THE_HUB = "keras_audiogan.zoo.hub"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_OUT_OF_MEMORY = ("ResourceExhaustedError", "OutOfMemoryError", "MemoryError")


def debugging() -> bool:
    """Return whether AUDIOGAN_DEBUG asks for tracebacks and framework logs."""
    return os.environ.get("AUDIOGAN_DEBUG", "0") not in ("", "0")


@contextlib.contextmanager
def reported(ctx: click.Context) -> Iterator[None]:
    """Turn what a command raises into one line on stderr and an exit code.

    Errors exit with 1 (2 for a wrong flag, as click does), Ctrl-C with 130.
    With AUDIOGAN_DEBUG=1 they leave as they are, with their tracebacks.
    """
    with _plain_warnings():
        try:
            yield
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(130)
        except Exception as error:
            if debugging():
                raise
            name, group, command = ctx.invoked_subcommand, ctx.command, None
            if isinstance(group, click.Group) and name is not None:
                command = group.get_command(ctx, name)
            message = advice(error, flags_of(command))
            raise click.ClickException(message) from error


def advice(error: Exception, flags: Mapping[str, str]) -> str:
    """Say in one line what went wrong and which of the `flags` mends it.

    They are those of the command that ran, see `flags_of`, and replace Python
    arguments in the library's own messages.
    """
    elsewhere = ""
    if "output" in flags:
        elsewhere = f" or choose another folder with {flags['output']}"
    if type(error).__name__ in _OUT_OF_MEMORY:
        message = "Memory ran out."
        if "batch_size" in flags:
            message += f" Choose a smaller {flags['batch_size']}."
    elif type(error).__module__.startswith(_OF_THE_HUB):
        message = str(error)
    elif _disk_is_full(error):
        name = getattr(error, "path", None) or getattr(error, "filename", None)
        where = f" while writing {str(name)!r}" if name is not None else ""
        if name == tempfile.gettempdir():
            elsewhere = " or name a folder that has some with TMPDIR"
        message = f"The disk is full{where}. Free some space{elsewhere}."
    elif isinstance(error, OSError) and error.errno is not None:
        message = _system_message(error, elsewhere)
    elif isinstance(error, ModuleNotFoundError) and not (
        (error.name or "keras_audiogan").startswith("keras_audiogan")
    ):
        message = _missing_module_message(str(error.name))
    elif isinstance(error, (ValueError, OSError)) or (
        type(error).__module__.startswith(_WELL_SPOKEN)
    ):
        message = str(error) or type(error).__name__
    else:
        message = (
            f"{type(error).__name__}: {error} (this is likely a fault of "
            "audiogan itself; AUDIOGAN_DEBUG=1 shows where it comes from)"
        )
    # What `repr` makes of bytes in a name that are no UTF-8.
    message = re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", message)
    message = name_flags(message, flags)
    # On one line, unless it holds an indented list.
    return message.strip() if "\n  " in message else " ".join(message.split())


def _disk_is_full(error: BaseException) -> bool:
    """Return whether `error`, or what it came from, is for want of space."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return True
        cause = cause.__cause__
    return False


def _system_message(error: OSError, elsewhere: str) -> str:
    """Explain an error of the file system or the network."""
    if error.filename is None:
        return str(error)
    name = repr(str(error.filename))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"No permission for {name}: {error.strerror}. Change its "
            f"permissions{elsewhere}."
        )
    if error.errno == errno.ENOENT:
        return f"{name} does not exist."
    if error.errno == errno.ENOTDIR:
        return f"{name} is not a folder, or lies in something that is not one."
    return f"{error.strerror}: {name}"


def _missing_module_message(name: str) -> str:
    """Say how to install what an optional feature needs."""
    package = name.partition(".")[0]
    wanted = _EXTRAS.get(package, package)
    advised = (
        f"This needs {package}, which is not installed. Install it with: pip "
        f"install '{wanted}'"
    )
    if package in BACKENDS and os.environ.get("KERAS_BACKEND") == package:
        advised += ", or choose another backend with KERAS_BACKEND"
    return advised + "."


def flags_of(command: click.Command | None) -> dict[str, str]:
    """Return how a command spells its parameters, by their Python names."""
    return {
        str(param.name): max(param.opts, key=len)
        if isinstance(param, click.Option)
        else param.make_metavar(click.Context(command))
        for param in (command.params if command else ())
    }


def name_flags(message: str, flags: Mapping[str, str]) -> str:
    """Replace `argument` and argument=value by the flags of the command."""

    def replace(match: re.Match[str]) -> str:
        flag = flags.get(match["quoted"] or match["assigned"])
        if flag is None:
            return match[0]
        return flag if match["quoted"] else f"{flag} "

    message = re.sub(
        r"`(?P<quoted>\w+)`|\b(?P<assigned>\w+)=", replace, message
    )
    # A library's "`resume` (--resume)" says it once.
    return re.sub(r"(--[\w-]+) \(\1\)", r"\1", message)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show our own warnings as one line, and hide those of other libraries."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        *place: object,
        **kwargs: object,
    ) -> None:
        if filename.startswith(_OWN_FOLDERS):
            text = " ".join(str(message).split())
            click.echo(f"Warning: {text}", err=True)

    with warnings.catch_warnings():
        if not debugging():
            warnings.showwarning = show
        yield
