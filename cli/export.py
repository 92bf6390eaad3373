"""`audiogan export`: a preset becomes a file for other programs."""

import os
import pathlib

import click

from keras_audiogan.cli import _backend, _options
from keras_audiogan.exporting.targets import (
    FORMATS,
    ExportError,
    check_engine_target,
    check_target,
)
from keras_audiogan.presets.words import plain


@click.command()
@_options.preset_argument
@click.argument(
    "path", metavar="FILE_OR_DIR", type=click.Path(path_type=pathlib.Path)
)
@click.option(
    "--format",
    type=click.Choice(list(FORMATS)),
    help="Default: onnx for .onnx, litert for .tflite, tf_saved_model for a "
    "name without an ending.",
)
@click.option(
    "--with-mel",
    is_flag=True,
    help="Of a vocoder, also export what makes its mels: sound in, sound out.",
)
@click.option(
    "--engine",
    type=click.Choice(["onnx"]),
    help="Write a preset folder in place of a file, which `sample`, `vocode` "
    "and from_preset run with onnxruntime or OpenVINO, without Keras.",
)
@_options.token_option
def command(
    preset: str,
    path: pathlib.Path,
    format: str | None,
    with_mel: bool,
    engine: str | None,
    token: str | None,
) -> None:
    """Write a preset for ONNX, LiteRT or TensorFlow alone.

    FILE_OR_DIR is an .onnx file (ONNX; needs pip install
    'keras-audiogan[export]'), a .tflite file (LiteRT), or a new folder
    (TensorFlow's SavedModel). Any batch size and length can be given to it.
    Nothing in it is random: latents, labels (by index) and noise are inputs.
    Before it takes its place it is run by onnxruntime, LiteRT or TensorFlow,
    and must do what Keras does. docs/export.md shows how to run it from
    Python, C++ and JavaScript.

    With --engine it is a new folder, a preset as any other that starts in a
    moment and imports neither Keras nor TensorFlow: see docs/engines.md.

    \b
    Examples:
      audiogan export projection_wavegan_digits digits.onnx
      audiogan export hifigan_speech vocoder.tflite
      audiogan export hifigan_speech copier.onnx --with-mel
      audiogan export digit_classifier digits_model/
      audiogan export hifigan_speech fast_hifigan/ --engine onnx
      audiogan vocode fast_hifigan/ sentence.wav -o out/
    """
    from keras_audiogan import zoo
    from keras_audiogan.saving import read_config

    # What can be said at once is said before TensorFlow starts.
    if engine is not None:
        if format is not None or with_mel:
            raise click.UsageError(
                "--engine writes a folder of its own form: leave out --format "
                "and --with-mel."
            )
        target, format = check_engine_target(path), "engine"
    else:
        target, format = check_target(path, format)
    folder = zoo.resolve(preset, token=token)
    config = read_config(folder)
    if "engine" in config:
        raise ExportError(
            f"{preset} is an engine already: generator.onnx in it is the "
            "export. Another is made of the preset that it was exported from. "
            f"Received: {str(folder)!r}"
        )
    if with_mel and config["task"] != "vocode":
        raise ExportError(
            "A vocoder has a mel front end, and no other model: leave out "
            f"--with-mel. Received: {preset}, {config['architecture']}"
        )
    # The same weights on every backend, and this one can export them.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    _backend.prepare()
    _write(folder, target, format, with_mel, config)


def _write(
    folder: pathlib.Path,
    target: pathlib.Path,
    format: str,
    with_mel: bool,
    config: dict,
) -> None:
    from keras_audiogan.exporting import export_engine, export_model
    from keras_audiogan.exporting.tasks import indexed_labels
    from keras_audiogan.saving import load_preset

    click.echo("Loading ...", err=True)
    stem = "classifier" if config["task"] == "classify" else "generator"
    model = load_preset(folder, weights=[stem], dtype="float32")

    def progress(text: str) -> None:
        click.echo(f"{text} ...", err=True)

    if format == "engine":
        made = export_engine(model, folder, target, progress)
    else:
        made = export_model(model, target, format, with_mel, progress)
    size = sum(
        path.stat().st_size
        for path in (target.rglob("*") if target.is_dir() else [target])
        if path.is_file()
    )
    rate = f"{model.sampling_rate:,} Hz"
    click.echo(
        f"Wrote {target}: {size / 1e6:.1f} MB, {format}, sound at {rate}"
    )
    for verb, ports in (("takes", made.inputs), ("gives", made.outputs)):
        for name, port in ports.items():
            click.echo(f"  {verb} {name}: {port}")
    labels = indexed_labels(model)
    if labels:
        names = (f"{i} {name}" for i, name in enumerate(labels))
        click.echo(f"  labels: {plain(', '.join(names))}")
    click.echo(
        f"Largest difference between {made.runtime} and Keras: "
        f"{made.difference:.1e} of the largest value (at most "
        f"{made.tolerance:g})."
    )
