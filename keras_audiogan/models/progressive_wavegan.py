"""Progressive WaveGAN: clips that grow from a second to a minute.

T. Körmendi, "Progressive adversarial music generation", King's College
London, 2019, whose code was never published. A stage of b blocks makes clips
of `16 * 4**b` samples, and begins with what stage b - 1 has learnt. Different
from the thesis: an exponential moving average of the generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.progressive_networks import (
    MOST_BLOCKS,
    ProgressiveGenerator,
    StagedNetwork,
    check_num_blocks,
    clip_length,
    num_blocks_of,
)
from keras_audiogan.models.registry import register_architecture


@register_architecture("progressive_wavegan")
class ProgressiveWaveGAN(AudioGAN):
    """WaveGAN that grows along time; the step is that of `AudioGAN`.

    A model is one stage. `slice_length` follows from `num_blocks`, or the
    other way round where only the length is given.

    Example:

    ```python
    gan = keras_audiogan.models.ProgressiveWaveGAN(num_blocks=5, dim=128)
    gan.compile()
    gan.fit(seconds, batch_size=64 * gan.discriminator_steps, epochs=10)
    longer = gan.grow(frozen=True)  # Clips four times as long.
    longer.compile()
    longer.fit(four_seconds, batch_size=32 * gan.discriminator_steps)
    longer = longer.grow(0)  # The same stage, which now trains whole.
    ```

    Args: those of `ProgressiveGenerator` and of `AudioGAN`.
    """

    generator_class = ProgressiveGenerator
    default_arguments = {
        "discriminators": [{"kind": "progressive_waveform"}],
    }
    config_limits = {
        **AudioGAN.config_limits,
        "num_blocks": MOST_BLOCKS,
        "frozen_blocks": MOST_BLOCKS,
        "latent_dim": 1 << 14,
        "dim": 1 << 14,
        "kernel_size": 1 << 10,
    }
    run_options = AudioGAN.run_options | {"grown_from", "recompute"}
    # Rows of a discriminator update in stages 1 to 8, in the thesis.
    stage_batch_sizes = (128, 112, 96, 80, 64, 32, 8, 4)
    positive_arguments = (*AudioGAN.positive_arguments, "num_blocks")
    tiny = {
        "num_blocks": 2,
        "sampling_rate": 8000,
        "latent_dim": 6,
        "dim": 8,
    }

    def __init__(self, frozen_blocks: int = 0, **kwargs: Any) -> None:
        num_blocks = self.arguments["num_blocks"]
        if frozen_blocks not in range(num_blocks):
            raise ValueError(
                "`frozen_blocks` must leave a block to train, of "
                f"{num_blocks}. Received: frozen_blocks={frozen_blocks!r}"
            )
        super().__init__(**kwargs)

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments in one form: blocks and length fit together."""
        new = super().normalized_arguments(arguments)
        blocks, length = new.get("num_blocks"), new.get("slice_length")
        if blocks is None and length is not None:
            new["num_blocks"] = num_blocks_of(length)
        elif blocks is not None:
            check_num_blocks(blocks)
            if length not in (None, clip_length(blocks)):
                raise ValueError(
                    f"A clip of {blocks} blocks has {clip_length(blocks)} "
                    "samples; give `num_blocks` or `slice_length`. Received: "
                    f"num_blocks={blocks}, slice_length={length}"
                )
            new["slice_length"] = clip_length(blocks)
        return new

    def make_discriminator(self) -> Discriminator:
        """Builds the discriminators; the first one grows too."""
        specs = self.arguments["discriminators"]
        if specs[0]["kind"] != "progressive_waveform":
            raise ValueError(
                "The first discriminator must grow with the generator: "
                "`progressive_waveform`. "
                f"Received: discriminators={specs}"
            )
        return super().make_discriminator()

    # Training

    def compile(
        self, *args: Any, recompute: bool = False, **kwargs: Any
    ) -> None:  # noqa: D417
        """Chooses the loss and the optimisers; see `AudioGAN.compile`.

        Args:
            recompute: whether losses and gradients are worked out clip by
                clip and added up: the same numbers, in the memory of a batch
                of one.
        """
        super().compile(*args, **kwargs)
        self.recompute = recompute

    # Growing

    def grow(self, num_blocks: int = 1, frozen: bool = False) -> Any:
        """Returns the next stage, with the weights of this one.

        Everything but the 1 x 1 convolutions between networks and sound is
        carried, bit for bit. This model stays as it is.

        Args:
            num_blocks: how many are added; 0 for the same stage, whose
                weights are then carried wholly.
            frozen: whether only what is new trains.

        Returns:
            A model that is not compiled.

        Raises:
            ValueError: if it would have more than 8 blocks, or all of them
                would be frozen.
        """
        before = self.arguments["num_blocks"]
        arguments = {
            **self.get_config(),
            "num_blocks": before + num_blocks,
            "slice_length": None,
            "frozen_blocks": before if frozen else 0,
        }
        if num_blocks < 0:
            raise ValueError(
                "A model grows by 0 blocks or more. "
                f"Received: num_blocks={num_blocks}"
            )
        grown = type(self)(**arguments)
        grown.carry_from(self)
        return grown

    def carry_from(self, other: ProgressiveWaveGAN) -> None:
        """Takes the weights of a model of the same or an earlier stage.

        Raises:
            ValueError: if its networks are of another form; no weight has
                changed then.
        """
        self.carry(
            {
                weight.path: ops.convert_to_numpy(weight)
                for network in other.carried_networks()
                for weight in network.weights
            },
            other.arguments["num_blocks"],
        )

    def carry(self, weights: Mapping[str, Any], num_blocks: int) -> None:
        """Takes the weights of a model of so many blocks, by their paths."""
        pairs = []
        for network in self.carried_networks():
            own = {
                path.removeprefix(f"{network.name}/"): value
                for path, value in weights.items()
                if path.startswith(f"{network.name}/")
            }
            pairs += network.carried(own, num_blocks)
        for variable, value in pairs:
            variable.assign(value)

    def carried_networks(self) -> list[StagedNetwork]:
        """Returns the networks that grow."""
        discriminator: Any = self.discriminator
        if len(self.arguments["discriminators"]) > 1:
            discriminator = discriminator.discriminators[0]
        return [self.generator, self.ema_generator, discriminator]

    # What a training run asks

    @classmethod
    def fit_to_folder(
        cls, arguments: Mapping[str, Any], folder: Any
    ) -> dict[str, Any]:
        """Returns arguments with as many channels as most files have."""
        most = max(folder.channels, key=folder.channels.get)
        given = cls.normalized_arguments({"num_channels": most, **arguments})
        return super().fit_to_folder(given, folder)
