"""What the benchmarks count by hand."""

import importlib.util
import math
import pathlib

import pytest

from keras_audiogan.models import WaveGAN

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks/wavegan_speed.py"


@pytest.fixture(scope="module")
def wavegan_speed():
    spec = importlib.util.spec_from_file_location("wavegan_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_multiply_adds_are_those_of_the_layers(wavegan_speed):
    gan = WaveGAN(16384, dim=4)
    upconvs = [math.prod(x.kernel.shape) for x in gan.generator.upconvs]
    downconvs = [math.prod(x.kernel.shape) for x in gan.discriminator.downconvs]
    # Steps of each map at its lower rate.
    steps = [16, 64, 256, 1024, 4096]
    generator = math.prod(gan.generator.dense.kernel.shape) + sum(
        a * b for a, b in zip(upconvs, steps, strict=True)
    )
    first = downconvs[0] * 4096
    discriminator = math.prod(gan.discriminator.score.kernel.shape) + sum(
        a * b for a, b in zip(downconvs, steps[::-1], strict=True)
    )
    counted = wavegan_speed.network_multiply_adds(4)
    assert counted == (generator, discriminator, first)
    # Per clip: 5 discriminator updates and one of the generator.
    update = generator + 10 * discriminator - 2 * first
    expected = 5 * update + 3 * generator + 2 * discriminator
    assert wavegan_speed.iteration_multiply_adds(4, 3) == 3 * expected
