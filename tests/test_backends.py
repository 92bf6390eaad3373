"""Every architecture on every backend, and the backends against each other.

The marked tests run on whichever backend Keras has; `make test` runs them
once on each. The comparison runs all three in processes of their own.
"""

import importlib.util
import inspect
import os
import pathlib
import subprocess
import sys

import architecture_cases as cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.models import get_architecture, list_architectures
from keras_audiogan.training import gradients

BACKENDS = ("tensorflow", "jax", "torch")
GANS = cases.gan_architectures()
every_architecture = pytest.mark.parametrize("name", GANS)


@pytest.fixture(scope="module")
def models():
    """Architecture -> a compiled tiny model, built once."""
    built = {}

    def get(name):
        if name not in built:
            built[name] = cases.build(name)
            built[name].compile("dcgan", seed=1)
        cases.set_weights_from_paths(built[name])
        return built[name]

    return get


def test_every_architecture_has_a_tiny_case():
    for name in list_architectures():
        model_class = get_architecture(name)
        assert model_class.tiny, name
        known = set(inspect.signature(model_class).parameters)
        assert known >= {*model_class.tiny, *cases.deterministic(name)}, name


def rests(model, path):
    """Whether a step leaves a weight: pictures of blocks grown beyond."""
    whole = getattr(model, "num_blocks", None)
    if whole is None:
        return False
    if "_picture" in path:
        return f"block_{whole}_picture" not in path
    return path.endswith(("progress", "growth/lengths"))


@pytest.mark.slow
@pytest.mark.backends
@every_architecture
def test_architecture_trains_a_step_and_samples(models, name):
    model = models(name)
    before = [np.array(w) for w in model.weights]
    batch = cases.make_batch(model, 4)
    del batch["latents"]
    logs = model.fit(batch, batch_size=4, verbose=0).history
    assert all(np.isfinite(v).all() for v in logs.values()), logs
    assert logs["skipped"] == [0.0]
    for old, weight in zip(before, model.weights, strict=True):
        stayed = np.array_equal(old, np.array(weight))
        assert stayed == rests(model, weight.path), weight.path
    audio = model.sample(2, seed=0)
    assert audio.shape == (2, model.slice_length, model.num_channels)
    assert audio.dtype == np.float32
    assert np.abs(audio).max() <= 1.0 and audio.std() > 0.0


def grown(model):
    """Goes through the stages of networks that grow, else through one."""
    whole = getattr(model, "num_blocks", None)
    if whole is None:
        yield
        return
    for blocks in range(1, whole + 1):
        model.num_blocks = blocks
        for network in (model.generator, model.discriminator):
            network.progress.assign(blocks - 1.5)
        yield
    for network in (model.generator, model.discriminator):
        network.progress.assign(whole - 1.0)


@pytest.mark.backends
@every_architecture
def test_every_parameter_has_a_gradient(models, name):
    model = models(name)
    batch = model.as_batch(
        keras.tree.map_structure(
            ops.convert_to_tensor, cases.make_batch(model, 4)
        )
    )

    def loss():
        fake = model._generated(batch["latents"][:, 0], batch)
        outputs = model._features(model.discriminator.views(fake), batch)
        scores = sum(ops.sum(maps[-1] ** 2) for maps in outputs)
        # Class heads have their part there.
        return scores + model._generator_extra(fake, outputs, batch)[0], {}

    variables = [
        *model.generator.trainable_variables,
        *model.discriminator.trainable_variables,
    ]
    reached = np.zeros(len(variables))
    for _ in grown(model):
        _, _, grads = gradients.value_and_gradients(loss, variables)
        reached += [np.abs(ops.convert_to_numpy(g)).max() for g in grads]
    for variable, most in zip(variables, reached, strict=True):
        assert most > 0, variable.path


@pytest.mark.backends
@every_architecture
def test_the_seed_alone_decides_the_sound(models, name):
    model = models(name)
    audio = model.sample(5, seed=3, batch_size=5)
    np.testing.assert_array_equal(audio, model.sample(5, seed=3, batch_size=5))
    in_pairs = model.sample(5, seed=3, batch_size=2)
    np.testing.assert_allclose(audio, in_pairs, atol=1e-5)
    fewer = model.sample(2, seed=3, batch_size=2)
    np.testing.assert_array_equal(fewer, in_pairs[:2])
    assert np.abs(audio - model.sample(5, seed=4, batch_size=5)).max() > 1e-3


@pytest.mark.backends
@every_architecture
def test_discriminator_returns_feature_maps_with_logits_last(models, name):
    model = models(name)
    audio = ops.convert_to_tensor(cases.make_batch(model, 2)["audio"])
    seen = model.representation.analyse(audio)
    outputs = model.discriminator(seen, training=False)
    assert isinstance(outputs, list) and outputs
    for maps in outputs:
        assert isinstance(maps, list) and maps
        assert all(value.shape[0] == 2 for value in maps)


