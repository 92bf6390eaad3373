"""What `audiogan vocode` makes of recordings and mels: copies, figures."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_audiogan import vocoding_inputs

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.models.vocoder import Vocoder

FIGURES = (
    "log_mel_distance",
    "log_mel_distance_in_band",
    "spectral_convergence",
    "log_stft_distance",
)


@dataclasses.dataclass
class Copier:
    """Makes sound files of recordings and of mels.

    Attributes:
        vocoder: The model.
        level: "keep", "peak" or a factor, before the mels are made; undone
            in what is written.
        seed: Of the noise.
        chunk_frames: Frames at a time.
        mel_layout: As for `read_mels`.
        compare: Whether to compare copies with their recordings.
        picture_samples: How many samples `copy` returns of each sound.
    """

    vocoder: "Vocoder"
    level: str | float
    seed: int
    chunk_frames: int
    mel_layout: str
    compare: bool
    picture_samples: int = 0

    def copy(
        self, job: vocoding_inputs.Job
    ) -> tuple[dict[str, Any], list["np.ndarray"]]:
        """Make the sound of one input.

        Args:
            job: What to read and where to write.

        Returns:
            A row of the report, and the beginning of the recording, if it is
            one, and of what was made.

        Raises:
            UnusableInputError: If the input cannot be used.
            AudioFileError: If a sound file cannot be read, or not written.
        """
        if job.is_mel:
            bins = self.vocoder.features.num_mel_bins
            return self._copy_mels(
                job, vocoding_inputs.read_mels(job.path, bins, self.mel_layout)
            )
        return self._copy_recording(
            job, vocoding_inputs.Recording(job.path, self.vocoder)
        )

    def _copy_mels(
        self, job: vocoding_inputs.Job, mels: "np.ndarray"
    ) -> tuple[dict[str, Any], list["np.ndarray"]]:
        row: dict[str, Any] = {
            "file": job.file,
            "source": job.path,
            "kind": "mel",
        }
        sound: list[np.ndarray] = []
        timer = _Timer()
        num_samples = len(mels) * self.vocoder.features.frame_step
        with self._writer(job) as writer:
            for part in timer.each(self._parts(mels)):
                writer.write(part)
                self._keep(sound, part)
        self._add_times(row, num_samples, timer)
        return row, [_joined(sound)]

    def _copy_recording(
        self, job: vocoding_inputs.Job, recording: vocoding_inputs.Recording
    ) -> tuple[dict[str, Any], list["np.ndarray"]]:
        import numpy as np

        from keras_audiogan import metrics

        row: dict[str, Any] = {
            "file": job.file,
            "source": job.path,
            "kind": "sound",
        }
        gain = metrics.level_gain(recording.peak, self.level)
        sound: list[np.ndarray] = []
        timer = _Timer()
        frames = vocoding_inputs.num_frames(recording, self.vocoder)
        bins = self.vocoder.features.num_mel_bins
        left = recording.num_samples
        comparison = _Comparison(recording, self.vocoder, self.compare)
        with (
            vocoding_inputs.room_for_mels(frames, bins) as mels,
            self._writer(job) as writer,
        ):
            at = 0
            for section in timer.each(
                vocoding_inputs.mels_of(recording, gain, self.vocoder)
            ):
                mels[at : at + len(section)] = section
                at += len(section)
            for part in timer.each(self._parts(mels)):
                part = part[:left] / np.float32(gain)
                left -= len(part)
                writer.write(part)
                self._keep(sound, part)
                comparison.add(np.clip(part[:, 0], -1.0, 1.0))
        self._add_times(row, recording.num_samples, timer)
        row.update(comparison.figures())
        real = recording.samples(0, self.picture_samples)
        return row, [real, _joined(sound)]

    def _parts(self, mels: "np.ndarray") -> Iterator["np.ndarray"]:
        import numpy as np

        for part in self.vocoder.vocode_parts(
            mels, self.seed, self.chunk_frames
        ):
            if not np.isfinite(part).all():
                raise vocoding_inputs.UnusableInputError(
                    "the vocoder made numbers of it that are not finite: its "
                    "values are far from those of sound"
                )
            yield part[0]

    def _writer(self, job: vocoding_inputs.Job) -> Any:
        from keras_audiogan.audio import AudioWriter

        return AudioWriter(job.target, self.vocoder.sampling_rate)

    def _keep(self, sound: list["np.ndarray"], part: "np.ndarray") -> None:
        missing = self.picture_samples - sum(map(len, sound))
        if missing > 0:
            sound.append(part[:missing, 0])

    def _add_times(
        self, row: dict[str, Any], num_samples: int, timer: "_Timer"
    ) -> None:
        seconds = num_samples / self.vocoder.sampling_rate
        row["seconds"] = seconds
        row["compute_seconds"] = timer.seconds
        row["real_time_factor"] = timer.seconds / seconds
        row["times_real_time"] = seconds / timer.seconds


class _Timer:
    """Adds up the time that iterators take, without that of their users."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def each(self, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            begin = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - begin
            yield item


