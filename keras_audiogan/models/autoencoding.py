"""Recordings to latents and back: what every autoencoder offers its users."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_audiogan.audio.files import with_channels
from keras_audiogan.audio.joining import join_clips
from keras_audiogan.models.batches import check_given
from keras_audiogan.serving.walks import CROSSFADE


class Autoencoding:
    """Methods of generators that have an encoder.

    A class with it defines `encode_clips(clips)`, which returns the mean and
    the log variance of latents.
    """

    sampling_rate: int
    slice_length: int
    num_channels: int
    _lacks_encoder: bool = False

    def on_preset_loaded(self, stems: set[str]) -> None:
        """Called when weights were loaded; notes whether it can encode."""
        super().on_preset_loaded(stems)  # type: ignore[misc]
        self._lacks_encoder = "encoder" not in stems

    def encode(
        self,
        clips: np.ndarray,
        seed: int | None = None,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Returns latents of clips.

        Args:
            clips: Float32 `(n, time, channels)` in [-1, 1], `slice_length`
                samples each, at the model's rate and level; see
                `recording_pieces` for sound of other lengths.
            seed: Draws latents around what the encoder says; by default they
                are its means.
            batch_size: Clips at a time.

        Returns:
            Float32 `(n, latent_dim)`.

        Raises:
            ValueError: If the clips have another shape or are no sound in
                [-1, 1], or the weights of the encoder were not loaded.
        """
        model: Any = self
        if self._lacks_encoder:
            raise ValueError(
                "The encoder's weights were not loaded: load the preset with "
                "all weights, or with weights=['generator', 'encoder']. "
                "Received: a model without them"
            )
        clips = np.asarray(clips, "float32")
        wanted = (self.slice_length, self.num_channels)
        if clips.ndim != 3 or clips.shape[1:] != wanted or not len(clips):
            raise ValueError(
                f"Clips must have the shape (n, {wanted[0]}, {wanted[1]}), n "
                f"at least 1. Received: shape {clips.shape}"
            )
        check_given(clips, None, *wanted, ())
        size = _padded(len(clips), batch_size)
        parts = []
        for start in range(0, len(clips), size):
            rows = clips[start : start + size]
            padded = np.pad(rows, [(0, size - len(rows)), (0, 0), (0, 0)])
            mean, log_variance = model.encode_clips(padded)
            latents = mean[: len(rows)]
            if seed is not None:
                noise = [
                    np.random.default_rng((seed, index)).standard_normal(
                        model.latent_dim
                    )
                    for index in range(start, start + len(rows))
                ]
                spread = np.exp(0.5 * log_variance[: len(rows)])
                latents = latents + spread * np.stack(noise)
            parts.append(latents.astype("float32"))
        return np.concatenate(parts)

    def decode(self, latents: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Returns the clips of latents: float32 `(n, time, channels)`."""
        model: Any = self
        latents = model.checked_latents(latents)
        size = _padded(len(latents), batch_size)
        return np.concatenate(
            [
                model._generate(latents[start : start + size], None, size)
                for start in range(0, len(latents), size)
            ]
        )

    def reconstruct(
        self,
        audio: np.ndarray,
        crossfade: float = CROSSFADE,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Returns copies of clips, or the copy of a recording.

        Args:
            audio: Clips `(n, slice_length, channels)`, or a recording
                `(time, channels)` or `(time,)` of any length, in [-1, 1], at
                the model's rate and level. A recording goes through in
                pieces.
            crossfade: Overlap of pieces in seconds, at most half a clip;
                they fade into each other with equal power.
            batch_size: Clips at a time.

        Returns:
            Float32, of the shape of the audio, with its axis of channels.

        Raises:
            ValueError: As `encode`.
        """
        audio = np.asarray(audio, "float32")
        if audio.ndim == 3:
            return self.decode(self.encode(audio, None, batch_size), batch_size)
        sound = with_channels(audio)
        fade = self.fade_samples(crossfade)  # type: ignore[attr-defined]
        pieces = self.recording_pieces(sound, crossfade)
        copies = (
            copy
            for start in range(0, len(pieces), batch_size)
            for copy in self.reconstruct(pieces[start : start + batch_size])
        )
        return np.concatenate(list(join_clips(copies, fade)))[: len(sound)]

    def piece_starts(
        self, num_samples: int, crossfade: float = CROSSFADE
    ) -> np.ndarray:
        """Returns where the pieces of a recording begin that hold all of it.

        Args:
            num_samples: Of the recording.
            crossfade: Overlap in seconds.
        """
        fade = self.fade_samples(crossfade)  # type: ignore[attr-defined]
        step = self.slice_length - fade
        count = max(1, -(-(num_samples - fade) // step))
        return np.arange(count) * step

    def recording_pieces(
        self, sound: np.ndarray, crossfade: float = CROSSFADE
    ) -> np.ndarray:
        """Cuts a recording into overlapping clips, zeros behind its end.

        Args:
            sound: `(time, channels)` or `(time,)`.
            crossfade: Overlap in seconds, at most half a clip.

        Returns:
            Float32 `(n, slice_length, channels)`.
        """
        sound = with_channels(sound)
        starts = self.piece_starts(len(sound), crossfade)
        rest = int(starts[-1]) + self.slice_length - len(sound)
        padded = np.pad(sound, [(0, rest), (0, 0)])
        return np.stack([padded[i : i + self.slice_length] for i in starts])

    def between(
        self,
        first: np.ndarray,
        second: np.ndarray,
        num_steps: int = 12,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Generates a path from one clip to another, copies at its ends.

        Args:
            first: `(slice_length, channels)`.
            second: The same.
            num_steps: Clips on the path, the ends included.
            batch_size: Clips at a time.

        Returns:
            Float32 `(num_steps, time, channels)` in [-1, 1].

        Raises:
            ValueError: As `encode`, or if there are fewer than two steps.
        """
        model: Any = self
        if num_steps < 2:
            raise ValueError(
                f"A path needs 2 clips or more. Received: num_steps={num_steps}"
            )
        ends = self.encode(np.stack([first, second]))
        position = np.linspace(0.0, 1.0, num_steps, dtype="float32")[:, None]
        return self.decode(
            model.path_between(ends[:1], ends[1:], position), batch_size
        )


def _padded(rows: int, batch_size: int) -> int:
    """Rows that a batch is filled up to: files of any length make few sizes."""
    return min(batch_size, 1 << (rows - 1).bit_length())
