"""`audiogan vocode`: sound from mel spectrograms, or copies of recordings."""

import functools
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from keras_audiogan.cli import _backend, _errors, _format, _options
from keras_audiogan.presets.words import plain

if TYPE_CHECKING:
    from keras_audiogan.models.vocoder import Vocoder

NUM_PICTURED = 4
PICTURED_SECONDS = 6
MOST_ROWS = 30
COLUMNS = {
    "seconds": "seconds",
    "log-mel": "log_mel_distance",
    "spectral conv.": "spectral_convergence",
    "log STFT": "log_stft_distance",
    "level, dB": "level_difference",
    "real-time factor": "real_time_factor",
    "x real time": "times_real_time",
}


class Job(NamedTuple):
    """An input, what is made of it below --output, and that file's path."""

    source: str
    file: str
    target: pathlib.Path


@click.command(context_settings={"show_default": True})
@_options.preset_argument
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True),
    metavar="INPUTS...",
)
@_options.output_option("Folder to write to; made if it does not exist.")
@click.option(
    "--raw",
    is_flag=True,
    help="With the input -: read mel frames from the standard input as they "
    "come, and write sound to the standard output, both float32 in little "
    "endian without a header.",
)
@_options.format_option
@click.option(
    "--level",
    type=click.Choice(["keep", "peak"]),
    help="How recordings are levelled before their mels are made: not at all, "
    "or to a peak of 1; undone in what is written. The table says how far "
    "the vocoder itself changes the level. Default: as the preset was "
    "trained.",
)
@click.option(
    "--mel-layout",
    type=click.Choice(["auto", "frames-first", "bins-first"]),
    default="auto",
    help="Which axis of a file of mels comes first; auto asks its shape.",
)
@click.option(
    "--seed",
    type=_options.SEED,
    default=0,
    help="Seed of the noise, for vocoders that start from it.",
)
@click.option(
    "--chunk-frames",
    type=_options.COUNT,
    help="Mel frames at a time; memory is that of one chunk, and the sound "
    "the same.  [default: the architecture's own, 128 or 512]",
)
@click.option(
    "--phase-iterations",
    type=click.IntRange(0, 1000),
    metavar="N",
    help="How often phases of what the network made are corrected, so that "
    "the sound has the mels that it was made of; each time takes longer and "
    "looks further ahead. 0 leaves the network's sound as it is. Default: "
    "the preset's.",
)
@_options.precision_option
@_options.runtime_option
@click.option(
    "--compare/--no-compare",
    default=True,
    help="Measure how far copies are from their recordings.",
)
@click.option(
    "--plot/--no-plot",
    default=False,
    help=f"Also draw the first {NUM_PICTURED}: recordings above copies.",
)
@click.option(
    "--report",
    type=_options.REPORT,
    metavar="FILE.json",
    help="Also write the figures of every file, and what was skipped.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Stop at the first input that cannot be used, instead of skipping it.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def command(
    preset: str,
    inputs: tuple[str, ...],
    output: pathlib.Path | None,
    raw: bool,
    audio_format: str,
    level: str | None,
    mel_layout: str,
    seed: int,
    chunk_frames: int | None,
    phase_iterations: int | None,
    precision: str,
    runtime: str | None,
    compare: bool,
    plot: bool,
    report: pathlib.Path | None,
    strict: bool,
    overwrite: bool,
) -> None:
    """Make sound again of recordings or of mel spectrograms.

    INPUTS are sound files of any rate and number of channels (copy
    synthesis: to mels and back), .npy or .npz files of mels as the preset's
    front end makes them, and folders of both. Files keep their names and
    folders. Mels of another scale are skipped, with what would mend them.
    With - and --raw it is a filter: frames of num_mel_bins numbers in, mono
    sound out as soon as no frame to come could change it; audiogan info
    PRESET says how far that stays behind.

    Distances are in nepers between log spectra, 0 for equal sounds; the level
    is the copy's RMS against the recording's; the real-time factor is
    computing time over the length of the sound.

    \b
    Examples:
      audiogan vocode hifigan_speech sentence.wav -o out/
      audiogan vocode multiband_melgan_speech recordings/ -o out/ --plot
      audiogan vocode parallel_wavegan_speech mels/ -o out/ --format flac
      audiogan vocode melgan_speech *.wav -o out/ --report out/report.json
      make_mels | audiogan vocode hifigan_speech - --raw | \\
          ffplay -f f32le -ar 22050 -
    """
    _options.check_report(report, (".json",))
    folder, config = _options.find_preset(
        preset, "vocode", weights=["generator"], engines=True
    )
    from keras_audiogan.vocoding import MELS

    if raw or "-" in inputs:
        _check_raw(raw, inputs, output)
        if "engine" not in config:
            _backend.prepare()
        _vocode_raw(_load(folder, precision, runtime, phase_iterations), seed)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    jobs, skipped = find_jobs(inputs, output, f".{audio_format}", MELS)
    picture = output / f"{_options.preset_stem(preset)}.png" if plot else None
    if strict and skipped:
        raise bad_input(*skipped[0])
    if not jobs:
        raise click.UsageError(
            "No sound file and no .npy or .npz file of mels was found in: "
            f"{', '.join(inputs)}"
        )
    if not overwrite:
        check_absent(
            [*(job.target for job in jobs), *([picture] if plot else [])]
        )
    _options.make_folder(output)
    if "engine" not in config:
        _backend.prepare()
    from keras_audiogan import metrics, vocoding
    from keras_audiogan.audio import audio_info, read_audio
    from keras_audiogan.metrics.vocoder_evaluation import warm_up

    vocoder = _load(folder, precision, runtime, phase_iterations)
    warm_up(vocoder)
    options: dict[str, Any] = {
        "level": level or vocoder.level,
        "seed": seed,
        "chunk_frames": chunk_frames or vocoder.default_chunk_frames,
    }
    distances = functools.partial(
        metrics.copy_distances, mel_features=vocoder.features
    )
    vocode = functools.partial(
        vocoding.vocode_file,
        vocoder,
        mel_layout=mel_layout,
        compare=distances if compare else None,
        **options,
    )
    rows = make_all(vocode, jobs, skipped, strict, "Vocoding")
    if not rows:
        list_skipped(skipped)
        raise click.ClickException(
            f"None of the {len(jobs)} inputs can be used."
        )
    sources = [row["source"] for row in rows if row["kind"] == "sound"]
    mixed = sum(audio_info(path).num_channels > 1 for path in sources)
    _options.echo_mixed(mixed, 1)
    means = vocoding.means(rows)
    if picture is not None:
        rate = vocoder.sampling_rate
        copies = [row for row in rows if row["kind"] == "sound"]
        pictured = (copies or rows)[:NUM_PICTURED]
        sounds = {
            kind: [
                read_audio(path, rate, 1, duration=PICTURED_SECONDS)[0]
                for path in paths
            ]
            for kind, paths in (
                ("real", [row["source"] for row in pictured if copies]),
                ("made", [output / row["file"] for row in pictured]),
            )
            if paths
        }
        draw_rows(picture, sounds, [row["file"] for row in pictured], rate)
    print_rows(rows, means, COLUMNS)
    list_skipped(skipped)
    if report is not None:
        from keras_audiogan.metrics.figures import finite
        from keras_audiogan.presets.atomic_folder import write_json

        written = {
            "preset": preset,
            "revision": _options.revision(folder, preset, config),
            "sampling_rate": vocoder.sampling_rate,
            "precision": precision,
            **options,
            "files": rows,
            "mean": means,
            "skipped": [{"source": path, "reason": x} for path, x in skipped],
        }
        write_json(report, finite(written))
    _options.echo_written(len(rows), output, picture)


