"""`audiogan push`: a preset or a training run to the Hub."""

import click

from keras_audiogan.cli import _options


@click.command()
@click.argument(
    "source", metavar="RUN_OR_PRESET", shell_complete=_options.complete_preset
)
@click.argument("uri", type=_options.HubUri(), metavar="HF_URI")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("-m", "--message", metavar="TEXT", help="Message of the commit.")
@_options.token_option
def command(
    source: str, uri: str, private: bool, message: str | None, token: str | None
) -> None:
    """Upload a preset or a training run to the Hub.

    The repository is made if it does not exist, and everything arrives as one
    commit. A README that a person wrote there stays.

    \b
    Examples:
      audiogan push runs/mine hf://me/my_gan
      audiogan push runs/mine hf://me/my_gan --private -m "Longer training"
      audiogan push wavegan_digits hf://me/digits@trial
    """
    from keras_audiogan import zoo

    name, _, revision = uri.partition("@")
    url = zoo.upload_preset(
        name,
        zoo.resolve(source),
        private=private,
        token=token,
        message=message,
        revision=revision or None,
    )
    click.echo(f"Pushed {source} to {url}")
