"""`audiogan pull`: a preset from the Hub."""

import pathlib

import click

from keras_audiogan.cli import _options


@click.command()
@click.argument("uri", type=_options.HubUri(), metavar="HF_URI")
@_options.output_option(
    "Also copy the preset to this folder, which must be new or empty. "
    "Without it, it stays in the Hub client's cache."
)
@_options.token_option
def command(uri: str, output: pathlib.Path | None, token: str | None) -> None:
    """Fetch a preset from the Hub.

    HF_URI is hf://owner/name, or hf://owner/name@revision for one version.
    What the Hub client has in its cache is not fetched again.

    \b
    Examples:
      audiogan pull hf://me/my_gan
      audiogan pull hf://me/my_gan@v1 -o presets/my_gan
    """
    from keras_audiogan import zoo

    path = zoo.pull(uri, output=output, token=token)
    click.echo(f"{uri} is in {path}")
