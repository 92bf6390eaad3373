"""What each vocoder is trained on: the terms of its loss, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from keras_audiogan.training.vocoder_losses import (
    BIGVGAN_MELS,
    FEATURE_MATCHING,
)


@dataclass(frozen=True)
class VocoderObjective:
    """The terms of a vocoder's loss with the defaults it is trained with.

    Attributes:
        name: how it is asked for.
        adversarial: one of `vocoder_losses.ADVERSARIAL_KINDS`.
        adversarial_weight: of the adversarial term of the generator.
        average_by_discriminators: whether that term, and the discriminators'
            own, is a mean over them or a sum.
        average_by_kind: whether each entry of `discriminators` counts as the
            mean over what it holds, so that entries weigh alike.
        feature_matching_weight: of the distance of the discriminators' maps;
            0 for none.
        feature_matching: options of `feature_matching_loss`.
        mel_weight: of the distance of log-mel spectrograms; 0 for none.
        multi_scale_mel_weight: of `MultiScaleMelLoss`; 0 for none.
        multi_scale_mel: arguments of that beside the rate.
        stft_weight: of the full-band multi-resolution STFT loss; 0 for none.
        subband_stft_weight: of that of the bands.
        discriminator_start: steps before the discriminator enters.
        cosine: whether the learning rates of a run fall to zero along a
            cosine, each over the run's steps.
        generator_optimizer: Keras optimiser name and its arguments.
        discriminator_optimizer: the same for the discriminator.
    """

    name: str
    adversarial: str = "mse"
    adversarial_weight: float = 1.0
    average_by_discriminators: bool = True
    average_by_kind: bool = False
    feature_matching_weight: float = 0.0
    feature_matching: dict[str, Any] = field(default_factory=dict)
    mel_weight: float = 0.0
    multi_scale_mel_weight: float = 0.0
    multi_scale_mel: dict[str, Any] = field(default_factory=dict)
    stft_weight: float = 0.0
    subband_stft_weight: float = 0.0
    discriminator_start: int = 0
    cosine: bool = False
    generator_optimizer: dict[str, Any] = field(default_factory=dict)
    discriminator_optimizer: dict[str, Any] = field(default_factory=dict)

    @property
    def reconstructs(self) -> bool:
        """Whether there is something to learn without a discriminator."""
        return bool(
            self.mel_weight
            or self.multi_scale_mel_weight
            or self.stft_weight
            or self.subband_stft_weight
        )

    def changed(self, **values: Any) -> VocoderObjective:
        """Returns this objective with other numbers.

        Raises:
            ValueError: if one of them is negative.
        """
        for name, value in values.items():
            if value < 0:
                raise ValueError(
                    f"`{name}` must be 0 or more. Received: {name}={value}"
                )
        return replace(self, **values)

    def get_config(self) -> dict[str, Any]:
        """Returns what `get_objective` makes this objective of."""
        return asdict(self)


def _optimizer(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


_HIFIGAN = _optimizer(
    "AdamW", learning_rate=2e-4, beta_1=0.8, beta_2=0.99, weight_decay=0.01
)
_MELGAN = _optimizer("Adam", learning_rate=1e-4, beta_1=0.5, beta_2=0.9)
_MULTIBAND = _optimizer(
    "Adam", learning_rate=1e-3, amsgrad=True, epsilon=1e-7, global_clipnorm=10.0
)
# The original's rate falls by a third in a million steps, which is left out;
# it limits the gradients of either discriminator apart, here of both as one.
_BIGVGAN, _BIGVGAN_V2 = (
    _optimizer(
        "AdamW",
        learning_rate=1e-4,
        beta_1=0.8,
        beta_2=0.99,
        weight_decay=0.01,
        global_clipnorm=limit,
    )
    for limit in (1000.0, 500.0)
)
_VOCOS = _optimizer(
    "AdamW", learning_rate=5e-4, beta_1=0.8, beta_2=0.9, weight_decay=0.01
)
# Gradients of this loss at the start are as long as the limit; later ones
# a tenth of it.
_MULTI_SCALE_MEL = _optimizer(
    "AdamW",
    learning_rate=1e-3,
    beta_1=0.8,
    beta_2=0.99,
    weight_decay=0.01,
    global_clipnorm=100.0,
)

OBJECTIVES = {
    objective.name: objective
    for objective in (
        VocoderObjective(
            "melgan",
            adversarial="hinge",
            average_by_discriminators=False,
            feature_matching_weight=10.0,
            feature_matching=FEATURE_MATCHING["melgan"],
            generator_optimizer=_MELGAN,
            discriminator_optimizer=_MELGAN,
        ),
        VocoderObjective(
            "multi_resolution_stft",
            adversarial_weight=2.5,
            stft_weight=1.0,
            discriminator_start=100_000,
            generator_optimizer=_optimizer(
                "Adam", learning_rate=1e-3, global_clipnorm=10.0
            ),
            discriminator_optimizer=_optimizer(
                "Adam", learning_rate=5e-4, global_clipnorm=1.0
            ),
        ),
        VocoderObjective(
            "parallel_wavegan",
            adversarial_weight=4.0,
            stft_weight=1.0,
            discriminator_start=100_000,
            generator_optimizer=_optimizer(
                "Adam", learning_rate=1e-4, epsilon=1e-6, global_clipnorm=10.0
            ),
            discriminator_optimizer=_optimizer(
                "Adam", learning_rate=5e-5, epsilon=1e-6, global_clipnorm=1.0
            ),
        ),
        VocoderObjective(
            "multiband_melgan",
            adversarial_weight=2.5,
            stft_weight=0.5,
            subband_stft_weight=0.5,
            discriminator_start=200_000,
            generator_optimizer=_MULTIBAND,
            discriminator_optimizer=_MULTIBAND,
        ),
        VocoderObjective(
            "hifigan",
            average_by_discriminators=False,
            feature_matching_weight=1.0,
            feature_matching=FEATURE_MATCHING["hifigan"],
            mel_weight=45.0,
            generator_optimizer=_HIFIGAN,
            discriminator_optimizer=_HIFIGAN,
        ),
        VocoderObjective(
            "bigvgan",
            average_by_discriminators=False,
            feature_matching_weight=1.0,
            feature_matching=FEATURE_MATCHING["hifigan"],
            mel_weight=45.0,
            generator_optimizer=_BIGVGAN,
            discriminator_optimizer=_BIGVGAN,
        ),
        VocoderObjective(
            "bigvgan_v2",
            average_by_discriminators=False,
            feature_matching_weight=1.0,
            feature_matching=FEATURE_MATCHING["hifigan"],
            multi_scale_mel_weight=15.0,
            multi_scale_mel=BIGVGAN_MELS,
            generator_optimizer=_BIGVGAN_V2,
            discriminator_optimizer=_BIGVGAN_V2,
        ),
        VocoderObjective(
            "vocos",
            adversarial="double_hinge",
            average_by_discriminators=False,
            average_by_kind=True,
            feature_matching_weight=1.0,
            feature_matching=FEATURE_MATCHING["vocos"],
            mel_weight=45.0,
            cosine=True,
            generator_optimizer=_VOCOS,
            discriminator_optimizer=_VOCOS,
        ),
        VocoderObjective(
            "multi_scale_mel",
            adversarial="double_hinge",
            average_by_discriminators=False,
            average_by_kind=True,
            feature_matching_weight=2.0,
            feature_matching=FEATURE_MATCHING["vocos"],
            multi_scale_mel_weight=15.0,
            discriminator_start=20_000,
            cosine=True,
            generator_optimizer=_MULTI_SCALE_MEL,
            discriminator_optimizer=_HIFIGAN,
        ),
    )
}


def get_objective(
    loss: str | VocoderObjective | Mapping[str, Any],
) -> VocoderObjective:
    """Returns an objective by name, of its `get_config`, or the one given.

    Raises:
        ValueError: if there is none of that name.
    """
    if isinstance(loss, VocoderObjective):
        return loss
    if isinstance(loss, Mapping):
        return VocoderObjective(**loss)
    if not isinstance(loss, str) or loss not in OBJECTIVES:
        raise ValueError(
            f"The loss of a vocoder is one of {sorted(OBJECTIVES)}. "
            f"Received: loss={loss!r}"
        )
    return OBJECTIVES[loss]