class _Comparison:
    """Distances of a copy that comes in parts, piece by piece.

    A recording of one piece is compared whole; of longer ones the pieces'
    mean by length counts.
    """

    def __init__(
        self,
        recording: vocoding_inputs.Recording,
        vocoder: "Vocoder",
        wanted: bool,
    ) -> None:
        from keras_audiogan.data.checks import SILENCE_PEAK

        self._recording = recording
        self._features = vocoder.features
        audible = recording.peak >= SILENCE_PEAK
        self._pieces = recording.pieces() if wanted and audible else []
        self._made: list[np.ndarray] = []
        self._rows: list[tuple[int, dict[str, float]]] = []

    def add(self, part: "np.ndarray") -> None:
        if not self._pieces:
            return
        import numpy as np

        self._made.append(part)
        if sum(map(len, self._made)) < self._pieces[0][1]:
            return
        made = np.concatenate(self._made)
        while self._pieces and len(made) >= self._pieces[0][1]:
            length = self._pieces[0][1]
            self._compare(made[:length])
            made = made[length:]
        self._made = [made]

    def figures(self) -> dict[str, float]:
        if self._pieces and self._made:
            import numpy as np

            # Front ends that round frames down leave some samples out.
            self._compare(np.concatenate(self._made))
        total = sum(length for length, _ in self._rows)
        return {
            name: sum(length * row[name] for length, row in self._rows) / total
            for name in (FIGURES if self._rows else ())
        }

    def _compare(self, made: "np.ndarray") -> None:
        from keras_audiogan import metrics

        real = self._recording.samples(*self._pieces.pop(0))
        convergence, distance = metrics.multi_resolution_stft_distance(
            real, made
        )
        row = {
            "spectral_convergence": convergence,
            "log_stft_distance": distance,
            "log_mel_distance": metrics.log_mel_distance(
                real, made, self._features
            ),
            "log_mel_distance_in_band": metrics.log_mel_distance(
                real, made, self._features, full_band=False
            ),
        }
        self._rows.append((len(real), row))


def means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return means over files; of times, all computing over all sound."""
    found: dict[str, float] = {}
    for name in FIGURES:
        values = [row[name] for row in rows if name in row]
        if values:
            found[name] = sum(values) / len(values)
    seconds = sum(row["seconds"] for row in rows)
    computing = sum(row["compute_seconds"] for row in rows)
    return {
        **found,
        "seconds": seconds,
        "compute_seconds": computing,
        "real_time_factor": computing / seconds,
        "times_real_time": seconds / computing,
    }


def write_json(path: pathlib.Path, report: dict[str, Any]) -> None:
    """Write a report; it appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _joined(parts: list["np.ndarray"]) -> "np.ndarray":
    import numpy as np

    return np.concatenate(parts) if parts else np.zeros(0, "float32")
