"""SpecGAN and GANSynth, and their training steps, written for PyTorch alone.

The yardstick of `spectral_speed.py`: the networks, the spectra that they see,
the sound that is made of these, fused optimisers, gradients only where they
are needed. What is made is the same as in this library, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LOG_EPSILON = 1e-6
LEAST_OVERLAP = 0.1


class Spectra:
    """Frames under a Hann window, their transforms, and sound again."""

    def __init__(self, fft_length: int, frame_step: int) -> None:
        self.fft_length, self.frame_step = fft_length, frame_step
        self.window = torch.hann_window(fft_length)

    def total(self, frames: int) -> int:
        return (frames - 1) * self.frame_step + self.fft_length

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """`(batch, time)` -> complex `(batch, frames, bins)`."""
        frames = audio.unfold(-1, self.fft_length, self.frame_step)
        return torch.fft.rfft(frames * self.window)

    def overlap_add(self, frames: torch.Tensor) -> torch.Tensor:
        return functional.fold(
            frames.transpose(1, 2),
            (1, self.total(frames.shape[1])),
            (1, self.fft_length),
            stride=(1, self.frame_step),
        )[:, 0, 0]

    def weight(self, frames: int, least: float) -> torch.Tensor:
        squares = self.window.square().expand(1, frames, -1)
        return self.overlap_add(squares).clamp(min=least)

    def inverse(
        self, spectrum: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        frames = torch.fft.irfft(spectrum, self.fft_length) * self.window
        return self.overlap_add(frames) / weight


class LogSpectrogram(Spectra):
    """SpecGAN's pictures, without statistics, and Griffin-Lim."""

    def __init__(
        self, slice_length: int, fft_length: int, frame_step: int
    ) -> None:
        super().__init__(fft_length, frame_step)
        self.slice_length = slice_length
        low, high = math.log(LOG_EPSILON), math.log(fft_length / 4)
        self.centre, self.scale = (low + high) / 2, (high - low) / 2

    def analyse(self, audio: torch.Tensor) -> torch.Tensor:
        """`(batch, time)` -> `(batch, 1, frames, bins)`."""
        frames = -(-audio.shape[-1] // self.frame_step)
        rest = self.total(frames) - audio.shape[-1]
        spectrum = self.forward(functional.pad(audio, (0, rest)))[..., :-1]
        logs = (spectrum.abs() + LOG_EPSILON).log()
        return ((logs - self.centre) / self.scale).clamp(-1, 1)[:, None]

    def synthesise(
        self, picture: torch.Tensor, num_iterations: int = 16
    ) -> torch.Tensor:
        """`(batch, 1, frames, bins)` -> `(batch, time)`."""
        magnitudes = (picture[:, 0] * self.scale + self.centre).exp()
        magnitudes = functional.pad(
            magnitudes, (0, 1), value=math.exp(self.centre)
        )
        weight = self.weight(magnitudes.shape[1], LEAST_OVERLAP)
        spectrum = torch.complex(magnitudes, torch.zeros_like(magnitudes))
        for _ in range(num_iterations):
            rebuilt = self.forward(self.inverse(spectrum, weight))
            spectrum = rebuilt * (magnitudes / rebuilt.abs().clamp(min=1e-16))
        return self.inverse(spectrum, weight)[:, : self.slice_length]


class MagnitudeFrequency(Spectra):
    """GANSynth's pictures on the mel scale.

    Args:
        slice_length: samples of a clip.
        num_frames: of a picture.
        fft_length: samples in a frame.
        frame_step: samples from one frame to the next.
        warp: mel filters `(bins, bins)`.
        unwarp: what undoes them.
        magnitude: scale and offset of the logarithms.
        frequency_scale: of the instantaneous frequency.
    """

    def __init__(
        self,
        slice_length: int,
        num_frames: int,
        fft_length: int,
        frame_step: int,
        warp: np.ndarray,
        unwarp: np.ndarray,
        magnitude: tuple[float, float],
        frequency_scale: float,
    ) -> None:
        super().__init__(fft_length, frame_step)
        self.slice_length, self.num_frames = slice_length, num_frames
        self.warp, self.unwarp = map(torch.from_numpy, (warp, unwarp))
        self.magnitude, self.frequency_scale = magnitude, frequency_scale

    def analyse(self, audio: torch.Tensor) -> torch.Tensor:
        """`(batch, time)` -> `(batch, 2, frames, bins)`."""
        rest = self.total(self.num_frames) - audio.shape[-1]
        spectrum = self.forward(functional.pad(audio, (rest, 0)))[..., 1:]
        phases = turns(spectrum.angle()).cumsum(1) * math.pi
        power = (spectrum.abs() + LOG_EPSILON).square() @ self.warp
        scale, offset = self.magnitude
        logs = (power + LOG_EPSILON).log() * scale + offset
        frequency = turns(phases @ self.warp) * self.frequency_scale
        return torch.stack([logs, frequency], 1).clamp(-1, 1)

    def synthesise(self, picture: torch.Tensor) -> torch.Tensor:
        """`(batch, 2, frames, bins)` -> `(batch, time)`."""
        scale, offset = self.magnitude
        power = ((picture[:, 0] - offset) / scale).exp() @ self.unwarp
        phases = (picture[:, 1] / self.frequency_scale).cumsum(1) * math.pi
        spectrum = torch.polar(
            (power + LOG_EPSILON).sqrt(), phases @ self.unwarp
        )
        sound = self.inverse(
            functional.pad(spectrum, (1, 0)),
            self.weight(self.num_frames, LEAST_OVERLAP),
        )
        return sound[:, -self.slice_length :]


def turns(phases: torch.Tensor) -> torch.Tensor:
    """Change of phase from frame to frame over pi, within [-1, 1]."""
    change = torch.diff(phases, dim=1) / math.pi
    change = change - 2 * torch.round(change / 2)
    return torch.cat([phases[:, :1] / math.pi, change], 1)


class SpecGANGenerator(nn.Module):
    """Latents `(batch, latent_dim)` -> pictures `(batch, 1, 16 s, 16 s)`."""

    def __init__(self, dim: int, num_blocks: int, latent_dim: int) -> None:
        super().__init__()
        widths = [dim * 2**i for i in range(num_blocks)][::-1]
        self.width = widths[0]
        self.dense = nn.Linear(latent_dim, 16 * widths[0])
        self.upconvs = nn.ModuleList(
            nn.ConvTranspose2d(source, target, 5, 2, 1)
            for source, target in zip(widths, [*widths[1:], 1], strict=True)
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.dense(latents).view(-1, self.width, 4, 4)
        for upconv in self.upconvs:
            # "same" leaves out the last row and column.
            x = upconv(functional.relu(x))[..., :-1, :-1]
        return torch.tanh(x.float())


class SpecGANDiscriminator(nn.Module):
    """Pictures -> scores `(batch, 1)`."""

    def __init__(self, dim: int, num_blocks: int) -> None:
        super().__init__()
        widths = [dim * 2**i for i in range(num_blocks)]
        self.downconvs = nn.ModuleList(
            nn.Conv2d(source, target, 5, 2)
            for source, target in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.score = nn.Linear(16 * widths[-1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for downconv in self.downconvs:
            x = downconv(functional.pad(x, (1, 2, 1, 2)))
            x = functional.leaky_relu(x, 0.2)
        return self.score(x.flatten(1).float())


class EqualizedConv2d(nn.Module):
    """A convolution whose kernel is scaled when it runs."""

    def __init__(
        self, inputs: int, filters: int, size: tuple[int, int], gain: float
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(filters, inputs, *size))
        self.bias = nn.Parameter(torch.zeros(filters))
        self.scale = math.sqrt(gain / (inputs * math.prod(size)))

    def forward(self, x: torch.Tensor, padding: Any = 0) -> torch.Tensor:
        return functional.conv2d(
            x, self.weight * self.scale, self.bias, padding=padding
        )


def doubled(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def halved(x: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(x, 2)


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class GANSynthGenerator(nn.Module):
    """Latents and classes -> pictures, all blocks or the first of them.

    Args:
        widths: channels of the blocks.
        start: height and width of the first one's pictures.
        inputs: length of latents and classes together.
        class_scale: multiplies the classes.
    """

    def __init__(
        self,
        widths: list[int],
        start: tuple[int, int],
        inputs: int,
        class_scale: float,
    ) -> None:
        super().__init__()
        self.start, self.class_scale = start, class_scale
        sources = [inputs, *widths[:-1]]
        self.convs, self.to_pictures = nn.ModuleList(), nn.ModuleList()
        for i, (source, width) in enumerate(zip(sources, widths, strict=True)):
            size = (3, 3) if i else start
            self.convs.append(EqualizedConv2d(source, width, size, 2.0))
            self.convs.append(EqualizedConv2d(width, width, (3, 3), 2.0))
            self.to_pictures.append(EqualizedConv2d(width, 2, (1, 1), 1.0))

    def forward(
        self, latents: torch.Tensor, classes: torch.Tensor, share: float = 1.0
    ) -> torch.Tensor:
        """Returns pictures; the last block is faded in by its share."""
        x = torch.cat([latents, self.class_scale * classes], 1)
        x = pixel_norm(x)[:, :, None, None]
        # Zeros all around the one pixel.
        padding: Any = (self.start[0] - 1, self.start[1] - 1)
        last = len(self.to_pictures) - 1
        for i in range(last + 1):
            if i:
                before, x = x, doubled(x)
            for conv in self.convs[2 * i : 2 * i + 2]:
                x = pixel_norm(functional.leaky_relu(conv(x, padding), 0.2))
                padding = 1
        with torch.autocast("cpu", enabled=False):
            picture = torch.tanh(self.to_pictures[-1](x.float()))
            if last and self.training:
                low = torch.tanh(self.to_pictures[-2](before.float()))
                picture = torch.lerp(doubled(low), picture, share)
        return picture


class GANSynthDiscriminator(nn.Module):
    """Pictures -> scores `(batch, 1)` and class logits."""

    def __init__(
        self, widths: list[int], start: tuple[int, int], num_classes: int
    ) -> None:
        super().__init__()
        self.convs, self.from_pictures = nn.ModuleList(), nn.ModuleList()
        targets = [widths[0], *widths[:-1]]
        for i, (width, target) in enumerate(zip(widths, targets, strict=True)):
            size = (3, 3) if i else start
            inputs = width if i else width + 1
            self.from_pictures.append(EqualizedConv2d(2, width, (1, 1), 2.0))
            self.convs.append(EqualizedConv2d(inputs, width, (3, 3), 2.0))
            self.convs.append(EqualizedConv2d(width, target, size, 2.0))
        self.score = EqualizedConv2d(targets[0], 1, (1, 1), 1.0)
        self.classes = EqualizedConv2d(targets[0], num_classes, (1, 1), 1.0)

    def forward(
        self, picture: torch.Tensor, share: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        last = len(self.from_pictures) - 1
        x = self.seen(picture, last)
        for i in range(last, 0, -1):
            for conv in self.convs[2 * i : 2 * i + 2]:
                x = functional.leaky_relu(conv(x, 1), 0.2)
            x = halved(x)
            if i == last:
                before = self.seen(halved(picture), i - 1)
                x = torch.lerp(before, x, share)
        deviation = (x.float().var(0, unbiased=False) + 1e-6).sqrt().mean()
        plane = deviation.to(x.dtype).expand(len(x), 1, *x.shape[2:])
        x = torch.cat([x, plane], 1)
        x = functional.leaky_relu(self.convs[0](x, 1), 0.2)
        x = functional.leaky_relu(self.convs[1](x), 0.2).float()
        with torch.autocast("cpu", enabled=False):
            return self.score(x).flatten(1), self.classes(x).flatten(1)

    def seen(self, picture: torch.Tensor, index: int) -> torch.Tensor:
        x = self.from_pictures[index](picture)
        return functional.leaky_relu(x, 0.2)


def layers_of(module: nn.Module) -> dict[str, nn.Module]:
    """A network's layers by the names that they have in this library."""
    layers: dict[str, nn.Module] = {}
    for name, layer in module.named_children():
        if not isinstance(layer, nn.ModuleList):
            spectral = isinstance(module, SpecGANDiscriminator)
            layers["output" if spectral and name == "score" else name] = layer
        elif name == "convs":
            layers.update(
                {
                    f"block_{i // 2 + 1}_conv_{i % 2}": x
                    for i, x in enumerate(layer)
                }
            )
        elif name.endswith("pictures"):
            layers.update(
                {f"block_{i + 1}_picture": x for i, x in enumerate(layer)}
            )
        else:
            stem = name.removesuffix("s")
            layers.update({f"{stem}_{i}": x for i, x in enumerate(layer)})
    return layers


def load(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Sets a network's weights, given by Keras's names in its layouts."""
    with torch.no_grad():
        for name, layer in layers_of(module).items():
            kernel = torch.from_numpy(weights[f"{name}/kernel"])
            bias = torch.from_numpy(weights[f"{name}/bias"])
            if kernel.ndim == 4:
                kernel = kernel.permute(3, 2, 0, 1)
            elif name == "dense":
                # Keras's small picture is (frames, bins, channels).
                kernel = kernel.view(len(kernel), 16, -1)
                kernel = kernel.permute(2, 1, 0).flatten(0, 1)
                bias = bias.view(16, -1).T.flatten()
            else:
                kernel = kernel.view(16, -1).T.reshape(1, -1)
            layer.weight.copy_(kernel)
            layer.bias.copy_(bias)


class Trainer:
    """WGAN-GP on pictures: discriminator updates and one of the generator.

    Args:
        generator: makes the generator; called twice, for its average.
        discriminator: the network.
        spectra: what networks see of sound.
        batch_size: clips in one update.
        steps: discriminator updates in an iteration.
        latents: draws so many latents.
        num_classes: pitches of GANSynth; 0 for SpecGAN.
        num_halvings: how often pictures are halved for an early block.
        bfloat16: whether the networks run under autocast.
        channels_last: whether maps and kernels have their channels last.
    """

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: nn.Module,
        spectra: Any,
        batch_size: int,
        steps: int,
        latents: Callable[[int], torch.Tensor],
        num_classes: int = 0,
        num_halvings: int = 0,
        bfloat16: bool = False,
        channels_last: bool = False,
    ) -> None:
        self.format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        self.generator, self.average, self.discriminator = (
            each.to(memory_format=self.format)
            for each in (generator(), generator(), discriminator)
        )
        self.average.requires_grad_(False).eval()
        self.spectra, self.batch_size, self.steps = spectra, batch_size, steps
        self.latents, self.num_classes = latents, num_classes
        self.num_halvings, self.bfloat16 = num_halvings, bfloat16
        rate, betas = (8e-4, (0.0, 0.99)) if num_classes else (1e-4, (0.5, 0.9))
        self.optimizers = [
            torch.optim.Adam(each.parameters(), rate, betas=betas, fused=True)
            for each in (self.generator, self.discriminator)
        ]

    def load(
        self,
        generator: Mapping[str, np.ndarray],
        discriminator: Mapping[str, np.ndarray],
    ) -> None:
        """Sets all weights; see the function `load`."""
        load(self.generator, generator)
        load(self.average, generator)
        load(self.discriminator, discriminator)

    def autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def made(
        self, network: nn.Module, latents: torch.Tensor, labels: Any
    ) -> torch.Tensor:
        with self.autocast():
            if not self.num_classes:
                return network(latents)
            classes = functional.one_hot(labels, self.num_classes)
            return network(latents, classes.to(latents.dtype))

    def judged(self, pictures: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Returns scores, and class logits if there are any."""
        with self.autocast():
            outputs = self.discriminator(pictures)
        return outputs if self.num_classes else (outputs, None)

    def iteration(self, audio: torch.Tensor, labels: torch.Tensor) -> float:
        """Trains on `(steps * batch, time)` real clips and their labels."""
        pictures = self.spectra.analyse(audio)
        for _ in range(self.num_halvings):
            pictures = halved(pictures)
        pictures = pictures.contiguous(memory_format=self.format)
        for real, asked in zip(
            pictures.chunk(self.steps), labels.chunk(self.steps), strict=True
        ):
            loss = self._update_discriminator(real, asked)
        self._update_generator(asked)
        return loss.item()

    def _update_discriminator(
        self, real: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        with torch.no_grad():
            fake = self.made(self.generator, self.latents(len(real)), labels)
        (scores, logits), (others, _) = self.judged(real), self.judged(fake)
        loss = others.mean() - scores.mean()
        if logits is not None:
            loss = loss + 10 * functional.cross_entropy(logits, labels)
            loss = loss + 1e-3 * scores.square().mean()
        between = torch.lerp(real, fake, torch.rand(len(real), 1, 1, 1))
        between.requires_grad_(True)
        (slopes,) = torch.autograd.grad(
            self.judged(between)[0].sum(), between, create_graph=True
        )
        norms = (slopes.float().flatten(1).square().sum(1) + 1e-12).sqrt()
        loss = loss + 10 * (norms - 1).square().mean()
        self._apply(self.optimizers[1], self.discriminator, loss)
        return loss.detach()

    def _update_generator(self, labels: torch.Tensor) -> None:
        self.discriminator.requires_grad_(False)
        fake = self.made(self.generator, self.latents(len(labels)), labels)
        scores, logits = self.judged(fake)
        loss = -scores.mean()
        if logits is not None:
            loss = loss + 10 * functional.cross_entropy(logits, labels)
        self._apply(self.optimizers[0], self.generator, loss)
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()),
                list(self.generator.parameters()),
                1e-3,
            )

    def _apply(
        self,
        optimizer: torch.optim.Optimizer,
        network: nn.Module,
        loss: torch.Tensor,
    ) -> None:
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()

    @torch.no_grad()
    def pictures(self, latents: np.ndarray, labels: np.ndarray) -> torch.Tensor:
        """Generates pictures, channels first."""
        return self.made(
            self.average, torch.from_numpy(latents), torch.from_numpy(labels)
        )

    @torch.no_grad()
    def sound(self, pictures: torch.Tensor) -> np.ndarray:
        """Turns pictures into sound `(batch, time)`."""
        return self.spectra.synthesise(pictures.float()).numpy()
