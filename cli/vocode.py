"""`audiogan vocode`: sound from mel spectrograms, or copies of recordings."""

import pathlib
from typing import TYPE_CHECKING, Any

import click

from keras_audiogan import vocoding, vocoding_inputs
from keras_audiogan.cli import (
    _backend,
    _format,
    _options,
    _progress,
)
from keras_audiogan.cli.sample import FORMATS, preset_stem

if TYPE_CHECKING:
    import numpy as np

NUM_PICTURED = 4
PICTURED_SECONDS = 6
MOST_ROWS = 30
COLUMNS = {
    "seconds": "seconds",
    "log-mel": "log_mel_distance",
    "spectral conv.": "spectral_convergence",
    "log STFT": "log_stft_distance",
    "real-time factor": "real_time_factor",
    "x real time": "times_real_time",
}


@click.command()
@_options.preset_argument
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    type=click.Path(exists=True),
    metavar="INPUTS...",
)
@_options.output_option(
    "Folder to write to; made if it does not exist.", required=True
)
@click.option(
    "--format",
    "audio_format",
    type=click.Choice(FORMATS),
    default="wav",
    show_default=True,
    help="Kind of sound file.",
)
@click.option(
    "--level",
    type=click.Choice(["keep", "peak"]),
    help="How recordings are levelled before their mels are made: not at all, "
    "or to a peak of 1. What is written has the recording's level. Default: "
    "as the preset was trained.",
)
@click.option(
    "--mel-layout",
    type=click.Choice(vocoding_inputs.LAYOUTS),
    default="auto",
    show_default=True,
    help="Which axis of a .npy file comes first; auto asks its shape.",
)
@click.option(
    "--seed",
    type=_options.SEED,
    default=0,
    show_default=True,
    help="Seed of the noise, for vocoders that start from it.",
)
@click.option(
    "--chunk-frames",
    type=_options.COUNT,
    help="Mel frames at a time; memory is that of one chunk, and the sound "
    "the same.  [default: the architecture's own, 128 or 512]",
)
@_options.precision_option(default="float32")
@click.option(
    "--compare/--no-compare",
    default=True,
    show_default=True,
    help="Measure how far copies are from their recordings.",
)
@click.option(
    "--plot/--no-plot",
    default=False,
    show_default=True,
    help=f"Also draw the first {NUM_PICTURED}: recordings above copies.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
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
    output: pathlib.Path,
    audio_format: str,
    level: str | None,
    mel_layout: str,
    seed: int,
    chunk_frames: int | None,
    precision: str,
    compare: bool,
    plot: bool,
    report: pathlib.Path | None,
    strict: bool,
    overwrite: bool,
) -> None:
    """Make sound again of recordings or of mel spectrograms.

    INPUTS are sound files of any rate and number of channels (copy
    synthesis: to mels and back), .npy files of mels as the preset's front end
    makes them, and folders of both. Files keep their names and folders.

    Distances are in nepers between log spectra, 0 for equal sounds; the
    real-time factor is computing time over the length of the sound.

    \b
    Examples:
      audiogan vocode hifigan_speech sentence.wav -o out/
      audiogan vocode multiband_melgan_speech recordings/ -o out/ --plot
      audiogan vocode parallel_wavegan_speech mels/ -o out/ --format flac
      audiogan vocode melgan_speech *.wav -o out/ --report out/report.json
    """
    if report is not None and report.suffix != ".json":
        raise click.BadParameter(
            f"expected a file that ends in .json. Received: {str(report)!r}",
            param_hint="--report",
        )
    from keras_audiogan import zoo

    folder = zoo.resolve(preset)
    config = _options.check_generator(folder, preset)
    jobs, skipped = vocoding_inputs.find_jobs(
        inputs, output, f".{audio_format}"
    )
    picture = output / f"{preset_stem(preset)}.png" if plot else None
    if strict and skipped:
        raise _bad_input(*skipped[0])
    if not jobs:
        raise click.UsageError(
            "No sound file or .npy file of mels was found in: "
            f"{', '.join(inputs)}"
        )
    if not overwrite:
        _check_nothing_is_lost(jobs, picture)
    _options.make_folder(output)
    _backend.prepare()
    if not _options.is_vocoder(config):
        raise click.UsageError(
            f"{preset} is no vocoder but a {config['architecture']}, which "
            f"makes sound of nothing. Use: audiogan sample {preset}"
        )
    from keras_audiogan.metrics.vocoder_evaluation import warm_up

    vocoder = _options.load_gan(folder, precision)
    if vocoder.weight_norm:
        vocoder = vocoder.fuse_weight_norm()
    warm_up(vocoder)
    copier = vocoding.Copier(
        vocoder,
        level=level or vocoder.level,
        seed=seed,
        chunk_frames=chunk_frames or vocoder.default_chunk_frames,
        mel_layout=mel_layout,
        compare=compare,
        picture_samples=PICTURED_SECONDS * vocoder.sampling_rate,
    )
    rows, pictured, skips = _copy_all(copier, jobs, strict)
    skipped += skips
    if not rows:
        _list_skipped(skipped)
        raise click.ClickException(
            f"None of the {len(jobs)} inputs can be used."
        )
    means = vocoding.means(rows)
    if picture is not None:
        _draw(picture, pictured, vocoder.sampling_rate)
    _print_rows(rows, means)
    _list_skipped(skipped)
    if report is not None:
        vocoding.write_json(
            report,
            {
                "preset": preset,
                "revision": _options.revision(folder, preset, config),
                "sampling_rate": vocoder.sampling_rate,
                "level": copier.level,
                "precision": precision,
                "seed": seed,
                "chunk_frames": copier.chunk_frames,
                "files": rows,
                "mean": means,
                "skipped": [
                    {"source": path, "reason": reason}
                    for path, reason in skipped
                ],
            },
        )
    extra = f" with a picture, {picture.name}" if picture else ""
    from keras_audiogan.data.reports import count

    click.echo(f"Wrote {count(len(rows), 'sound')} to {output}{extra}.")


