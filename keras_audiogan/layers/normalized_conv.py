"""Convolutions whose kernels are normalised, as vocoders have them.

With weight norm (arXiv:1602.07868) a kernel is `gain * v / |v|`, one gain for
each filter; of a transposed convolution, for each input channel, as the
vocoders that people trained have it. With spectral norm (arXiv:1802.05957)
it is divided by its largest singular value, which a step of power iteration
follows in training. The arithmetic of the norms is float32.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_audiogan.layers.grouped_conv import convolve
from keras_audiogan.layers.stft import root
from keras_audiogan.layers.strided_conv import transposed_convolution

NORMS = (None, "weight", "spectral")
PADDINGS = ("zeros", "reflect", "replicate")


class NormalizedConv(keras.layers.Layer):
    """What convolutions with normalised kernels have in common.

    Variables: `kernel` and `bias`; with weight norm `direction` and `gain` in
    place of `kernel`; with spectral norm also `left` and `right`, the
    singular vectors.

    Args:
        norm: `None`, `"weight"` or `"spectral"`.
        use_bias: whether a bias is added.
        kernel_stddev: standard deviation of a normal start of the kernel;
            None for PyTorch's uniform one, within `1 / sqrt(fan_in)`.
    """

    # Axis of the kernel with one gain for each place.
    _gain_axis = -1

    def __init__(
        self,
        norm: str | None = "weight",
        use_bias: bool = True,
        kernel_stddev: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if norm not in NORMS:
            raise ValueError(
                f"`norm` must be one of {NORMS}. Received: norm={norm!r}"
            )
        self.norm = norm
        self.use_bias = use_bias
        self.kernel_stddev = kernel_stddev

    def _add_variables(
        self, shape: tuple[int, ...], fan_in: int, num_biases: int
    ) -> None:
        bound = 1.0 / math.sqrt(fan_in)
        uniform = keras.initializers.RandomUniform(-bound, bound)
        start = (
            uniform
            if self.kernel_stddev is None
            else keras.initializers.RandomNormal(stddev=self.kernel_stddev)
        )

        def start_of_gain(gain_shape: Any, dtype: Any = None) -> Any:
            # An initialiser gives the same numbers whenever it is called.
            return ops.reshape(self._length(start(shape, dtype)), gain_shape)

        if self.norm == "weight":
            self.direction = self.add_weight(
                shape, start, name="direction", autocast=False
            )
            self.gain = self.add_weight(
                (shape[self._gain_axis],),
                start_of_gain,
                name="gain",
                autocast=False,
            )
        else:
            self.kernel = self.add_weight(
                shape, start, name="kernel", autocast=False
            )
        if self.norm == "spectral":
            columns = math.prod(shape) // shape[-1]
            self.left, self.right = (
                self.add_weight(
                    name=name,
                    shape=(size,),
                    initializer=keras.initializers.RandomNormal(
                        stddev=size**-0.5
                    ),
                    trainable=False,
                    autocast=False,
                    aggregation="only_first_replica",
                )
                for name, size in (("left", shape[-1]), ("right", columns))
            )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(num_biases,),
                initializer=keras.initializers.RandomUniform(-bound, bound),
            )

    def _length(self, kernel: Any) -> Any:
        axis = self._gain_axis % len(kernel.shape)
        others = [i for i in range(len(kernel.shape)) if i != axis]
        squares = ops.sum(ops.square(kernel), axis=others, keepdims=True)
        # Zeros have no direction, and then no gradient either.
        return root(squares)

    def effective_kernel(self, training: bool = False) -> Any:
        """Returns the kernel that inputs are convolved with, float32."""
        if self.norm == "weight":
            direction = ops.convert_to_tensor(self.direction)
            shape = [1] * len(direction.shape)
            shape[self._gain_axis] = -1
            gain = ops.reshape(self.gain, shape)
            return direction * (gain / self._length(direction))
        kernel = ops.convert_to_tensor(self.kernel)
        if self.norm is None:
            return kernel
        # Rows are filters; a row runs over channels, then over taps.
        axes = [len(kernel.shape) - 1, len(kernel.shape) - 2]
        axes += range(len(kernel.shape) - 2)
        matrix = ops.reshape(
            ops.transpose(kernel, axes), (kernel.shape[-1], -1)
        )
        left, right = self._singular_vectors(matrix, training)
        sigma = ops.sum(left * ops.sum(matrix * right, axis=1))
        return kernel / sigma

    def _singular_vectors(self, matrix: Any, training: bool) -> Any:
        left = ops.convert_to_tensor(self.left)
        right = ops.convert_to_tensor(self.right)
        if training:
            constant = ops.stop_gradient(matrix)
            right = _unit(ops.sum(constant * left[:, None], axis=0))
            left = _unit(ops.sum(constant * right, axis=1))
            # PyTorch assigns in place, and its derivative needs these.
            self.left.assign(ops.copy(left))
            self.right.assign(ops.copy(right))
        return ops.stop_gradient(left), ops.stop_gradient(right)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the convolution of `inputs`."""
        return self.apply_kernel(inputs, self.effective_kernel(training))

    def apply_kernel(self, inputs: Any, kernel: Any) -> Any:
        """Returns the convolution of `inputs` with a kernel of this shape."""
        raise NotImplementedError

    def _biased(self, x: Any) -> Any:
        return ops.add(x, self.bias) if self.use_bias else x


