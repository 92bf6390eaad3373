"""What `fit`, `evaluate` and calls are given, checked before it is used.

What is wrong is said in a sentence, with shapes, in place of the error of a
reshape or a matrix product somewhere inside. Shapes and dtypes are known when
a step is traced; values only where arrays are given, before the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_audiogan.audio.checks import check_floats, check_sound
from keras_audiogan.models.arguments import did_you_mean

_COMPILE = ("jit_compile", "run_eagerly", "steps_per_execution")


def compile_advice(model: Any, given: dict[str, Any]) -> None:
    """Refuses what other Keras models are compiled with, and says what to do.

    Args:
        model: The model.
        given: Arguments of `compile` that it does not name.

    Raises:
        TypeError: For `optimizer`, `metrics` and the like, and for names that
            nobody knows.
    """
    name = f"{type(model).__name__}.compile"
    advice = {
        "optimizer": "has two optimisers: write compile(generator_optimizer="
        "..., discriminator_optimizer=...), or compile(learning_rate=...) for "
        "the loss's own",
        "loss_weights": "has the weights of its terms in the loss: change "
        "them with dataclasses.replace",
        **dict.fromkeys(
            ("metrics", "weighted_metrics"),
            "takes no metrics: the losses of each step are in `history`, and "
            "`evaluate` returns them for other data; how the sound is, "
            "`keras_audiogan.metrics` and `audiogan evaluate` measure",
        ),
    }
    for key, value in list(given.items()):
        if key in _COMPILE or key == "auto_scale_loss":
            continue
        if value is None and key in advice:
            del given[key]
        elif key in advice:
            raise TypeError(
                f"`{name}` {advice[key]}. Received: {key}={value!r}"
            )
        else:
            raise TypeError(
                f"`{name}` has no argument {key!r}."
                f"{did_you_mean(key, known_to_compile(model))}"
            )


def known_to_compile(model: Any) -> list[str]:
    """Returns the arguments of a model's `compile` and of its bases'."""
    import inspect

    names = {
        name
        for each in type(model).__mro__
        if "compile" in vars(each) and each is not keras.Model
        for name in inspect.signature(vars(each)["compile"]).parameters
    }
    return sorted({*names, *_COMPILE} - {"self", "args", "kwargs"})


def check_loss(loss: Any) -> None:
    """Refuses an optimiser in the place of the loss, `compile("adam")`.

    Raises:
        TypeError: If it is one.
    """
    names = {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta", "nadam"}
    is_name = isinstance(loss, str) and loss.lower() in names
    if is_name or isinstance(loss, keras.optimizers.Optimizer):
        raise TypeError(
            "The first argument of `compile` is the loss: name the optimisers, "
            "compile(generator_optimizer=..., discriminator_optimizer=...). "
            f"Received: loss={loss!r}"
        )


def with_channel_axis(x: Any) -> Any:
    """Returns arrays of mono clips `(rows, time)` as `(rows, time, 1)`.

    Also the `"audio"` of a dict of arrays; anything else is returned as it
    is. A traced step that meets both ranks no longer knows the rank.
    """
    if isinstance(x, Mapping):
        return {
            k: with_channel_axis(v) if k == "audio" else v for k, v in x.items()
        }
    if isinstance(x, np.ndarray) and x.ndim == 2:
        return x[..., np.newaxis]
    return x


def as_clips(audio: Any, length: int | None, num_channels: int) -> Any:
    """Returns clips as float32 `(rows, time, channels)`.

    Args:
        audio: A tensor of them; of one channel also `(rows, time)`.
        length: Samples that they must have; None for any number.
        num_channels: Channels that they must have.

    Raises:
        ValueError: If dtype or shape are others.
    """
    check_floats(audio)
    check_clip_shape(audio, length, num_channels)
    if len(_shape(audio) or (0, 0, 0)) == 2:
        audio = ops.expand_dims(ops.convert_to_tensor(audio), -1)
    return ops.cast(audio, "float32")


def check_clip_shape(
    audio: Any, length: int | None, num_channels: int | None
) -> None:
    """Checks the shape of clips, as far as it is known.

    Args:
        audio: An array or a tensor of them.
        length: Samples that they must have; None for any number.
        num_channels: Channels that they must have; None for any number.

    Raises:
        ValueError: If the shape is another; the message says how to mend it.
    """
    channels = "channels" if num_channels is None else num_channels
    wanted = f"(rows, {length or 'time'}, {channels})"
    if audio is None:
        raise ValueError(
            f"No sound was given. Expected clips {wanted}, or a dict with them "
            'at the key "audio". Received: None'
        )
    shape = _shape(audio)
    if shape is None or (
        len(shape) == 2
        and num_channels in (1, None)
        and (length is None or shape[1] in (None, length))
    ):
        return
    mend = _mend(shape, length, num_channels)
    if mend is not None:
        raise ValueError(
            f"Expected clips of the shape {wanted}, {mend}. "
            f"Received: shape {shape}"
        )


def _mend(
    shape: tuple[int | None, ...], length: int | None, num_channels: int | None
) -> str | None:
    """How clips of another shape become those of a model, None if they are."""

    def fits(size: int | None, wanted: int | None) -> bool:
        return size is None or wanted is None or size == wanted

    if len(shape) == 1:
        return "one row for each: one clip alone is audio[None, :, None]"
    if len(shape) == 2:
        return (
            "with an axis of channels: mono is audio[:, :, None], and to be "
            "cut or padded first if it has another length"
        )
    if len(shape) != 3:
        return "of three axes"
    if fits(shape[1], length) and fits(shape[2], num_channels):
        return None
    if shape[2] == length or (
        shape[1] == num_channels and shape[2] not in (None, num_channels)
    ):
        return "channels last: transpose them, audio.transpose(0, 2, 1)"
    if not fits(shape[2], num_channels):
        return (
            "as the model has `num_channels`: mix them, "
            "audio.mean(axis=2, keepdims=True)"
            if num_channels == 1
            else "as many channels as the model has"
        )
    return (
        "as long as the model's `slice_length`: cut or pad them, or let "
        "`keras_audiogan.data.AudioDataset` do so"
    )


def _shape(value: Any) -> tuple[int | None, ...] | None:
    """The static shape of an array or a tensor, None where it has none."""
    shape = getattr(value, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return tuple(size if size is None else int(size) for size in shape)


def check_given(
    x: Any,
    y: Any,
    length: int | None,
    num_channels: int | None,
    labels: Sequence[str] = (),
) -> None:
    """Looks at arrays before they are trained on or evaluated.

    What is no array (a `tf.data.Dataset`, a generator) is checked by its
    shapes when the step is traced, and a `PyDataset` by its first batch.

    Args:
        x: As `fit` takes it: clips, or a dict with them at "audio".
        y: Labels, or None.
        length: As `check_clip_shape` takes it.
        num_channels: The same.
        labels: Names of the labels that are learnt; none if none are.

    Raises:
        ValueError: If the model cannot learn from what was given.
    """
    if isinstance(x, keras.utils.PyDataset):
        if getattr(x, "is_checked", False):
            return
        x, y, _ = keras.utils.unpack_x_y_sample_weight(x[0])
    audio = x.get("audio") if isinstance(x, Mapping) else x
    if isinstance(x, Mapping) and y is None:
        y = x.get("labels")
    if isinstance(audio, (list, tuple)):
        lengths = sorted({len(clip) for clip in audio if np.ndim(clip)})
        raise ValueError(
            "Clips must be one array (rows, time, channels), not a list: cut "
            "or pad them to one length and use np.stack. Received: a "
            f"{type(audio).__name__} of {len(audio)}, of the lengths "
            f"{lengths[:8]}"
        )
    if ops.is_tensor(audio):
        audio = ops.convert_to_numpy(audio)
    if isinstance(audio, np.ndarray):
        check_floats(audio)
        check_clip_shape(audio, length, num_channels)
        check_sound(audio)
    if y is not None and labels:
        if ops.is_tensor(y):
            y = ops.convert_to_numpy(y)
        if isinstance(y, (np.ndarray, list, tuple)):
            check_indices(y, labels)


def check_indices(labels: Any, names: Sequence[str]) -> None:
    """Checks labels to learn from: one index for each row.

    Args:
        labels: An array of them.
        names: The model's labels.

    Raises:
        ValueError: If they are names, rows of weights, or no index.
    """
    found = np.asarray(labels)
    wanted = f"Labels must be integers (rows,) below {len(names)}"
    if found.dtype.kind in "USO":
        raise ValueError(
            f"{wanted}, places in `labels`: [model.labels.index(name) for name "
            f"in names]. Received: names, {found.ravel()[:3].tolist()}"
        )
    check_index_shape(found.shape, len(names))
    low, high = float(found.min()), float(found.max())
    whole = found.dtype.kind in "iub" or np.array_equal(found, np.rint(found))
    if not whole or low < 0 or high >= len(names):
        raise ValueError(
            f"{wanted}, places in {list(names)}. Received: {found.dtype} from "
            f"{low:g} to {high:g}"
        )


def check_index_shape(shape: Any, num_classes: int) -> None:
    """Checks the shape of labels to learn from, as far as it is known.

    Raises:
        ValueError: If it is not `(rows,)` or `(rows, 1)`.
    """
    if len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None)):
        return
    mend = ""
    if len(shape) == 2 and shape[1] == num_classes:
        mend = ", not one-hot rows: labels.argmax(axis=1)"
    raise ValueError(
        f"Labels must be integers (rows,) below {num_classes}{mend}. "
        f"Received: shape {tuple(shape)}"
    )


def check_rows(
    x: Any, steps: int, batch_size: int | None, validation_split: float
) -> None:
    """Checks that every batch of arrays feeds whole discriminator updates.

    Args:
        x: As `fit` takes it; only arrays are looked at.
        steps: Discriminator updates a step.
        batch_size: As `fit` takes it, 32 by default.
        validation_split: As `fit` takes it.

    Raises:
        ValueError: If the last batch or all would leave an update short.
    """
    audio = x.get("audio") if isinstance(x, Mapping) else x
    shape = _shape(audio)
    if steps == 1 or not shape or shape[0] is None:
        return
    # As Keras splits them.
    rows = int(shape[0] * (1.0 - validation_split))
    size = min(batch_size or 32, rows)
    if size % steps or rows % size % steps:
        good = max(steps, size // steps * steps)
        raise ValueError(
            f"A batch feeds {steps} discriminator updates, so its rows, and "
            f"those of the last one, must be a multiple of that: give "
            f"batch_size={good} and {max(good, rows // steps * steps)} rows, "
            f"or compile with discriminator_steps=1. Received: {rows} rows in "
            f"batches of {size}"
        )


def check_latents(latents: Any, latent_dim: int) -> None:
    """Checks the latents of a call.

    Raises:
        ValueError: If their shape is not `(batch, latent_dim)`.
    """
    shape = _shape(latents)
    if shape is not None and (
        len(shape) != 2 or shape[1] not in (None, latent_dim)
    ):
        raise ValueError(
            f"Latents must have the shape (batch, {latent_dim}); `sample` "
            f"draws them. Received: shape {shape}"
        )


def check_classes(classes: Any, names: Sequence[str]) -> None:
    """Checks the weights of labels in a call.

    Raises:
        ValueError: If their shape is not `(batch, num_classes)`.
    """
    shape = _shape(classes)
    if shape is not None and (
        len(shape) != 2 or shape[1] not in (None, len(names))
    ):
        raise ValueError(
            "A call takes the weights of the labels, (batch, "
            f"{len(names)}), one-hot for one label: np.eye({len(names)})"
            "[indices], or `sample(labels=...)`, which takes names and "
            f"indices. Received: shape {shape}"
        )


def check_clip_and_mel(
    audio: tuple[int | None, ...],
    mel: tuple[int | None, ...] | None,
    features: Any,
) -> None:
    """Checks a vocoder's training clips, and mels given with them.

    Args:
        audio: Shape of the clips.
        mel: Shape of their mels, or None.
        features: The vocoder's front end.

    Raises:
        ValueError: If clips are not whole hops, or mels not theirs.
    """
    length, hop = audio[1], features.frame_step
    if length is not None and (length % hop or length < features.fft_length):
        best = max(length // hop, -(-features.fft_length // hop)) * hop
        raise ValueError(
            f"A vocoder's clips are whole hops of {hop} samples, and not "
            f"shorter than a transform of {features.fft_length}: cut or pad "
            f"them to {best} samples. Received: shape {tuple(audio)}"
        )
    if mel is None:
        return
    frames = None if length is None else length // hop
    wanted = (audio[0], frames, features.num_mel_bins)
    if len(mel) != 3 or any(
        None not in pair and pair[0] != pair[1]
        for pair in zip(mel, wanted, strict=True)
    ):
        mend = ""
        if len(mel) == 3 and mel[1] == features.num_mel_bins:
            mend = ": transpose them, mel.transpose(0, 2, 1)"
        raise ValueError(
            f"Mels must have the shape (rows, {frames or 'frames'}, "
            f"{features.num_mel_bins}), a frame for each hop of the clips"
            f"{mend}. Received: mels of shape {tuple(mel)} for clips of shape "
            f"{tuple(audio)}"
        )


def check_mels(mels: Any, num_mel_bins: int) -> None:
    """Checks the mels of a call.

    Raises:
        ValueError: If they are a list of unequal lengths, or their shape is
            not `(batch, frames, num_mel_bins)`.
    """
    shape = _shape(mels)
    if shape is None or (len(shape) == 3 and shape[2] in (None, num_mel_bins)):
        return
    mend = ""
    if len(shape) in (2, 3) and shape[-2] == num_mel_bins != shape[-1]:
        mend = "; these lie bins first: np.swapaxes(mel, -1, -2)"
    elif len(shape) == 2 and shape[1] == num_mel_bins:
        mend = "; one alone is mel[None]"
    raise ValueError(
        f"Mels must have the shape (batch, frames, {num_mel_bins}){mend}. "
        f"Received: shape {shape}"
    )
