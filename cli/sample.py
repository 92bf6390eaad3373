"""`audiogan sample`: sounds from a preset, with the seeds that made them."""

import csv
import dataclasses
import pathlib
import re
import secrets
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from keras_audiogan.cli import _backend, _options

if TYPE_CHECKING:
    import numpy as np

MANIFEST_FIELDS = (
    "file",
    "seed",
    "index",
    "position",
    "truncation",
    "label",
    "preset",
    "revision",
)
NUM_PICTURED = 16


@click.command(context_settings={"show_default": True})
@_options.preset_argument
@click.option(
    "-n",
    "--num-samples",
    type=_options.COUNT,
    help="Sounds to make; with --interpolate, steps of the path. "
    "Default: 8, or one of each --label if those are more.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="What to say, for conditional presets (audiogan info PRESET lists "
    "the labels); can be repeated, and is then taken in turn. With "
    "--interpolate, the label of the path or of its two ends. "
    "Default: every label in turn.",
)
@click.option(
    "--per-label",
    type=_options.COUNT,
    help="Sounds of each label, instead of -n.",
)
@click.option(
    "--seed",
    type=_options.SEED,
    help="Seed of the latents: the same seed gives the same sounds. Drawn, "
    "and printed, if not given.",
)
@_options.output_option(
    "Folder to write to; made if it does not exist.", default="out"
)
@_options.format_option
@click.option(
    "--plot/--no-plot",
    default=True,
    help=f"Also draw the first {NUM_PICTURED}: waveform and spectrogram.",
)
@click.option(
    "--interpolate",
    nargs=2,
    type=_options.SEED,
    metavar="A B",
    help="Walk from the first sound of seed A to the first of seed B.",
)
@_options.truncation_option
@_options.batch_size_option
@_options.precision_option
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files of the same names that audiogan did not write.",
)
def command(
    preset: str,
    num_samples: int | None,
    labels: tuple[str, ...],
    per_label: int | None,
    seed: int | None,
    output: pathlib.Path,
    audio_format: str,
    plot: bool,
    interpolate: tuple[int, int] | None,
    truncation: float | None,
    batch_size: int,
    precision: str,
    overwrite: bool,
) -> None:
    """Write sounds made by a preset.

    The folder gets one file a sound, PRESET_SEED_INDEX.wav, a table of their
    seeds, PRESET_SEED.csv, and a picture, PRESET_SEED.png.

    \b
    Examples:
      audiogan sample wavegan_digits -n 8 -o out/
      audiogan sample wavegan_drums -n 1000 --seed 7 --format flac --no-plot
      audiogan sample wavegan_digits --interpolate 3 8 -n 12
      audiogan sample projection_wavegan_digits --label seven -n 4
      audiogan sample projection_wavegan_digits --per-label 5
      audiogan sample hf://me/my_gan -n 4
    """
    if per_label is not None and num_samples is not None:
        raise click.UsageError("Give either -n or --per-label.")
    if interpolate is not None:
        if seed is not None or truncation is not None or per_label is not None:
            raise click.UsageError(
                "--interpolate names its own seeds and full latents: leave "
                "out --seed, --truncation and --per-label."
            )
        num_samples = 8 if num_samples is None else num_samples
        if num_samples < 2:
            raise click.BadParameter(
                f"a path needs 2 sounds or more. Received: {num_samples}",
                param_hint="-n / --num-samples",
            )
        seed_name = "{}-{}".format(*interpolate)
    else:
        if seed is None:
            seed = secrets.randbelow(2**32)
        seed_name = str(seed)
    folder, config = _options.find_preset(
        preset, "sample" if interpolate is None else "interpolate"
    )
    _backend.prepare()
    asked = _asked_labels(preset, folder, config, labels, per_label is not None)
    if per_label is not None:
        num_samples = per_label * len(asked or ())
    elif num_samples is None:
        num_samples = max(8, len(labels))
    writer = SampleWriter(
        output,
        _options.preset_stem(preset),
        seed_name,
        num_samples,
        audio_format,
        overwrite,
    )
    gan = _options.load_model(folder, precision)
    if interpolate is not None:
        ends = asked[:1] if asked and not labels else asked
        clips = gan.interpolate(
            *interpolate, num_samples, labels=ends, batch_size=batch_size
        )
        batches, asked = iter([clips]), None
    else:
        batches = gan.sample_batches(
            num_samples, seed, batch_size, truncation, labels=asked
        )
    pictured = writer.write(
        batches,
        gan.sampling_rate,
        labels=asked,
        truncation="" if truncation is None else truncation,
        preset=preset,
        revision=_options.revision(folder, preset, config),
    )
    if plot:
        from keras_audiogan import audio

        audio.save_sheet(
            writer.picture,
            pictured,
            gan.sampling_rate,
            titles=[
                f"{index} {asked[index % len(asked)]}" if asked else str(index)
                for index in range(len(pictured))
            ],
        )
    picture = writer.picture if plot else None
    _options.echo_written(num_samples, output, picture, f" (seed {seed_name})")


