"""`audiogan sample`: sounds from a preset, with the seeds that made them."""

import csv
import dataclasses
import io
import pathlib
import re
import secrets
import sys
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from keras_audiogan._names import same_name
from keras_audiogan.cli import _backend, _options, _stream

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
FAST_MOMENTUM = 0.99


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
    "--pitch",
    "pitches",
    multiple=True,
    metavar="PITCH",
    help="The same as --label, of presets whose labels are pitches: a MIDI "
    "number or a name, such as 60 or C4.",
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
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    default="out",
    help="Folder to write to; made if it does not exist. With --seconds, "
    "also a sound file.",
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
@click.option(
    "--between",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False),
    metavar="A.wav B.wav",
    help="Of autoencoders: walk from the first clip of one recording to that "
    "of another.",
)
@click.option(
    "--steps",
    type=_options.COUNT,
    help="Sounds on the way of --between, its ends included. Default: 12.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Write one unbroken sound of this length, piece after piece on a "
    "random walk through the latent space, and no table, picture or page. "
    "Memory is that of one batch.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.25,
    help="Of the walk of --seconds: 0 stays at one place, 1 has pieces that "
    "have nothing to do with each other.",
)
@click.option(
    "--through",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Of autoencoders: --seconds goes through this recording in place of "
    "a random walk, piece by piece; can be repeated.",
)
@click.option(
    "--join",
    is_flag=True,
    help="Write one file, in which each sound fades into the next.",
)
@click.option(
    "--loop",
    is_flag=True,
    help="Fade the end of each sound (with --join: of the whole) into its "
    "start, so that it repeats without a seam. An attack at the start is "
    "blurred: for steady sounds, not for drums.",
)
@click.option(
    "--crossfade",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Overlap at the joins of --join, --loop and --seconds; at most half "
    "a sound.  [default: 0.1; 0.25 with --seconds]",
)
@click.option(
    "--page/--no-page",
    default=True,
    help="Also write a web page that plays the sounds.",
)
@click.option(
    "--phase-iterations",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Iterations of Griffin-Lim, for presets that make spectrograms: more "
    "sounds better and takes longer. Default: the preset's, usually 16.",
)
@click.option(
    "--fast-griffin-lim/--plain-griffin-lim",
    "fast_phases",
    default=None,
    help="Griffin-Lim with a momentum of 0.99 (Perraudin et al. 2013), which "
    "needs fewer iterations, or as it was in 1984. Default: the preset's.",
)
@_options.truncation_option
@_options.batch_size_option
@_options.precision_option
@_options.runtime_option
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files of the same names that audiogan did not write.",
)
def command(
    preset: str,
    num_samples: int | None,
    labels: tuple[str, ...],
    pitches: tuple[str, ...],
    per_label: int | None,
    seed: int | None,
    output: pathlib.Path,
    audio_format: str,
    plot: bool,
    interpolate: tuple[int, int] | None,
    between: tuple[str, str] | None,
    steps: int | None,
    seconds: float | None,
    speed: float,
    through: tuple[str, ...],
    join: bool,
    loop: bool,
    crossfade: float | None,
    page: bool,
    phase_iterations: int | None,
    fast_phases: bool | None,
    truncation: float | None,
    batch_size: int,
    precision: str,
    runtime: str | None,
    overwrite: bool,
) -> None:
    """Write sounds made by a preset.

    The folder gets one file a sound, PRESET_SEED_INDEX[_LABEL].wav, a table
    of their seeds, PRESET_SEED.csv, a picture of the first, PRESET_SEED.png,
    and a page that plays them, PRESET_SEED.html. With --seconds it is one
    file, PRESET_SEED.wav, or the file that --output names.

    \b
    Examples:
      audiogan sample wavegan_digits -n 8 -o out/
      audiogan sample wavegan_drums -n 1000 --seed 7 --format flac --no-plot
      audiogan sample wavegan_digits --interpolate 3 8 -n 12
      audiogan sample wavegan_drums --interpolate 3 8 -n 16 --join --loop
      audiogan sample projection_wavegan_digits --label seven -n 4
      audiogan sample projection_wavegan_digits --per-label 5
      audiogan sample stft_gan_notes --pitch 60 --pitch C4 --pitch F#3
      audiogan sample wavegan_drums --seconds 600 -o drums.flac
      audiogan sample runs/vae --between night.wav day.wav --steps 12
      audiogan sample runs/vae --seconds 60 --through a.wav --through b.wav
      audiogan sample hf://me/my_gan -n 4
    """
    if seconds is not None:
        _stream.check_options()
    elif output.is_file():
        raise click.BadParameter(
            f"Directory {str(output)!r} is a file.", param_hint="'--output'"
        )
    if through and seconds is None:
        raise click.UsageError("--through is for --seconds.")
    if through and seed is not None:
        raise click.UsageError(
            "--through goes through recordings, not at random: leave out "
            "--seed."
        )
    if labels and pitches:
        raise click.UsageError("Give either --label or --pitch.")
    if per_label is not None and num_samples is not None:
        raise click.UsageError("Give either -n or --per-label.")
    if interpolate is not None and between is not None:
        raise click.UsageError("Give either --interpolate or --between.")
    if steps is not None and between is None:
        raise click.UsageError(
            "--steps counts the sounds of --between; elsewhere -n does."
        )
    steps = 12 if steps is None else steps
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
    elif between is not None or through:
        _check_between(steps)
        num_samples = steps
        stems = [
            _options.preset_stem(pathlib.Path(path).stem)
            for path in between or (through[0], through[-1])
        ]
        seed_name = "-".join(stems)
    else:
        if seed is None:
            seed = secrets.randbelow(2**32)
        seed_name = str(seed)
    encodes = between is not None or bool(through)
    weights = ["generator", "encoder"] if encodes else ["generator"]
    capability = "sample" if interpolate is None else "interpolate"
    folder, config = _options.find_preset(
        preset,
        "encode" if encodes else capability,
        weights=weights,
        engines=not encodes,
    )
    if "engine" not in config:
        _backend.prepare()
    if pitches:
        labels = _labels_of(pitches, folder, config)
    asked = _asked_labels(preset, folder, config, labels, per_label is not None)
    phases = _phase_recovery(
        preset, folder, config, phase_iterations, fast_phases
    )
    if per_label is not None:
        num_samples = per_label * len(asked or ())
    elif num_samples is None:
        num_samples = max(8, len(labels))
    if seconds is not None:
        stem = f"{_options.preset_stem(preset)}_{seed_name}"
        file = _stream.target(output, stem, audio_format, overwrite)
        gan = _options.load_model(folder, precision, weights=weights)
        if phases:
            gan.set_phase_recovery(**phases)
        fade = 0.25 if crossfade is None else crossfade
        blocks = gan.stream(
            seconds,
            seed,
            speed=speed,
            crossfade=fade,
            labels=asked,
            truncation=truncation,
            through=_stream.latents_of(gan, through, fade),
            batch_size=batch_size,
        )
        _stream.write(file, blocks, seconds, gan)
        way = (
            f"through {len(through)} recordings" if through else f"seed {seed}"
        )
        click.echo(f"Wrote {file}: {seconds:g} seconds ({way}).")
        return
    writer = SampleWriter(
        output,
        _options.preset_stem(preset),
        seed_name,
        num_samples,
        audio_format,
        overwrite,
        tuple(asked or ()) if interpolate is None else (),
    )
    gan = _options.load_model(
        folder, precision, runtime=runtime, weights=weights
    )
    if phases:
        gan.set_phase_recovery(**phases)
    if between is not None:
        from keras_audiogan.reconstructing import Recording

        first, second = (Recording(x, gan).pieces([0])[0] for x in between)
        batches = iter([gan.between(first, second, steps, batch_size)])
    elif interpolate is not None:
        ends = asked[:1] if asked and not labels else asked
        clips = gan.interpolate(
            *interpolate, num_samples, labels=ends, batch_size=batch_size
        )
        batches, asked = iter([clips]), None
    else:
        batches = gan.sample_batches(
            num_samples, seed, batch_size, truncation, labels=asked
        )
    crossfade = 0.1 if crossfade is None else crossfade
    seam = Seam(join, loop, round(crossfade * gan.sampling_rate))
    pictured = writer.write(
        batches,
        gan.sampling_rate,
        seam,
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
            note=f"{len(pictured)} of {num_samples} sounds"
            if num_samples > len(pictured)
            else "",
        )
    picture = writer.picture if plot else None
    if page:
        writer.write_page(preset, picture)
    _options.echo_written(
        1 if join else num_samples,
        output,
        picture,
        f" (seed {seed_name})",
        writer.page if page else None,
    )


