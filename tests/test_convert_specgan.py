"""Original SpecGAN checkpoints: what they become, and what is refused.

The formulas are those of the original's `specgan.py` and `train_specgan.py`
in TensorFlow's own operations, on checkpoints of random weights.
"""

import os
import pickle
import shutil

import keras
import numpy as np
import pytest
from cli_support import audiogan
from tensorflow_checkpoint_support import write_checkpoint

from keras_audiogan.converters import (
    ConversionError,
    identify,
    list_networks,
    specgan,
    wavegan,
)
from keras_audiogan.converters.moments import read_moments
from keras_audiogan.converters.parts import build
from keras_audiogan.models import SpecGANDiscriminator, SpecGANGenerator
from keras_audiogan.saving import load_preset

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="the original's formulas are TensorFlow's",
)
RNG = np.random.default_rng(0)
MEAN = RNG.uniform(-4, -1, 129).astype("float32")
STD = RNG.uniform(0.5, 2, 129).astype("float32")
WIDTHS = [16, 8, 4, 2, 1]
# `pickle.dump((mean, std), file)` of Python 2.7 and NumPy 1.16, for two
# float32 arrays [0.5, -1.0] and [1.5, 2.0], in its protocol 0.
PYTHON_2 = (
    b"(cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\n"
    b"tS'b'\ntRp3\n(I1\n(I2\ntcnumpy\ndtype\np4\n(S'f4'\nI0\nI1\ntRp5\n(I3\n"
    b"S'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x00?\\x00\\x00\\x80\\xbf'\n"
    b"tbg1\n(g2\n(I0\ntS'b'\ntRp6\n(I1\n(I2\ntg5\nI00\n"
    b"S'\\x00\\x00\\xc0?\\x00\\x00\\x00@'\ntbt."
)


def variables(batch_norm, nearest):
    """Weights of an original at d=1 and latents of 7, by their names."""
    rng = np.random.default_rng(1)
    held = {}

    def layer(scope, shape, filters, fan_in):
        kernel = rng.standard_normal(shape) * 1.4 / np.sqrt(fan_in)
        held[f"{scope}/kernel"] = kernel.astype("float32")
        held[f"{scope}/bias"] = rng.normal(0, 0.2, filters).astype("float32")

    def norm(scope, channels):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            low, high = (-0.2, 0.2) if name == "moving_mean" else (0.5, 1.5)
            held[f"{scope}/batch_normalization/{name}"] = rng.uniform(
                low, high, channels
            ).astype("float32")

    layer("G/z_project/dense", (7, 256), 256, 7)
    if batch_norm:
        norm("G/z_project", 16)
    for i, (inputs, outputs) in enumerate(
        zip(WIDTHS, [*WIDTHS[1:], 1], strict=True)
    ):
        if nearest:
            scope, shape = f"G/upconv_{i}/conv2d", (5, 5, inputs, outputs)
        else:
            scope = f"G/upconv_{i}/conv2d_transpose"
            shape = (5, 5, outputs, inputs)
        layer(scope, shape, outputs, (25 if nearest else 6) * inputs)
        if batch_norm and i < 4:
            norm(f"G/upconv_{i}", outputs)
    for i, (inputs, outputs) in enumerate(
        zip([1, *WIDTHS[:0:-1]], WIDTHS[::-1], strict=True)
    ):
        layer(
            f"D/downconv_{i}/conv2d",
            (5, 5, inputs, outputs),
            outputs,
            25 * inputs,
        )
        if batch_norm and i:
            norm(f"D/downconv_{i}", outputs)
    layer("D/output/dense", (256, 1), 1, 256)
    return held


