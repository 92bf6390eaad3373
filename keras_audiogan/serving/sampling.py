"""Sound from seeds and labels: what every generator offers its users.

Keras models and engines without Keras have it from here, so that a seed is the
same sound to both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_audiogan._names import same_name
from keras_audiogan.serving.walks import Streaming

Labels = str | int | Sequence[str | int] | np.ndarray | None


# No root mean square of a normal latent of any size comes near it.
_MOST_DEVIATION = 6.0


class Sampling(Streaming):
    """Sampling methods of `AudioGAN`, and of engines.

    A generator that is conditional is asked for labels by name or by index.
    Fewer labels than clips are repeated in turn, and no labels stands for
    all of them: clip `i` then has label `i % len(labels)`.
    """

    conditional: bool = False
    latent_dim: int
    labels: tuple[str, ...] | None

    def sample_latents(self, num_samples: int, seed: int) -> np.ndarray:
        """Draws latents with NumPy: the same on every backend.

        Latent `i` depends on `(seed, i)` alone, whatever the batch size.

        Args:
            num_samples: how many.
            seed: any integer from 0.

        Returns:
            Float32 `(num_samples, latent_dim)`, by the law of `draw_latent`.
        """
        return self._latents_between(0, num_samples, seed)

    def _latents_between(self, start: int, stop: int, seed: int) -> np.ndarray:
        latents = np.empty((stop - start, self.latent_dim), "float32")
        for row, index in enumerate(range(start, stop)):
            latents[row] = self.draw_latent(
                np.random.default_rng((seed, index))
            )
        return latents

    def draw_latent(self, rng: np.random.Generator) -> np.ndarray:
        """Draws one latent by the law: uniform in [-1, 1), or normal."""
        if self.latent_law == "normal":
            return rng.standard_normal(self.latent_dim)
        return rng.uniform(-1.0, 1.0, self.latent_dim)

    def path_between(
        self, start: np.ndarray, end: np.ndarray, position: np.ndarray
    ) -> np.ndarray:
        """Returns latents on the way from one to another.

        It is a straight line; between normal latents, which lie near a sphere
        and their mean well within it, the arc of a great circle.

        Args:
            start: `(n, latent_dim)` or one of them.
            end: The same.
            position: From 0 to 1, `(n, 1)`.
        """
        if self.latent_law == "normal":
            return slerp(start, end, position)
        return start + position * (end - start)

    def label_indices(self, labels: Labels) -> np.ndarray | None:
        """Returns labels as indices, one period of what `sample` repeats.

        Args:
            labels: names, indices, one of either, or None for every label.

        Returns:
            Integers `(n,)`; None if the generator is not conditional.

        Raises:
            ValueError: if a label is unknown (the message lists the known
                ones), there is none, or the generator takes no labels.
        """
        if not self.conditional:
            if labels is not None:
                raise ValueError(
                    "This generator takes no labels: it makes whatever it was "
                    "trained on. Use a conditional architecture, e.g. "
                    f"projection_wavegan. Received: labels={labels!r}"
                )
            return None
        known = self.labels or ()
        if labels is None:
            return np.arange(len(known))
        if isinstance(labels, (str, int, np.integer)):
            labels = [labels]
        indices = []
        for label in labels:
            found = same_name(label, known) if isinstance(label, str) else None
            if found is not None:
                indices.append(known.index(found))
            elif (
                isinstance(label, (int, np.integer))
                and not isinstance(label, bool)
                and 0 <= label < len(known)
            ):
                indices.append(int(label))
            else:
                raise ValueError(
                    f"Unknown label. Expected one of {', '.join(known)}, or "
                    f"an index below {len(known)}. Received: {label!r}"
                )
        if not indices:
            raise ValueError("`labels` names none. Received: labels=[]")
        return np.array(indices)

    def _classes_between(
        self, indices: np.ndarray | None, start: int, stop: int
    ) -> np.ndarray | None:
        """One-hot rows of the clips from `start` to before `stop`."""
        if indices is None:
            return None
        return self._one_hot(indices[np.arange(start, stop) % len(indices)])

    def _one_hot(self, indices: np.ndarray) -> np.ndarray:
        return np.eye(len(self.labels or ()), dtype="float32")[indices]

    def sample_batches(
        self,
        num_samples: int,
        seed: int | None = None,
        batch_size: int = 64,
        truncation: float | None = None,
        labels: Labels = None,
    ) -> Iterator[np.ndarray]:
        """Samples as `sample` does, in the memory of one batch.

        Yields:
            Float32 `(up to batch_size, time, channels)` in [-1, 1].
        """
        seed = self.checked_draw(seed, truncation, batch_size, num_samples)
        indices = self.label_indices(labels)
        batch_size = min(batch_size, num_samples)
        for start in range(0, num_samples, batch_size):
            stop = min(start + batch_size, num_samples)
            latents = self._latents_between(start, stop, seed)
            if truncation is not None:
                latents *= truncation
            yield self._generate(
                latents, self._classes_between(indices, start, stop), batch_size
            )

    def checked_draw(
        self,
        seed: int | None,
        truncation: float | None,
        batch_size: int,
        num_samples: int = 1,
    ) -> int:
        """Checks what sound is drawn by, and returns the seed.

        Raises:
            ValueError: if a number is out of its range.
        """
        if num_samples < 1 or batch_size < 1:
            raise ValueError(
                "`num_samples` and `batch_size` must be 1 or more. Received: "
                f"num_samples={num_samples}, batch_size={batch_size}"
            )
        if truncation is not None and not 0.0 < truncation <= 1.0:
            raise ValueError(
                "`truncation` must be in (0, 1]. "
                f"Received: truncation={truncation}"
            )
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if seed < 0:
            raise ValueError(f"`seed` must be 0 or more. Received: seed={seed}")
        return seed

    def _generate(
        self, latents: np.ndarray, classes: np.ndarray | None, batch_size: int
    ) -> np.ndarray:
        """Runs one batch, padded to `batch_size` so that no shape is new."""
        rows = len(latents)
        missing = [(0, batch_size - rows), (0, 0)]
        inputs: Any = np.pad(latents, missing)
        if classes is not None:
            inputs = [inputs, np.pad(classes, missing)]
        # A post filter may overshoot full scale.
        return np.clip(self._run(inputs)[:rows], -1.0, 1.0)

    def _run(self, inputs: Any) -> np.ndarray:
        """Returns the sound of latents, or of `[latents, classes]`."""
        raise NotImplementedError

    def sample(
        self,
        num_samples: int | None = None,
        seed: int | None = None,
        batch_size: int = 64,
        truncation: float | None = None,
        latents: np.ndarray | None = None,
        labels: Labels = None,
    ) -> np.ndarray:
        """Generates sound.

        Args:
            num_samples: how many clips; one for each of `labels` (or of
                `latents`) if not given, else one.
            seed: integer from 0: the same seed gives the same sound; None
                draws one.
            batch_size: clips at a time.
            truncation: factor in (0, 1] on the latents; less is more typical
                and less varied.
            latents: `(num_samples, latent_dim)`, instead of drawn ones.
            labels: what to say, for conditional generators: names or
                indices, repeated in turn; None takes every label in turn.

        Returns:
            Float32 `(num_samples, time, channels)` in [-1, 1].

        Raises:
            ValueError: if a label is unknown, or a number out of range.
        """
        indices = self.label_indices(labels)
        if latents is None:
            if num_samples is None:
                asked = indices if labels is not None else None
                num_samples = 1 if asked is None else len(asked)
            batches = self.sample_batches(
                num_samples, seed, batch_size, truncation, labels
            )
            return np.concatenate(list(batches))
        latents = self.checked_latents(latents)
        classes = self._classes_between(indices, 0, len(latents))
        return self._from_latents(latents, classes, batch_size)

    def checked_latents(self, latents: Any) -> np.ndarray:
        """Returns latents that were given as float32 `(n, latent_dim)`.

        Raises:
            ValueError: if they have another shape, or see `check_latents`.
        """
        latents = np.asarray(latents, "float32")
        if latents.shape[1:] != (self.latent_dim,) or not len(latents):
            raise ValueError(
                f"`latents` must have the shape (n, {self.latent_dim}), n "
                f"at least 1. Received: shape {latents.shape}"
            )
        self.check_latents(latents)
        return latents

    def check_latents(self, latents: np.ndarray) -> None:
        """Checks latents that were given.

        Raises:
            ValueError: if one is NaN or infinite, or far from normal where
                they must be.
        """
        if not np.isfinite(latents).all():
            raise ValueError(
                "`latents` must be finite numbers. Received: "
                f"{np.count_nonzero(~np.isfinite(latents))} that are not"
            )
        if self.latent_law != "normal":
            return
        most = float(np.sqrt(np.mean(np.square(latents), axis=-1)).max())
        if most > _MOST_DEVIATION:
            raise ValueError(
                "`latents` must be those of a standard normal distribution, "
                "or shorter. Received: a latent whose root mean square is "
                f"{most:.3g}"
            )

    def _from_latents(
        self, latents: np.ndarray, classes: np.ndarray | None, batch_size: int
    ) -> np.ndarray:
        size = min(batch_size, len(latents))
        return np.concatenate(
            [
                self._generate(
                    latents[start : start + size],
                    None if classes is None else classes[start : start + size],
                    size,
                )
                for start in range(0, len(latents), size)
            ]
        )

    def interpolate(
        self,
        seed_a: int,
        seed_b: int,
        num_steps: int = 8,
        labels: Labels = None,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Generates a path between the first clips of two seeds.

        Args:
            seed_a: where the path starts.
            seed_b: where it ends.
            num_steps: clips on the path, the ends included.
            labels: for conditional generators, the label of the path, or two
                of them, of its start and its end; the first label if not
                given.
            batch_size: clips at a time.

        Returns:
            Float32 `(num_steps, time, channels)` in [-1, 1].
        """
        if num_steps < 2:
            raise ValueError(
                f"A path needs 2 clips or more. Received: num_steps={num_steps}"
            )
        position = np.linspace(0.0, 1.0, num_steps, dtype="float32")[:, None]
        start = self.sample_latents(1, seed_a)
        end = self.sample_latents(1, seed_b)
        classes = None
        if self.conditional and labels is None:
            labels = 0
        indices = self.label_indices(labels)
        if indices is not None:
            if len(indices) > 2:
                raise ValueError(
                    "A path has one label, or one at each end. "
                    f"Received: labels={labels!r}"
                )
            ends = self._one_hot(indices[np.arange(2) % len(indices)])
            classes = ends[:1] + position * (ends[1:] - ends[:1])
        return self._from_latents(
            self.path_between(start, end, position), classes, batch_size
        )


def slerp(
    start: np.ndarray, end: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Interpolates on the sphere (Shoemake, SIGGRAPH 1985).

    Args:
        start: `(n, size)`, none of them zero.
        end: The same.
        position: `(n, 1)`, from 0 to 1.

    Returns:
        `(n, size)`; on a straight line where both point the same way or
        opposite ways, so that there is no arc or no one of them.
    """
    lengths = [
        np.linalg.norm(each, axis=-1, keepdims=True) for each in (start, end)
    ]
    cosine = np.sum(start * end, axis=-1, keepdims=True)
    cosine = cosine / np.maximum(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    straight = sine < 1e-4
    sine = np.where(straight, 1.0, sine)
    first = np.where(
        straight, 1.0 - position, np.sin((1.0 - position) * angle) / sine
    )
    second = np.where(straight, position, np.sin(position * angle) / sine)
    return (first * start + second * end).astype("float32")
