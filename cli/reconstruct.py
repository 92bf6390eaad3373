"""`audiogan reconstruct`: copies of recordings through an autoencoder."""

import functools
import pathlib

import click

from keras_audiogan.cli import _backend, _options
from keras_audiogan.cli.vocode import (
    bad_input,
    check_absent,
    draw_rows,
    find_jobs,
    list_skipped,
    make_all,
    print_rows,
)

NUM_PICTURED = 4
PICTURED_SECONDS = 6
COLUMNS = {
    "seconds": "seconds",
    "pieces": "pieces",
    "log-mel": "log_mel_distance",
    "log STFT": "log_stft_distance",
    "spectral conv.": "spectral_convergence",
    "level, dB": "level_difference",
    "x real time": "times_real_time",
}


@click.command(context_settings={"show_default": True})
@_options.preset_argument
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True),
    metavar="FILES...",
)
@_options.output_option(
    "Folder to write to; made if it does not exist.", required=True
)
@_options.format_option
@click.option(
    "--level",
    type=click.Choice(["keep", "peak"]),
    help="How recordings are levelled before they are encoded: not at all, or "
    "to a peak of 1; undone in what is written. Default: as the preset was "
    "trained.",
)
@click.option(
    "--crossfade",
    type=click.FloatRange(min=0),
    default=0.25,
    metavar="SECONDS",
    help="Overlap of the pieces of a recording that is longer than the "
    "preset's clips; at most half a clip.",
)
@_options.precision_option
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
    files: tuple[str, ...],
    output: pathlib.Path,
    audio_format: str,
    level: str | None,
    crossfade: float,
    precision: str,
    compare: bool,
    plot: bool,
    report: pathlib.Path | None,
    strict: bool,
    overwrite: bool,
) -> None:
    """Encode recordings into latents, and decode them again.

    FILES are sound files of any rate and length, and folders of them. They
    are resampled to the preset's rate; of more channels than it has some are
    averaged, of fewer the first ones repeated. Files that are shorter than a
    clip are filled up with silence, longer ones go through in pieces that
    fade into each other. A copy has the length of its recording.

    Distances are in nepers between log spectra, 0 for equal sounds; the level
    is the copy's RMS against the recording's.

    \b
    Examples:
      audiogan reconstruct runs/piano recital.flac -o out/
      audiogan reconstruct runs/piano recordings/ -o out/ --plot
      audiogan reconstruct hf://me/my_vae *.wav -o out/ --report report.json
    """
    _options.check_report(report, (".json",))
    stems = ["generator", "encoder"]
    folder, config = _options.find_preset(preset, "reconstruct", weights=stems)
    jobs, skipped = find_jobs(files, output, f".{audio_format}")
    picture = output / f"{_options.preset_stem(preset)}.png" if plot else None
    if strict and skipped:
        raise bad_input(*skipped[0])
    if not jobs:
        raise click.UsageError(
            f"No sound file was found in: {', '.join(files)}"
        )
    if not overwrite:
        check_absent(
            [*(job.target for job in jobs), *([picture] if picture else [])]
        )
    _options.make_folder(output)
    _backend.prepare()
    from keras_audiogan import metrics, reconstructing, vocoding
    from keras_audiogan.audio import audio_info, read_audio

    model = _options.load_model(folder, precision, weights=stems)
    rate, channels = model.sampling_rate, model.num_channels
    options = {"level": level or model.level, "crossfade": crossfade}
    distances = functools.partial(
        metrics.reconstruction_distances, sampling_rate=rate
    )
    make = functools.partial(
        reconstructing.reconstruct_file,
        model,
        compare=distances if compare else None,
        **options,
    )
    rows = make_all(make, jobs, skipped, strict, "Copying")
    if not rows:
        list_skipped(skipped)
        raise click.ClickException(
            f"None of the {len(jobs)} files can be used."
        )
    sources = [row["source"] for row in rows]
    mixed = sum(audio_info(path).num_channels > channels for path in sources)
    _options.echo_mixed(mixed, channels)
    means = vocoding.means(rows)
    if picture is not None:
        pictured = rows[:NUM_PICTURED]
        sounds = {
            kind: [
                read_audio(path, rate, channels, duration=PICTURED_SECONDS)[0]
                for path in paths
            ]
            for kind, paths in (
                ("real", [row["source"] for row in pictured]),
                ("copy", [output / row["file"] for row in pictured]),
            )
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
            "sampling_rate": rate,
            "precision": precision,
            **options,
            "files": rows,
            "mean": means,
            "skipped": [{"source": path, "reason": x} for path, x in skipped],
        }
        write_json(report, finite(written))
    _options.echo_written(len(rows), output, picture)
