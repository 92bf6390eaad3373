"""Original WaveGAN checkpoints: what they become, and what is refused.

The checkpoints in data/ were written by the original code (random weights,
a few training steps), and `outputs.npz` beside each is what it computed.
"""

import json
import logging
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from cli_support import audiogan
from tensorflow_checkpoint_support import variables_of, write_checkpoint

from keras_audiogan.converters import (
    ConversionError,
    convert,
    convert_wavegan,
    identify,
    list_networks,
)
from keras_audiogan.converters.checkpoint_files import find_checkpoint
from keras_audiogan.converters.parts import build
from keras_audiogan.converters.wavegan import make_parts, read_contents
from keras_audiogan.models import WaveGANDiscriminator, WaveGANGenerator
from keras_audiogan.saving import load_preset

DATA = pathlib.Path(__file__).parent / "data"
PLAIN = DATA / "wavegan_tf1_16384"
NEAREST = DATA / "wavegan_tf1_32768_nearest"
BATCH_NORM = DATA / "wavegan_tf1_65536_batch_norm"

CONFIGS = {
    # With optimiser slots in the file; kernel 25.
    PLAIN: {
        "slice_length": 16384,
        "num_channels": 1,
        "sampling_rate": 16000,
        "latent_dim": 7,
        "dim": 1,
        "kernel_size": 25,
        "batch_norm": False,
        "upsampling": "transposed",
        "post_filter_length": None,
        "discriminators": [{"kind": "waveform", "phase_shuffle": 2}],
    },
    # With args.txt and a .meta file.
    NEAREST: {
        "slice_length": 32768,
        "num_channels": 1,
        "sampling_rate": 22050,
        "latent_dim": 5,
        "dim": 1,
        "kernel_size": 8,
        "batch_norm": False,
        "upsampling": "nearest",
        "post_filter_length": 32,
        "discriminators": [{"kind": "waveform", "phase_shuffle": 3}],
    },
    BATCH_NORM: {
        "slice_length": 65536,
        "num_channels": 2,
        "sampling_rate": 16000,
        "latent_dim": 4,
        "dim": 1,
        "kernel_size": 9,
        "batch_norm": True,
        "upsampling": "transposed",
        "post_filter_length": None,
        "discriminators": [{"kind": "waveform", "phase_shuffle": 2}],
    },
}
folders = pytest.mark.parametrize("folder", CONFIGS, ids=lambda f: f.name)


def logits(gan, audio):
    features = gan.discriminator(audio)[0]
    return np.asarray(keras.ops.convert_to_numpy(features[-1]))[:, 0]