@pytest.mark.backends
@every_architecture
def test_config_rebuilds_the_architecture(models, name):
    model = models(name)
    copy = type(model).from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    assert [w.path for w in copy.weights] == [w.path for w in model.weights]
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        model.sample(1, seed=0), copy.sample(1, seed=0)
    )


def missing():
    return [name for name in BACKENDS if not importlib.util.find_spec(name)]


@pytest.fixture(scope="module")
def of_backends(tmp_path_factory):
    """Backend -> what `backend_worker.py` wrote, all run side by side."""
    if missing():
        pytest.skip(f"not installed: {', '.join(missing())}")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("runs all three backends, once, from the default one")
    folder = tmp_path_factory.mktemp("backends")
    here = pathlib.Path(__file__).parent
    processes = {
        name: subprocess.Popen(
            [
                sys.executable,
                here / "backend_worker.py",
                folder / f"{name}.npz",
            ],
            env={
                **os.environ,
                "KERAS_BACKEND": name,
                "XLA_FLAGS": "--xla_backend_optimization_level=0 "
                "--xla_llvm_disable_expensive_passes=true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in BACKENDS
    }
    outputs = {name: p.communicate()[0] for name, p in processes.items()}
    for name, process in processes.items():
        assert process.returncode == 0, f"{name}:\n{outputs[name]}"
    results = {}
    for name in BACKENDS:
        with np.load(folder / f"{name}.npz") as file:
            results[name] = dict(file)
    return results


def compare(of_backends, prefix, atol=1e-4):
    """Compares all arrays of a prefix, and returns TensorFlow's."""
    reference = {
        key: value
        for key, value in of_backends["tensorflow"].items()
        if key.startswith(prefix)
    }
    assert reference
    for name in BACKENDS[1:]:
        for key, value in reference.items():
            np.testing.assert_allclose(
                of_backends[name][key],
                value,
                # Moving variances of untrained networks can be large.
                rtol=1e-5,
                atol=atol,
                err_msg=f"{name} {key}",
            )
    return reference


@pytest.mark.slow
@pytest.mark.parametrize("form", [*GANS, *cases.VARIANTS])
def test_same_weights_give_the_same_sound(of_backends, form):
    (audio,) = compare(of_backends, f"{form}//sound").values()
    assert audio.std() > 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loss"),
    [(name, loss) for name in GANS for loss in cases.compared_losses(name)],
)
def test_one_fit_step_gives_the_same_weights(of_backends, name, loss):
    after = compare(of_backends, f"{name}//{loss}//")
    model = cases.build(name)
    cases.set_weights_from_paths(model)
    moved = [
        weight.path
        for weight in model.weights
        if not np.array_equal(
            after[f"{name}//{loss}//{weight.path}"], np.array(weight)
        )
    ]
    # A score's bias cancels out of losses of score differences.
    still = {weight.path for weight in model.weights} - set(moved)
    if loss == "wgan":
        # Clipped weights pass a tiny network's gradients on too small.
        still = {path for path in still if "generator" not in path}
    allowed = {path for path in still if path.endswith("output/bias")}
    if name == "gansynth":
        # Blocks that wait for their stage, and a grown network's progress.
        allowed |= {path for path in still if "progress" in path}
        allowed |= {"growth/count", "growth/lengths"}
        allowed |= {path for path in still if "_picture" in path}
    if name == "stft_gan":
        # Where real and fake are on one side of the last leaky ReLU, what
        # its bias adds cancels out too.
        allowed |= {path for path in still if path.endswith("conv_4/bias")}
    if name == "cgan" and loss == "wgan-gp":
        # Real and fake have the same labels: where both are on one side of
        # every leaky ReLU, what the label adds cancels out too.
        allowed |= {"discriminator/hidden/bias"}
        allowed |= {"discriminator/embedding/kernel"}
    if name.endswith("dcgan"):
        # A batch norm takes off what the bias before it adds.
        allowed |= {"discriminator/downconv_1/bias"}
        allowed |= {f"{g}generator/upconv_0/bias" for g in ("", "ema_")}
    assert still <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(cases.VARIANTS))
def test_one_fit_step_of_a_variant_gives_the_same_weights(of_backends, form):
    compare(of_backends, f"{form}//{cases.VARIANTS[form][2]}//")


VOCODERS = [*cases.vocoder_architectures(), *cases.VOCODER_VARIANTS]


@pytest.mark.slow
@pytest.mark.parametrize("form", VOCODERS)
def test_same_weights_of_a_vocoder_give_the_same_sound(of_backends, form):
    (audio,) = compare(of_backends, f"{form}//sound").values()
    assert audio.std() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("form", VOCODERS)
def test_one_fit_step_of_a_vocoder_gives_the_same_weights(of_backends, form):
    # The mel loss turns its slope of 45 round where a band is all but right,
    # which is a matter of rounding.
    atol = 1e-3 if form == "bigvgan" else 1e-4
    after = compare(of_backends, f"{form}//step//", atol)
    assert any("generator" in path for path in after)