def _unit(vector: Any) -> Any:
    length = ops.sqrt(ops.sum(ops.square(vector)))
    return vector / ops.maximum(length, 1e-12)


class TimeState:
    """What causal layers saw last, so that a sound can come in parts.

    Each part goes through the network by itself, within `used`: what layers
    put in front of it is then what they saw at the end of the part before.
    """

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._calls = 0

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Lets layers go on from here; after an error it is as it was."""
        before, self._calls = list(self._held), 0
        token = _STATE.set(self)
        try:
            yield
        except BaseException:
            self._held = before
            raise
        finally:
            _STATE.reset(token)

    def padded(self, inputs: Any, left: int, mode: str) -> Any:
        """Returns a part with what came before it in front."""
        # Layers are called in the same order for every part.
        place, self._calls = self._calls, self._calls + 1
        if place < len(self._held):
            made = ops.concatenate([self._held[place], inputs], axis=1)
            self._held[place] = ops.stop_gradient(made[:, -left:])
        else:
            made = _padded(inputs, left, 0, mode)
            self._held.append(ops.stop_gradient(made[:, -left:]))
        return made


_STATE: contextvars.ContextVar[TimeState | None] = contextvars.ContextVar(
    "_STATE", default=None
)


def pad_time(inputs: Any, left: int, right: int, mode: str) -> Any:
    """Returns a tensor made longer along its axis 1.

    The mode is `"zeros"`, `"reflect"` (the edge is not repeated) or
    `"replicate"` (the edge is). Within a `TimeState` what is put in front of
    causal layers is what they saw last.
    """
    if not left and not right:
        return inputs
    state = _STATE.get()
    if state is not None and not right:
        return state.padded(inputs, left, mode)
    return _padded(inputs, left, right, mode)


def _padded(inputs: Any, left: int, right: int, mode: str) -> Any:
    if mode == "replicate":
        # Copies are one operation of a graph, where `repeat` is a dozen.
        first, last = inputs[:, :1], inputs[:, -1:]
        return ops.concatenate(
            [first] * left + [inputs] + [last] * right, axis=1
        )
    widths = [[0, 0], [left, right]] + [[0, 0]] * (len(inputs.shape) - 2)
    return ops.pad(
        inputs, widths, "reflect" if mode == "reflect" else "constant"
    )


@keras.saving.register_keras_serializable("keras_audiogan")
class NormalizedConv1D(NormalizedConv):
    """A 1-D convolution with a normalised kernel.

    Args:
        filters: output channels.
        kernel_size: taps.
        strides: step of the output.
        dilation_rate: distance of the taps.
        groups: groups of channels, each with its own filters.
        padding: steps added in front and behind; a word stands for as many
            as keep the length at stride 1: `"same"` on both sides, `"causal"`
            in front.
        padding_mode: `"zeros"`, `"reflect"` or `"replicate"`.
        **kwargs: see `NormalizedConv`.

    Input shape: `(batch, time, channels)`.
    Output shape: `(batch, (time + padding - reach) // strides + 1, filters)`,
        `reach` being `(kernel_size - 1) * dilation_rate + 1`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        dilation_rate: int = 1,
        groups: int = 1,
        padding: str | Sequence[int] = "same",
        padding_mode: str = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if padding_mode not in PADDINGS:
            raise ValueError(
                f"`padding_mode` must be one of {PADDINGS}. "
                f"Received: padding_mode={padding_mode!r}"
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.dilation_rate = dilation_rate
        self.groups = groups
        self.padding = padding
        self.padding_mode = padding_mode
        reach = (kernel_size - 1) * dilation_rate
        if padding == "same":
            self.widths = (reach // 2, reach - reach // 2)
        elif padding == "causal":
            self.widths = (reach, 0)
        else:
            self.widths = (int(padding[0]), int(padding[1]))

    def build(self, input_shape: Any) -> None:
        """Creates the variables."""
        channels = int(input_shape[-1])
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                "Channels and filters must be multiples of `groups`. Received: "
                f"channels={channels}, filters={self.filters}, "
                f"groups={self.groups}"
            )
        each = channels // self.groups
        self._add_variables(
            (self.kernel_size, each, self.filters),
            each * self.kernel_size,
            self.filters,
        )

    def apply_kernel(self, inputs: Any, kernel: Any) -> Any:
        """Returns the convolution of `inputs` with a kernel of this shape."""
        kernel = ops.cast(kernel, self.compute_dtype)
        left, right = self.widths
        if left == right and self.strides == 1 and self.padding_mode == "zeros":
            reach = (self.kernel_size - 1) * self.dilation_rate
            if 2 * left == reach:
                return self._biased(
                    convolve(inputs, kernel, 1, self.dilation_rate, "same")
                )
        inputs = pad_time(inputs, left, right, self.padding_mode)
        return self._biased(
            convolve(inputs, kernel, self.strides, self.dilation_rate)
        )


@keras.saving.register_keras_serializable("keras_audiogan")
class NormalizedConv1DTranspose(NormalizedConv):
    """A transposed 1-D convolution whose output is `strides` times as long.

    Computed as a dense convolution to `strides * filters` channels.

    Args:
        filters: output channels.
        kernel_size: taps.
        strides: up-sampling factor.
        crop: samples cut off in front of the full result; what is left over
            at its end is cut off as well. With `causal` it is `strides`.
        causal: whether an output sees no later input: the first step is
            repeated in front, after kan-bayashi's implementation.
        **kwargs: see `NormalizedConv`.

    Input shape: `(batch, time, channels)`.
    Output shape: `(batch, time * strides, filters)`.
    """

    _gain_axis = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int,
        crop: int | None = None,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.causal = causal
        if crop is None:
            crop = (kernel_size - strides) // 2
        self.crop = strides if causal else crop

    def build(self, input_shape: Any) -> None:
        """Creates the variables."""
        self._add_variables(
            (self.kernel_size, self.filters, int(input_shape[-1])),
            self.filters * self.kernel_size,
            self.filters,
        )

    def apply_kernel(self, inputs: Any, kernel: Any) -> Any:
        """Returns the transposed convolution of `inputs` with a kernel."""
        crop = self.crop
        kernel = ops.cast(kernel, self.compute_dtype)
        if self.causal:
            inputs = pad_time(inputs, 1, 0, "replicate")
        x = transposed_convolution(inputs, kernel, self.strides, crop)
        if self.causal:
            x = x[:, : -self.strides]
        return self._biased(x)


@keras.saving.register_keras_serializable("keras_audiogan")
class NormalizedConv2D(NormalizedConv):
    """A 2-D convolution with a normalised kernel, strided along axis 1.

    Args:
        filters: output channels.
        kernel_size: taps along axes 1 and 2.
        strides: step of the output along axis 1.
        padding: steps of zeros before and after axis 1, and of each end of
            axis 2.
        **kwargs: see `NormalizedConv`.

    Input shape: `(batch, time, width, channels)`.
    Output shape: `(batch, time', width', filters)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: int = 1,
        padding: Sequence[int] = (0, 0, 0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = strides
        self.padding = tuple(padding)

    def build(self, input_shape: Any) -> None:
        """Creates the variables."""
        channels = int(input_shape[-1])
        self._add_variables(
            (*self.kernel_size, channels, self.filters),
            channels * math.prod(self.kernel_size),
            self.filters,
        )

    def apply_kernel(self, inputs: Any, kernel: Any) -> Any:
        """Returns the convolution of `inputs` with a kernel of this shape."""
        before, after, aside = self.padding
        if before and not after:
            # As causal layers are.
            inputs, before = pad_time(inputs, before, 0, "zeros"), 0
        if before or after or aside:
            inputs = ops.pad(
                inputs, [[0, 0], [before, after], [aside, aside], [0, 0]]
            )
        kernel = ops.cast(kernel, self.compute_dtype)
        return self._biased(convolve(inputs, kernel, (self.strides, 1), (1, 1)))