@pytest.mark.slow
@pytest.mark.backends
@folders
def test_outputs_equal_the_originals(folder):
    gan = convert(folder)
    stored = np.load(folder / "outputs.npz")
    latents = stored["latents"]
    shape = (len(latents), gan.slice_length, gan.num_channels)

    config = gan.get_config()
    assert {key: config[key] for key in CONFIGS[folder]} == CONFIGS[folder]
    # The call is the bare network; `sample` limits it to full scale.
    audio = keras.ops.convert_to_numpy(gan(latents))
    assert audio.shape == shape
    np.testing.assert_allclose(
        gan.sample(latents=latents), np.clip(audio, -1, 1), rtol=0, atol=1e-5
    )
    assert stored["strided"].std() > 0.1
    for part, name in (
        (audio[:, :150], "head"),
        (audio[:, -150:], "tail"),
        (audio[:, ::127], "strided"),
    ):
        np.testing.assert_allclose(part, stored[name], rtol=0, atol=1e-4)
    for weight, average in zip(
        gan.generator.get_weights(),
        gan.ema_generator.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(weight, average)

    # The original's noise: drawn after its latents from the same generator.
    rng = np.random.default_rng(7)
    rng.uniform(-1, 1, latents.shape)
    noise = rng.uniform(-1, 1, shape).astype("float32")
    np.testing.assert_allclose(
        logits(gan, noise), stored["logits_noise"], rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        logits(gan, audio), stored["logits_generated"], rtol=0, atol=1e-4
    )


def test_parameter_counts_are_the_originals():
    assert WaveGANGenerator().count_params() == 19_065_345
    assert WaveGANDiscriminator().count_params() == 17_427_969


@pytest.mark.slow
def test_reading_loads_neither_keras_nor_tensorflow():
    code = (
        "import json, sys\n"
        "from keras_audiogan.converters import identify, list_networks\n"
        f"kind = identify({str(PLAIN)!r})\n"
        f"networks = list_networks({str(PLAIN)!r})\n"
        "loaded = {'keras', 'tensorflow'} & set(sys.modules)\n"
        "print(json.dumps([kind, networks, sorted(loaded)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True
    )
    networks = ["discriminator", "generator"]
    assert json.loads(done.stdout) == ["wavegan", networks, []]


# Finding the checkpoint and the slice length


def copy(folder, tmp_path, *left_out):
    target = tmp_path / "run"
    ignore = shutil.ignore_patterns(*left_out) if left_out else None
    shutil.copytree(folder, target, ignore=ignore)
    return target


@pytest.mark.parametrize(
    "name",
    [
        "",
        "model.ckpt-2",
        "model.ckpt-2.index",
        "model.ckpt-2.data-00000-of-00001",
    ],
)
def test_any_part_names_the_checkpoint(name):
    assert identify(str(PLAIN / name)) == "wavegan"
    assert find_checkpoint(str(PLAIN / name)) == PLAIN / "model.ckpt-2"


def parts_of(prefix, **options):
    return make_parts(read_contents(prefix), prefix, **options)


def read_config(source, **options):
    return parts_of(find_checkpoint(source), **options).config


def test_folder_without_state_file_gives_the_newest(tmp_path):
    run = copy(PLAIN, tmp_path, "checkpoint")
    for part in ("index", "data-00000-of-00001"):
        older = BATCH_NORM / f"model.ckpt-1.{part}"
        shutil.copy(older, run / f"model.ckpt-1.{part}")
        shutil.copy(older, run / f"best_score-9.{part}")
    assert read_config(run)["slice_length"] == 16384
    (run / "checkpoint").write_text(
        'model_checkpoint_path: "C:\\\\runs\\\\mine\\\\model.ckpt-1"\n'
    )
    assert read_config(run)["slice_length"] == 65536


@pytest.mark.parametrize(
    "left_out,expected",
    [
        ([], 32768),
        (["args.txt"], 32768),
        (["*.meta"], 32768),
        (["args.txt", "*.meta"], 65536),
    ],
)
def test_where_the_slice_length_comes_from(
    tmp_path, caplog, left_out, expected
):
    run = copy(NEAREST, tmp_path, *left_out)
    with caplog.at_level(logging.WARNING):
        assert read_config(run)["slice_length"] == expected
    warned = "Pass `slice_length`" in caplog.text
    assert warned == (expected == 65536)
    assert read_config(run, slice_length=32768)["slice_length"] == 32768


def test_graph_outweighs_arguments_that_another_run_wrote(tmp_path):
    run = copy(NEAREST, tmp_path)
    text = (run / "args.txt").read_text()
    (run / "args.txt").write_text(text.replace("32768", "65536"))
    assert read_config(run)["slice_length"] == 32768


@pytest.mark.parametrize("stride,length", [(2, 32768), (4, 65536)])
def test_transposed_stride_in_a_sampling_graph(tmp_path, stride, length):
    tf = pytest.importorskip("tensorflow")
    run = copy(BATCH_NORM, tmp_path)
    (run / "infer").mkdir()
    graph = tf.Graph()
    with graph.as_default(), graph.name_scope("G/upconv_5/conv2d_transpose/"):
        tf.nn.conv2d_transpose(
            tf.zeros((1, 1, 8, 1)),
            tf.zeros((1, 9, 2, 1)),
            (1, 1, 8 * stride, 2),
            (1, 1, stride, 1),
        )
        tf.compat.v1.train.export_meta_graph(str(run / "infer/infer.meta"))
    assert read_config(run)["slice_length"] == length


@pytest.mark.slow
def test_arguments_win_over_what_lies_beside():
    gan = convert_wavegan(
        NEAREST, sampling_rate=8000, slice_length=65536, phase_shuffle=0
    )
    config = gan.get_config()
    assert config["sampling_rate"] == 8000
    assert config["slice_length"] == 65536
    assert config["discriminators"][0]["phase_shuffle"] == 0
    with pytest.raises(ConversionError, match="slice_length=16384"):
        read_config(NEAREST, slice_length=16384)


def test_damaged_graph_is_an_error(tmp_path):
    run = copy(NEAREST, tmp_path)
    meta = run / "best_score-41.meta"
    meta.write_bytes(meta.read_bytes()[:-1])
    with pytest.raises(ConversionError, match=r"best_score-41\.meta"):
        read_config(run)


# What a checkpoint may hold


@pytest.mark.slow
def test_generator_alone_converts(tmp_path, caplog):
    held = {
        name: value
        for name, value in variables_of(PLAIN / "model.ckpt-2").items()
        if name.startswith("G/")
    }
    write_checkpoint(tmp_path / "model.ckpt-5", held)
    with caplog.at_level(logging.WARNING):
        gan = convert(tmp_path)
    assert "holds no discriminator" in caplog.text
    assert list_networks(tmp_path) == ["generator"]
    stored = np.load(PLAIN / "outputs.npz")
    np.testing.assert_allclose(
        gan.sample(latents=stored["latents"])[:, :150],
        stored["head"],
        rtol=0,
        atol=1e-4,
    )


def replaced(name, value):
    return lambda held: held | {name: value}


def without(prefix):
    return lambda held: {
        name: value
        for name, value in held.items()
        if not name.startswith(prefix)
    }


def only(names):
    return lambda held: {name: np.ones(2, "float32") for name in names}


NAN = np.full((4,), np.nan, "float32")


@pytest.mark.parametrize(
    "change,message",
    [
        (without("G/"), "holds a discriminator only"),
        (without("G/upconv_2/"), r"\[0, 1, 3, 4\]"),
        (without("G/upconv_2/conv2d_transpose/bias"), "our 'upconv_2/bias'"),
        (without("G/z_project/dense/kernel"), "z_project/dense/kernel"),
        (without("D/output/dense/bias"), "our 'output/bias'"),
        (
            replaced("D/downconv_1/conv1d/kernel", np.ones((25, 1, 3), "f4")),
            r"conv1d/kernel'.*\(25, 1, 2\) \(as .*Received: \(25, 1, 3\)",
        ),
        (
            replaced("G/label/embedding", np.ones((10, 4), "f4")),
            "no variable 'G/label/embedding'",
        ),
        (
            replaced("G/upconv_2/conv2d_transpose/bias", NAN[:2]),
            "bias' holds NaN",
        ),
        (
            replaced(
                "G/upconv_0/conv2d_transpose/kernel",
                np.ones((5, 5, 8, 16), "f4"),
            ),
            "SpecGAN",
        ),
        (
            lambda held: (
                without("G/upconv_0/")(held)
                | {"G/upconv_0/conv2d/kernel": np.ones((5, 5, 16, 8), "f4")}
            ),
            "SpecGAN",
        ),
        (
            only(["model/.ATTRIBUTES/VARIABLE_VALUE"]),
            r"tf\.train\.Checkpoint",
        ),
        (only(["classifier/dense/kernel"]), "classifier/dense/kernel"),
        (only(["G/weights"]), "layers G/upconv_0"),
        (only(["G"]), "no variable's name starts with 'G/'"),
    ],
)
def test_other_contents_are_refused(tmp_path, change, message):
    held = change(variables_of(PLAIN / "model.ckpt-2"))
    write_checkpoint(tmp_path / "model.ckpt-5", held)
    with pytest.raises(ConversionError, match=message) as caught:
        build(parts_of(tmp_path / "model.ckpt-5"))
    assert "model.ckpt-5" in str(caught.value)


def test_half_precision_weights_convert(tmp_path):
    held = variables_of(PLAIN / "model.ckpt-2")
    name = "G/z_project/dense/bias"
    held[name] = held[name].astype("float16")
    write_checkpoint(tmp_path / "model.ckpt-5", held)
    generator = parts_of(tmp_path / "model.ckpt-5").generator
    bias = generator.layers["dense"].arrays["bias"]
    assert bias.dtype == np.float32
    np.testing.assert_array_equal(bias, held[name].astype("float32"))


@pytest.mark.slow
def test_kernel_shorter_than_the_stride(tmp_path):
    held = {}
    for name, value in variables_of(PLAIN / "model.ckpt-2").items():
        axis = value.shape.index(25) if 25 in value.shape else None
        held[name] = value if axis is None else value.take([3, 9], axis)
    write_checkpoint(tmp_path / "model.ckpt-5", held)
    gan = convert(tmp_path)
    assert gan.get_config()["kernel_size"] == 2
    # Two taps of four: the samples between come from the bias alone.
    audio = gan.sample(2, seed=0)
    bias = np.tanh(held["G/upconv_4/conv2d_transpose/bias"])
    np.testing.assert_allclose(audio[:, 2::4, 0], bias[0], atol=1e-6)
    assert audio[:, 0::4].std() > 0


@pytest.mark.parametrize("name", ["nothing", "folder", "file.pt"])
def test_no_checkpoint_is_one_clear_error(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.pt").write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(ConversionError, match=name):
        convert(tmp_path / name)


@pytest.mark.slow
def test_command_writes_a_preset_of_what_is_there(tmp_path):
    source = tmp_path / "original"
    source.mkdir()
    held = variables_of(PLAIN / "model.ckpt-2")
    write_checkpoint(source / "model.ckpt-5", without("D/")(held))
    shutil.copy(NEAREST / "args.txt", source)
    preset = tmp_path / "preset"
    result = audiogan("convert", source, preset)
    assert result.exit_code == 0, result.output
    assert not (preset / "discriminator.safetensors").exists()
    gan = load_preset(preset)
    (discriminator,) = gan.get_config()["discriminators"]
    assert (gan.sampling_rate, discriminator["phase_shuffle"]) == (22050, 3)
    stored = np.load(PLAIN / "outputs.npz")
    np.testing.assert_allclose(
        gan.sample(latents=stored["latents"])[:, ::127],
        stored["strided"],
        rtol=0,
        atol=1e-4,
    )