def original_generator(held, latents, batch_norm, nearest):
    import tensorflow as tf

    def normalized(x, scope):
        if not batch_norm:
            return x
        gamma, beta, mean, variance = (
            held[f"{scope}/batch_normalization/{name}"]
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    x = latents @ held["G/z_project/dense/kernel"]
    x = tf.reshape(x + held["G/z_project/dense/bias"], (-1, 4, 4, 16))
    x = tf.nn.relu(normalized(x, "G/z_project"))
    for i in range(5):
        size, scope = 4 << (i + 1), f"G/upconv_{i}"
        if nearest:
            x = tf.image.resize(x, (size, size), "nearest")
            x = tf.nn.conv2d(x, held[f"{scope}/conv2d/kernel"], 1, "SAME")
            x = x + held[f"{scope}/conv2d/bias"]
        else:
            kernel = held[f"{scope}/conv2d_transpose/kernel"]
            shape = (len(latents), size, size, kernel.shape[2])
            x = tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME")
            x = x + held[f"{scope}/conv2d_transpose/bias"]
        if i < 4:
            x = tf.nn.relu(normalized(x, scope))
    return tf.tanh(x).numpy()


def original_discriminator(held, x, batch_norm):
    import tensorflow as tf

    for i in range(5):
        scope = f"D/downconv_{i}"
        x = tf.nn.conv2d(x, held[f"{scope}/conv2d/kernel"], 2, "SAME")
        x = x + held[f"{scope}/conv2d/bias"]
        if batch_norm and i:
            mean, variance = tf.nn.moments(x, (0, 1, 2))
            x = tf.nn.batch_normalization(
                x,
                mean,
                variance,
                held[f"{scope}/batch_normalization/beta"],
                held[f"{scope}/batch_normalization/gamma"],
                1e-3,
            )
        x = tf.maximum(x, 0.2 * x)
    x = tf.reshape(x, (-1, 256)) @ held["D/output/dense/kernel"]
    return (x + held["D/output/dense/bias"]).numpy()[:, 0]


def t_to_f(audio):
    import tensorflow as tf

    spectra = tf.signal.stft(audio[:, :, 0], 256, 128, pad_end=True)
    logarithms = tf.math.log(tf.abs(spectra[:, :, :-1]) + 1e-6)
    x = (logarithms - MEAN[:-1]) / STD[:-1] / 3.0
    return tf.clip_by_value(x, -1.0, 1.0)[..., None].numpy()


def f_to_t(x, iterations=16):
    import tensorflow as tf

    x = tf.pad(x[..., 0], [[0, 0], [0, 0], [0, 1]]) * 3.0
    magnitudes = tf.cast(tf.exp(x * STD + MEAN), tf.complex64)
    spectra = magnitudes
    for _ in range(iterations):
        sound = tf.signal.inverse_stft(spectra, 256, 128)
        again = tf.signal.stft(sound, 256, 128)
        size = tf.maximum(1e-8, tf.abs(again))
        spectra = magnitudes * again / tf.cast(size, tf.complex64)
    sound = tf.signal.inverse_stft(spectra, 256, 128)
    return sound[:, :16384, None].numpy()


def write_run(folder, batch_norm=False, nearest=False, **changes):
    folder.mkdir(exist_ok=True)
    held = {**variables(batch_norm, nearest), **changes}
    slots = {"global_step": np.int64(5)}
    slots["G/upconv_0/conv2d/kernel/Adam"] = np.ones(2, "f4")
    if not nearest:
        slots = {"global_step": np.int64(5)}
    write_checkpoint(folder / "model.ckpt-5", {**held, **slots})
    (folder / "moments.pkl").write_bytes(pickle.dumps((MEAN, STD), 2))
    return held


@pytest.mark.slow
@pytest.mark.parametrize(
    "batch_norm, nearest", [(False, False), (True, False), (True, True)]
)
def test_outputs_equal_the_originals(tmp_path, batch_norm, nearest):
    held = write_run(tmp_path / "run", batch_norm, nearest)
    (tmp_path / "run" / "args.txt").write_text(
        "data_moments_fp,/home/me/train/moments.pkl\nspecgan_ngl,1\n"
    )
    prefix = tmp_path / "run" / "model.ckpt-5"
    parts = specgan.make_parts(wavegan.read_contents(prefix), prefix)
    gan = build(parts, None)
    config = gan.get_config()
    assert (config["dim"], config["latent_dim"]) == (1, 7)
    assert (config["slice_length"], config["sampling_rate"]) == (16384, 16000)
    assert config["phase_iterations"] == 1 and not config["exact_overlap"]

    rng = np.random.default_rng(2)
    latents = rng.uniform(-1, 1, (3, 7)).astype("float32")
    want = original_generator(held, latents, batch_norm, nearest)
    assert want.shape == (3, 128, 128, 1) and want.std() > 0.1
    made = np.array(gan.ema_generator(latents))
    np.testing.assert_allclose(made, want, atol=1e-4)
    logits = np.array(gan.discriminator(want)[0][-1])[:, 0]
    np.testing.assert_allclose(
        logits, original_discriminator(held, want, batch_norm), atol=1e-4
    )
    audio = rng.uniform(-0.5, 0.5, (2, 16384, 1)).astype("float32")
    np.testing.assert_allclose(
        np.array(gan.representation.analyse(audio)), t_to_f(audio), atol=1e-4
    )
    sound = f_to_t(want, 1)
    np.testing.assert_allclose(
        np.array(gan.representation.synthesise(want)),
        sound,
        atol=1e-4 * max(1.0, np.abs(sound).max()),
    )
    # Sixteen iterations make differences larger, most where no sound has
    # such a spectrum.
    gan.set_phase_recovery(16)
    x = t_to_f(audio)
    np.testing.assert_allclose(
        np.array(gan.representation.synthesise(x)), f_to_t(x), atol=1e-3
    )


def test_parameter_counts_are_the_originals():
    assert SpecGANGenerator().count_params() == 19_065_345
    assert SpecGANDiscriminator().count_params() == 17_427_969


@pytest.mark.slow
def test_command_writes_a_preset_with_moments(tmp_path):
    run = tmp_path / "run"
    write_run(run)
    (run / "moments.pkl").rename(tmp_path / "elsewhere")
    lacking = audiogan("convert", run, tmp_path / "preset")
    assert lacking.exit_code and "--moments" in lacking.output
    assert identify(run) == "specgan"
    assert list_networks(run) == ["discriminator", "generator"]
    done = audiogan(
        *("convert", run, tmp_path / "preset"),
        *("--moments", tmp_path / "elsewhere"),
    )
    assert done.exit_code == 0, done.output
    gan = load_preset(tmp_path / "preset")
    np.testing.assert_allclose(gan.get_config()["mean"], MEAN, rtol=1e-6)
    assert gan.sample(1, seed=0).shape == (1, 16384, 1)


def test_what_is_no_specgan_is_refused(tmp_path):
    write_run(tmp_path / "run")
    prefix = tmp_path / "run" / "model.ckpt-5"
    contents = wavegan.read_contents(prefix)
    with pytest.raises(ConversionError, match="convert_specgan"):
        wavegan.make_parts(contents, prefix)
    with pytest.raises(ConversionError, match="make clips of 16384"):
        specgan.make_parts(contents, prefix, slice_length=8192)
    shutil.copy(tmp_path / "run/moments.pkl", tmp_path / "run/more.pkl")
    with pytest.raises(ConversionError, match="moments.pkl, more.pkl"):
        specgan.make_parts(contents, prefix)
    kernel = np.ones((5, 5, 1, 3), "float32")
    write_run(
        tmp_path / "odd", **{"G/upconv_2/conv2d_transpose/kernel": kernel}
    )
    prefix = tmp_path / "odd" / "model.ckpt-5"
    parts = specgan.make_parts(wavegan.read_contents(prefix), prefix)
    with pytest.raises(ConversionError, match="upconv_2.*Expected"):
        build(parts, None)


# The moments


@pytest.mark.parametrize("protocol", range(6))
def test_moments_of_every_protocol(tmp_path, protocol):
    path = tmp_path / "moments"
    for mean, std in (
        (MEAN, STD),
        (MEAN.astype(">f8"), STD.astype("float64")),
        (np.arange(129), np.ones(129, "uint8")),
    ):
        path.write_bytes(pickle.dumps((mean, std), protocol))
        held = read_moments(path, 129)
        np.testing.assert_array_equal(held["mean"], mean)
        np.testing.assert_array_equal(held["std"], std)


def test_moments_of_python_2(tmp_path):
    path = tmp_path / "moments"
    path.write_bytes(PYTHON_2)
    held = read_moments(path, 2)
    assert held == {"mean": [0.5, -1.0], "std": [1.5, 2.0]}


class Runs:
    """Writes a file wherever it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def of(value):
    return pickle.dumps(value, 2)


ARRAY = of(np.ones(2))
REFUSED = {
    "objects": (of((np.array([None, {}]), np.ones(2))), "does not hold"),
    "text": (of((np.array(["a", "b"]), np.ones(2))), "type '<U"),
    "records": (of((np.zeros(2, "i4,f4"), np.ones(2))), "does not hold"),
    "scalars": (of((1.0, 2.0)), "does not hold"),
    "one array": (ARRAY, "not two arrays"),
    "three arrays": (of((np.ones(2),) * 3), "not two arrays"),
    "a dict": (of({"mean": np.ones(2)}), "does not hold"),
    "a matrix": (of((np.ones((2, 2)), np.ones(2))), "shape"),
    "another size": (of((np.ones(3), np.ones(3))), "3 and 3 numbers"),
    "NaN": (of((np.ones(2), np.array([1, np.nan]))), "NaN"),
    "silence": (of((np.ones(2), np.array([1.0, 0.0]))), "1 bins of 2"),
    "a shape that lies": (
        PYTHON_2.replace(b"(I2\n", b"(I9999999999\n"),
        "shape",
    ),
    "another function": (
        PYTHON_2.replace(b"numpy.core.multiarray", b"os").replace(
            b"_reconstruct", b"system"
        ),
        "os.system",
    ),
    "a memo that takes all memory": (b"N\x72\xff\xff\xff\x7f.", "not two"),
    "an array of bytes without end": (b"\x96" + b"\xff" * 7 + b"\x00.", "cut"),
    "a number as long as the file says": (
        b"\x8b\xff\xff\xff\x7f.",
        "does not hold",
    ),
    "nothing": (b"", "EOF"),
    "no pickle": (b"RIFF1234WAVE", "does not hold"),
    "cut short": (PYTHON_2[:-40], "Received"),
    "an endless file": (b"N" * ((1 << 20) + 1), "bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_moments_that_are_none_are_refused(tmp_path, name):
    data, told = REFUSED[name]
    path = tmp_path / "moments"
    path.write_bytes(data)
    with pytest.raises(ConversionError, match=told) as error:
        read_moments(path, 2)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("protocol", range(5))
def test_nothing_in_moments_is_run(tmp_path, protocol):
    path, made = tmp_path / "moments", tmp_path / "made"
    path.write_bytes(pickle.dumps((Runs(str(made)), STD), protocol))
    with pytest.raises(ConversionError, match="mkdir"):
        read_moments(path, 129)
    assert not made.exists()
