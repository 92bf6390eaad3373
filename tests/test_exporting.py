"""Exports: run by the programs they are for, and compared with our methods."""

import json
import pathlib
import sys

import keras
import numpy as np
import pytest
from architecture_cases import architectures_of, build, set_weights_from_paths
from cli_support import audiogan
from keras import ops

from keras_audiogan.audio import transforms
from keras_audiogan.exporting import (
    ExportError,
    MissingExtraError,
    export_model,
)
from keras_audiogan.exporting.formats import HANDLERS
from keras_audiogan.exporting.tasks import TASKS as PURE_FUNCTIONS
from keras_audiogan.exporting.tasks import indexed_labels
from keras_audiogan.layers.representations import LogSpectrogram
from keras_audiogan.models import WaveGAN
from keras_audiogan.presets.tasks import TASKS

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports go through it"
)
ENDINGS = {"onnx": "it.onnx", "litert": "it.tflite", "tf_saved_model": "it"}
CLASSIFIER = {
    "labels": ["one", "two", "three"],
    "sampling_rate": 8000,
    "slice_length": 1024,
}
# Other sizes than those that an export is compared by itself.
ROWS = 2


def made(architecture, **options):
    keras.utils.set_random_seed(1)
    model = build(architecture, **options)
    if model.task != "vocode":
        set_weights_from_paths(model)
        return model
    # Those would drive vocoders to full scale. Weight norm that does nothing
    # would not show that it is fused.
    for weight in model.weights:
        if weight.path.endswith("gain"):
            weight.assign(1.25 * weight)
    return model


def sound(rows, length, channels=1):
    rng = np.random.default_rng(7)
    noise = rng.uniform(-0.5, 0.5, (rows, length, channels))
    return noise.astype("float32")


def check_generator(model, run):
    latents = model.sample_latents(ROWS, seed=3)
    inputs = {"latents": latents}
    if model.conditional:
        inputs["labels"] = np.array([1, 0], "int32")
    labels = [1, 0] if model.conditional else None
    expected = model.sample(latents=latents, labels=labels)
    assert np.abs(run(inputs)["audio"] - expected).max() < 1e-5
    # It is no constant, which would agree too easily.
    assert expected.std() > 1e-4


def check_vocoder(model, run):
    mel = model.mel(sound(ROWS, 16 * 23))
    inputs, options = {"mel": mel}, {}
    if model.takes_noise:
        options = {"noise": sound(ROWS, 16 * mel.shape[1])}
    expected = model.vocode(mel, **options)
    made = run({**inputs, **options})["audio"]
    assert made.shape == (ROWS, 16 * mel.shape[1], 1)
    assert np.abs(made - expected).max() < 1e-5
    assert expected.std() > 1e-4


def check_classifier(model, run):
    for length in (model.slice_length - 37, model.slice_length + 1):
        audio = sound(ROWS, length)
        expected = model.predict_logits(audio, batch_size=ROWS)
        logits = run({"audio": audio})["logits"]
        assert logits.shape == (ROWS, len(model.labels))
        assert np.abs(logits - expected).max() < 1e-4
        assert expected.std() > 1e-3


CHECKS = {
    "generate": check_generator,
    "autoencode": check_generator,
    "vocode": check_vocoder,
    "classify": check_classifier,
}


def export_and_check(architecture, format, tmp_path, **options):
    model = made(architecture, **options)
    path = tmp_path / ENDINGS[format]
    export = model.export(path)
    assert export.format == format
    assert export.path == path and export.difference < 1e-5
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    CHECKS[model.task](model, HANDLERS[format][1](path))


def cases():
    for task in CHECKS:
        for name in architectures_of(task):
            for format in ENDINGS:
                # A SavedModel holds the graph itself.
                often = name in ("cgan", "hifigan", "digit_classifier")
                if often or format != "tf_saved_model":
                    slow = not often and format == "litert"
                    marks = [pytest.mark.slow] if slow else []
                    yield pytest.param(name, format, marks=marks)


@on_tensorflow
@pytest.mark.parametrize("architecture, format", list(cases()))
def test_an_export_does_what_the_model_does(architecture, format, tmp_path):
    options = CLASSIFIER if "classifier" in architecture else {}
    export_and_check(architecture, format, tmp_path, **options)


@on_tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_filtered_upsampling_is_exported(format, tmp_path):
    export_and_check("wavegan", format, tmp_path, upsampling="band_limited")


