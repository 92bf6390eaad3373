"""Progressive WaveGAN: clips that grow from a second to a minute.

T. Körmendi, "Progressive adversarial music generation", King's College
London, 2019, whose code was never published. A stage of b blocks makes clips
of `16 * 4**b` samples, and begins with what stage b - 1 has learnt. Different
from the thesis: an exponential moving average of the generator.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.discriminators import Discriminator
from keras_audiogan.models.progressive_networks import (
    MOST_BLOCKS,
    NUM_START_FRAMES,
    ProgressiveGenerator,
    StagedNetwork,
    block_channels,
    check_num_blocks,
    clip_length,
    num_blocks_of,
)
from keras_audiogan.models.registry import register_architecture

# Measured: bytes of a process that has loaded TensorFlow; copies of each
# weight (networks, average, optimisers, gradients), and of each number that a
# block makes, in both networks and the gradients of gradients, of a step with
# five discriminator updates, whose parts run at the same time.
_WITHOUT_MODEL, _PER_WEIGHT, _PER_VALUE = 800_000_000, 6.5, 15.0


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
        self.recompute = False

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
        if recompute:
            self._compile_options = {**self._compile_options, "recompute": True}
            self._check_rows_are_apart()

    def _check_rows_are_apart(self) -> None:
        """Raises a ValueError if clips of a batch know of each other."""
        loss = self.compiled_loss()
        if self.balance_gradients:
            raise ValueError(
                "`recompute` goes through a batch clip by clip, and "
                "`balance_gradients` measures gradients of all of it: leave "
                "one or the other out. Received: balance_gradients=True"
            )
        for network in self.discriminator._flatten_layers():
            if getattr(network, "minibatch_deviation", False) or getattr(
                network, "shuffles", ()
            ):
                raise ValueError(
                    "`recompute` goes through a batch clip by clip, and "
                    "minibatch deviation and phase shuffle are common to "
                    "them: leave one or the other out. "
                    f"Received: discriminators="
                    f"{self.arguments['discriminators']}"
                )
        if (loss.r1 or loss.r2) and loss.penalty_stride > 1:
            raise ValueError(
                "`recompute` goes through a batch clip by clip, and this "
                "loss takes its penalties on some clips of it only: use "
                f"another, such as wgan-gp. Received: loss={loss.name!r}"
            )

    def _minimize(
        self,
        optimizer: Any,
        loss: Any,
        batch: dict[str, Any],
        latents: Any,
        state: list[Any],
    ) -> Any:
        if not self.recompute:
            return super()._minimize(optimizer, loss, batch, latents, state)
        rows = dict(batch)
        penalised = self.compiled_loss().gradient_penalty
        if penalised and optimizer is self.optimizer.discriminator:
            # Drawn here, as it would be drawn for the whole batch.
            rows["interpolation"] = self._interpolation(batch)
        return optimizer.minimize(
            lambda row: loss(*row), state, rows=(rows, latents)
        )

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
    def memory_of_step(
        cls,
        arguments: Mapping[str, Any],
        batch_size: int,
        recompute: bool = False,
    ) -> int:
        """Estimates the bytes that a process takes to train on a CPU.

        After what was measured on TensorFlow, see
        `benchmarks/progressive_stages.py`; gradient penalty included.

        Args:
            arguments: the constructor's; the defaults for the rest.
            batch_size: rows of a discriminator update.
            recompute: whether they are gone through one by one.
        """
        known = inspect.signature(cls).parameters
        given = {
            name: arguments.get(name, known[name].default)
            for name in ("num_blocks", "dim", "widths", "kernel_size")
            + ("extended", "latent_dim", "upsampling")
        }
        dim, num_blocks = given["dim"], given["num_blocks"]
        channels = [dim, *block_channels(num_blocks, dim, given["widths"])]
        weights = (given["latent_dim"] + 1) * NUM_START_FRAMES * dim
        values = 0
        more = {"none": 0.0, "discriminator": 0.5, "both": 1.0}
        for i, (wide, narrow) in enumerate(itertools.pairwise(channels), 1):
            second = more[given["extended"]] * narrow * narrow
            weights += 2 * given["kernel_size"] * int(wide * narrow + second)
            values += int(
                narrow * clip_length(i) * (1.0 + more[given["extended"]])
            )
            if given["upsampling"] == "band_limited":
                # What is filtered is kept, with its padding and its slope,
                # in the generator alone: not measured.
                values += int(3 / _PER_VALUE * wide * clip_length(i))
        rows = 1 if recompute else batch_size
        numbers = _PER_WEIGHT * weights + _PER_VALUE * values * rows
        return int(_WITHOUT_MODEL + 4 * numbers)

    @classmethod
    def fit_to_folder(
        cls, arguments: Mapping[str, Any], folder: Any
    ) -> dict[str, Any]:
        """Returns arguments with as many channels as most files have."""
        most = max(folder.channels, key=folder.channels.get)
        given = cls.normalized_arguments({"num_channels": most, **arguments})
        return super().fit_to_folder(given, folder)
