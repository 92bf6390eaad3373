"""Streams: mels go in as they come, sound comes out as soon as it is certain.

A sample is certain when no frame that is still to come could change it.
Causal networks of Keras keep what their layers saw last, so that each frame
goes through them once. Of others the frames that the next samples depend on
are kept, and go through again with those that are new.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras_audiogan.serving.vocoding import Vocoding


class VocoderStream:
    """One sound on its way through a vocoder; see `Vocoder.stream`.

    It may be pushed to from any thread, by one at a time.

    Args:
        vocoder: the vocoder.
        seed: of the noise, for vocoders that start from it.

    Attributes:
        look_ahead: samples by which sound stays behind the frames that are
            in; 0 of causal networks.
        latency: the same in seconds.
        num_frames: frames that are in.
        num_samples: samples that are out.
    """

    def __init__(self, vocoder: Vocoding, seed: int = 0) -> None:
        self._vocoder = vocoder
        self._seed = seed
        self._reach = vocoder.reach
        self._hop = vocoder.features.frame_step
        bins = vocoder.features.num_mel_bins
        # Frames that samples to come depend on, and the place of the first.
        self._kept = np.empty((0, bins), "float32")
        self._first = 0
        self._step = vocoder._step()
        self._is_open = True
        self._lock = threading.Lock()
        self.look_ahead = self._reach.look_ahead
        self.latency = self.look_ahead / vocoder.sampling_rate
        self.num_frames = 0
        self.num_samples = 0

    def push(self, mel: Any) -> np.ndarray:
        """Takes the next frames, and returns the next sound.

        Args:
            mel: `(frames, num_mel_bins)`, or one frame `(num_mel_bins,)`.

        Returns:
            Float32 `(time, 1)` in [-1, 1]; the time may be 0.

        Raises:
            ValueError: if the frames have another width or are not finite,
                in which case the stream is as it was and can go on; or if it
                is closed.
        """
        frames = np.asarray(mel, "float32")
        frames = frames[np.newaxis] if frames.ndim == 1 else frames
        bins = self._kept.shape[1]
        if frames.ndim != 2 or frames.shape[1] != bins:
            raise ValueError(
                f"Frames of this stream must have the shape (frames, {bins}); "
                f"the {self.num_frames} that are in stay, and it can go on. "
                f"Received: shape {np.shape(mel)}"
            )
        if not np.isfinite(frames).all():
            raise ValueError(
                "Frames must be finite numbers; the stream is as it was and "
                f"can go on. Received: {np.count_nonzero(~np.isfinite(frames))}"
                " that are not"
            )
        with self._lock:
            self._check_open()
            self._kept = np.concatenate([self._kept, frames])
            self.num_frames += len(frames)
            return self._sound_until(
                self._reach.ready(self.num_frames, self._hop)
            )

    def finish(self) -> np.ndarray:
        """Closes the stream, and returns the sound that it still owes.

        Returns:
            Float32 `(time, 1)` in [-1, 1]: `num_frames * hop` samples have
            come out then.

        Raises:
            ValueError: if it is closed.
        """
        with self._lock:
            self._check_open()
            self._is_open = False
            return self._sound_until(self.num_frames * self._hop)

    def close(self) -> None:
        """Closes the stream; sound that it still owes is dropped."""
        with self._lock:
            self._is_open = False
            self._kept = self._kept[:0]

    def __enter__(self) -> VocoderStream:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the stream."""
        self.close()

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(
                "The stream is closed: open another one with `stream()`. "
                f"Received: frames after {self.num_frames}"
            )

    def _sound_until(self, stop: int) -> np.ndarray:
        start, hop = self.num_samples, self._hop
        if stop <= start:
            return np.empty((0, 1), "float32")
        if self._step is not None:
            sound = self._step(self._kept[np.newaxis], self._first, self._seed)
            self._first, self._kept = self.num_frames, self._kept[:0]
            self.num_samples = stop
            return sound[0]
        # Of what is kept only what the next sample sees.
        needless = start // hop - self._reach.look_back - self._first
        if needless > 0:
            self._kept = self._kept[needless:]
            self._first += needless
        sound = self._vocoder.run_frames(
            self._kept[np.newaxis], self._first, self._seed
        )[0]
        self.num_samples = stop
        at = self._first * hop
        return sound[start - at : stop - at]
