"""What vocoders are trained on beside a discriminator, and against one.

Each function takes what was generated first and what is real second. All
arithmetic is float32. The originals' settings are in `FULL_BAND`, `SUB_BAND`
and `FEATURE_MATCHING`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_audiogan.audio.windows import get_window
from keras_audiogan.layers.mel_features import MelFeatures
from keras_audiogan.layers.stft import stft_power
from keras_audiogan.training.losses import (
    least_squares_generator,
    soft_least_squares_generator,
    wasserstein_generator,
)

#: Spectra of Parallel WaveGAN (arXiv:1910.11480), and of the whole signal of
#: multi-band MelGAN (arXiv:2005.05106).
FULL_BAND: dict[str, Any] = {
    "fft_lengths": (1024, 2048, 512),
    "frame_steps": (120, 240, 50),
    "window_lengths": (600, 1200, 240),
}

#: Spectra of the four bands of multi-band MelGAN.
SUB_BAND: dict[str, Any] = {
    "fft_lengths": (384, 683, 171),
    "frame_steps": (30, 60, 10),
    "window_lengths": (150, 300, 60),
}

#: Windows of `MultiScaleMelLoss`, and bands of each.
MEL_SCALES: tuple[tuple[int, int], ...] = (
    (2048, 160),
    (1024, 80),
    (512, 40),
    (256, 20),
    (128, 10),
)

#: Arguments of `MultiScaleMelLoss` that make it BigVGAN-v2's, and DAC's.
BIGVGAN_MELS: dict[str, Any] = {
    "scales": [
        [window, bands]
        for window, bands in zip(
            (2048, 1024, 512, 256, 128, 64, 32),
            (320, 160, 80, 40, 20, 10, 5),
            strict=True,
        )
    ],
    "edges": False,
}

# Of magnitudes, full scale 1, at 0 Hz and at half the rate.
_EDGE_FLOOR = 1e-3

#: Options of `feature_matching_loss`: kan-bayashi's recipes, jik876's
#: HiFi-GAN (every map, the score too, twice the sum), descriptinc's MelGAN,
#: whose 4 / (4 + 1) is for discriminators of four downsamplings, and
#: gemelo-ai's Vocos (the sum over maps, scores too).
FEATURE_MATCHING: dict[str, dict[str, Any]] = {
    "parallel_wavegan": {},
    "hifigan": {
        "average_by_layers": False,
        "average_by_discriminators": False,
        "include_final_outputs": True,
        "weight": 2.0,
    },
    "melgan": {"average_by_layers": False, "weight": 0.8},
    "vocos": {
        "average_by_layers": False,
        "average_by_discriminators": False,
        "include_final_outputs": True,
    },
}

ADVERSARIAL_KINDS = ("mse", "hinge", "double_hinge", "soft_mse")

# The root of a sum of squares has no slope at zero: equal spectra have a
# gradient of zero.
_SMALLEST_ENERGY = 1e-30


class MultiResolutionSTFTLoss:
    """Distance of spectra at several resolutions (arXiv:1910.11480, eq. 6-7).

    Spectral convergence is the Frobenius norm of the difference of the
    magnitudes over that of the real ones, taken over the whole batch; the
    other term is the mean absolute difference of the natural logarithms.
    Both are means over the resolutions. Magnitudes are roots of powers of at
    least `epsilon`.

    Args:
        fft_lengths: Samples in the transform of each resolution, even or
            odd.
        frame_steps: Samples from one frame to the next of each.
        window_lengths: Samples under the window of each.
        window: See `keras_audiogan.layers.stft.get_window`.
        epsilon: Smallest power.

    Raises:
        ValueError: If the three lists are empty or differ in length.
    """

    def __init__(
        self,
        fft_lengths: Sequence[int] = FULL_BAND["fft_lengths"],
        frame_steps: Sequence[int] = FULL_BAND["frame_steps"],
        window_lengths: Sequence[int] = FULL_BAND["window_lengths"],
        window: str | None = "hann",
        epsilon: float = 1e-7,
    ) -> None:
        lengths = {len(fft_lengths), len(frame_steps), len(window_lengths)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "Expected one `fft_lengths`, `frame_steps` and "
                "`window_lengths` for each resolution. Received: "
                f"fft_lengths={fft_lengths}, frame_steps={frame_steps}, "
                f"window_lengths={window_lengths}"
            )
        self.resolutions = list(
            zip(fft_lengths, frame_steps, window_lengths, strict=True)
        )
        self.window = window
        self.epsilon = epsilon

    def __call__(self, fake: Any, real: Any) -> tuple[Any, Any]:
        """Compares sound.

        Args:
            fake: Tensor `(batch, time, channels)` or `(batch, time)`;
                channels, such as bands, are compared as clips of their own.
            real: The same of the real sound; no gradient reaches it.

        Returns:
            Spectral convergence and log magnitude distance, two scalars.
        """
        fake = _rows(ops.convert_to_tensor(fake))
        real = _rows(ops.stop_gradient(ops.convert_to_tensor(real)))
        convergence, distance = 0.0, 0.0
        for resolution in self.resolutions:
            fake_power = self._power(fake, *resolution)
            real_power = self._power(real, *resolution)
            fake_root, real_root = ops.sqrt(fake_power), ops.sqrt(real_power)
            convergence = convergence + _norm(real_root - fake_root) / _norm(
                real_root
            )
            # Half the logarithm of the power is that of its root.
            distance = distance + 0.5 * ops.mean(
                ops.abs(ops.log(real_power) - ops.log(fake_power))
            )
        count = len(self.resolutions)
        return convergence / count, distance / count

    def _power(self, rows: Any, fft_length: int, step: int, length: int) -> Any:
        power = stft_power(rows, fft_length, step, length, self.window)
        return ops.maximum(power, self.epsilon)


class MultiScaleMelLoss:
    """Distance of log-mel spectrograms through several windows.

    The sum over the windows of the mean absolute difference of decimal
    logarithms; hops are a quarter of the window. After the multi-scale mel
    loss of DAC (arXiv:2306.06546).

    No band covers the lowest and the highest bin of a transform, in which a
    generator that makes spectra could put anything: of one of the windows
    these two are compared likewise, and weigh as much as two bands.

    Args:
        sampling_rate: Of the sound, in Hz.
        scales: Pairs of a window in samples and a number of bands, which
            are even on Slaney's scale up to half the rate.
        edges: Whether the lowest and the highest bin are compared, too.
    """

    def __init__(
        self,
        sampling_rate: int,
        scales: Sequence[Sequence[int]] = MEL_SCALES,
        edges: bool = True,
    ) -> None:
        self.features = [
            MelFeatures(sampling_rate, bands, window, window // 4, log_base=10)
            for window, bands in scales
        ]
        self.edges = edges
        # The second longest is short enough for any clip.
        self._edge_window, bands = scales[min(1, len(scales) - 1)]
        self._edge_weight = 2.0 / bands
        taper = get_window("hann", self._edge_window)
        signs = np.where(np.arange(self._edge_window) % 2, -1.0, 1.0)
        self._edge_kernel = np.stack([taper, taper * signs], axis=-1)

    def _edges(self, sound: Any) -> Any:
        """Logarithms of the magnitudes at 0 Hz and at half the rate."""
        bins = ops.conv(
            ops.cast(sound, "float32"),
            ops.convert_to_tensor(self._edge_kernel[:, None], "float32"),
            strides=self._edge_window // 4,
            padding="valid",
            data_format="channels_last",
        )
        return ops.log10(ops.maximum(ops.abs(bins), _EDGE_FLOOR))

    def __call__(self, fake: Any, real: Any) -> Any:
        """Compares sound.

        Args:
            fake: Tensor `(batch, time, 1)`, longer than half the longest
                window.
            real: The same of the real sound; no gradient reaches it.

        Returns:
            A scalar.
        """
        real = ops.stop_gradient(ops.convert_to_tensor(real))
        total = sum(mel_loss(each(fake), each(real)) for each in self.features)
        if not self.edges:
            return total
        edges = mel_loss(self._edges(fake), self._edges(real))
        return total + self._edge_weight * edges


def mel_loss(mel_fake: Any, mel_real: Any) -> Any:
    """Mean absolute difference of two log-mel spectrograms, a scalar.

    HiFi-GAN's reconstruction loss (arXiv:2010.05646, eq. 4), weighted 45.

    Args:
        mel_fake: Tensor `(batch, frames, num_mel_bins)`.
        mel_real: The same of the real sound; no gradient reaches it.
    """
    return _distance(mel_fake, mel_real)


def feature_matching_loss(
    fake_outputs: Sequence[Sequence[Any]],
    real_outputs: Sequence[Sequence[Any]],
    average_by_layers: bool = True,
    average_by_discriminators: bool = True,
    include_final_outputs: bool = False,
    weight: float = 1.0,
    weights: Sequence[float] | None = None,
) -> Any:
    """Mean absolute difference of the discriminators' maps, a scalar.

    Larsen et al., arXiv:1512.09300; MelGAN, arXiv:1910.06711, eq. 3.
    `FEATURE_MATCHING` holds the options of the originals.

    Args:
        fake_outputs: For each discriminator its maps of generated sound, in
            order, the scores last.
        real_outputs: The same of the real sound; no gradient reaches it.
        average_by_layers: Divide each discriminator's sum by its number of
            maps.
        average_by_discriminators: Divide by the number of discriminators.
        include_final_outputs: Compare the scores too.
        weight: Multiplies the result.
        weights: One for each discriminator; 1 by default.

    Raises:
        ValueError: If the two differ in length, or there is no map.
    """
    total = 0.0
    each = [1.0] * len(fake_outputs) if weights is None else weights
    for share, fake_maps, real_maps in zip(
        each, fake_outputs, real_outputs, strict=True
    ):
        fakes, reals = list(fake_maps), list(real_maps)
        if not include_final_outputs:
            fakes, reals = fakes[:-1], reals[:-1]
        if not fakes:
            raise ValueError(
                "A discriminator must have maps beside its scores. "
                f"Received: {len(fake_maps)} output(s)"
            )
        terms = [
            _distance(fake, real)
            for fake, real in zip(fakes, reals, strict=True)
        ]
        one = sum(terms[1:], terms[0])
        if average_by_layers:
            one = one / len(terms)
        total = total + share * one
    _check_count(fake_outputs)
    if average_by_discriminators:
        total = total / len(fake_outputs)
    return weight * total


def generator_adversarial_loss(
    fake_outputs: Any,
    kind: str | Sequence[str] = "mse",
    average_by_discriminators: bool = True,
    weights: Sequence[float] | None = None,
) -> Any:
    """What the generator is told by its discriminators, a scalar.

    `"mse"` is the mean squared distance of the scores to 1
    (arXiv:1611.04076), `"hinge"` minus their mean (arXiv:1705.02894),
    `"double_hinge"` their mean shortfall from a margin of 1, after which
    they pull no more (arXiv:2306.00814), `"soft_mse"` the mean square of
    their softplus shortfall from 1 (arXiv:2309.02836).

    Args:
        fake_outputs: Scores of generated sound: a tensor, a list with one
            for each discriminator, or lists of maps with the scores last.
        kind: One of `ADVERSARIAL_KINDS`, or one for each discriminator.
        average_by_discriminators: Mean over the discriminators
            (kan-bayashi), or their sum (jik876, descriptinc).
        weights: One for each discriminator; 1 by default.

    Raises:
        ValueError: If `kind` is unknown or there are no outputs.
    """
    every = _scores(fake_outputs)
    terms = [
        _GENERATOR_LOSSES[each](None, scores)
        for each, scores in zip(_kinds(kind, len(every)), every, strict=True)
    ]
    return _total(terms, average_by_discriminators, weights)


def discriminator_adversarial_loss(
    fake_outputs: Any,
    real_outputs: Any,
    kind: str | Sequence[str] = "mse",
    average_by_discriminators: bool = True,
    weights: Sequence[float] | None = None,
) -> tuple[Any, Any]:
    """What the discriminators learn, to be added up.

    `"mse"` is the mean squared distance to 1 of real scores and to 0 of
    fake ones (arXiv:1611.04076), without a factor of a half; the others the
    mean shortfall from a margin of 1 (arXiv:1705.02894); of `"soft_mse"` the
    mean squares of softplus.

    Takes what `generator_adversarial_loss` takes, and the outputs of real
    sound.

    Returns:
        Loss on the real sound and loss on the generated, two scalars.
    """
    real_terms, fake_terms = [], []
    fakes, reals = _scores(fake_outputs), _scores(real_outputs)
    kinds = _kinds(kind, len(fakes))
    for each, fake, real in zip(kinds, fakes, reals, strict=True):
        if each == "soft_mse":
            real_terms.append(soft_least_squares_generator(None, real))
            fake_terms.append(soft_least_squares_generator(None, 1.0 - fake))
        elif each == "mse":
            real_terms.append(ops.mean(ops.square(real - 1.0)))
            fake_terms.append(ops.mean(ops.square(fake)))
        else:
            real_terms.append(ops.mean(ops.relu(1.0 - real)))
            fake_terms.append(ops.mean(ops.relu(1.0 + fake)))
    return (
        _total(real_terms, average_by_discriminators, weights),
        _total(fake_terms, average_by_discriminators, weights),
    )


def _rows(audio: Any) -> Any:
    if len(audio.shape) == 2:
        return audio
    time = ops.shape(audio)[1]
    return ops.reshape(ops.transpose(audio, (0, 2, 1)), (-1, time))


def _norm(values: Any) -> Any:
    return ops.sqrt(ops.maximum(ops.sum(ops.square(values)), _SMALLEST_ENERGY))


def _distance(fake: Any, real: Any) -> Any:
    fake = ops.convert_to_tensor(fake, "float32")
    real = ops.stop_gradient(ops.convert_to_tensor(real, "float32"))
    return ops.mean(ops.abs(fake - real))


def _scores(outputs: Any) -> list[Any]:
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    _check_count(outputs)
    last = [
        one[-1] if isinstance(one, (list, tuple)) else one for one in outputs
    ]
    return [ops.cast(scores, "float32") for scores in last]


def _double_hinge(real: Any, fake: Any) -> Any:
    del real
    return ops.mean(ops.relu(1.0 - fake))


_GENERATOR_LOSSES = {
    "mse": least_squares_generator,
    "hinge": wasserstein_generator,
    "double_hinge": _double_hinge,
    "soft_mse": soft_least_squares_generator,
}
# Of scores whose direction is learnt apart: what falls as they rise.
_SAN_KINDS = {"mse": "soft_mse"}
_DIRECTION_KINDS = {"mse": "soft_mse", "double_hinge": "hinge"}


def san_kinds(kind: str, san: Sequence[bool]) -> list[str]:
    """Returns the kind for each score: least squares turn, softplus do not.

    Args:
        kind: One of `ADVERSARIAL_KINDS`.
        san: Of each score, whether its direction is learnt apart.
    """
    return [_SAN_KINDS.get(kind, kind) if each else kind for each in san]


def direction_loss(
    fake_scores: Sequence[Any],
    real_scores: Sequence[Any],
    kind: str,
    weights: Sequence[float],
) -> Any:
    """What turns the directions of last layers (arXiv:2309.02836), a scalar.

    What the generator would lose by real scores less what it loses by those
    of what it made.

    Args:
        fake_scores: Those of generated sound, one tensor for each direction.
        real_scores: Those of real sound.
        kind: One of `ADVERSARIAL_KINDS`, that of the other losses.
        weights: One for each direction.
    """
    loss = _GENERATOR_LOSSES[_DIRECTION_KINDS.get(kind, kind)]
    return sum(
        weight * (loss(None, real) - loss(None, fake))
        for weight, fake, real in zip(
            weights, _scores(fake_scores), _scores(real_scores), strict=True
        )
    )


def _total(
    terms: list[Any], average: bool, weights: Sequence[float] | None
) -> Any:
    if weights is not None:
        terms = [w * term for w, term in zip(weights, terms, strict=True)]
    total = sum(terms[1:], terms[0])
    return total / len(terms) if average else total


def _check_count(outputs: Sequence[Any]) -> None:
    if not len(outputs):
        raise ValueError(
            "Expected the outputs of one or more discriminators. "
            "Received: an empty list"
        )


def _kinds(kind: str | Sequence[str], count: int) -> list[str]:
    kinds = [kind] * count if isinstance(kind, str) else list(kind)
    for each in kinds:
        if each not in ADVERSARIAL_KINDS:
            raise ValueError(
                f"`kind` must be one of {ADVERSARIAL_KINDS}. Received: {each!r}"
            )
    return kinds