def _check_between(steps: int) -> None:
    """Refuse options that say nothing of a path between recordings."""
    context = click.get_current_context()
    for param in context.command.params:
        source = context.get_parameter_source(str(param.name))
        foreign = ("seed", "truncation", "per_label", "num_samples")
        if param.name in foreign and source is not ParameterSource.DEFAULT:
            raise click.UsageError(
                "A path between recordings has --steps sounds, and full "
                f"latents: leave out {max(param.opts, key=len)}."
            )
    if steps < 2:
        raise click.BadParameter(
            f"a path needs 2 sounds or more. Received: {steps}",
            param_hint="--steps",
        )


def _labels_of(
    pitches: tuple[str, ...], folder: pathlib.Path, config: dict[str, Any]
) -> tuple[str, ...]:
    """Return the labels of pitches."""
    if not _takes_labels(folder, config):
        # The error for labels says it.
        return pitches
    from keras_audiogan.audio.notes import label_of

    try:
        return tuple(label_of(pitch, config["labels"]) for pitch in pitches)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pitch") from error


def _takes_labels(folder: pathlib.Path, config: dict[str, Any]) -> bool:
    if "engine" in config:
        return bool(config["engine"].get("conditional"))
    from keras_audiogan import saving

    model_class = saving.preset_class(folder / "config.json", config)
    return model_class.learns_labels(config["config"])


