"""`audiogan convert`: an original author's checkpoint becomes a preset."""

import pathlib

import click

from keras_audiogan.cli import _backend, _options


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("output", metavar="DIR", type=_options.FOLDER)
@click.option(
    "--sampling-rate",
    type=_options.COUNT,
    metavar="HZ",
    help="Sampling rate. Default: what the checkpoint's files say, or its "
    "authors' own default.",
)
@click.option(
    "--slice-length",
    type=_options.COUNT,
    metavar="SAMPLES",
    help="Length of a sound, where the checkpoint alone cannot tell.",
)
@click.option(
    "--moments",
    type=click.Path(exists=True, dir_okay=False),
    help="SpecGAN's pickle of mean and deviation of each bin, read without "
    "running what is in it. Default: the one beside the checkpoint.",
)
@click.option(
    "--storage",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Numbers that weights are stored in; float16 halves the files and "
    "is not exact.",
)
def command(
    source: str,
    output: pathlib.Path,
    sampling_rate: int | None,
    slice_length: int | None,
    moments: str | None,
    storage: str,
) -> None:
    """Turn an original author's checkpoint into a preset.

    SOURCE is a run folder, a checkpoint in it (else the newest is taken), or
    hf://owner/name. What it is, its files tell: WaveGAN and SpecGAN
    (TensorFlow 1); GANSynth (experiment.json, stage_*, or one of the stages);
    kan-bayashi's ParallelWaveGAN project, ESPnet's copies among them
    (checkpoint-*steps.pkl, config.yml, stats.h5: Parallel WaveGAN, MelGAN,
    multi-band MelGAN, HiFi-GAN); HiFi-GAN (g_*, do_*, config.json); BigVGAN
    (bigvgan_generator.pt, config.json; the second version's discriminator of
    constant-Q transforms is left unread); Vocos (pytorch_model.bin,
    config.yaml); MelGAN (netG.pt, netD.pt). PyTorch's files need pip install
    'keras-audiogan[convert]', and are read without running what is in them;
    TensorFlow's need TensorFlow. DIR must be new or empty.

    \b
    Examples:
      audiogan convert train/ presets/my_wavegan
      audiogan convert train/model.ckpt-120000 presets/birds
      audiogan convert ljspeech_hifigan.v1/ presets/hifigan
      audiogan convert hf://someone/vocoder presets/vocoder
    """
    _options.check_new(output, "DIR")
    _backend.prepare()
    from keras_audiogan import converters

    if source.startswith("hf://"):
        from keras_audiogan.zoo.hub_checkpoint import pull_any

        source = str(pull_any(source))
    options = {
        "sampling_rate": sampling_rate,
        "slice_length": slice_length,
        "moments": moments,
    }
    if moments and converters.identify(source) != "specgan":
        raise click.UsageError(
            "--moments belongs to checkpoints of SpecGAN. Received: "
            f"{source}, of {converters.identify(source)}"
        )
    gan = converters.convert(
        source, **{key: value for key, value in options.items() if value}
    )
    gan.save_to_preset(
        output, storage_dtype=storage, weights=converters.list_networks(source)
    )
    click.echo(
        f"Wrote {output}: {gan.architecture}, {gan.slice_length} samples at "
        f"{gan.sampling_rate} Hz, {gan.num_channels} channel"
        + ("s." if gan.num_channels > 1 else ".")
    )
