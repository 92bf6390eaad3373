"""`SpectralGAN`, the class of models that make log-magnitude spectrograms."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from keras_audiogan.layers.representations import LogSpectrogram
from keras_audiogan.models.audio_gan import AudioGAN

# The smallest side of the picture that the first layer makes.
_LEAST_SIDE = 4


def picture_blocks(
    slice_length: int, fft_length: int, frame_step: int
) -> tuple[int, tuple[int, int]]:
    """Returns how a picture of a clip is made by doubling a small one.

    Args:
        slice_length: samples in a clip.
        fft_length: samples in a frame; half as many bins are seen.
        frame_step: samples from one frame to the next.

    Returns:
        The number of times that both sides double, and the `(frames, bins)`
        that they start from, 4 or more each: 5 and (4, 4) for the original's
        128 x 128.

    Raises:
        ValueError: if the sides cannot be halved once.
    """
    frames, bins, _ = LogSpectrogram(fft_length, frame_step).shape(
        slice_length, 1
    )
    sides, num_blocks = (frames, bins), 0
    while not any(side % 2 or side < 2 * _LEAST_SIDE for side in sides):
        sides = sides[0] // 2, sides[1] // 2
        num_blocks += 1
    if not num_blocks:
        raise ValueError(
            "A clip must have an even number of frames (slice_length / "
            "frame_step, rounded up) and of bins (fft_length / 2), 8 or more "
            "each, and best the same power of two, e.g. slice_length=16384, "
            "fft_length=256, frame_step=128 for 128 of each. Received: "
            f"slice_length={slice_length}, fft_length={fft_length}, "
            f"frame_step={frame_step}: {frames} frames of {bins} bins"
        )
    return num_blocks, sides


class SpectralGAN(AudioGAN):
    """An `AudioGAN` whose networks see a `LogSpectrogram`.

    Sound is analysed once for the discriminator; what the generator makes
    becomes sound by Griffin-Lim when it is sampled. A training run fits mean
    and deviation of each bin to the whole corpus before its first step, and
    the preset keeps them. In Python:

    ```python
    statistics = LogSpectrogram().fit(clips)  # each (time, channels)
    gan = keras_audiogan.models.SpecGAN(**statistics)
    ```

    Args:
        mean: of the logarithm in each of `fft_length // 2 + 1` bins; without
            statistics, silence is -1 and a sine of full scale 1.
        std: deviation of the logarithm in each bin.
        num_std: deviations that are 1.
        phase_iterations: of Griffin-Lim, 1 to 1000.
        phase_momentum: of the fast Griffin-Lim, from 0, the plain one, to
            below 1; 0.99 is recommended.
        exact_overlap: whether frames that are added up are divided by the
            sum of their squared windows; the original's are not, which
            modulates the level.
        skip_silence: whether frames of nothing are left out of the
            statistics that a run fits. Where short sounds are filled up with
            zeros they outweigh all others; the original counts them.
        **kwargs: as `AudioGAN`.

    Raises:
        ValueError: if a number is out of range, sizes do not fit together,
            or a discriminator is asked for that does not see spectrograms.
    """

    default_arguments: Mapping[str, Any] = {
        "discriminators": [{"kind": "spectrogram"}]
    }
    # Kinds of discriminators that see what the generator makes.
    discriminator_kinds: ClassVar[tuple[str, ...]] = ("spectrogram",)

    def __init__(
        self,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        num_std: float = 3.0,
        phase_iterations: int = 16,
        phase_momentum: float = 0.0,
        exact_overlap: bool = True,
        skip_silence: bool = False,
        **kwargs: Any,
    ) -> None:
        for spec in self.arguments["discriminators"]:
            if spec["kind"] not in self.discriminator_kinds:
                raise ValueError(
                    f"The discriminators of {type(self).__name__} see "
                    "spectrograms, not sound: `discriminators` must be of the "
                    f"kind {' or '.join(self.discriminator_kinds)}. Received: "
                    f"{spec['kind']!r}"
                )
        super().__init__(**kwargs)

    def make_representation(self) -> LogSpectrogram:
        """Returns the spectrogram of the arguments."""
        return spectrogram_of(self.arguments)

    def set_phase_recovery(
        self, num_iterations: int | None = None, momentum: float | None = None
    ) -> None:
        """Changes how phases are found from now on.

        A preset that is saved keeps it.

        Args:
            num_iterations: replaces `phase_iterations`.
            momentum: replaces `phase_momentum`.

        Raises:
            ValueError: if a number is out of range.
        """
        asked = {
            "phase_iterations": num_iterations,
            "phase_momentum": momentum,
        }
        changed = {k: v for k, v in asked.items() if v is not None}
        self.representation = spectrogram_of({**self.arguments, **changed})
        self.change_arguments(**changed)

    @classmethod
    def fit_to_clips(
        cls, arguments: Mapping[str, Any], dataset: Any
    ) -> dict[str, Any]:
        """Returns arguments with mean and deviation of each bin filled in.

        They are those of every slice of the corpus, which is read once and
        not kept.
        """
        parameters = inspect.signature(cls).parameters
        known = {name: each.default for name, each in parameters.items()}
        known |= arguments
        if known["mean"] is not None or known["std"] is not None:
            return dict(arguments)
        # Before hours of sound are read for nothing.
        sizes = known["fft_length"], known["frame_step"]
        picture_blocks(known["slice_length"], *sizes)
        clips = (clip for batch in dataset.clips() for clip in batch["audio"])
        fitted = LogSpectrogram(*sizes).fit(clips, known["skip_silence"])
        return {**arguments, **fitted}


def spectrogram_of(arguments: Mapping[str, Any]) -> LogSpectrogram:
    """Returns the representation that a `SpectralGAN`'s arguments ask for."""
    return LogSpectrogram(
        arguments["fft_length"],
        arguments["frame_step"],
        mean=arguments["mean"],
        std=arguments["std"],
        num_std=arguments["num_std"],
        num_iterations=arguments["phase_iterations"],
        momentum=arguments["phase_momentum"],
        slice_length=arguments["slice_length"],
        exact_overlap=arguments["exact_overlap"],
    )
