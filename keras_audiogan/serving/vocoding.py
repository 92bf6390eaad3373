"""Sound from mels: what every vocoder offers its users, with or without Keras.

Long mels go through in windows that overlap by what a sample depends on, and
whose edges lie at the edges of the sound or in the overlap. So nothing is ever
padded, and the sound of a piece is that of the whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from keras_audiogan.audio.checks import check_floats, check_sound
from keras_audiogan.audio.mel_front_end import MelSettings
from keras_audiogan.audio.mel_scale import check_mel_scale, mels_in_a_row
from keras_audiogan.audio.resampling import resample
from keras_audiogan.serving.reach import Reach, fitted_frames, fitted_reach
from keras_audiogan.serving.streaming import VocoderStream

# Windows that go through at once are at most so many times a whole one.
_BATCH_WINDOWS = 2
MOST_ITERATIONS = 1000


class Window(NamedTuple):
    """Frames from `left` on that make the sound of those `start` to `stop`."""

    left: int
    start: int
    stop: int


class Vocoding:
    """Methods of `Vocoder`, and of engines.

    Attributes:
        features: the front end.
        sampling_rate: in Hz.
        phase_iterations: how often phases of what the network made are
            corrected; see `keras_audiogan.audio.fit_to_mel`.
        context_frames: frames to either side that a sample depends on.
        reach: the same to the sample, see `Reach`.
        network_frames: `context_frames` of the network's sound.
        network_reach: `reach` of it.
        default_chunk_frames: frames that `vocode` takes at a time, by what
            memory they need.
        takes_noise: whether it is called with `[mel, noise]`.
        compiles_lengths: whether every length is compiled for itself.
    """

    features: Any
    sampling_rate: int
    default_chunk_frames = 512
    takes_noise = False
    _said_rate = False

    @property
    def phase_iterations(self) -> int:
        """How often phases of what the network made are corrected."""
        raise NotImplementedError

    @property
    def network_frames(self) -> int:
        """Frames to either side that a sample of the network depends on."""
        raise NotImplementedError

    @property
    def network_reach(self) -> Reach:
        """What of the mels a sample of the network depends on."""
        raise NotImplementedError

    @property
    def context_frames(self) -> int:
        """Frames to either side that a sample depends on."""
        mel = self.features
        return self.network_frames + fitted_frames(
            self.phase_iterations, mel.frame_step, mel.fft_length
        )

    @property
    def reach(self) -> Reach:
        """What of the mels a sample of the sound depends on."""
        mel = self.features
        return fitted_reach(
            self.network_reach,
            self.phase_iterations,
            mel.frame_step,
            mel.fft_length,
            mel.padding,
        )

    def set_phase_recovery(self, num_iterations: int) -> None:
        """Changes `phase_iterations` from now on.

        Args:
            num_iterations: from 0 to 1,000.

        Raises:
            ValueError: if it is out of range, or frames of the mels overlap
                too little.
        """
        check_phase_iterations(num_iterations, self.features)
        self._set_phase_iterations(num_iterations)

    def _set_phase_iterations(self, number: int) -> None:
        raise NotImplementedError

    @property
    def compiles_lengths(self) -> bool:
        """Whether every length of mels is compiled for itself."""
        return False

    def _run(self, inputs: Any) -> np.ndarray:
        """Returns the sound of mels, or of `[mels, noise]`."""
        raise NotImplementedError

    def _mels_of(self, audio: np.ndarray) -> np.ndarray:
        return self.features(audio)

    def mel(self, audio: Any, sampling_rate: float | None = None) -> np.ndarray:
        """The mel spectrogram that this vocoder understands.

        Args:
            audio: float `(time,)`, `(time, 1)` or `(batch, time, 1)` in
                [-1, 1].
            sampling_rate: its rate in Hz; sound at another than the
                vocoder's is resampled. Without it the vocoder's is assumed,
                which a warning says once.

        Returns:
            Float32 `(batch, frames, num_mel_bins)`.

        Raises:
            ValueError: if the shape is another, the sound is shorter than a
                transform's padding, or holds numbers that are not finite or
                on the scale of integers.
        """
        audio = self._at_own_rate(audio, sampling_rate)
        shortest = self.features.fft_length
        if audio.shape[1] < shortest:
            raise ValueError(
                f"A mel spectrogram needs {shortest} samples or more. "
                f"Received: {audio.shape[1]} samples"
            )
        return self._mels_of(audio)

    def _at_own_rate(self, audio: Any, rate: float | None) -> np.ndarray:
        """Returns sound `(batch, time, 1)` at the vocoder's rate."""
        own = self.sampling_rate
        if rate is None and not self._said_rate:
            self._said_rate = True
            warnings.warn(
                f"No `sampling_rate` was given: the sound is taken to be at "
                f"this vocoder's {own} Hz. Give sampling_rate={own} if it is, "
                "or its own, and it is resampled.",
                stacklevel=3,
            )
        check_floats(audio)
        audio = _as_batch_of_sound(audio)
        check_sound(audio)
        if rate is None or rate == own:
            return audio
        return np.stack([resample(row, rate, own) for row in audio])

    @overload
    def vocode(
        self,
        audio_or_mel: list[np.ndarray],
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
        sampling_rate: float | None = None,
    ) -> list[np.ndarray]: ...
    @overload
    def vocode(
        self,
        audio_or_mel: Any,
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
        sampling_rate: float | None = None,
    ) -> np.ndarray: ...

    def vocode(
        self,
        audio_or_mel: Any,
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
        sampling_rate: float | None = None,
    ) -> Any:
        """Turns mels, or sound through its mels, into sound.

        Long inputs go through in chunks that overlap by what a sample
        depends on: the result is that of the whole, and memory is bounded.

        Args:
            audio_or_mel: mels `(frames, num_mel_bins)` or `(batch, frames,
                num_mel_bins)`; or sound, see `mel`. Also a list of arrays of
                any lengths, each the mels or the sound of one clip.
            seed: of the noise, for vocoders that start from it.
            chunk_frames: frames at a time, without the overlap; the
                architecture's `default_chunk_frames` unless given.
            noise: what such vocoders start from, `(batch, frames * hop, 1)`,
                in place of what the seed draws.
            sampling_rate: of sound, see `mel`.

        Returns:
            Float32 `(batch, time, 1)` in [-1, 1], at the vocoder's rate:
            `frames * hop` samples of mels, as many samples as it had of
            sound. Of a list, a list of `(time, 1)`, each what its item alone
            would have become.

        Raises:
            ValueError: if the shape is another, numbers are not finite, or
                they cannot be sound in [-1, 1] or this vocoder's mels; where
                that is only likely there is a warning.
        """
        if _is_list_of_arrays(audio_or_mel):
            if noise is not None:
                raise ValueError(
                    "A list of clips has the noise of its seed: leave out "
                    "`noise`, or give one batch of equal lengths. "
                    f"Received: `noise` and {len(audio_or_mel)} clips"
                )
            return self._vocode_each(
                audio_or_mel, seed, self._chunk(chunk_frames), sampling_rate
            )
        mel, length = self._as_mels(audio_or_mel, sampling_rate)
        parts = list(self.vocode_parts(mel, seed, chunk_frames, noise))
        return np.concatenate(parts, axis=1)[:, :length]

    def _as_mels(
        self, audio_or_mel: Any, sampling_rate: float | None
    ) -> tuple[np.ndarray, int | None]:
        """Returns mels of what `vocode` was given, and how long sound was."""
        bins = self.features.num_mel_bins
        given = mels_in_a_row(audio_or_mel, bins)
        if given.ndim < 2 or given.shape[-1] != bins:
            given = self._at_own_rate(given, sampling_rate)
            length = given.shape[1]
            hop, fft = self.features.frame_step, self.features.fft_length
            missing = max(fft - length, -length % hop)
            padded = np.pad(given, [(0, 0), (0, missing), (0, 0)])
            return self.mel(padded, self.sampling_rate), length
        if given.size and np.isfinite(given).all():
            check_mel_scale(given, self.features)
        given = np.asarray(given, "float32")
        return (given[np.newaxis] if given.ndim == 2 else given), None

    def vocode_parts(
        self,
        mel: Any,
        seed: int = 0,
        chunk_frames: int | None = None,
        noise: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Turns mels into sound, a chunk at a time; see `vocode`.

        Yields:
            Float32 `(batch, frames * hop, 1)`, one after the other in time.
        """
        mel = np.asarray(mel, "float32")
        if mel.ndim == 2:
            mel = mel[np.newaxis]
        self._frames_in(mel)
        self._check_noise(noise, mel)
        frames, hop = mel.shape[1], self.features.frame_step
        width = self._width(frames, self._chunk(chunk_frames))
        if not self.compiles_lengths:
            width = self._least_width(frames, width)
        for left, start, stop in self._windows(frames, width):
            right = left + width
            own = None
            if noise is not None:
                own = np.asarray(noise[:, left * hop : right * hop], "float32")
            sound = self.run_frames(mel[:, left:right], left, seed, own)
            yield sound[:, (start - left) * hop : (stop - left) * hop]

    def stream(self, seed: int = 0) -> VocoderStream:
        """Opens a stream: mels go in as they come, sound comes out.

        ```python
        with vocoder.stream() as stream:
            for frames in source:               # (any number, num_mel_bins)
                play(stream.push(frames))       # (time, 1), maybe none yet
            play(stream.finish())
        ```

        All that comes out, one after the other, is what `vocode` makes of the
        whole. Any number of streams can be open.

        Args:
            seed: of the noise, for vocoders that start from it.
        """
        return VocoderStream(self, seed)

    # Parts

    def _step(self) -> Callable[[np.ndarray, int, int], np.ndarray] | None:
        """Returns what runs parts of a sound with state; None without."""
        return None

    def _frames_in(self, mel: np.ndarray) -> None:
        """Checks mels `(batch, frames, bins)`."""
        if mel.ndim != 3 or mel.shape[2] != self.features.num_mel_bins:
            raise ValueError(
                "Mels must have the shape (batch, frames, "
                f"{self.features.num_mel_bins}). Received: shape {mel.shape}"
            )
        if not mel.size or not np.isfinite(mel).all():
            raise ValueError(
                "Mels must be finite numbers, of one frame or more. "
                f"Received: shape {mel.shape}"
            )

    def _chunk(self, chunk_frames: int | None) -> int:
        if chunk_frames is None:
            mel = self.features
            further = fitted_frames(
                self.phase_iterations, mel.frame_step, mel.fft_length
            )
            # Windows that overlap by so much are to be longer still.
            return max(self.default_chunk_frames, 4 * further)
        if chunk_frames < 1:
            raise ValueError(
                "`chunk_frames` must be 1 or more. "
                f"Received: chunk_frames={chunk_frames}"
            )
        return chunk_frames

    def _width(self, frames: int, chunk_frames: int) -> int:
        """Returns how many frames the windows of a clip have."""
        width = chunk_frames + 2 * self.context_frames
        if frames >= width:
            return width
        if self.compiles_lengths:
            # Few lengths, so that most are compiled already.
            while width > frames:
                width = width * 3 // 4
            if width > 3 * self.context_frames:
                return width
        return frames

    def _least_width(self, frames: int, width: int) -> int:
        """Returns the least width with which windows are no more."""
        overlap = 2 * self.context_frames
        if frames <= width or width <= overlap:
            return width
        count = -(-(frames - overlap) // (width - overlap))
        return overlap - (-(frames - overlap) // count)

    def _windows(
        self, frames: int, width: int, context: int | None = None
    ) -> Iterator[Window]:
        """Yields the windows of `width` frames that make up a clip."""
        context = self.context_frames if context is None else context
        start = 0
        while start < frames:
            left = min(max(start - context, 0), frames - width)
            stop = frames
            if left + width < frames:
                stop = max(start + 1, left + width - context)
            yield Window(left, start, stop)
            start = stop

    def _noise_of(
        self, row: int, start: int, stop: int, seed: int
    ) -> np.ndarray:
        """Returns the noise of some frames `(time, 1)`.

        One stream a row and a frame, so that chunks agree.
        """
        hop = self.features.frame_step
        noise = np.empty(((stop - start), hop), "float32")
        for frame in range(start, stop):
            rng = np.random.default_rng((seed, row, frame))
            noise[frame - start] = rng.standard_normal(hop, "float32")
        return noise.reshape(-1, 1)

    def _check_noise(self, noise: np.ndarray | None, mel: np.ndarray) -> None:
        if noise is None:
            return
        if not self.takes_noise:
            raise ValueError(
                f"{type(self).__name__} starts from no noise. Received: `noise`"
            )
        wanted = (len(mel), mel.shape[1] * self.features.frame_step, 1)
        if np.shape(noise) != wanted:
            raise ValueError(
                f"`noise` must have the shape {wanted}. "
                f"Received: shape {np.shape(noise)}"
            )

    def run_frames(
        self,
        mel: np.ndarray,
        first: int,
        seed: int,
        noise: np.ndarray | None = None,
    ) -> np.ndarray:
        """Runs the network on some frames of a sound, without any overlap.

        Args:
            mel: `(batch, frames, num_mel_bins)`.
            first: the place of the first of them in the sound, by which
                noise is drawn.
            seed: of the noise.
            noise: that of the frames, in place of what the seed draws.

        Returns:
            Float32 `(batch, frames * hop, 1)` in [-1, 1].
        """
        if not self.takes_noise:
            return np.clip(self._run(mel), -1.0, 1.0)
        if noise is None:
            last = first + mel.shape[1]
            noise = np.stack(
                [self._noise_of(i, first, last, seed) for i in range(len(mel))]
            )
        return np.clip(self._run([mel, noise]), -1.0, 1.0)

    def _vocode_each(
        self,
        items: Sequence[Any],
        seed: int,
        chunk_frames: int,
        sampling_rate: float | None,
    ) -> list[np.ndarray]:
        """Returns the sounds of mels or sounds of any lengths.

        Windows of one width, of whichever clips, go through together.
        """
        given = [self._as_mels(each, sampling_rate) for each in items]
        for mel, _ in given:
            if len(mel) != 1:
                raise ValueError(
                    "Of a list each item is one sound, or the mels "
                    f"(frames, {self.features.num_mel_bins}) of one. "
                    f"Received: a batch of {len(mel)}"
                )
            self._frames_in(mel)
        hop = self.features.frame_step
        made = [
            np.empty((mel.shape[1] * hop, 1), "float32") for mel, _ in given
        ]
        most = _BATCH_WINDOWS * (chunk_frames + 2 * self.context_frames)
        for width, members in self._groups(
            [mel.shape[1] for mel, _ in given], chunk_frames
        ):
            windows = [
                (index, window)
                for index in members
                for window in self._windows(given[index][0].shape[1], width)
            ]
            rows = max(1, most // width)
            for at in range(0, len(windows), rows):
                batch = windows[at : at + rows]
                mels = np.concatenate(
                    [
                        given[index][0][:, each.left : each.left + width]
                        for index, each in batch
                    ]
                )
                noise = None
                if self.takes_noise:
                    noise = np.stack(
                        [
                            self._noise_of(
                                0, each.left, each.left + width, seed
                            )
                            for _, each in batch
                        ]
                    )
                sounds = self.run_frames(mels, 0, seed, noise)
                for (index, each), sound in zip(batch, sounds, strict=True):
                    made[index][each.start * hop : each.stop * hop] = sound[
                        (each.start - each.left) * hop : (each.stop - each.left)
                        * hop
                    ]
        return [
            sound[:length]
            for sound, (_, length) in zip(made, given, strict=True)
        ]

    def _groups(
        self, lengths: Sequence[int], chunk_frames: int
    ) -> Iterator[tuple[int, list[int]]]:
        """Yields widths of windows, and the clips that are cut into them.

        The shortest of a group fills a window; others are cut into such
        where the overlap is the lesser part of it.
        """
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        members: list[int] = []
        width = 0
        for index in order:
            frames = lengths[index]
            own = self._width(frames, chunk_frames)
            fits = own == width or (
                width >= 4 * self.context_frames and own <= 2 * width
            )
            if members and not fits:
                yield width, members
                members = []
            if not members:
                width = own
            members.append(index)
        if members:
            yield width, members


def check_phase_iterations(number: Any, features: MelSettings) -> None:
    """Checks how often phases are to be corrected.

    Raises:
        ValueError: if it is out of range, or frames overlap too little.
    """
    if (
        isinstance(number, bool)
        or not isinstance(number, int)
        or not 0 <= number <= MOST_ITERATIONS
    ):
        raise ValueError(
            "`phase_iterations` must be a whole number from 0 to "
            f"{MOST_ITERATIONS}. Received: {number!r}"
        )
    window = features.window_length or features.fft_length
    if number and 2 * features.frame_step > window:
        raise ValueError(
            "Phases are found where frames overlap: `phase_iterations` needs "
            "mels whose `frame_step` is at most half their window. Received: "
            f"frame_step={features.frame_step}, window={window}, "
            f"phase_iterations={number}"
        )


def _is_list_of_arrays(given: Any) -> bool:
    return (
        isinstance(given, (list, tuple))
        and bool(given)
        and all(getattr(each, "ndim", 0) for each in given)
    )


def _as_batch_of_sound(audio: Any) -> np.ndarray:
    audio = np.asarray(audio, "float32")
    if audio.ndim == 1:
        audio = audio[np.newaxis, :, np.newaxis]
    elif audio.ndim == 2:
        audio = audio[np.newaxis]
    if audio.ndim != 3 or audio.shape[2] != 1 or not audio.size:
        raise ValueError(
            "Sound must have the shape (time,), (time, 1) or "
            f"(batch, time, 1). Received: shape {audio.shape}"
        )
    if not np.isfinite(audio).all():
        raise ValueError(
            "Sound must be finite numbers. Received: some that are not"
        )
    return audio
