"""The command line, run in this process as a user types it."""

from click.testing import CliRunner, Result

from keras_audiogan.cli.main import main


def audiogan(*arguments: object) -> Result:
    """Runs a command; the result has its exit code and both streams."""
    return CliRunner().invoke(main, [str(part) for part in arguments])
