"""WaveGAN and its WGAN-GP iteration written for PyTorch alone.

The yardstick of `wavegan_speed.py`: channels first, gradients only where
they are needed, fused optimisers, no padding or crop that costs a copy where
one can be had for nothing. Both networks give the original's outputs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

START_FRAMES = 16
# What "same" padding comes to at 25 taps and a stride of 4.
LEFT, RIGHT = 10, 11


def block_widths(slice_length: int, dim: int) -> list[int]:
    """Channels of the blocks of stride 4 between 16 frames and a slice."""
    num_blocks = 0
    while START_FRAMES * 4**num_blocks < slice_length:
        num_blocks += 1
    return [dim * 2**i for i in range(num_blocks)]


class Generator(nn.Module):
    """Latents `(batch, latent_dim)` -> audio `(batch, 1, time)`."""

    def __init__(self, slice_length: int, dim: int, latent_dim: int) -> None:
        super().__init__()
        widths = block_widths(slice_length, dim)[::-1]
        self.width = widths[0]
        self.dense = nn.Linear(latent_dim, START_FRAMES * widths[0])
        self.upconvs = nn.ModuleList(
            nn.ConvTranspose1d(source, target, 25, 4, padding=LEFT)
            for source, target in zip(widths, [*widths[1:], 1], strict=True)
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Returns audio."""
        x = self.dense(latents).view(-1, self.width, START_FRAMES)
        for upconv in self.upconvs:
            # One sample more than wanted; what follows reads past it.
            x = upconv(functional.relu(x))[..., :-1]
        return torch.tanh(x.float())


class Discriminator(nn.Module):
    """Audio `(batch, 1, time)` -> scores `(batch, 1)`."""

    def __init__(self, slice_length: int, dim: int, radius: int = 2) -> None:
        super().__init__()
        widths = block_widths(slice_length, dim)
        self.radius = radius
        self.downconvs = nn.ModuleList(
            nn.Conv1d(source, target, 25, 4)
            for source, target in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.score = nn.Linear(START_FRAMES * widths[-1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns scores; shuffles phases in training mode."""
        for i, downconv in enumerate(self.downconvs):
            if i and self.training:
                x = self.shuffle(x)
            x = downconv(functional.pad(x, (LEFT, RIGHT)))
            x = functional.leaky_relu(x, 0.2)
        return self.score(x.flatten(1)).float()

    def shuffle(self, x: torch.Tensor) -> torch.Tensor:
        """Shifts a batch in time, and reflects it at the end laid bare."""
        shift = random.randint(-self.radius, self.radius)
        if shift == 0:
            return x
        padding = (shift, 0) if shift > 0 else (0, -shift)
        length = x.shape[-1]
        x = functional.pad(x, padding, mode="reflect")
        return x.narrow(-1, max(-shift, 0), length)


def load(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Sets a network's weights.

    Args:
        module: a `Generator` or `Discriminator`.
        weights: by Keras's names without the model's, in Keras's layouts.
    """
    layers = {}
    for name, layer in module.named_children():
        if isinstance(layer, nn.ModuleList):
            stem = name.removesuffix("s")
            layers.update({f"{stem}_{i}": each for i, each in enumerate(layer)})
        else:
            layers["output" if name == "score" else name] = layer
    with torch.no_grad():
        for name, layer in layers.items():
            kernel = torch.from_numpy(weights[f"{name}/kernel"])
            if kernel.ndim == 3:
                kernel = kernel.permute(2, 1, 0)
            elif name == "dense":
                # Keras's frames are (time, channels).
                kernel = kernel.view(len(kernel), START_FRAMES, -1)
                kernel = kernel.permute(2, 1, 0).flatten(0, 1)
            else:
                kernel = kernel.view(START_FRAMES, -1).T.reshape(1, -1)
            bias = torch.from_numpy(weights[f"{name}/bias"])
            if name == "dense":
                bias = bias.view(START_FRAMES, -1).T.flatten()
            layer.weight.copy_(kernel)
            layer.bias.copy_(bias)


class Trainer:
    """Five discriminator updates with gradient penalty, one of the generator.

    Args:
        slice_length: samples in a clip.
        dim: channels of the narrowest block.
        batch_size: clips in one update.
        bfloat16: whether to run the networks under autocast.
        compiled: whether `torch.compile` is asked to help.
        latent_dim: size of a latent vector.
        discriminator_steps: discriminator updates in an iteration.
    """

    def __init__(
        self,
        slice_length: int,
        dim: int,
        batch_size: int,
        bfloat16: bool = False,
        compiled: bool = False,
        latent_dim: int = 100,
        discriminator_steps: int = 5,
    ) -> None:
        self.generator = Generator(slice_length, dim, latent_dim)
        self.average = Generator(slice_length, dim, latent_dim)
        self.average.requires_grad_(False)
        self.discriminator = Discriminator(slice_length, dim)
        self.batch_size, self.latent_dim = batch_size, latent_dim
        self.discriminator_steps = discriminator_steps
        self.bfloat16 = bfloat16
        self.optimizers = [
            torch.optim.Adam(
                network.parameters(), 1e-4, betas=(0.5, 0.9), fused=True
            )
            for network in (self.generator, self.discriminator)
        ]
        self.generate = self.generator
        self.sampler = self.average
        if compiled:
            # A compiled graph cannot be differentiated twice, and a critic
            # with random shifts would be compiled for each combination of
            # them: the critic's blocks stay eager.
            self.generate = torch.compile(self.generator, dynamic=False)
            self.sampler = torch.compile(self.average, dynamic=False)

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
        """Returns the precision that networks run under."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def latents(self) -> torch.Tensor:
        """Draws the latents of one update."""
        return torch.rand(self.batch_size, self.latent_dim) * 2 - 1

    def iteration(self, audio: torch.Tensor) -> float:
        """Trains on `(discriminator_steps * batch, 1, time)` real clips."""
        for real in audio.chunk(self.discriminator_steps):
            loss = self._update_discriminator(real)
        self._update_generator()
        return loss.item()

    def _update_discriminator(self, real: torch.Tensor) -> torch.Tensor:
        with self.autocast():
            with torch.no_grad():
                fake = self.generate(self.latents())
            loss = (
                self.discriminator(fake).mean()
                - self.discriminator(real).mean()
            )
            between = torch.lerp(real, fake, torch.rand(len(real), 1, 1))
            between.requires_grad_(True)
            (slopes,) = torch.autograd.grad(
                self.discriminator(between).sum(), between, create_graph=True
            )
        norms = (slopes.flatten(1).square().sum(1) + 1e-12).sqrt()
        loss = loss + 10 * (norms - 1).square().mean()
        self._apply(self.optimizers[1], self.discriminator, loss)
        return loss.detach()

    def _update_generator(self) -> None:
        self.discriminator.requires_grad_(False)
        with self.autocast():
            loss = -self.discriminator(self.generate(self.latents())).mean()
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
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()

    @torch.no_grad()
    def sample(self, latents: np.ndarray) -> np.ndarray:
        """Generates `(batch, time, 1)` from latents."""
        with self.autocast():
            audio = self.sampler(torch.from_numpy(latents))
        return audio.transpose(1, 2).numpy()
