"""Representations: what the networks see, and sound of it."""

from __future__ import annotations

from typing import Any

from keras import ops


class Representation:
    """Base class."""

    def analyse(self, audio: Any) -> Any:
        """Returns what networks see."""
        return audio

    def synthesise(self, x: Any) -> Any:
        """Returns sound."""
        return x

    def level(self, x: Any) -> Any:
        """Returns the root mean square."""
        return ops.sqrt(ops.mean(ops.square(ops.cast(x, "float32"))))


class Waveform(Representation):
    """Sound itself."""


class SubBands(Representation):
    """Bands of a PQMF."""

    def __init__(self, num_bands, taps, cutoff, beta):
        from keras_audiogan.layers import PQMF

        self.bank = PQMF(num_bands, taps, cutoff, beta, name="pqmf")
        self.bank.build((None, None, num_bands))

    def analyse(self, audio):
        """Bands."""
        return self.bank.analysis(audio)

    def synthesise(self, x):
        """Sound."""
        return self.bank.synthesis(x)
