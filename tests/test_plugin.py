"""An architecture in somebody else's package: one file, and a preset folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DIGITS = pathlib.Path(__file__).parent / "data" / "digits"

# CONTRIBUTING shows this file; a test compares.
SKETCH_GAN = '''"""SketchGAN: clips from two dense layers."""

import keras
from keras import ops

from keras_audiogan.models import AudioGAN, register_architecture
from keras_audiogan.models.networks import BuiltNetwork


class SketchGenerator(BuiltNetwork):
    """Latents `(batch, latent_dim)` -> audio `(batch, time, channels)`."""

    def __init__(
        self,
        slice_length,
        num_channels=1,
        latent_dim=100,
        units=64,
        dtype=None,
        name="generator",
    ):
        super().__init__(dtype=dtype, name=name)
        self.clip_shape = (slice_length, num_channels)
        self.hidden = keras.layers.Dense(units, "relu", name="hidden")
        self.last = keras.layers.Dense(slice_length * num_channels, name="last")
        self.build_layers(
            [(self.hidden, (None, latent_dim)), (self.last, (None, units))]
        )

    def call(self, latents, training=False):
        x = ops.reshape(self.last(self.hidden(latents)), (-1, *self.clip_shape))
        return ops.tanh(ops.cast(x, "float32"))


@register_architecture("sketch_gan")
class SketchGAN(AudioGAN):
    """A generator of two layers, as small as an architecture can be."""

    generator_class = SketchGenerator
    default_arguments = {"discriminators": [{"kind": "dense", "dim": 8}]}
    default_loss = "hinge"
    tiny = {"slice_length": 256, "latent_dim": 6, "units": 4}
'''

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "sketch-gan"
version = "0.1"

[project.entry-points."keras_audiogan.architectures"]
sketch_gan = "sketch_gan.model"

[tool.setuptools]
packages = ["sketch_gan"]

[tool.setuptools.package-data]
sketch_gan = ["presets/*/*", "presets/*/samples/*"]
"""


def install(source, target):
    command = [sys.executable, "-m", "pip", "install", "--quiet"]
    command += ["--no-deps", "--no-index", "--no-build-isolation", "--upgrade"]
    done = subprocess.run(
        [*command, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that the plug-in is installed in, with a preset of its own."""
    source = tmp_path_factory.mktemp("source")
    package = source / "sketch_gan"
    package.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(SKETCH_GAN)
    site = tmp_path_factory.mktemp("site")
    install(source, site)
    run = site / "run"
    options = ["--steps=2", "--sampling-rate=8000", "--slice-length=2048"]
    options += ["--set=units=4", "--checkpoint-every=1", "--num-previews=2"]
    options += ["--data-name=three digits", "--data-license=CC-BY-SA-4.0"]
    trained = audiogan(site, "train", "sketch_gan", DIGITS, "-o", run, *options)
    assert trained.returncode == 0, trained.stderr
    shutil.copytree(run / "preset", package / "presets" / "sketch_gan_digits")
    install(source, site)
    return site


def audiogan(site, *arguments):
    return subprocess.run(
        [sys.executable, "-P", "-m", "keras_audiogan.cli"]
        + [str(each) for each in arguments],
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"},
        cwd=site,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_an_architecture_of_another_package_does_all_that_ours_do(site):
    done = audiogan(
        site, "train", "sketch_gan", DIGITS, "-o", "run", "--resume",
        "--steps=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Continuing at step 2 of 3" in done.stdout + done.stderr
    assert (site / "run" / "checkpoints" / "step_00000003").is_dir()
    config = json.loads((site / "run/preset/config.json").read_text())
    assert config["class_name"] == "keras_audiogan>SketchGAN"
    assert config["task"] == "generate"
    assert config["config"]["units"] == 4

    # By the bare name of the preset that the package brings.
    done = audiogan(site, "sample", "sketch_gan_digits", "-n", 2, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert len(list((site / "out").glob("*.wav"))) == 2

    # Ten recordings of each kind are the least that can be compared.
    for part in ("seen", "unseen"):
        shutil.copytree(DIGITS, site / "sounds" / part)
    done = audiogan(
        site, "evaluate", "sketch_gan_digits", "--data", "sounds", "-n", 20,
        "--test", "unseen/*", "--classifier", "digit_classifier",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "inception score" in done.stdout.lower()

    done = audiogan(site, "finetune", "sketch_gan_digits", DIGITS, "-o", "more",
                    "--steps=1", "--num-previews=2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = (site / "more" / "preset" / "README.md").read_text()
    assert "sketch_gan" in card and "## Training data" in card


def test_presets_of_another_package_are_listed_and_told_of(site):
    done = audiogan(site, "list", "sketch*")
    assert done.returncode == 0, done.stderr
    (row,) = [x for x in done.stdout.splitlines() if "sketch_gan_digits" in x]
    assert "three digits" in row
    done = audiogan(site, "info", "sketch_gan_digits")
    assert done.returncode == 0, done.stderr
    assert "sketch_gan" in done.stdout and "CC-BY-SA-4.0" in done.stdout


@pytest.mark.slow
def test_a_plugin_that_cannot_be_loaded_is_named(site, tmp_path):
    broken = tmp_path / "site"
    shutil.copytree(site, broken)
    (broken / "sketch_gan" / "model.py").write_text("import no_such_module\n")
    done = audiogan(broken, "train", "sketch_gan", DIGITS, "-o", "x")
    assert done.returncode != 0
    assert "sketch-gan" in done.stderr and "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr
    # Everything else works, and says so once.
    done = audiogan(broken, "sample", "wavegan_digits", "-n", 1, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no_such_module") == 1


def test_contributing_shows_this_architecture():
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert SKETCH_GAN in page
