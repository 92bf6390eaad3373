"""Rainbowgrams: how loud each frequency is, and in colour how it turns.

After Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet
Autoencoders", ICML 2017 (arXiv:1704.01279): brightness is the logarithm of
the magnitude, colour the instantaneous frequency. A harmonic that holds is a
line of one colour; where phases are broken, it is speckled.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.plots import save_figure
from keras_audiogan.audio.spectra import to_mono
from keras_audiogan.audio.windows import get_window

_FRAME_SECONDS, _STEPS = 0.128, 16
_BINS_PER_OCTAVE = 36
_LOWEST_HERTZ = 27.5
_RANGE_DECIBELS = 60.0
# Inches.
_WIDTH, _HEIGHT, _TITLE = 3.0, 1.3, 0.24


def rainbowgram(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Returns the picture of one clip.

    Args:
        audio: `(time, channels)` in [-1, 1].
        sampling_rate: In Hz.

    Returns:
        float64 `(bins, frames, 3)` of red, green and blue in [0, 1]: 36 bins
        an octave from 27.5 Hz up to half the rate, the lowest first; the
        loudest place is 60 dB above black.
    """
    from matplotlib.colors import hsv_to_rgb

    fft_length = 1 << round(math.log2(_FRAME_SECONDS * sampling_rate))
    step = fft_length // _STEPS
    sound = to_mono(np.nan_to_num(np.asarray(audio, "float32"))[None])[0]
    rest = -len(sound) % step
    sound = np.pad(sound, (fft_length // 2, fft_length // 2 + rest))
    frames = np.lib.stride_tricks.sliding_window_view(sound, fft_length)
    spectrum = np.fft.rfft(frames[::step] * get_window("hann", fft_length))
    octaves = math.log2(sampling_rate / 2 / _LOWEST_HERTZ)
    count = int(octaves * _BINS_PER_OCTAVE)
    hertz = _LOWEST_HERTZ * 2.0 ** (np.arange(count) / _BINS_PER_OCTAVE)
    places = hertz * fft_length / sampling_rate
    below = np.minimum(places.astype(int), spectrum.shape[1] - 2)
    share = places - below
    magnitudes = np.abs(spectrum)
    magnitudes = magnitudes[:, below] * (1 - share) + (
        magnitudes[:, below + 1] * share
    )
    decibels = 20.0 * np.log10(np.maximum(magnitudes, 1e-9))
    value = 1.0 + (decibels - decibels.max()) / _RANGE_DECIBELS
    nearest = np.round(places).astype(int)
    phases = np.angle(spectrum[:, nearest])
    # What a sine in the middle of the bin would turn by is taken off.
    turns = np.diff(phases, axis=0, prepend=phases[:1]) / (2.0 * np.pi)
    turns = turns - nearest * step / fft_length
    turns -= np.round(turns)
    # One bin off is a sixteenth of a turn, and a quarter of the colours.
    hue = (0.5 + turns * _STEPS / 4.0) % 1.0
    picture = np.stack(
        [hue, np.full_like(hue, 0.9), np.clip(value, 0.0, 1.0)], axis=-1
    )
    return hsv_to_rgb(picture).transpose(1, 0, 2)


def save_rainbowgrams(
    path: Any,
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]],
    sampling_rate: int,
    headings: tuple[str, str] = ("real", "generated"),
) -> None:
    """Draws pairs of rainbowgrams side by side (PNG).

    Args:
        path: The picture, or an open binary file.
        rows: A title and two clips `(time, channels)` each.
        sampling_rate: In Hz.
        headings: What the left and the right ones are.

    Raises:
        ValueError: If there is no row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not rows:
        raise ValueError("Rainbowgrams need a row or more. Received: none")
    figure = Figure(
        figsize=(2 * _WIDTH, len(rows) * (_HEIGHT + _TITLE)),
        facecolor="white",
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for line, (title, *clips) in zip(axes, rows, strict=True):
        for each, clip, heading in zip(line, clips, headings, strict=True):
            picture = rainbowgram(clip, sampling_rate)
            octaves = len(picture) / _BINS_PER_OCTAVE
            each.imshow(
                picture,
                origin="lower",
                aspect="auto",
                extent=(0, len(clip) / sampling_rate, 0, octaves),
            )
            each.set_title(f"{title}, {heading}", fontsize=8, loc="left")
            marks = range(1, int(octaves) + 1, 2)
            each.set_yticks(
                marks, [f"{27.5 * 2**mark:.0f} Hz" for mark in marks]
            )
            each.tick_params(labelsize=6, length=2, width=0.5)
    if isinstance(path, (str, os.PathLike)):
        save_figure(figure, pathlib.Path(path))
    else:
        figure.savefig(path, dpi=110, format="png")
