"""Half precision: what is computed in it, what is not, and its guards."""

import itertools
import warnings

import architecture_cases as cases
import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.training import precision

MIXED = ("mixed_bfloat16", "mixed_float16")


def tiny(policy, **options):
    model = cases.build("wavegan", dtype=policy, **options)
    cases.set_weights_from_paths(model)
    return model


def dtype_of(value):
    return keras.backend.standardize_dtype(value.dtype)


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize("policy", MIXED)
def test_a_mixed_step_is_finite_and_near_the_full_one(policy):
    results = {}
    for name in ("float32", policy):
        model = tiny(name, phase_shuffle=0)
        model.compile(
            "wgan-gp",
            discriminator_steps=1,
            generator_optimizer=keras.optimizers.SGD(0.01),
            discriminator_optimizer=keras.optimizers.SGD(0.01),
        )
        before = [np.array(w) for w in model.weights]
        batch = cases.make_batch(model, 2)
        logs = model.fit(batch, batch_size=2, verbose=0).history
        assert all(np.isfinite(v).all() for v in logs.values()), logs
        assert logs["skipped"] == [0.0]
        results[name] = [
            np.array(w) - old
            for w, old in zip(model.weights, before, strict=True)
        ]
        assert all(dtype_of(w) == "float32" for w in model.weights)
    # Steps of a few hundredths, known to the 8 bits of a bfloat16.
    full = np.concatenate([step.ravel() for step in results["float32"]])
    mixed = np.concatenate([step.ravel() for step in results[policy]])
    assert np.linalg.norm(mixed - full) < 0.1 * np.linalg.norm(full)


@pytest.mark.backends
@pytest.mark.parametrize("policy", MIXED)
def test_inner_layers_are_half_and_ends_are_float32(policy):
    model = tiny(policy)
    half = policy.removeprefix("mixed_")
    batch = cases.make_batch(model, 2)
    audio = model.generator(batch["latents"][:, 0])
    assert dtype_of(audio) == "float32"
    ((*maps, logits),) = model.discriminator(audio, training=True)
    assert dtype_of(logits) == "float32"
    assert {dtype_of(value) for value in maps} == {half}
    assert model.discriminator.score.compute_dtype == "float32"
    assert model.generator.upconvs[0].compute_dtype == half
    sampled = model.sample(2, seed=0)
    assert sampled.dtype == np.float32 and np.isfinite(sampled).all()


@pytest.mark.parametrize(
    "policy,scale", [("mixed_float16", 2.0**15), ("mixed_bfloat16", 1.0)]
)
def test_loss_scaling_is_for_float16_alone(policy, scale):
    model = tiny(policy)
    model.compile("dcgan")
    for guarded in (model.optimizer.generator, model.optimizer.discriminator):
        assert float(ops.convert_to_numpy(guarded.scale)) == scale


def test_float16_overflow_is_skipped_counted_and_lowers_the_scale():
    model = tiny("mixed_float16")
    model.compile("wgan", discriminator_steps=1)
    # Finite in float32, infinite in float16. Nobody looks into batches that
    # are drawn: an array of such numbers is refused.
    audio = np.full((2, 256, 1), 1e6, "float32")
    batches = ((audio,) for _ in itertools.count())
    before = np.array(model.discriminator.weights[0])
    logs = model.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    assert logs.history["skipped"] == [1.0]
    after = np.array(model.discriminator.weights[0])
    np.testing.assert_array_equal(after, np.clip(before, -0.01, 0.01))
    optimizer = model.optimizer
    assert float(np.array(optimizer.discriminator.scale)) == 2.0**14
    assert float(np.array(optimizer.generator.scale)) == 2.0**15


def test_resolve_precision():
    # Whatever this machine is, the policy is one that its kind calls for.
    resolved = precision.resolve_precision("auto")
    if precision.has_gpu():
        assert resolved == "mixed_float16"
    elif (
        precision.has_bfloat16_instructions()
        and keras.backend.backend() == "tensorflow"
    ):
        assert resolved == "mixed_bfloat16"
    else:
        assert resolved == "float32"
    for name in ("float32", "mixed_bfloat16"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert precision.resolve_precision(name) == name
    with pytest.raises(ValueError, match="Received: precision='half'"):
        precision.resolve_precision("half")


@pytest.mark.skipif(precision.has_gpu(), reason="float16 is fast on a GPU")
def test_float16_on_a_cpu_is_warned_about():
    with pytest.warns(UserWarning, match="many times slower"):
        assert precision.resolve_precision("mixed_float16") == "mixed_float16"