def _asked_labels(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    labels: tuple[str, ...],
    needed: bool,
) -> list[str] | None:
    """Return the labels to take in turn; None if the preset takes none."""
    if not _takes_labels(folder, config):
        if labels or needed:
            raise click.UsageError(
                f"{preset} takes no labels: its architecture, "
                f"{config['architecture']}, is not conditional."
            )
        return None
    known = list(config["labels"])
    found = [same_name(label, known) for label in labels]
    unknown = [x for x, name in zip(labels, found, strict=True) if not name]
    if unknown:
        raise click.BadParameter(
            f"{preset} knows {', '.join(known)}. Received: {unknown[0]}",
            param_hint="--label",
        )
    return [name for name in found if name] or known


class Seam(NamedTuple):
    """How sounds are put together: see --join, --loop and --crossfade."""

    join: bool = False
    loop: bool = False
    crossfade: int = 0


SEPARATE = Seam()
Rows = dict[tuple[str, str], dict[str, str]]


def _phase_recovery(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    iterations: int | None,
    fast: bool | None,
) -> dict[str, Any]:
    """Return what was asked for of a preset that looks for phases."""
    from keras_audiogan import saving

    asked: dict[str, Any] = {}
    if iterations is not None:
        asked["num_iterations"] = iterations
    if fast is not None:
        asked["momentum"] = FAST_MOMENTUM if fast else 0.0
    if not asked:
        return asked
    if "engine" in config:
        raise click.UsageError(
            "An engine finds phases as the preset did that it was exported "
            "from. Leave out --phase-iterations and --fast-griffin-lim, or "
            "sample that preset."
        )
    model_class = saving.preset_class(folder / "config.json", config)
    if not hasattr(model_class, "set_phase_recovery"):
        raise click.UsageError(
            f"{preset} needs no Griffin-Lim: its architecture, "
            f"{config['architecture']}, does not lose phases. Leave out "
            "--phase-iterations and --fast-griffin-lim."
        )
    return asked


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
    labels: tuple[str, ...] = ()
    """Labels of the sounds, repeated in turn."""

    def __post_init__(self) -> None:
        self.prefix = f"{self.stem}_{self.seed_name}"
        self.manifest = self.folder / f"{self.prefix}.csv"
        self.picture = self.folder / f"{self.prefix}.png"
        self.page = self.folder / f"{self.prefix}.html"
        self.digits = max(2, len(str(self.num_samples - 1)))
        _options.make_folder(self.folder)
        self.earlier = _listed_sounds(self.manifest)
        if not self.overwrite:
            self._check_nothing_is_lost()

    def label(self, index: int) -> str:
        """Return the label of the clip `index`; empty if it has none."""
        return self.labels[index % len(self.labels)] if self.labels else ""

    def file(self, index: int | None) -> pathlib.Path:
        """Return the file of the clip `index`; of all of them, for None."""
        name = self.prefix
        if index is not None:
            name += f"_{index:0{self.digits}d}"
            if self.labels:
                # In the C locale no name has accents.
                coding = sys.getfilesystemencoding()
                label = self.label(index).encode(coding, "replace")
                name += "_" + re.sub(r"[^\w-]+", "_", label.decode(coding))
        return self.folder / f"{name}.{self.audio_format}"

    def _check_nothing_is_lost(self) -> None:
        ours = set()
        if self.earlier is not None:
            # A process that is killed has written one file more than it says.
            last = [int(row["index"]) for row in self.earlier.values()]
            following = self.file(max(last, default=-1) + 1)
            files = self.manifest, self.picture, self.page, following
            ours = {file.name for file in files}
            ours |= {row["file"] for row in self.earlier.values()}
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
        clip = rf"{re.escape(self.prefix)}_(\d+)(_.*)?\.{self.audio_format}"
        match = re.fullmatch(clip, name)
        if match is None:
            whole = self.manifest, self.picture, self.page, self.file(None)
            return name in {file.name for file in whole}
        return int(match[1]) < self.num_samples

    def write(
        self,
        batches: "Iterator[np.ndarray]",
        sampling_rate: int,
        seam: Seam = SEPARATE,
        **fields: Any,
    ) -> "list[np.ndarray]":
        """Write every clip, and then its row of the table, as it comes.

        However it ends, the table lists what lies in the folder: sounds of
        an earlier run with this preset and seed stay in it.

        Args:
            batches: arrays `(clips, time, channels)` in [-1, 1].
            sampling_rate: in Hz.
            seam: whether they are joined, or made into loops.
            **fields: further columns of the table, the same for every clip.

        Returns:
            The first clips, for the picture.
        """
        from keras_audiogan import audio
        from keras_audiogan.presets.atomic_folder import AppendedFile
        from keras_audiogan.runs.bars import progress

        pictured: list[np.ndarray] = []

        def clips() -> "Iterator[np.ndarray]":
            for clip in chain.from_iterable(batches):
                if len(pictured) < NUM_PICTURED:
                    pictured.append(clip.copy())
                yield clip
                advance()

        def row(index: int, path: pathlib.Path) -> dict[str, Any]:
            position = ""
            if "-" in self.seed_name:
                # On a path between two seeds.
                position = f"{index / (self.num_samples - 1):.6g}"
            return {
                "file": path.name,
                "seed": self.seed_name,
                "index": index,
                "position": position,
                "label": self.label(index),
                **fields,
            }

        if self.earlier is None:
            self._write_table({})
        try:
            with (
                # Line by line, for a process that is killed.
                AppendedFile(self.manifest) as file,
                progress("Sampling", self.num_samples) as advance,
            ):
                table = csv.DictWriter(file, MANIFEST_FIELDS, restval="")
                if seam.join:
                    path = self.file(None)
                    blocks = audio.join_clips(
                        clips(), seam.crossfade, seam.loop
                    )
                    self._write_joined(path, blocks, sampling_rate)
                    for index in range(self.num_samples):
                        table.writerow(row(index, path))
                else:
                    for index, clip in enumerate(clips()):
                        path = self.file(index)
                        if seam.loop:
                            turn = audio.join_clips(
                                [clip], seam.crossfade, loop=True
                            )
                            self._write_joined(path, turn, sampling_rate)
                        else:
                            audio.write_audio(path, clip, sampling_rate)
                        table.writerow(row(index, path))
        finally:
            if self.earlier:
                # What was made anew stands there twice, the newer one below.
                self._write_table(_listed_sounds(self.manifest) or {})
        return pictured

    def _write_table(self, rows: "Rows") -> None:
        """Write the table anew, with the files of `rows` that are there."""
        from keras_audiogan.presets.atomic_folder import write_text

        text = io.StringIO(newline="")
        table = csv.DictWriter(text, MANIFEST_FIELDS, restval="")
        table.writeheader()
        table.writerows(
            row
            for row in rows.values()
            if (self.folder / row["file"]).is_file()
        )
        write_text(self.manifest, text.getvalue())

    def _write_joined(
        self,
        path: pathlib.Path,
        blocks: "Iterator[np.ndarray]",
        sampling_rate: int,
    ) -> None:
        from keras_audiogan import audio

        first = next(blocks)
        with audio.AudioWriter(path, sampling_rate, first.shape[1]) as writer:
            for block in chain([first], blocks):
                writer.write(block)

    def write_page(self, title: str, picture: pathlib.Path | None) -> None:
        """Write a page that plays what the table lists."""
        from keras_audiogan.cli import _sample_page

        rows = _listed_sounds(self.manifest) or {}
        _sample_page.write_page(self.page, title, rows.values(), picture)


def _listed_sounds(manifest: pathlib.Path) -> Rows | None:
    """Return the rows of a table of ours; None if it is not ours.

    They go by file and index: joined sounds share a file.
    """
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) != MANIFEST_FIELDS:
                return None
            return {
                (row["file"], row["index"]): row
                for row in table
                if (row["index"] or "").isdecimal()
                and pathlib.PurePath(row["file"]).name == row["file"]
            }
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
