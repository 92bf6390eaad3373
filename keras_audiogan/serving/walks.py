"""Walks through the latent space, and sound of any length along them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_audiogan.audio.joining import faded_out, join_clips

SPEED = 0.25
"""Of walks; see `Streaming.stream`."""
CROSSFADE = 0.25
"""In seconds."""
# Samples of a batch of a stream, at most: clips may be a minute long.
_BATCH_SAMPLES = 1 << 20
_erf = np.vectorize(math.erf, otypes=["float64"])
_normal_quantile = np.vectorize(
    statistics.NormalDist().inv_cdf, otypes=["float64"]
)


class Streaming:
    """Methods of generators that make sound without an end to it.

    A generator says by which law it draws latents.

    Attributes:
        latent_law: `"uniform"` for independent numbers in [-1, 1),
            `"normal"` for those of N(0, 1).
    """

    latent_law: str = "uniform"
    sampling_rate: int
    slice_length: int
    latent_dim: int

    def walk(self, positions: np.ndarray, seed: int) -> np.ndarray:
        """Returns latents on a random walk, each by the law of latents.

        At position `k`, a whole number, the walk is at latent `k` of
        `sample_latents`; between two of them it keeps their law: a normal
        latent turns by a right angle, `cos a x + sin a y`, which is as
        normal as `x` and `y` are, and numbers in the cube are such a walk's
        under the distribution function. Neither means nor straight lines
        would be: they lie nearer to the centre, where a generator was never
        trained.

        Args:
            positions: `(n,)`, from 0.
            seed: As for `sample_latents`; the walk depends on nothing else.

        Returns:
            Float32 `(n, latent_dim)`.
        """
        model: Any = self
        positions = np.asarray(positions, "float64")
        before = np.floor(positions).astype(int)
        anchors = {
            index: self._as_normal(
                model._latents_between(index, index + 1, seed)
            )
            for index in {*before.tolist(), *(before + 1).tolist()}
        }
        angle = (positions - before)[:, None] * (np.pi / 2)
        start, end = (
            np.concatenate([anchors[index] for index in indices.tolist()])
            for indices in (before, before + 1)
        )
        turned = np.cos(angle) * start + np.sin(angle) * end
        if self.latent_law == "uniform":
            turned = _erf(turned / math.sqrt(2.0))
        return turned.astype("float32")

    def _as_normal(self, latents: np.ndarray) -> np.ndarray:
        if self.latent_law == "normal":
            return latents.astype("float64")
        shares = 0.5 + 0.5 * latents.astype("float64")
        return _normal_quantile(np.clip(shares, 1e-9, 1.0 - 1e-9))

    def stream(
        self,
        seconds: float,
        seed: int | None = None,
        *,
        speed: float = SPEED,
        crossfade: float = CROSSFADE,
        labels: Any = None,
        truncation: float | None = None,
        through: np.ndarray | None = None,
        batch_size: int = 64,
    ) -> Iterator[np.ndarray]:
        """Makes one unbroken sound, in the memory of one batch.

        Pieces of a walk through the latent space follow each other, each
        faded into the next with equal power; the end fades out.

        Args:
            seconds: How long.
            seed: Of the walk; see `walk`. None draws one.
            speed: What the walk covers from one piece to the next: with 0
                it stays, with 1 neighbours have nothing to do with each
                other. Sound of long clips changes within them as well.
            crossfade: Overlap of pieces in seconds; at most half a clip.
            labels: For conditional generators, taken in turn, piece by
                piece; see `sample`.
            truncation: Factor in (0, 1] on the latents.
            through: Latents `(n, latent_dim)`, two or more, through which
                the sound goes from its start to its end, in place of the
                random walk.
            batch_size: Pieces at a time; fewer of long clips.

        Yields:
            Float32 blocks `(time, channels)` in [-1, 1], together
            `round(seconds * sampling_rate)` samples.

        Raises:
            ValueError: If a number is out of its range, or a label unknown.
        """
        model: Any = self
        total = round(seconds * self.sampling_rate) if seconds < np.inf else 0
        if total < 1:
            raise ValueError(
                "`seconds` must be a finite length above 0. "
                f"Received: seconds={seconds}"
            )
        if not 0.0 <= speed < np.inf or not 0.0 <= crossfade < np.inf:
            raise ValueError(
                "`speed` and `crossfade` must be 0 or more, and finite. "
                f"Received: speed={speed}, crossfade={crossfade}"
            )
        seed = model.checked_draw(seed, truncation, batch_size)
        fade = self.fade_samples(crossfade)
        step = self.slice_length - fade
        num_pieces = max(1, -(-(total - fade) // step))
        if through is None:

            def latents(indices: np.ndarray) -> np.ndarray:
                return self.walk(speed * indices, seed)
        else:
            points = model.checked_latents(through)
            pace = (len(points) - 1) / max(1, num_pieces - 1)

            def latents(indices: np.ndarray) -> np.ndarray:
                return self._along(points, pace * indices)

        batch_size = min(
            num_pieces,
            batch_size,
            max(1, _BATCH_SAMPLES // self.slice_length),
        )
        classes = model.label_indices(labels)

        def pieces() -> Iterator[np.ndarray]:
            for start in range(0, num_pieces, batch_size):
                stop = min(start + batch_size, num_pieces)
                asked = latents(np.arange(start, stop))
                if truncation is not None:
                    asked *= np.float32(truncation)
                yield from model._generate(
                    asked,
                    model._classes_between(classes, start, stop),
                    batch_size,
                )

        return faded_out(join_clips(pieces(), fade), total, fade)

    def fade_samples(self, crossfade: float) -> int:
        """Returns the samples of an overlap, at most half a clip."""
        return min(
            round(crossfade * self.sampling_rate), self.slice_length // 2
        )

    def _along(self, points: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Returns latents on the way through points; whole numbers are they."""
        model: Any = self
        before = np.minimum(positions.astype(int), max(0, len(points) - 2))
        after = np.minimum(before + 1, len(points) - 1)
        share = np.clip(positions - before, 0.0, 1.0)[:, None]
        return model.path_between(
            points[before], points[after], share.astype("float32")
        ).astype("float32")
