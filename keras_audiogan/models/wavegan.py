"""WaveGAN: raw audio from a transposed-convolution generator.

Source: Donahue, McAuley and Puckette, "Adversarial Audio Synthesis", ICLR
2019 (arXiv:1802.04208), and the authors' code, whose parameter counts and
outputs these networks reproduce. Different from it: an exponential moving
average of the generator, and slice lengths that the original does not know.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_audiogan.layers import (
    BatchNorm,
    PhaseShuffle,
    StridedConv1D,
    StridedConv1DTranspose,
)
from keras_audiogan.layers.activations import leaky_relu
from keras_audiogan.models.audio_gan import AudioGAN
from keras_audiogan.models.discriminators import (
    Discriminator,
    MultiDiscriminator,
    SpectralDiscriminator,
)
from keras_audiogan.models.registry import register_architecture

NUM_START_FRAMES = 16
UPSAMPLING = ("transposed", "nearest")
CRITICS = ("waveform", "spectral")


def block_strides(slice_length: int) -> list[int]:
    """Strides of the blocks between 16 frames and a slice.

    Args:
        slice_length: `16 * 4**n` or `2 * 16 * 4**n` samples, n at least 1.

    Returns:
        n fours, and a final two if the length asks for it.

    Raises:
        ValueError: for any other length.
    """
    factor, rest = divmod(slice_length, NUM_START_FRAMES)
    strides = []
    while factor > 1 and factor % 4 == 0 and not rest:
        strides.append(4)
        factor //= 4
    if factor == 2 and strides:
        strides.append(2)
        factor = 1
    if rest or factor != 1 or not strides:
        raise ValueError(
            "`slice_length` must be 16 * 4**n or 32 * 4**n samples, e.g. "
            "4096, 8192, 16384, 32768 or 65536. "
            f"Received: slice_length={slice_length}"
        )
    return strides


def block_widths(num_blocks: int, dim: int, max_channels: int | None) -> list:
    """Channels from the narrowest block's to the widest's."""
    widths = [dim * 2**i for i in range(num_blocks)]
    if max_channels is not None:
        widths = [min(width, max_channels) for width in widths]
    return widths


class WaveGANGenerator(keras.Model):
    """Latents `(batch, latent_dim)` -> audio `(batch, time, channels)`.

    Args: see `WaveGAN`.
    """

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 25,
        batch_norm: bool = False,
        upsampling: str = "transposed",
        post_filter_length: int | None = None,
        max_channels: int | None = None,
        dtype: Any = None,
        name: str = "generator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, max_channels)[::-1]
        self.upsampling = upsampling
        self.strides = strides
        self.num_start_channels = widths[0]
        self.dense = keras.layers.Dense(
            NUM_START_FRAMES * widths[0], name="dense", dtype=policy
        )
        outputs = [*widths[1:], num_channels]
        self.upconvs = [
            self._upconv(filters, kernel_size, stride, i)
            for i, (filters, stride) in enumerate(
                zip(outputs, strides, strict=True)
            )
        ]
        self.batch_norms = [
            BatchNorm(name=f"batch_norm_{i}", dtype=policy)
            for i in range(len(strides) if batch_norm else 0)
        ]
        self.post_filter = (
            keras.layers.Conv1D(
                num_channels,
                post_filter_length,
                padding="same",
                use_bias=False,
                name="post_filter",
                dtype="float32",
            )
            if post_filter_length
            else None
        )
        self._build_all(latent_dim, [widths[0], *outputs])

    def _upconv(
        self, filters: int, kernel_size: int, stride: int, index: int
    ) -> keras.layers.Layer:
        name = f"upconv_{index}"
        if self.upsampling == "nearest":
            return keras.layers.Conv1D(
                filters,
                kernel_size,
                padding="same",
                name=name,
                dtype=self.dtype_policy,
            )
        return StridedConv1DTranspose(
            filters, kernel_size, stride, name=name, dtype=self.dtype_policy
        )

    def _build_all(self, latent_dim: int, channels: list[int]) -> None:
        self.build((None, latent_dim))
        with keras.name_scope(self.name, caller=self):
            self.dense.build((None, latent_dim))
            length = NUM_START_FRAMES
            for i, upconv in enumerate(self.upconvs):
                if self.batch_norms:
                    self.batch_norms[i].build((None, length, channels[i]))
                if self.upsampling == "nearest":
                    length *= self.strides[i]
                upconv.build((None, length, channels[i]))
                if self.upsampling == "transposed":
                    length *= self.strides[i]
            if self.post_filter is not None:
                self.post_filter.build((None, length, channels[-1]))

    def build(self, input_shape: Any) -> None:
        """Marks the model as built; the constructor builds the layers."""
        del input_shape
        self.built = True

    def call(self, latents: Any, training: bool = False) -> Any:
        """Returns float32 audio in [-1, 1] (before a post filter)."""
        x = self.dense(latents)
        x = ops.reshape(x, (-1, NUM_START_FRAMES, self.num_start_channels))
        for i, upconv in enumerate(self.upconvs):
            if self.batch_norms:
                x = self.batch_norms[i](x, training=training)
            x = ops.relu(x)
            if self.upsampling == "nearest":
                x = ops.repeat(x, self.strides[i], axis=1)
            x = upconv(x)
        x = ops.tanh(ops.cast(x, "float32"))
        return x if self.post_filter is None else self.post_filter(x)


class WaveGANDiscriminator(Discriminator):
    """Audio `(batch, time, channels)` -> one list of maps, logits last.

    Args: see `WaveGAN`, but for `num_outputs`: the numbers that come last, 1
    for a score.
    """

    view_scales = (0.1,)

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        dim: int = 64,
        kernel_size: int = 25,
        batch_norm: bool = False,
        phase_shuffle: int = 2,
        max_channels: int | None = None,
        num_outputs: int = 1,
        dtype: Any = None,
        name: str = "discriminator",
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        policy = self.dtype_policy
        strides = block_strides(slice_length)
        widths = block_widths(len(strides), dim, max_channels)
        self.downconvs = [
            StridedConv1D(
                filters, kernel_size, stride, name=f"downconv_{i}", dtype=policy
            )
            for i, (filters, stride) in enumerate(
                zip(widths, strides, strict=True)
            )
        ]
        self.batch_norms = [
            BatchNorm(name=f"batch_norm_{i}", dtype=policy)
            for i in range(1, len(strides) if batch_norm else 1)
        ]
        self.shuffles = [
            PhaseShuffle(phase_shuffle, name=f"phase_shuffle_{i}", dtype=policy)
            for i in range(len(strides) - 1)
        ]
        self.score = keras.layers.Dense(
            num_outputs, name="output", dtype="float32"
        )
        self._build_all(slice_length, [num_channels, *widths], strides)

    def _build_all(
        self, length: int, channels: list[int], strides: list[int]
    ) -> None:
        self.build((None, length, channels[0]))
        with keras.name_scope(self.name, caller=self):
            for i, downconv in enumerate(self.downconvs):
                downconv.build((None, length, channels[i]))
                length //= strides[i]
                shape = (None, length, channels[i + 1])
                if self.batch_norms and i:
                    self.batch_norms[i - 1].build(shape)
                if i < len(self.shuffles):
                    self.shuffles[i].build(shape)
            self.score.build((None, length * channels[-1]))

    def judge(
        self, views: list[Any], training: bool = False
    ) -> list[list[Any]]:
        """Returns `[[features, ..., logits]]`, logits `(batch, outputs)`."""
        (x,) = views
        features = []
        for i, downconv in enumerate(self.downconvs):
            x = downconv(x)
            if self.batch_norms and i:
                # The original's discriminator knows the batch's statistics
                # only, at every time.
                x = self.batch_norms[i - 1](x, training=True)
            x = leaky_relu(x, 0.2)
            features.append(x)
            if i < len(self.shuffles):
                x = self.shuffles[i](x, training=training)
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2]))
        features.append(self.score(x))
        return [features]


@register_architecture("wavegan")
class WaveGAN(AudioGAN):
    """WaveGAN, with the adversarial step of `AudioGAN`.

    At `slice_length=16384, dim=64` the networks have 19,065,345 and
    17,427,969 parameters, as the original's. The form of 4,096 samples (four
    blocks) is the downsized one of J. Hill's conditional networks.

    Example:

    ```python
    gan = keras_audiogan.models.WaveGAN(slice_length=16384, dim=16)
    gan.compile(loss="wgan-gp")
    gan.fit(audio, batch_size=64 * gan.critic_steps, epochs=10)
    clips = gan.sample(8, seed=0)  # (8, 16384, 1)
    ```

    Args:
        slice_length: samples in a clip: `16 * 4**n` or `32 * 4**n`.
        num_channels: 1 for mono, 2 for stereo, or any other count.
        sampling_rate: in Hz.
        labels: names of the classes of the data, kept for metrics; this
            architecture does not condition on them.
        latent_dim: size of a latent vector.
        dim: channels of the narrowest block; each further block has twice
            the channels.
        kernel_size: taps of every convolution.
        batch_norm: whether to normalise batches in both networks.
        upsampling: `"transposed"` convolutions, or `"nearest"` repetition
            followed by a convolution.
        post_filter_length: taps of a filter learnt after the generator's
            tanh, 512 in the original; None for none.
        phase_shuffle: largest shift in the discriminator; 0 for none.
        max_channels: cap on the channels of any block; None for none.
        critics: what judges: `"waveform"` (the paper's), `"spectral"` (see
            `SpectralDiscriminator`; on small data it learns in a tenth of
            the time), or both.
        spectral_dim: `dim` of the spectral discriminator.
        ema_momentum: see `AudioGAN`.
        level: how training files are levelled: `"peak"`, `"keep"` or a gain.
        dtype: dtype policy of the networks.
        name: name of the model.

    Raises:
        ValueError: if the length or an option is out of its range.
    """

    def __init__(
        self,
        slice_length: int = 16384,
        num_channels: int = 1,
        sampling_rate: int = 16000,
        labels: tuple[str, ...] | list[str] | None = None,
        latent_dim: int = 100,
        dim: int = 64,
        kernel_size: int = 25,
        batch_norm: bool = False,
        upsampling: str = "transposed",
        post_filter_length: int | None = None,
        phase_shuffle: int = 2,
        max_channels: int | None = None,
        critics: tuple[str, ...] | list[str] = ("waveform",),
        spectral_dim: int = 32,
        ema_momentum: float = 0.999,
        level: str | float = "peak",
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        for key, value in (
            ("num_channels", num_channels),
            ("sampling_rate", sampling_rate),
            ("latent_dim", latent_dim),
            ("dim", dim),
            ("kernel_size", kernel_size),
        ):
            if value < 1:
                raise ValueError(
                    f"`{key}` must be 1 or more. Received: {key}={value}"
                )
        if upsampling not in UPSAMPLING:
            raise ValueError(
                f"`upsampling` must be one of {UPSAMPLING}. "
                f"Received: upsampling={upsampling!r}"
            )
        self._networks: dict[str, Any] = {
            "dim": dim,
            "kernel_size": kernel_size,
            "batch_norm": batch_norm,
            "max_channels": max_channels,
        }
        self._generator_options: dict[str, Any] = {
            "upsampling": upsampling,
            "post_filter_length": post_filter_length,
        }
        once = sorted(set(CRITICS) & set(critics))
        if not critics or sorted(critics) != once:
            raise ValueError(
                f"`critics` must name one or more of {CRITICS}, each once. "
                f"Received: critics={critics!r}"
            )
        self.phase_shuffle = phase_shuffle
        self.critics = tuple(critics)
        self.spectral_dim = spectral_dim

        def generator(network_name: str) -> WaveGANGenerator:
            return WaveGANGenerator(
                slice_length,
                num_channels,
                latent_dim,
                **self._networks,
                **self._generator_options,
                dtype=dtype,
                name=network_name,
            )

        def waveform(network_name: str) -> WaveGANDiscriminator:
            return WaveGANDiscriminator(
                slice_length,
                num_channels,
                **self._networks,
                phase_shuffle=phase_shuffle,
                dtype=dtype,
                name=network_name,
            )

        def spectral(network_name: str) -> SpectralDiscriminator:
            return SpectralDiscriminator(
                slice_length,
                num_channels,
                sampling_rate,
                spectral_dim,
                dtype=dtype,
                name=network_name,
            )

        make = {"waveform": waveform, "spectral": spectral}
        discriminator: Discriminator
        if len(self.critics) == 1:
            discriminator = make[self.critics[0]]("discriminator")
        else:
            discriminator = MultiDiscriminator(
                [make[critic](critic) for critic in self.critics],
                dtype=dtype,
            )
        super().__init__(
            generator=generator("generator"),
            discriminator=discriminator,
            ema_generator=generator("ema_generator"),
            slice_length=slice_length,
            sampling_rate=sampling_rate,
            num_channels=num_channels,
            latent_dim=latent_dim,
            labels=labels,
            level=level,
            ema_momentum=ema_momentum,
            dtype=dtype,
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {
            **super().get_config(),
            **self._networks,
            **self._generator_options,
            "phase_shuffle": self.phase_shuffle,
            "critics": list(self.critics),
            "spectral_dim": self.spectral_dim,
        }
