"""`audiogan data`: the data sets that the zoo was trained on."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from keras_audiogan.cli import _format, _options
from keras_audiogan.collections.catalogue import (
    COLLECTIONS,
    GITHUB,
    Collection,
)
from keras_audiogan.presets.words import duration, size

if TYPE_CHECKING:
    from keras_audiogan.collections import Collected


@click.command()
@click.argument(
    "name", required=False, type=click.Choice(list(COLLECTIONS)), metavar="NAME"
)
@click.argument("folder", required=False, type=_options.FOLDER, metavar="[DIR]")
@click.option(
    "--from",
    "given",
    type=click.Path(path_type=pathlib.Path),
    multiple=True,
    metavar="PATH",
    help="What is here already, in place of fetching it: a zip archive, the "
    "folder that it was unpacked to, a folder with several of these, or a "
    "soundfont. May be given more than once.",
)
@click.option(
    "--mirror",
    envvar="AUDIOGAN_DATA_MIRROR",
    default=GITHUB,
    show_default=True,
    metavar="URL",
    help="What stands in place of https://github.com in the addresses; "
    "AUDIOGAN_DATA_MIRROR is another way to say it.",
)
@_options.json_option
def command(
    name: str | None,
    folder: pathlib.Path | None,
    given: tuple[pathlib.Path, ...],
    mirror: str,
    as_json: bool,
) -> None:
    """Fetch a data set that the zoo was trained on.

    Without NAME the data sets are listed; without DIR the licence, the
    addresses and the layout of one are shown. Everything comes from its public
    home, at one commit, and is brought into the layout that the model cards'
    commands expect. DIR appears when it is whole and checked, with
    LICENSE.md in it. Proxies are taken from HTTPS_PROXY.

    speech, drums and music are resampled, notes are rendered: with the
    versions of soxr and fluidsynth that were used here, every sample is that
    of the sets that the presets were trained on; others may differ in the last
    bit, and the command says so. The piano is not the same twice, as
    fluidsynth renders long pieces; names and lengths are.

    \b
    Examples:
      audiogan data
      audiogan data drums
      audiogan data fsdd fsdd
      audiogan data speech speech --from downloads/
      audiogan data notes notes
      audiogan data music music --from ufoai-music_2.5-2_all.deb
    """
    if name is None:
        _list(as_json)
        return
    collection = COLLECTIONS[name]
    if folder is None:
        _describe(collection, mirror, as_json)
        return
    from keras_audiogan.collections import collect, downloads_of

    if not as_json:
        click.echo(collection.license_text)
    try:
        with _progress() as progress:
            done = collect(
                name, folder, given=given, base=mirror, progress=progress
            )
    except KeyboardInterrupt:
        kept = downloads_of(folder)
        if kept.is_dir():
            click.echo(
                f"\nWhat was fetched is in {kept}; the same command goes on "
                "with it.",
                err=True,
            )
        raise
    _say(collection, done, as_json)


def _list(as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(list(map(_facts, COLLECTIONS.values())), indent=2)
        )
        return
    rows = [["name", "what", "files", "length", "size", "fetches", "licence"]]
    for collection in COLLECTIONS.values():
        fetched = collection.download_bytes
        rows.append(
            [
                collection.name,
                collection.title,
                f"{collection.num_files:,}",
                duration(3600 * collection.hours),
                size(collection.num_bytes),
                size(fetched) if fetched else "-",
                collection.license,
            ]
        )
    _format.print_table(rows)


def _facts(collection: Collection) -> dict[str, object]:
    return {
        "name": collection.name,
        "title": collection.title,
        "license": collection.license,
        "num_files": collection.num_files,
        "hours": collection.hours,
        "num_bytes": collection.num_bytes,
        "download_bytes": collection.download_bytes,
        "layout": collection.layout,
        "urls": [archive.url() for archive in collection.archives],
        "needs": list(collection.needs),
        "sha256": collection.sound_digest,
    }


def _describe(collection: Collection, mirror: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_facts(collection), indent=2))
        return
    click.echo(collection.license_text)
    lines = [
        ["Files", f"{collection.num_files:,} in {size(collection.num_bytes)}"],
        ["Length", duration(3600 * collection.hours)],
        ["Layout", collection.layout],
        ["SHA-256 of the listing", collection.sound_digest or "varies"],
    ]
    lines += [
        ["Fetched", f"{archive.url(mirror)} (about {size(archive.num_bytes)})"]
        for archive in collection.archives
    ]
    if collection.needs:
        lines.append(["Needs", " and ".join(collection.needs)])
    _format.print_table(lines)
    name = collection.name
    click.echo(f"\nTo have it: audiogan data {name} {name}")


def _say(collection: Collection, done: Collected, as_json: bool) -> None:
    if as_json:
        facts = {
            "folder": str(done.folder),
            "num_files": done.num_files,
            "seconds": done.seconds,
            "sha256": done.digest,
            "is_expected": done.is_expected,
            "was_there": done.was_there,
        }
        click.echo(json.dumps(facts, indent=2))
        return
    same = ", as expected" if done.is_expected else ", not the expected one"
    same = "" if done.is_expected is None else same
    where = "is there already" if done.was_there else "is there"
    click.echo(
        f"{done.folder} {where}: {done.num_files:,} files, "
        f"{duration(done.seconds)}, licence {collection.license} (see "
        f"LICENSE.md).\nSHA-256 of the listing: {done.digest}{same}."
    )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on a terminal, one for each file that is fetched."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what.partition("-")[0], total=total)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        yield show
