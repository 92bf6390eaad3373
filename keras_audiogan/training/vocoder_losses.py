"""What vocoders are trained on beside a discriminator, and against one.

Each function takes what was generated first and what is real second. All
arithmetic is float32. The originals' settings are in `FULL_BAND`, `SUB_BAND`
and `FEATURE_MATCHING`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_audiogan.layers.stft import stft_power
from keras_audiogan.training.losses import (
    least_squares_generator,
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

#: Options of `feature_matching_loss`: kan-bayashi's recipes, jik876's
#: HiFi-GAN (every map, the score too, twice the sum), and descriptinc's
#: MelGAN, whose 4 / (4 + 1) is for discriminators of four downsamplings.
FEATURE_MATCHING: dict[str, dict[str, Any]] = {
    "parallel_wavegan": {},
    "hifigan": {
        "average_by_layers": False,
        "average_by_discriminators": False,
        "include_final_outputs": True,
        "weight": 2.0,
    },
    "melgan": {"average_by_layers": False, "weight": 0.8},
}

ADVERSARIAL_KINDS = ("mse", "hinge")

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

    Raises:
        ValueError: If the two differ in length, or there is no map.
    """
    total = 0.0
    for fake_maps, real_maps in zip(fake_outputs, real_outputs, strict=True):
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
        total = total + (one / len(terms) if average_by_layers else one)
    _check_count(fake_outputs)
    if average_by_discriminators:
        total = total / len(fake_outputs)
    return weight * total


def generator_adversarial_loss(
    fake_outputs: Any,
    kind: str = "mse",
    average_by_discriminators: bool = True,
) -> Any:
    """What the generator is told by its discriminators, a scalar.

    `"mse"` is the mean squared distance of the scores to 1
    (arXiv:1611.04076), `"hinge"` minus their mean (arXiv:1705.02894).

    Args:
        fake_outputs: Scores of generated sound: a tensor, a list with one
            for each discriminator, or lists of maps with the scores last.
        kind: `"mse"` or `"hinge"`.
        average_by_discriminators: Mean over the discriminators
            (kan-bayashi), or their sum (jik876, descriptinc).

    Raises:
        ValueError: If `kind` is unknown or there are no outputs.
    """
    _check_kind(kind)
    loss = least_squares_generator if kind == "mse" else wasserstein_generator
    terms = [loss(None, scores) for scores in _scores(fake_outputs)]
    return _total(terms, average_by_discriminators)


def discriminator_adversarial_loss(
    fake_outputs: Any,
    real_outputs: Any,
    kind: str = "mse",
    average_by_discriminators: bool = True,
) -> tuple[Any, Any]:
    """What the discriminators learn, to be added up.

    `"mse"` is the mean squared distance to 1 of real scores and to 0 of
    fake ones (arXiv:1611.04076), without a factor of a half; `"hinge"` the
    mean shortfall from a margin of 1 (arXiv:1705.02894).

    Takes what `generator_adversarial_loss` takes, and the outputs of real
    sound.

    Returns:
        Loss on the real sound and loss on the generated, two scalars.
    """
    _check_kind(kind)
    real_terms, fake_terms = [], []
    pairs = zip(_scores(fake_outputs), _scores(real_outputs), strict=True)
    for fake, real in pairs:
        if kind == "mse":
            real_terms.append(ops.mean(ops.square(real - 1.0)))
            fake_terms.append(ops.mean(ops.square(fake)))
        else:
            real_terms.append(ops.mean(ops.relu(1.0 - real)))
            fake_terms.append(ops.mean(ops.relu(1.0 + fake)))
    return (
        _total(real_terms, average_by_discriminators),
        _total(fake_terms, average_by_discriminators),
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


def _total(terms: list[Any], average: bool) -> Any:
    total = sum(terms[1:], terms[0])
    return total / len(terms) if average else total


def _check_count(outputs: Sequence[Any]) -> None:
    if not len(outputs):
        raise ValueError(
            "Expected the outputs of one or more discriminators. "
            "Received: an empty list"
        )


def _check_kind(kind: str) -> None:
    if kind not in ADVERSARIAL_KINDS:
        raise ValueError(
            f"`kind` must be one of {ADVERSARIAL_KINDS}. Received: {kind!r}"
        )
