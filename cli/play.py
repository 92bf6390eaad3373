"""`audiogan play`: a MIDI file through a generator of notes."""

import pathlib
import secrets

import click

from keras_audiogan.cli import _backend, _options


@click.command(context_settings={"show_default": True})
@_options.preset_argument
@click.argument(
    "song",
    metavar="SONG",
    type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
)
@click.option(
    "-o",
    "--output",
    type=_options.REPORT,
    metavar="FILE",
    help="Sound file to write.  [default: SONG's name with .flac, here]",
)
@click.option(
    "--seed",
    type=_options.SEED,
    help="Seed of the timbres: the same seed gives the same sound. Drawn, "
    "and printed, if not given.",
)
@click.option(
    "--seconds-per-timbre",
    type=click.FloatRange(0, min_open=True),
    default=6.0,
    metavar="SECONDS",
    help="How long the walk from one timbre to the next takes.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Play only notes that begin before this.",
)
@_options.batch_size_option
@_options.precision_option
@click.option("--overwrite", is_flag=True, help="Replace the file.")
def command(
    preset: str,
    song: pathlib.Path,
    output: pathlib.Path | None,
    seed: int | None,
    seconds_per_timbre: float,
    seconds: float | None,
    batch_size: int,
    precision: str,
    overwrite: bool,
) -> None:
    """Play a MIDI file with a preset whose labels are pitches.

    The timbre walks through the latent space while the song goes on, and
    notes are mixed at their velocities. Notes out of the preset's range are
    moved by octaves; percussion (channel 10) is left out. A note that is
    held for longer than the preset's clips ends with its clip. Needs
    pip install 'keras-audiogan[midi]'.

    \b
    Examples:
      audiogan play stft_gan_notes song.mid -o song.flac
      audiogan play stft_gan_notes song.mid --seed 3 --seconds 30
    """
    from keras_audiogan.audio.files import AudioWriter
    from keras_audiogan.audio.notes import read_midi
    from keras_audiogan.runs.bars import progress

    if output is None:
        output = pathlib.Path(song.with_suffix(".flac").name)
    if output.exists() and not overwrite:
        raise click.BadParameter(
            f"{str(output)!r} exists. Choose another file, or --overwrite.",
            param_hint="--output",
        )
    folder, config = _options.find_preset(preset, "sample")
    notes = read_midi(song, seconds)
    if seed is None:
        seed = secrets.randbelow(2**32)
    _backend.prepare()
    from keras_audiogan import saving

    preset_class = saving.preset_class(folder / "config.json", config)
    if not preset_class.learns_labels(config["config"]):
        raise click.UsageError(
            f"{preset} takes no labels, so it cannot be asked for pitches: "
            f"its architecture, {config['architecture']}, is not conditional."
        )
    gan = _options.load_model(folder, precision)
    arrangement = gan.arrange(notes)
    last = max(note.start for note in arrangement.notes)
    with (
        AudioWriter(output, gan.sampling_rate, gan.num_channels) as writer,
        progress("Playing", max(1, round(last))) as advance,
    ):
        written = shown = 0
        for block in gan.play_blocks(
            arrangement, seed, seconds_per_timbre, batch_size
        ):
            writer.write(block)
            written += len(block)
            while shown < min(written / gan.sampling_rate, round(last)):
                advance()
                shown += 1
    detail = ""
    if arrangement.num_moved:
        detail += f", {arrangement.num_moved} of them moved by octaves"
    if arrangement.num_left_out:
        detail += f"; {arrangement.num_left_out} of other pitches left out"
    click.echo(
        f"Wrote {output}: {written / gan.sampling_rate:.1f} seconds, "
        f"{len(arrangement.notes)} notes{detail} (seed {seed})."
    )
