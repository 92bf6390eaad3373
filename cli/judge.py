"""`audiogan judge`: published networks that judge sound."""

from __future__ import annotations

import pathlib

import click

from keras_audiogan.cli import _backend, _format
from keras_audiogan.converters.judges import JUDGES
from keras_audiogan.presets.words import size


@click.command()
@click.argument(
    "name", required=False, type=click.Choice(list(JUDGES)), metavar="NAME"
)
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    metavar="FILE",
    help="The wheel, where it is here already; else pip downloads it.",
)
def command(name: str | None, wheel: pathlib.Path | None) -> None:
    """Fetch a published network that `audiogan evaluate` judges music by.

    Without NAME those that are known are listed. musicnn (Pons and Serra,
    2019; ISC licence) tags music: its weights lie in its wheel on PyPI, which
    pip downloads once, at one version, by its checksum, without installing it
    or what it depends on. They are converted into a preset in
    ~/.cache/keras-audiogan (XDG_CACHE_HOME; AUDIOGAN_CACHE is another place),
    which needs TensorFlow, whatever backend Keras has. From then on
    `audiogan evaluate` measures distances of music by it.

    \b
    Examples:
      audiogan judge
      audiogan judge musicnn
      audiogan judge musicnn --wheel musicnn-0.1.0-py3-none-any.whl
    """
    from keras_audiogan.converters.judges import fetch_judge, find_judge

    if name is None:
        rows = [["name", "from", "fetches", "licence", "where"]]
        for judge in JUDGES.values():
            rows.append(
                [
                    judge.name,
                    f"{judge.package} {judge.version} (PyPI)",
                    size(judge.num_bytes),
                    judge.license,
                    str(find_judge(judge.name) or "not here"),
                ]
            )
        _format.print_table(rows)
        return
    folder = find_judge(name)
    if folder is not None:
        click.echo(f"{name} is there already: {folder}")
        return
    _backend.prepare()
    judge = JUDGES[name]
    if wheel is None:
        click.echo(
            f"Fetching {judge.wheel} ({size(judge.num_bytes)}, licence "
            f"{judge.license}): {judge.paper}.",
            err=True,
        )
    folder = fetch_judge(name, wheel)
    click.echo(
        f"{name} is in {folder}. `audiogan evaluate` measures music by it; "
        f"licence {judge.license}, {judge.paper}."
    )
