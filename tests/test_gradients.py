"""Derivatives on every backend, and optimisers that survive bad ones."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_audiogan.layers import BatchNorm
from keras_audiogan.training import gradients, losses
from keras_audiogan.training.optimizers import GuardedOptimizer, OptimizerPair

pytestmark = pytest.mark.backends


def variable(value, name="w"):
    return keras.Variable(np.asarray(value, "float32"), name=name)


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def test_value_and_gradients():
    a, b, unused = variable([1.0, 2.0]), variable(3.0), variable([7.0])
    loss, aux, grads = gradients.value_and_gradients(
        lambda: (ops.sum(a * a) * b, {"twice": 2.0 * ops.sum(a)}),
        [a, b, unused],
    )
    assert float(as_numpy(loss)) == 15.0
    assert float(as_numpy(aux["twice"])) == 6.0
    np.testing.assert_allclose(as_numpy(grads[0]), [6.0, 12.0])
    np.testing.assert_allclose(as_numpy(grads[1]), 5.0)
    np.testing.assert_array_equal(as_numpy(grads[2]), [0.0])


def test_only_the_asked_variables_are_differentiated():
    a, b = variable([1.0, 2.0]), variable(3.0)
    _, _, grads = gradients.value_and_gradients(
        lambda: (ops.sum(a * b), {}), [b]
    )
    assert len(grads) == 1
    np.testing.assert_allclose(as_numpy(grads[0]), 3.0)


def test_input_gradients():
    x = np.array([[0.5, -2.0], [1.0, 3.0]], "float32")
    y = np.array([[2.0], [-1.0]], "float32")
    slopes = gradients.input_gradients(
        lambda inputs: ops.sum(inputs[0] ** 3 * inputs[1], axis=1),
        [ops.convert_to_tensor(x), ops.convert_to_tensor(y)],
    )
    np.testing.assert_allclose(as_numpy(slopes[0]), 3 * x**2 * y, rtol=1e-6)
    expected = np.sum(x**3, axis=1, keepdims=True)
    np.testing.assert_allclose(as_numpy(slopes[1]), expected, rtol=1e-6)


def test_penalty_of_a_linear_critic_is_analytic():
    # The slope of w.x is w for every example, so the penalty is (|w| - 1)^2
    # and its derivative 2 (|w| - 1) w / |w|.
    weights = np.array([3.0, -4.0, 12.0], "float32")
    w = variable(weights)
    x = ops.convert_to_tensor(np.ones((5, 3), "float32"))

    def penalty():
        (slopes,) = gradients.input_gradients(
            lambda inputs: ops.sum(inputs[0] * w, axis=1), [x]
        )
        return losses.gradient_penalty(slopes), {}

    value, _, (gradient,) = gradients.value_and_gradients(penalty, [w])
    assert float(as_numpy(value)) == pytest.approx(144.0, rel=1e-5)
    np.testing.assert_allclose(
        as_numpy(gradient), 2 * 12 * weights / 13, rtol=1e-4
    )


def test_penalty_at_a_flat_critic_has_a_finite_gradient():
    w = variable([0.0, 0.0])
    x = ops.convert_to_tensor(np.ones((2, 2), "float32"))

    def penalty():
        (slopes,) = gradients.input_gradients(
            lambda inputs: ops.sum(inputs[0] * w, axis=1), [x]
        )
        return losses.gradient_penalty(slopes), {}

    value, _, (gradient,) = gradients.value_and_gradients(penalty, [w])
    assert float(as_numpy(value)) == pytest.approx(1.0, abs=1e-4)
    assert np.isfinite(as_numpy(gradient)).all()


def test_second_derivative_equals_finite_differences():
    rng = np.random.default_rng(0)
    w = variable(rng.standard_normal((4, 3)))
    x = ops.convert_to_tensor(rng.standard_normal((6, 4)).astype("float32"))

    def score(inputs):
        return ops.sum(ops.tanh(ops.matmul(inputs[0], w)) ** 2, axis=1)

    def penalty():
        (slopes,) = gradients.input_gradients(score, [x])
        return losses.gradient_penalty(slopes), {}

    _, _, (gradient,) = gradients.value_and_gradients(penalty, [w])
    gradient, start, step = as_numpy(gradient), as_numpy(w), 1e-2
    for index in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * step
            w.assign(moved)
            ends.append(float(as_numpy(penalty()[0])))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert gradient[index] == pytest.approx(slope, abs=5e-3, rel=5e-3)


def test_second_derivative_through_batch_norm():
    # A normalised batch knows neither its former scale w nor its offset, so
    # neither do its slopes; times w, their squares grow as w^2.
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 8, 1)).astype("float32")
    x, weight = ops.convert_to_tensor(x), ops.convert_to_tensor(weight)
    w, offset = variable(2.0), variable(0.5)
    norm = BatchNorm(epsilon=0.0)
    norm.build((None, 1))

    def score(views):
        normal = norm(views[0] * w + offset, training=True)
        return ops.sum(normal**3 * weight) * w

    def squared_slopes():
        (slopes,) = gradients.input_gradients(score, [x])
        return ops.sum(ops.square(slopes)), {}

    value, _, grads = gradients.value_and_gradients(squared_slopes, [w, offset])
    value, by_scale, by_offset = (float(as_numpy(v)) for v in (value, *grads))
    assert value > 1.0
    assert by_scale == pytest.approx(2 * value / 2.0, rel=1e-3)
    assert by_offset == pytest.approx(0.0, abs=1e-3 * value)


def test_seeds_drawn_inside_a_derivative_move_on():
    w, seeds = variable(1.0), keras.random.SeedGenerator(0)

    def noisy():
        return w * keras.random.uniform((), seed=seeds), {}

    first, _, _ = gradients.value_and_gradients(noisy, [w])
    second, _, _ = gradients.value_and_gradients(noisy, [w])
    assert float(as_numpy(first)) != float(as_numpy(second))


def guarded(w, **kwargs):
    return GuardedOptimizer(keras.optimizers.Adam(0.1), [w], **kwargs)


def state_of(optimizer, w):
    return [as_numpy(v).copy() for v in [w, *optimizer.inner.variables]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_step_leaves_no_trace_and_is_counted(bad):
    w, data = variable([1.0, 2.0]), variable([1.0, 1.0])
    optimizer = guarded(w)

    def step():
        return optimizer.minimize(lambda: (ops.sum(w * w * data), {}))

    step()
    before = state_of(optimizer, w)
    data.assign([1.0, bad])
    step()
    after = state_of(optimizer, w)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(as_numpy(optimizer.skipped)) == 1
    data.assign([1.0, 1.0])
    loss, _ = step()
    assert np.isfinite(as_numpy(loss))
    assert not np.array_equal(as_numpy(w), before[0])
    assert int(as_numpy(optimizer.skipped)) == 1
    assert int(as_numpy(optimizer.inner.iterations)) == 2


def test_state_beside_the_weights_is_restored_after_a_skipped_step():
    w, data, mean = variable(1.0), variable(1.0), variable(5.0)
    optimizer = guarded(w)

    def loss():
        mean.assign(0.5 * (mean + data))
        return w * data, {}

    data.assign(np.nan)
    optimizer.minimize(loss, state=[mean])
    assert float(as_numpy(mean)) == 5.0
    data.assign(3.0)
    optimizer.minimize(loss, state=[mean])
    assert float(as_numpy(mean)) == 4.0


def test_loss_scale_halves_and_doubles():
    w, data = variable(1.0), variable(1.0)
    optimizer = guarded(w, dynamic_scale=True, growth_steps=3)

    def step(value):
        data.assign(value)
        loss, _ = optimizer.minimize(lambda: (w * data, {}))
        return float(as_numpy(loss)), float(as_numpy(optimizer.scale))

    loss, scale = step(1.0)
    assert (loss, scale) == (1.0, 2.0**15)
    assert step(np.inf)[1] == 2.0**14
    # Three good ones in a row double it: the first before the skip is out.
    assert [step(1.0)[1] for _ in range(4)] == [2.0**14] * 2 + [2.0**15] * 2
    assert step(np.nan)[1] == 2.0**14
    for _ in range(20):
        step(np.nan)
    assert float(as_numpy(optimizer.scale)) == 1.0


def test_loss_scale_does_not_change_the_step():
    results = []
    for dynamic in (False, True):
        w = variable([1.0, -2.0])
        optimizer = GuardedOptimizer(sgd(), [w], dynamic_scale=dynamic)
        optimizer.minimize(lambda w=w: (ops.sum(w**3), {}))
        results.append(as_numpy(w))
    np.testing.assert_allclose(results[0], [0.7, -3.2], rtol=1e-6)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_guarded_optimizer_lists_all_its_state():
    w = variable(1.0)
    optimizer = guarded(w, dynamic_scale=True)
    expected = len(optimizer.inner.variables) + 3
    assert len(optimizer.variables) == expected
    assert len({id(v) for v in optimizer.variables}) == expected


def test_pair_scales_both_learning_rates():
    a, b = variable(1.0), variable(2.0)
    pair = OptimizerPair(
        GuardedOptimizer(sgd(0.1), [a]), GuardedOptimizer(sgd(0.4), [b])
    )
    pair.learning_rate = 0.05
    rates = [
        float(as_numpy(o.inner.learning_rate))
        for o in (pair.generator, pair.discriminator)
    ]
    assert rates == pytest.approx([0.05, 0.2])
    assert float(as_numpy(pair.learning_rate)) == pytest.approx(0.05)
    assert len(pair.variables) == len(pair.generator.variables) + len(
        pair.discriminator.variables
    )