@on_tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_groups_are_drawn_in_the_export(format, tmp_path):
    export_and_check(
        *("stft_gan", format, tmp_path), conditional=False, num_groups=3
    )


def test_no_task_is_forgotten():
    assert set(CHECKS) <= set(TASKS)


@on_tensorflow
@pytest.mark.parametrize("inputs", ["waveform", "sliced_mfcc"])
def test_recurrent_layers_are_unrolled_for_the_export_only(inputs, tmp_path):
    options = {**CLASSIFIER, "inputs": inputs, "num_slice_frames": 4}
    export_and_check("lstm_classifier", "litert", tmp_path, **options)
    model = made("lstm_classifier", **options)
    model.export(tmp_path / "again.tflite")
    assert not any(layer.unroll for layer in model.network.lstms)


@on_tensorflow
@pytest.mark.parametrize(
    "architecture, format",
    [("hifigan", "litert"), ("parallel_wavegan", "onnx")],
)
def test_with_its_front_end_a_vocoder_takes_sound(
    architecture, format, tmp_path
):
    model = made(architecture)
    path = tmp_path / ENDINGS[format]
    # One that is fused already is exported as it is.
    source = model.fuse_weight_norm() if format == "litert" else model
    export = source.export(path, with_mel=True)
    assert list(export.outputs) == ["sound"]
    run = HANDLERS[format][1](path)
    # Shorter than a transform of 64, of whole steps of 16, and of none.
    for length in (40, 160, 333):
        audio = sound(1, length)
        options = {}
        whole = max(64, -(-length // 16) * 16)
        frames = model.features.num_frames(whole)
        if model.takes_noise:
            options = {"noise": sound(1, frames * 16)}
        expected = model.vocode(
            model.mel(np.pad(audio, ((0, 0), (0, whole - length), (0, 0)))),
            **options,
        )[:, :length]
        given = run({"audio": audio, **options})["sound"]
        assert given.shape == (1, length, 1)
        assert np.abs(given - expected).max() < 1e-4


@on_tensorflow
def test_spectra_become_sound_in_an_export(tmp_path):
    class OfSpectra(WaveGAN):
        """A waveform's transform and back: Griffin-Lim in the graph."""

        def call(self, latents, training=False):
            spectra = LogSpectrogram(32, 8, num_iterations=2)
            return spectra.synthesise(spectra.analyse(super().call(latents)))

    model = OfSpectra(**WaveGAN.tiny)
    set_weights_from_paths(model)
    for format in ("onnx", "litert"):
        export = model.export(tmp_path / ENDINGS[format])
        assert export.difference < 1e-4


@on_tensorflow
def test_an_onnx_file_says_what_it_takes(tmp_path):
    import onnx

    model = made("projection_wavegan")
    model.export(tmp_path / "it.onnx")
    graph = onnx.load(tmp_path / "it.onnx")
    onnx.checker.check_model(graph, full_check=True)
    shapes = {
        value.name: [
            dim.dim_param or dim.dim_value
            for dim in value.type.tensor_type.shape.dim
        ]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {
        "latents": ["batch", model.latent_dim],
        "labels": ["batch"],
        "audio": ["batch", model.slice_length, 1],
    }
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["sampling_rate"] == str(model.sampling_rate)
    assert json.loads(facts["labels"]) == list(model.labels)
    assert not {"RandomNormal", "RandomUniform"} & {
        node.op_type for node in graph.graph.node
    }


class Fickle(WaveGAN):
    """Its sound is another at every call, so no export can agree with it."""

    calls = 0

    def call(self, latents, training=False):
        self.calls += 1
        return super().call(latents) / self.calls


class Outlandish(WaveGAN):
    """Its call has an operator that neither ONNX nor LiteRT has."""

    def call(self, latents, training=False):
        return ops.erfinv(0.5 * super().call(latents))


@on_tensorflow
@pytest.mark.parametrize("format", ["litert", "tf_saved_model"])
def test_an_export_that_differs_is_not_kept(format, tmp_path):
    path = tmp_path / ENDINGS[format]
    if format == "litert":
        path.write_text("what was there")
    with pytest.raises(ExportError, match="differs from Keras.*not kept"):
        Fickle(**WaveGAN.tiny).export(path)
    left = [each.name for each in tmp_path.iterdir()]
    assert left == ([path.name] if format == "litert" else [])
    if left:
        assert path.read_text() == "what was there"


@on_tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_operator_that_a_format_lacks_is_named(format, tmp_path):
    with pytest.raises(ExportError, match="no operators.*Erfinv"):
        Outlandish(**WaveGAN.tiny).export(tmp_path / ENDINGS[format])
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_is_refused_at_once(tmp_path, monkeypatch):
    def refused(name, error, match, **options):
        # No model: it is not looked at before.
        with pytest.raises(error, match=match):
            export_model(None, tmp_path / name, **options)

    refused("it.pb", ExportError, r"\.onnx.*\.tflite.*Received: .*it\.pb")
    refused("it", ExportError, "Received.*keras", format="keras")
    (tmp_path / "folder.onnx").mkdir()
    refused("folder.onnx", ExportError, "a folder has this name")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused("full", ExportError, "new or empty folder")
    refused("full/file/it.onnx", NotADirectoryError, "file")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    refused("it.onnx", MissingExtraError, r"keras-audiogan\[export\].*tf2onnx")
    assert {each.name for each in tmp_path.iterdir()} == {
        "folder.onnx",
        "full",
    }


@on_tensorflow
def test_a_model_that_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(ExportError, match="no other model"):
        made("wavegan").export(tmp_path / "it.tflite", with_mel=True)
    with pytest.raises(ExportError, match="mixed_bfloat16"):
        made("wavegan", dtype="mixed_bfloat16").export(tmp_path / "it.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.backends
def test_another_backend_says_how_to_export(tmp_path):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("on TensorFlow an export is not refused")
    with pytest.raises(ExportError, match="KERAS_BACKEND=tensorflow"):
        made("wavegan").export(tmp_path / "it.tflite")


@pytest.mark.parametrize("fft_length, frame_length", [(16, 16), (15, 9)])
def test_transforms_are_the_same_as_products(fft_length, frame_length):
    frames = sound(2, 3, frame_length)
    tensor = ops.convert_to_tensor(frames)
    spectrum = np.fft.rfft(frames, fft_length)
    with transforms.as_products():
        real, imaginary = transforms.rfft(tensor, fft_length)
        again = transforms.irfft(real, imaginary, fft_length)
    assert np.abs(ops.convert_to_numpy(real) - spectrum.real).max() < 1e-5
    assert np.abs(ops.convert_to_numpy(imaginary) - spectrum.imag).max() < 1e-5
    padding = ((0, 0), (0, 0), (0, fft_length - frame_length))
    again = ops.convert_to_numpy(again)
    assert np.abs(again - np.pad(frames, padding)).max() < 1e-6


@on_tensorflow
def test_the_command_writes_and_says_what_it_wrote(tmp_path, in_a_new_folder):
    result = audiogan("export", "word_classifier", "words.tflite")
    assert result.exit_code == 0, result.output
    assert pathlib.Path("words.tflite").stat().st_size > 1_000_000
    assert "takes audio: float32 (batch, time, 1)" in result.stdout
    assert "gives logits: float32 (batch, 2)" in result.stdout
    assert "labels: 0 zero, 1 one" in result.stdout
    assert "Largest difference between LiteRT and Keras" in result.stdout
    assert "Comparing" in result.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["wavegan_digits", "it.h5"], "--format"),
        (["wavegan_digits", "it", "--with-mel"], "leave out --with-mel"),
        (["nothing_at_all", "it"], "nothing_at_all"),
        (["wavegan_digits", "config.json/it"], "config.json"),
    ],
)
def test_the_command_fails_in_one_line(arguments, said, in_a_new_folder):
    pathlib.Path("config.json").write_text(json.dumps({}))
    result = audiogan("export", *arguments)
    assert result.exit_code != 0
    assert said in result.stderr.splitlines()[-1]
    assert [each.name for each in pathlib.Path().iterdir()] == ["config.json"]


def test_labels_are_told_where_they_are_asked_for_or_heard():
    """A generator that is not conditional has its data's for others to see."""
    labels = ["one", "two"]
    for name, expected in (
        ("wavegan", []),
        ("projection_wavegan", labels),
        ("digit_classifier", labels),
    ):
        model = build(name, labels=labels)
        assert tuple(model.labels) == ("one", "two")
        assert indexed_labels(model) == expected
        facts = PURE_FUNCTIONS[model.task](model).facts
        assert ("labels" in facts) == bool(expected)
