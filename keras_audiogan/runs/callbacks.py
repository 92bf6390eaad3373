"""Callbacks for `fit` that make a training run one to be trusted.

`audiogan train` is made of them, and so can be any run in Python:

```python
checkpoints = Checkpoints("run/checkpoints", every=500)
start = checkpoints.restore(gan)  # 0 in a new run
previews = Previews("run/previews", every=500)
gan.fit(
    dataset.to_keras(start),
    steps_per_epoch=10_000 - start,
    shuffle=False,
    verbose=0,
    callbacks=resumed_at(
        start,
        [previews, checkpoints, RunLog("run"), Progress(10_000)],
    ),
)
```

A step is one batch: as many discriminator updates as the model's
`discriminator_steps`, and one generator update.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from keras_audiogan.audio.files import write_audio
from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.runs.checkpoints import CheckpointFolder, synchronise
from keras_audiogan.runs.step_log import Numbers


class StepCallback(keras.callbacks.Callback):
    """Counts training steps over epochs, and from where a run was resumed.

    Subclasses override `on_step`.

    Attributes:
        step: Training steps taken, those before a resumption included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self._seen = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes that Keras counts batches from 0 again."""
        self._seen = -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts, and calls `on_step`."""
        self._previous = self.step
        self.step += batch - self._seen
        self._seen = batch
        self.on_step(as_numbers(logs))

    def on_step(self, numbers: Numbers) -> None:
        """Called after each training step.

        Args:
            numbers: The step's logs.
        """

    def due(self, every: int | None) -> bool:
        """Whether a multiple of `every` was reached in this step."""
        if not every:
            return False
        return self.step // every > self._previous // every


C = TypeVar("C", bound=Sequence[keras.callbacks.Callback])


def resumed_at(step: int, callbacks: C) -> C:
    """Tells callbacks of this module at which step a run continues.

    Args:
        step: Training steps taken before.
        callbacks: Callbacks of this module and others.

    Returns:
        `callbacks`.
    """
    for callback in callbacks:
        if isinstance(callback, StepCallback):
            callback.step = step
    return callbacks


def as_numbers(logs: Mapping[str, Any] | None) -> Numbers:
    """Turns a step's logs, scalars of any backend, into floats."""
    return {
        key: float(np.ravel(keras.ops.convert_to_numpy(value))[0])
        for key, value in (logs or {}).items()
    }


class Previews(StepCallback):
    """Samples the same latents again and again: sound, and a picture of it.

    Files are `step_00001000.wav`, all clips in a row with short pauses, and
    `step_00001000.png`, waveforms and spectrograms.

    Args:
        folder: Where to write; None writes nothing (previews can be heard in
            TensorBoard, and alarms need them).
        every: Steps between previews; None for one at the end.
        num_samples: Clips in a preview.
        seed: Seed of the latents.
        source: What the model's `preview_source` returned; None for models
            whose previews need nothing.

    Attributes:
        audio: The newest preview, float32 `(num_samples, time, channels)`.
        audio_step: The step that it shows.
        path: Its picture, or None.
    """

    def __init__(
        self,
        folder: str | Path | None,
        every: int | None = 500,
        num_samples: int = 8,
        seed: int = 0,
        source: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.folder = None if folder is None else Path(folder)
        self.every = every
        self.num_samples = num_samples
        self.seed = seed
        self.audio: np.ndarray | None = None
        self.audio_step: int | None = None
        self.path: Path | None = None

    def on_step(self, numbers: Numbers) -> None:
        """Makes a preview when it is due."""
        if self.due(self.every):
            self.make()

    def on_train_end(self, logs: Any = None) -> None:
        """Makes a last preview."""
        if self.audio_step != self.step:
            self.make()

    def make(self) -> None:
        """Makes a preview of the model as it is."""
        synchronise(self.model)
        self.audio = self.model.preview(
            self.num_samples, self.seed, self.source
        )
        self.audio_step = self.step
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        rate = self.model.sampling_rate
        name = f"step_{self.step:08d}"
        self.path = self.folder / f"{name}.png"
        write_audio(
            self.path.with_suffix(".wav"), in_a_row(self.audio, rate), rate
        )
        save_sheet(self.path, self.audio, rate)


def in_a_row(
    clips: np.ndarray, sampling_rate: int, pause: float = 0.25
) -> np.ndarray:
    """Joins clips `(clips, time, channels)` with pauses, in seconds."""
    silence = np.zeros(
        (round(pause * sampling_rate), clips.shape[-1]), "float32"
    )
    parts = itertools.chain.from_iterable(
        (silence, np.nan_to_num(clip)) for clip in clips
    )
    return np.concatenate(list(parts)[1:])


class Checkpoints(StepCallback):
    """Writes checkpoints while a model trains.

    Args:
        folder: Where to; see `CheckpointFolder`.
        every: Steps between checkpoints; None for one at the end.
        keep: How many of the newest stay; None for all.
        write: Whether this process writes; on several workers only one may.
        details: Called for what a checkpoint shall remember beside the
            state, fit for JSON.
        on_save: Called after each checkpoint with the step and the folder.

    Attributes:
        saved_step: The step of the newest checkpoint of this process.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int | None = 500,
        keep: int | None = 3,
        write: bool = True,
        details: Callable[[], Mapping[str, Any]] | None = None,
        on_save: Callable[[int, Path], Any] | None = None,
    ) -> None:
        super().__init__()
        self.checkpoints = CheckpointFolder(folder, keep)
        self.every = every
        self.saved_step: int | None = None
        self._write = write
        self._details = details
        self._on_save = on_save

    def restore(self, model: keras.Model) -> int:
        """Brings a model to the state of the newest sound checkpoint.

        Args:
            model: The model, compiled.

        Returns:
            The step to continue at; 0 if there is no checkpoint.
        """
        restored = self.checkpoints.restore(model)
        return 0 if restored is None else restored.step

    def on_step(self, numbers: Numbers) -> None:
        """Writes a checkpoint when it is due."""
        if self.due(self.every):
            self.save()

    def on_train_end(self, logs: Any = None) -> None:
        """Writes a last checkpoint."""
        if self.saved_step != self.step:
            self.save()

    def save(self) -> None:
        """Writes a checkpoint of the model as it is."""
        synchronise(self.model)
        if self._write:
            details = self._details() if self._details else {}
            path = self.checkpoints.save(self.model, self.step, details)
            if self._on_save is not None:
                self._on_save(self.step, path)
        self.saved_step = self.step