def _load(
    folder: pathlib.Path,
    precision: str,
    runtime: str | None,
    phase_iterations: int | None,
) -> "Vocoder":
    """Load a vocoder that corrects phases as often as was asked for."""
    vocoder: Vocoder = _options.load_model(folder, precision, runtime=runtime)
    if phase_iterations is not None:
        try:
            vocoder.set_phase_recovery(phase_iterations)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    return vocoder


def check_absent(wanted: Sequence[Any]) -> None:
    """Refuse to write over files."""
    present = [path for path in wanted if path.exists()]
    if present:
        raise click.ClickException(
            f"{_options.first_of(present)} exists already. Choose another "
            "folder with --output, or --overwrite."
        )


def _check_raw(
    raw: bool, inputs: Sequence[str], output: pathlib.Path | None
) -> None:
    """Refuse options that are of files, or of a pipe, where they are not."""
    if tuple(inputs) != ("-",) or not raw:
        raise click.UsageError(
            "A pipe is vocoded with - as the only input, and --raw. "
            f"Received: {' '.join(inputs)}{' --raw' if raw else ''}"
        )
    if output is not None:
        raise click.UsageError(
            "--raw writes to the standard output: leave out --output."
        )


def _vocode_raw(vocoder: "Vocoder", seed: int) -> None:
    """Make sound of the standard input, frame by frame."""
    import numpy as np

    source: Any = sys.stdin.buffer
    sink = sys.stdout.buffer
    bins = vocoder.features.num_mel_bins
    held = b""
    stream = vocoder.stream(seed)
    try:
        # Whatever is there, and not more: it may be live.
        while data := source.read1(1 << 16):
            held += data
            whole = len(held) // (4 * bins) * 4 * bins
            frames = np.frombuffer(held[:whole], "<f4").reshape(-1, bins)
            held = held[whole:]
            sink.write(stream.push(frames).astype("<f4").tobytes())
            sink.flush()
        sink.write(stream.finish().astype("<f4").tobytes())
        sink.flush()
    except BrokenPipeError:
        # Whoever listened has heard enough. Python would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if held:
        raise click.ClickException(
            f"The input ended within a frame, after {stream.num_frames} of "
            f"them: expected frames of {bins} float32 numbers, {4 * bins} "
            f"bytes each. Received: {len(held)} bytes more"
        )


