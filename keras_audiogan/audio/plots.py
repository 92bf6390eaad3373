"""Pictures of sound: waveform and spectrogram of several clips on a sheet.

Matplotlib is imported when a picture is drawn, and only its Agg canvas is
used: no window system, no global state, safe in a thread.
"""

import math
import os
import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.files import with_channels
from keras_audiogan.audio.spectra import hertz_to_mel, mel_spectrogram, to_mono

_INK = "#1f2430"
_QUIET = "#8a90a0"
_WAVES = ("#2f6fb0", "#d9822b")
_RANGE_DECIBELS = 70.0
_TITLE_LENGTH = 34
# Inches.
_CELL_WIDTH, _CELL_HEIGHT, _MARGIN_LEFT, _GAP = 3.0, 2.5, 0.42, 0.16
_TITLE_HEIGHT, _WAVE_HEIGHT, _PICTURE_HEIGHT = 0.24, 0.6, 1.34
_FOOT_HEIGHT, _SCALE_WIDTH, _SCALE_HEIGHT = 0.36, 1.5, 0.08


def save_sheet(
    path: str | os.PathLike[str],
    clips: np.ndarray | Sequence[np.ndarray],
    sampling_rate: int,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    note: str = "",
) -> None:
    """Draws waveform and spectrogram of each clip on one sheet (PNG).

    The spectrogram has a mel axis and shows the 70 dB below the loudest spot
    of the whole sheet, so that a quiet clip looks quiet; the scale of its
    colours stands below.

    Args:
        path: The picture, usually `.png`. Missing folders are made.
        clips: Array `(num_clips, time, channels)`, or a sequence of arrays
            `(time, channels)` or `(time,)` of any lengths. Values that are
            not finite are drawn as silence and named in the title.
        sampling_rate: In Hz.
        titles: One title per clip. Defaults to their numbers.
        columns: Clips side by side.
        note: Text for the foot of the sheet, e.g. how many clips it leaves
            out.

    Raises:
        ValueError: If there are no clips, a clip is empty, or the number of
            titles differs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sounds = [with_channels(clip) for clip in clips]
    if not sounds or columns < 1:
        raise ValueError(
            "A sheet needs at least one clip and one column. "
            f"Received: {len(sounds)} clips, columns={columns}."
        )
    if titles is not None and len(titles) != len(sounds):
        raise ValueError(
            "`titles` must have one entry per clip. "
            f"Received: {len(titles)} titles for {len(sounds)} clips."
        )
    names = [str(i) for i in range(len(sounds))] if titles is None else titles
    broken = [not np.isfinite(sound).all() for sound in sounds]
    sounds = [np.nan_to_num(s, nan=0.0, posinf=0.0, neginf=0.0) for s in sounds]
    pictures, mel_ticks = _mel_pictures(sounds, sampling_rate)
    loudest = max(float(picture.max()) for picture in pictures)

    columns = min(columns, len(sounds))
    rows = math.ceil(len(sounds) / columns)
    width = _MARGIN_LEFT + columns * _CELL_WIDTH
    height = rows * _CELL_HEIGHT + _FOOT_HEIGHT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)

    def add_axes(left: float, top: float, tall: float) -> Any:
        wide = _CELL_WIDTH - _GAP
        bottom = 1.0 - (top + tall) / height
        axes = figure.add_axes(
            (left / width, bottom, wide / width, tall / height)
        )
        axes.tick_params(labelsize=7, colors=_QUIET, length=2, width=0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    for i, sound in enumerate(sounds):
        row, column = divmod(i, columns)
        left = _MARGIN_LEFT + column * _CELL_WIDTH
        top = row * _CELL_HEIGHT + _TITLE_HEIGHT
        title = names[i]
        if len(title) > _TITLE_LENGTH:
            title = f"{title[: _TITLE_LENGTH - 1]}\u2026"
        if broken[i]:
            title += " (not finite)"
        first = column == 0
        axes = add_axes(left, top, _WAVE_HEIGHT)
        _draw_wave(axes, sound, sampling_rate, title, first)
        axes = add_axes(left, top + _WAVE_HEIGHT + 0.05, _PICTURE_HEIGHT)
        seconds = len(sound) / sampling_rate
        _draw_spectrogram(axes, pictures[i], seconds, loudest, mel_ticks, first)
    top = rows * _CELL_HEIGHT + 0.08
    _draw_scale(
        figure.add_axes(
            (
                _MARGIN_LEFT / width,
                1.0 - (top + _SCALE_HEIGHT) / height,
                _SCALE_WIDTH / width,
                _SCALE_HEIGHT / height,
            )
        )
    )
    if note:
        figure.text(
            1.0 - _GAP / width,
            1.0 - (top + _SCALE_HEIGHT) / height,
            note,
            fontsize=7,
            color=_QUIET,
            horizontalalignment="right",
        )
    save_figure(figure, pathlib.Path(path))


def _mel_pictures(
    sounds: list[np.ndarray], sampling_rate: int
) -> tuple[list[np.ndarray], list[tuple[float, str]]]:
    """Decibels `(frames, bins)` per clip, and ticks as (bin, text)."""
    fft_length = 1 << round(math.log2(max(64.0, sampling_rate * 0.04)))
    # The window is shorter than the transform: sharp in time, smooth across.
    window_length = fft_length // 2
    num_mel_bins = 96 if sampling_rate > 11025 else 80
    nyquist = sampling_rate / 2
    low = min(40.0, nyquist / 100)
    pictures = []
    for sound in sounds:
        step = max(1, min(window_length // 4, len(sound) // 400 + 1))
        step = max(step, len(sound) // 1200)
        mel = mel_spectrogram(
            to_mono(sound),
            sampling_rate,
            fft_length=fft_length,
            window_length=window_length,
            frame_step=step,
            num_mel_bins=num_mel_bins,
            min_frequency=low,
            scale="htk",
        )
        pictures.append(20.0 * np.log10(mel + 1e-7))
    first, last = hertz_to_mel([low, nyquist])
    step_mel = (last - first) / (num_mel_bins + 1)
    ticks = []
    for hertz in (250, 1000, 4000, 8000, 16000):
        if low < hertz < nyquist * 0.98:
            position = (float(hertz_to_mel(hertz)) - first) / step_mel - 1.0
            ticks.append(
                (position, f"{hertz // 1000}k" if hertz >= 1000 else f"{hertz}")
            )
    return pictures, ticks


def _draw_wave(
    axes: Any, sound: np.ndarray, sampling_rate: int, title: str, first: bool
) -> None:
    seconds = len(sound) / sampling_rate
    # Minimum and maximum per picture column: no peak is lost.
    num_points = min(len(sound), 800)
    edges = np.linspace(0, len(sound), num_points, endpoint=False).astype(int)
    times = edges / sampling_rate
    for channel in range(sound.shape[1]):
        wave = sound[:, channel]
        axes.fill_between(
            times,
            np.minimum.reduceat(wave, edges),
            np.maximum.reduceat(wave, edges),
            color=_WAVES[channel % len(_WAVES)],
            alpha=1.0 if sound.shape[1] == 1 else 0.6,
            linewidth=0.6,
        )
    axes.axhline(0.0, color=_QUIET, linewidth=0.4, zorder=0)
    axes.set_xlim(0, seconds)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xticks([])
    axes.set_yticks([-1, 0, 1], ["-1", "0", "1"] if first else [])
    axes.set_title(title, fontsize=9, color=_INK, loc="left", pad=3)


def _draw_spectrogram(
    axes: Any,
    picture: np.ndarray,
    seconds: float,
    loudest: float,
    ticks: list[tuple[float, str]],
    first: bool,
) -> None:
    axes.imshow(
        picture.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, -0.5, picture.shape[1] - 0.5),
        cmap="magma",
        vmin=loudest - _RANGE_DECIBELS,
        vmax=loudest,
        interpolation="bilinear",
    )
    axes.set_yticks(
        [position for position, _ in ticks],
        [text if first else "" for _, text in ticks],
    )
    step = _tick_step(seconds)
    # A number at the right edge would run into the neighbour's zero.
    times = np.arange(0.0, seconds * 0.93, step)
    axes.set_xticks(times, [f"{time:g} s" for time in times])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    if first:
        axes.set_ylabel("Hz", fontsize=7, color=_QUIET, labelpad=0)


def _draw_scale(axes: Any) -> None:
    """What the colours mean: decibels below the loudest spot."""
    axes.imshow(
        np.linspace(0.0, 1.0, 256)[None],
        aspect="auto",
        extent=(-_RANGE_DECIBELS, 0.0, 0.0, 1.0),
        cmap="magma",
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(labelsize=7, colors=_QUIET, length=2, width=0.5)
    axes.set_yticks([])
    marks = (-_RANGE_DECIBELS, -_RANGE_DECIBELS / 2, 0.0)
    axes.set_xticks(marks, [f"{mark:.0f} dB" for mark in marks])


def _tick_step(seconds: float) -> float:
    """A round number of seconds, three to five of them in the clip."""
    rough = seconds / 4
    power = 10.0 ** math.floor(math.log10(rough))
    factor = min((1, 2, 2.5, 5, 10), key=lambda f: abs(f * power - rough))
    return factor * power


def _reduce(path: pathlib.Path) -> None:
    """Writes a PNG anew in 256 colours, which takes under half the space."""
    from PIL import Image

    with Image.open(path) as picture:
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture, mask=picture.convert("RGBA").getchannel("A"))
    flat.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def save_figure(figure: Any, path: pathlib.Path) -> None:
    """Writes a figure as a whole or not at all, a PNG in 256 colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lstrip(".").lower() or "png"
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.{kind}")
    try:
        figure.savefig(temporary, dpi=110, format=kind)
        if kind == "png":
            _reduce(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