def _copy_all(
    copier: vocoding.Copier, jobs: list[vocoding_inputs.Job], strict: bool
) -> tuple[
    list[dict[str, Any]],
    "list[tuple[str, list[np.ndarray]]]",
    list[tuple[str, str]],
]:
    """Make every sound: rows, sounds to draw by title, skipped inputs."""
    from keras_audiogan.audio import AudioFileError

    rows: list[dict[str, Any]] = []
    pictured: list[tuple[str, list[np.ndarray]]] = []
    skipped: list[tuple[str, str]] = []
    with _progress.progress("Vocoding", len(jobs)) as advance:
        for job in jobs:
            try:
                row, sounds = copier.copy(job)
            except (vocoding_inputs.UnusableInputError, AudioFileError) as e:
                is_input = not isinstance(e, AudioFileError) or (
                    e.path == job.path
                )
                # What cannot be written is nobody's bad input.
                if not is_input:
                    raise
                reason = getattr(e, "reason", str(e))
                if strict:
                    raise _bad_input(job.path, reason) from e
                skipped.append((job.path, reason))
            else:
                rows.append(row)
                if len(pictured) < NUM_PICTURED:
                    pictured.append((job.name, sounds))
            advance()
    return rows, pictured, skipped


def _check_nothing_is_lost(
    jobs: list[vocoding_inputs.Job], picture: pathlib.Path | None
) -> None:
    wanted = [job.target for job in jobs] + ([picture] if picture else [])
    present = [path for path in wanted if path.exists()]
    if present:
        more = f" and {len(present) - 1} more" if present[1:] else ""
        raise click.ClickException(
            f"{str(present[0])!r}{more} exists already. Choose another folder "
            "with --output, or --overwrite."
        )


def _bad_input(path: str, reason: str) -> click.ClickException:
    return click.ClickException(
        f"{path}: {reason}. Without --strict it would be skipped."
    )


def _print_rows(rows: list[dict[str, Any]], means: dict[str, float]) -> None:
    def cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
        return (name, *(_format.number(row.get(c)) for c in COLUMNS.values()))

    shown = [cells(row["file"], row) for row in rows[:MOST_ROWS]]
    if len(rows) > 1:
        shown.append(cells("mean (of seconds: all)", means))
    _format.print_table(("file", *COLUMNS), shown)
    if len(rows) > MOST_ROWS:
        click.echo(
            f"{len(rows) - MOST_ROWS} more are not shown; --report has them."
        )


def _list_skipped(skipped: list[tuple[str, str]]) -> None:
    if not skipped:
        return
    click.echo(f"Skipped {len(skipped)}:", err=True)
    for path, reason in skipped:
        click.echo(f"  {_format.plain(path)}: {reason}", err=True)


def _draw(
    picture: pathlib.Path,
    pictured: "list[tuple[str, list[np.ndarray]]]",
    sampling_rate: int,
) -> None:
    """Draw recordings in a row above their copies; mels have only copies."""
    from keras_audiogan import audio

    pairs = [entry for entry in pictured if len(entry[1]) == 2] or pictured
    kinds = ("real", "made") if len(pairs[0][1]) == 2 else ("made",)
    clips, titles = [], []
    for place, kind in enumerate(kinds):
        for name, sounds in pairs:
            clips.append(sounds[place])
            titles.append(f"{kind} {name}")
    audio.save_sheet(
        picture, clips, sampling_rate, titles=titles, columns=len(pairs)
    )