def find_jobs(
    inputs: Sequence[str],
    output: pathlib.Path,
    suffix: str,
    more_extensions: Sequence[str] = (),
) -> tuple[list[Job], list[tuple[str, str]]]:
    """Pair files with the names of what is made of them.

    Returns:
        The jobs, and `(path, reason)` of folders that cannot be entered.

    Raises:
        click.UsageError: if two inputs would be written to one file, or one
            over an input.
        ValueError: if an input does not exist.
    """
    from keras_audiogan.audio.files import AUDIO_EXTENSIONS
    from keras_audiogan.data.walk import find_files

    extensions = (*AUDIO_EXTENSIONS, *more_extensions)
    found, skipped, _ = find_files(list(inputs), extensions)
    # What an earlier run made is not input, where it lies among the inputs.
    own = os.path.realpath(output)
    roots = {os.path.realpath(path) for path in inputs}
    inside = any(own.startswith(root + os.sep) for root in roots)
    given: dict[str, Any] = {}
    for entry in found:
        path = os.path.realpath(entry.path)
        if path in roots or not (inside and path.startswith(own + os.sep)):
            given.setdefault(path, entry)
    names = [os.path.splitext(entry.name) for entry in given.values()]
    stems = [stem for stem, _ in names]
    targets: dict[str, Job] = {}
    for entry, (stem, extension) in zip(given.values(), names, strict=True):
        if stems.count(stem) > 1:
            # a.wav and a.flac become a_wav.wav and a_flac.wav.
            stem = f"{stem}_{extension.lstrip('.').lower()}"
        file = f"{stem}{suffix}"
        job = Job(entry.path, file, output / file)
        target = os.path.realpath(job.target)
        other = targets.setdefault(target, job)
        if other is not job:
            raise click.UsageError(
                f"{other.source} and {job.source} would both be written to "
                f"{str(job.target)!r}. Take them one at a time, or give "
                "the folder that holds both."
            )
        if target in given:
            raise click.UsageError(
                f"{job.source} would be written over "
                f"{given[target].path!r}, which is an input. Choose another "
                "folder with --output."
            )
    return list(targets.values()), [
        (skip.path, skip.reason) for skip in skipped
    ]


def make_all(
    make: Any,
    jobs: list[Job],
    skipped: list[tuple[str, str]],
    strict: bool,
    doing: str,
) -> list[dict[str, Any]]:
    """Make every sound: rows of the report; what is left out goes with it."""
    from keras_audiogan.audio import AudioFileError
    from keras_audiogan.runs.bars import progress

    rows: list[dict[str, Any]] = []
    flags = _errors.flags_of(click.get_current_context().command)
    with progress(doing, len(jobs)) as advance:
        for job in jobs:
            try:
                row = make(job.source, job.target)
            except AudioFileError as error:
                # What cannot be written is nobody's bad input.
                if error.path != job.source:
                    raise
                reason = _errors.name_flags(error.reason, flags)
                if strict:
                    raise bad_input(job.source, reason) from error
                skipped.append((job.source, reason))
            else:
                rows.append({"file": job.file, "source": job.source, **row})
            advance()
    return rows


def bad_input(path: str, reason: str) -> click.ClickException:
    """Return the error of --strict."""
    return click.ClickException(
        f"{path}: {reason}. Without --strict it would be skipped."
    )


def print_rows(
    rows: list[dict[str, Any]],
    means: Mapping[str, float],
    columns: Mapping[str, str],
) -> None:
    """Print figures of files, and their means where there are several."""

    def cells(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
        return (name, *(_format.number(row.get(c)) for c in columns.values()))

    shown = [("file", *columns)]
    shown += [cells(row["file"], row) for row in rows[:MOST_ROWS]]
    if len(rows) > 1:
        shown.append(cells("mean (of seconds: all)", means))
    _format.print_table(shown)
    if len(rows) > MOST_ROWS:
        click.echo(
            f"{len(rows) - MOST_ROWS} more are not shown; --report has them."
        )


def list_skipped(skipped: list[tuple[str, str]]) -> None:
    """Print what was left out, and why."""
    if skipped:
        click.echo(f"Skipped {len(skipped)}:", err=True)
    for path, reason in skipped:
        click.echo(f"  {plain(path)}: {reason}", err=True)


def draw_rows(
    picture: pathlib.Path,
    sounds: Mapping[str, Sequence[Any]],
    names: Sequence[str],
    sampling_rate: int,
) -> None:
    """Draw sounds of the same names, a row for each kind of them."""
    from keras_audiogan import audio

    shown = [
        (clip, f"{kind} {name}")
        for kind, clips in sounds.items()
        for clip, name in zip(clips, names, strict=False)
    ]
    clips, titles = zip(*shown, strict=True)
    columns = len(shown) // len(sounds)
    audio.save_sheet(
        picture, clips, sampling_rate, titles=titles, columns=columns
    )
