"""The log of a run: JSON lines for programs, TensorBoard for eyes and ears."""

from __future__ import annotations

import io
import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_audiogan._names import SHOWN
from keras_audiogan.presets.atomic_folder import AppendedFile, write_text
from keras_audiogan.runs.callbacks import Previews, StepCallback
from keras_audiogan.runs.step_log import Means, Numbers

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class EventLog:
    """Writes what TensorBoard reads; TensorFlow is not needed.

    Args:
        folder: Where TensorBoard looks for the run.
        start_step: Later events of an earlier, interrupted writer in the
            folder are no longer shown.
    """

    def __init__(self, folder: str | Path, start_step: int = 0) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() / 1e9:.6f}"
        name += f".{socket.gethostname()}.{os.getpid()}"
        self._file = AppendedFile(folder / name)
        self._add(Event(file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._add(Event(step=start_step + 1, session_log=start))

    def scalars(self, step: int, numbers: Numbers) -> None:
        """Adds numbers by name."""
        self._add_values(
            step,
            [
                Summary.Value(tag=tag, simple_value=value)
                for tag, value in numbers.items()
            ],
        )

    def sounds(
        self, step: int, tag: str, clips: np.ndarray, sampling_rate: int
    ) -> None:
        """Adds clips `(clips, time, channels)`, at `sampling_rate` in Hz."""
        values = []
        for index, clip in enumerate(clips):
            stream = io.BytesIO()
            clip = np.clip(np.nan_to_num(clip), -1.0, 1.0)
            soundfile.write(stream, clip, sampling_rate, format="WAV")
            sound = Summary.Audio(
                sample_rate=sampling_rate,
                num_channels=clip.shape[1],
                length_frames=len(clip),
                encoded_audio_string=stream.getvalue(),
                content_type="audio/wav",
            )
            values.append(Summary.Value(tag=f"{tag}/{index}", audio=sound))
        self._add_values(step, values)

    def picture(self, step: int, tag: str, path: Path) -> None:
        """Adds a PNG file."""
        data = path.read_bytes()
        # Width and height stand in the first chunk, big-endian.
        width, height = (
            int.from_bytes(data[i : i + 4], "big") for i in (16, 20)
        )
        image = Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=data
        )
        self._add_values(step, [Summary.Value(tag=tag, image=image)])

    def text(self, step: int, tag: str, text: str) -> None:
        """Adds a line of text."""
        value = Summary.Value(tag=tag)
        value.metadata.plugin_data.plugin_name = "text"
        value.tensor.dtype = 7  # DT_STRING
        value.tensor.string_val.append(text.encode("utf-8", SHOWN))
        self._add_values(step, [value])

    def _add_values(self, step: int, values: list[Summary.Value]) -> None:
        self._add(Event(step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        self._file.write(record.getvalue())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class RunLog(StepCallback):
    """Logs losses, levels, rate, previews and events of a training run.

    `log.jsonl` gets one object a line: every `every` steps the means since
    the last line, with `step`, `time` (seconds since 1970) and
    `steps_per_second`; and one for each `event`. A resumed run drops the
    lines after its step, so that no step stands there twice.

    Args:
        folder: The run's folder.
        every: Steps between lines.
        previews: The `Previews` of the same `fit`, before this in the list
            of callbacks; they are shown in TensorBoard.
        tensorboard: Whether to write `tensorboard/`.
        write: Whether this process writes; on several workers only one may.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int = 10,
        previews: Previews | None = None,
        tensorboard: bool = True,
        write: bool = True,
    ) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(
                f"`every` must be 1 or more. Received: every={every}"
            )
        self.folder = Path(folder)
        self.every = every
        self._previews = previews
        self._tensorboard = tensorboard
        self._write = write
        self._shown: int | None = None
        self._means = Means()
        self._lines: AppendedFile | None = None
        self._events: EventLog | None = None
        self._begin = (0, 0.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the files."""
        self.open()

    def open(self) -> None:
        """Opens the files, as `fit` does, for events before it."""
        if not self._write or self._lines is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / LOG_FILE
        _drop_lines_after(path, self.step)
        self._lines = AppendedFile(path)
        if self._tensorboard:
            self._events = EventLog(self.folder / TENSORBOARD_FOLDER, self.step)

    def on_step(self, numbers: Numbers) -> None:
        """Writes a line when it is due."""
        self._means.add(numbers)
        now = time.monotonic()
        if self._begin == (0, 0.0):
            # The first step holds the compilation.
            self._begin = (self.step, now)
        if self.due(self.every):
            means = self._means.take()
            step, then = self._begin
            if now > then:
                means["steps_per_second"] = (self.step - step) / (now - then)
            self._begin = (self.step, now)
            self._add_line(means)
            if self._events is not None:
                self._events.scalars(self.step, means)
        self._show_previews()

    def on_train_end(self, logs: Any = None) -> None:
        """Writes the last preview, and closes the files."""
        self._show_previews()
        self.close()

    def numbers(self, numbers: Numbers) -> None:
        """Logs numbers that are not a step's, e.g. of an evaluation."""
        self._add_line(numbers)
        if self._events is not None:
            self._events.scalars(self.step, numbers)

    def event(self, kind: str, text: str) -> None:
        """Logs that something happened, e.g. an alarm.

        Args:
            kind: One word.
            text: A line for people.
        """
        self._add_line({"event": kind, "text": text})
        if self._events is not None:
            self._events.text(self.step, f"events/{kind}", text)

    def close(self) -> None:
        """Closes the files."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        if self._events is not None:
            self._events.close()
            self._events = None

    def _add_line(self, entry: dict[str, Any]) -> None:
        if self._lines is None:
            return
        entry = {"step": self.step, "time": round(time.time(), 3), **entry}
        for key, value in entry.items():
            if isinstance(value, float) and not math.isfinite(value):
                entry[key] = None
        self._lines.write(json.dumps(entry, allow_nan=False) + "\n")

    def _show_previews(self) -> None:
        previews, events = self._previews, self._events
        if previews is None or previews.audio is None or events is None:
            return
        if previews.audio_step in (None, self._shown):
            return
        self._shown = previews.audio_step
        rate = self.model.sampling_rate
        events.sounds(self._shown, "previews", previews.audio, rate)
        if previews.path is not None:
            events.picture(self._shown, "previews", previews.path)


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """Reads a log.jsonl; what a kill has torn at its end is left out.

    Args:
        path: The file, or the run's folder.

    Returns:
        Its objects, in order.
    """
    path = Path(path)
    if path.is_dir():
        path = path / LOG_FILE
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [entry for entry in read_log(path) if entry.get("step", 0) <= step]
    write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))
