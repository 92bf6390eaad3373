"""Sound from frames of channels, by an inverse Fourier transform."""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.margins import margin
from keras_audiogan.audio.transforms import (
    constant,
    irfft,
    overlap_add,
    overlap_weight_of,
)
from keras_audiogan.audio.windows import centered_window

PADDINGS = ("same", "center")
PHASES = ("angle", "frequency")
# The original's guard against magnitudes out of all proportion.
_LARGEST_MAGNITUDE = 100.0
_LEAST_WEIGHT = 1e-2


@keras.saving.register_keras_serializable("keras_audiogan")
class InverseSTFTHead(keras.layers.Layer):
    """Frames of channels -> magnitudes and phases -> sound.

    One dense layer makes logarithms of magnitudes and phases in radians, bin
    by bin; windowed frames are added up, and divided by what the squared
    windows add up to. All of it is float32. Source: Siuzdak, "Vocos"
    (arXiv:2306.00814).

    Args:
        fft_length: samples in a frame.
        frame_step: samples from one frame to the next.
        padding: `"same"` puts frame `i` around sample `(i + 0.5) *
            frame_step`, `"center"` around sample `i * frame_step`.
        num_channels: of the sound.
        window: see `keras_audiogan.audio.windows.get_window`.
        start_level: root mean square of the sound at the start, full scale
            1, from phases that differ from bin to bin; None for the start of
            a dense layer in PyTorch, as the original has it.
        phase: what the dense layer makes of phases: `"angle"`, each by
            itself, or `"frequency"`, how much further than a wave of the
            bin's own frequency each has turned since the frame before, in
            radians; it is added up over the frames. A steady tone is then
            the same in every frame, as GANSynth (arXiv:1902.08710) has it;
            by angles, frames that are alike repeat one pattern at every
            step, which buzzes.
        dc: whether frames have a part at 0 Hz. Sound has none, and what
            listens to spectra on a logarithmic scale hardly sees one.

    Raises:
        ValueError: if the padding or phase is unknown, or frames are not
            longer than their step.

    Input shape: `(batch, frames, channels)`.
    Output shape: `(batch, frames * frame_step, num_channels)`. With
        `"center"` the last step lies under the last frame's second half
        only; the original, as `torch.istft`, leaves it out.
    """

    def __init__(
        self,
        fft_length: int,
        frame_step: int,
        padding: str = "same",
        num_channels: int = 1,
        window: str = "hann",
        start_level: float | None = None,
        phase: str = "angle",
        dc: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if phase not in PHASES or not isinstance(dc, bool):
            raise ValueError(
                f"`phase` must be one of {PHASES}, and `dc` true or false. "
                f"Received: phase={phase!r}, dc={dc!r}"
            )
        if padding not in PADDINGS:
            raise ValueError(
                f"`padding` must be one of {PADDINGS}. "
                f"Received: padding={padding!r}"
            )
        if fft_length % 2 or not 0 < 2 * frame_step <= fft_length:
            raise ValueError(
                "`fft_length` must be even and at least twice `frame_step`. "
                f"Received: fft_length={fft_length}, frame_step={frame_step}"
            )
        self.fft_length = fft_length
        self.frame_step = frame_step
        self.padding = padding
        self.num_channels = num_channels
        self.window = window
        self.start_level = start_level
        self.phase = phase
        self.dc = dc
        self.taper = centered_window(window, None, fft_length)

    def build(self, input_shape: Any) -> None:
        """Creates the dense layer."""
        bound = 1.0 / math.sqrt(input_shape[-1])
        uniform = keras.initializers.RandomUniform(-bound, bound)
        bias: Any = uniform
        if self.start_level is not None:
            bias = functools.partial(self._start_of_bias, self.start_level)
        self.out = keras.layers.Dense(
            self.num_channels * (self.fft_length + 2),
            kernel_initializer=uniform,
            bias_initializer=bias,
            dtype="float32",
            name="out",
        )
        self.out.build(input_shape)

    def _start_of_bias(
        self, level: float, shape: Any, dtype: Any = None
    ) -> Any:
        """Log-magnitudes of noise at the level, and phases at random."""
        overlap = np.sum(self.taper**2) / self.frame_step
        magnitude = level * math.sqrt(self.fft_length * overlap)
        half = (self.num_channels, shape[0] // self.num_channels // 2)
        phases = keras.random.uniform(half, -math.pi, math.pi, dtype=dtype)
        # What the kernel adds, of inputs that are normalised, has a variance
        # of a third: its exponential is that much louder.
        logs = ops.full(half, math.log(magnitude) - 1.0 / 3.0, dtype=dtype)
        return ops.reshape(ops.concatenate([logs, phases], axis=-1), shape)

    def call(self, inputs: Any) -> Any:
        """Returns sound, float32."""
        x = self.out(inputs)
        frames, channels = ops.shape(x)[1], self.num_channels
        if channels > 1:
            x = ops.reshape(x, (-1, frames, channels, self.fft_length + 2))
            x = ops.transpose(x, (0, 2, 1, 3))
            x = ops.reshape(x, (-1, frames, self.fft_length + 2))
        sound = self.synthesise(*ops.split(x, 2, axis=-1))
        if channels == 1:
            return ops.expand_dims(sound, -1)
        sound = ops.reshape(sound, (-1, channels, frames * self.frame_step))
        return ops.transpose(sound, (0, 2, 1))

    def synthesise(self, logs: Any, phases: Any) -> Any:
        """Turns spectra into sound.

        Args:
            logs: natural logarithms of magnitudes, `(rows, frames,
                fft_length // 2 + 1)`.
            phases: in radians, of the same shape; or what `phase` says.

        Returns:
            `(rows, frames * frame_step)`.
        """
        if self.phase == "frequency":
            phases = ops.cumsum(phases, axis=1) + self.turns(phases)
        # The limit stands before the exponential, whose gradient would
        # otherwise be infinite times zero.
        logs = ops.minimum(logs, math.log(_LARGEST_MAGNITUDE))
        magnitudes = ops.exp(logs)
        if not self.dc:
            heard = np.ones(self.fft_length // 2 + 1, "float32")
            heard[0] = 0.0
            magnitudes = magnitudes * constant(heard, magnitudes)
        real = magnitudes * ops.cos(phases)
        imaginary = magnitudes * ops.sin(phases)
        taper = ops.convert_to_tensor(self.taper)
        parts = irfft(real, imaginary, self.fft_length) * taper
        sound = overlap_add(parts, self.frame_step)
        # Nothing of use lies where the windows vanish.
        weights = overlap_weight_of(
            parts, self.taper, self.frame_step, _LEAST_WEIGHT
        )
        start = margin(self.fft_length, self.frame_step, self.padding)
        stop = start + ops.shape(parts)[1] * self.frame_step
        return sound[:, start:stop] / weights[start:stop]

    def turns(self, phases: Any) -> Any:
        """Returns how far a wave of each bin has turned, `(frames, bins)`.

        In radians below a whole turn, counted in whole numbers: long sounds
        lose nothing to rounding.
        """
        bins = np.arange(self.fft_length // 2 + 1) * self.frame_step
        bins = ops.convert_to_tensor(bins % self.fft_length, dtype="int32")
        frames = ops.arange(ops.shape(phases)[1], dtype="int32")
        parts = ops.mod(frames[:, None] * bins[None], self.fft_length)
        return ops.cast(parts, "float32") * (2.0 * math.pi / self.fft_length)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = (
            "fft_length frame_step padding num_channels window start_level "
            "phase dc"
        ).split()
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Returns `(batch, frames * frame_step, num_channels)`."""
        batch, frames = input_shape[:2]
        time = None if frames is None else frames * self.frame_step
        return (batch, time, self.num_channels)