def _asked_labels(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    labels: tuple[str, ...],
    needed: bool,
) -> list[str] | None:
    """Return the labels to take in turn; None if the preset takes none."""
    from keras_audiogan import saving

    model_class = saving.preset_class(folder / "config.json", config)
    if not model_class.learns_labels(config["config"]):
        if labels or needed:
            raise click.UsageError(
                f"{preset} takes no labels: its architecture, "
                f"{config['architecture']}, is not conditional."
            )
        return None
    known = list(config["labels"])
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise click.BadParameter(
            f"{preset} knows {', '.join(known)}. Received: {unknown[0]}",
            param_hint="--label",
        )
    return list(labels) or known


@dataclasses.dataclass
class SampleWriter:
    """Writes clips one by one beside a table of what made them.

    Files that the table of an earlier run does not list are replaced only to
    `overwrite`. All names begin with `stem`, and the seed or seeds.

    Raises:
        click.ClickException: if the folder cannot be used, or holds files of
            the same names that are not from an earlier run.
    """

    folder: pathlib.Path
    stem: str
    seed_name: str
    num_samples: int
    audio_format: str
    overwrite: bool

    def __post_init__(self) -> None:
        self.prefix = f"{self.stem}_{self.seed_name}"
        self.manifest = self.folder / f"{self.prefix}.csv"
        self.picture = self.folder / f"{self.prefix}.png"
        _options.make_folder(self.folder)
        self.earlier = _listed_files(self.manifest)
        if not self.overwrite:
            self._check_nothing_is_lost()

    def file(self, index: int) -> pathlib.Path:
        """Return the file of the clip `index`."""
        return self.folder / f"{self.prefix}_{index}.{self.audio_format}"

    def _check_nothing_is_lost(self) -> None:
        ours = set()
        if self.earlier is not None:
            # A process that is killed has written one file more than it says.
            last = [int(row["index"]) for row in self.earlier.values()]
            following = self.file(max(last, default=-1) + 1)
            files = self.manifest, self.picture, following
            ours = {file.name for file in files} | self.earlier.keys()
        foreign = sorted(
            path.name
            for path in self.folder.iterdir()
            if self._is_wanted(path.name) and path.name not in ours
        )
        if foreign:
            raise click.ClickException(
                f"{str(self.folder)!r} already holds "
                f"{_options.first_of(foreign)}, which no earlier run with "
                "this preset and seed lists as its own. Choose another folder "
                "with --output, another --seed, or --overwrite."
            )

    def _is_wanted(self, name: str) -> bool:
        """Return whether this run writes a file called `name`."""
        clip = rf"{re.escape(self.prefix)}_(\d+)\.{self.audio_format}"
        match = re.fullmatch(clip, name)
        if match is None:
            return name in (self.manifest.name, self.picture.name)
        return int(match[1]) < self.num_samples

    def write(
        self,
        batches: "Iterator[np.ndarray]",
        sampling_rate: int,
        labels: list[str] | None = None,
        **fields: Any,
    ) -> "list[np.ndarray]":
        """Write every clip, and then its row of the table, as it comes.

        However it ends, the table lists what lies in the folder: sounds of
        an earlier run with this preset and seed stay in it.

        Args:
            batches: arrays `(clips, time, channels)` in [-1, 1].
            sampling_rate: in Hz.
            labels: labels of the clips, repeated in turn.
            **fields: further columns of the table, the same for every clip.

        Returns:
            The first clips, for the picture.
        """
        from keras_audiogan import audio
        from keras_audiogan.runs.bars import progress

        pictured: list[np.ndarray] = []
        earlier = dict(self.earlier or {})
        with (
            # Line by line, for a process that is killed.
            self.manifest.open(
                "w", buffering=1, newline="", encoding="utf-8"
            ) as file,
            progress("Sampling", self.num_samples) as advance,
        ):
            table = csv.DictWriter(file, MANIFEST_FIELDS, restval="")
            table.writeheader()
            try:
                for index, clip in enumerate(chain.from_iterable(batches)):
                    path = self.file(index)
                    audio.write_audio(path, clip, sampling_rate)
                    label = labels[index % len(labels)] if labels else ""
                    position = ""
                    if "-" in self.seed_name:
                        # On a path between two seeds.
                        position = f"{index / (self.num_samples - 1):.6g}"
                    table.writerow(
                        {
                            "file": path.name,
                            "seed": self.seed_name,
                            "index": index,
                            "position": position,
                            "label": label,
                            **fields,
                        }
                    )
                    earlier.pop(path.name, None)
                    if len(pictured) < NUM_PICTURED:
                        pictured.append(clip.copy())
                    advance()
            finally:
                table.writerows(
                    row
                    for name, row in earlier.items()
                    if (self.folder / name).is_file()
                )
        return pictured


def _listed_files(manifest: pathlib.Path) -> dict[str, dict[str, str]] | None:
    """Return the rows of a table of ours by file; None if it is not ours."""
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) != MANIFEST_FIELDS:
                return None
            return {
                row["file"]: row
                for row in table
                if (row["index"] or "").isdecimal()
                and pathlib.PurePath(row["file"]).name == row["file"]
            }
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
