"""Are these a vocoder's mels? Their scale tells, and what would mend it.

A log-mel spectrogram bounds the level of its sound from below: the mean of
the magnitudes under a filter is at most their root mean square, and the
squares of all of them add up to the energy of the frame. Mels of another
scale are given away by sound far beyond full scale, or by magnitudes below
the floor of the front end.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_audiogan.audio.windows import get_window

if TYPE_CHECKING:
    from keras_audiogan.audio.mel_front_end import MelSettings

# Frames that are looked at, spread over the whole.
_MOST_FRAMES = 4096
_LOGARITHMS = {"e": ("np.log", 1.0), "10": ("np.log10", math.log(10.0))}
_LOGARITHMS["2"] = ("np.log2", math.log(2.0))
# Nepers below the floor at which a value is no rounding and no guess of a
# network.
_BELOW = 0.7
# In dB over full scale. A square wave is at 0.
_DOUBTFUL_LEVEL, _IMPOSSIBLE_LEVEL = 0.0, 6.0
_MOST_LEVEL = 20.0
# Of frames that are quiet in no band.
_FULL_LEVEL = -3.0
_OTHERWISE_NORMALISED = (
    "mels normalised by another front end",
    "mel * its scale + its mean",
)


class Remark(NamedTuple):
    """What is wrong with mels.

    Attributes:
        certain: whether they cannot be this vocoder's mels.
        text: what was seen, what was expected and how to mend it.
    """

    certain: bool
    text: str


def check_mel_scale(mel: np.ndarray, features: MelSettings) -> None:
    """Refuses what cannot be mels of a front end, and warns of the doubtful.

    Args:
        mel: Finite numbers `(..., num_mel_bins)`.
        features: The front end.

    Raises:
        ValueError: If it is certain.
    """
    remark = mel_remark(mel, features)
    if remark is not None and remark.certain:
        raise ValueError(f"These are no mels of this vocoder: {remark.text}")
    if remark is not None:
        warnings.warn(
            f"Are these this vocoder's mels? {remark.text}", stacklevel=3
        )


def mel_remark(mel: np.ndarray, features: MelSettings) -> Remark | None:
    """Says what is wrong with the scale of mels, None if nothing is.

    Args:
        mel: Finite numbers `(..., num_mel_bins)`.
        features: The front end that they should be of.
    """
    rows = mel.reshape(-1, mel.shape[-1])
    rows = np.asarray(rows[:: -(-len(rows) // _MOST_FRAMES)], "float64")
    nepers = _nepers(rows, features)
    levels = _levels(nepers, features)
    below = float(np.mean(nepers < math.log(features.floor) - _BELOW))
    loud = float(np.percentile(levels, 95))
    # As one that is quiet nowhere: no logarithm of sound is.
    no_logarithm = rows.min() >= 0.0 and _range(features)[0] < 0.0
    top = float(levels.max())
    # Normalised mels of loud noise are all above the mean, but not as near.
    full = features.scale is None and np.median(levels) > _FULL_LEVEL
    certain = bool(
        loud > _IMPOSSIBLE_LEVEL
        or top > _MOST_LEVEL
        or below > 0.05
        or (no_logarithm and (full or np.mean(rows < 0.1) > 0.1))
    )
    doubtful = no_logarithm or top > _DOUBTFUL_LEVEL or below > 0.001
    if not (certain or doubtful):
        return None
    low, high = _range(features)
    name, mend = _seen(rows, features)
    signs = []
    if top > _DOUBTFUL_LEVEL:
        signs.append(f"which is sound {top:.0f} dB over full scale")
    if below > 0.001:
        signs.append(f"{below:.0%} of them below the least that it makes")
    seen = f"values from {rows.min():.4g} to {rows.max():.4g}"
    normalised = ", normalised" if features.scale is not None else ""
    looks = f" They look like {name}: give {mend}" if name else ""
    return Remark(
        certain,
        f"{', '.join([seen, *signs])}. Expected {_unit(features)}"
        f"{normalised}, from {low:.3g} to about {high:.2g}.{looks}",
    )


def _unit(features: MelSettings) -> str:
    log, _ = _LOGARITHMS[features.log_base]
    return f"{log} of mel {_what(features)}"


def _what(features: MelSettings) -> str:
    return "magnitudes" if features.power == 1.0 else "powers"


def _nepers(mel: np.ndarray, features: MelSettings) -> np.ndarray:
    """Natural logarithms of what the filters let through."""
    values = mel * (1.0 if features.scale is None else features.scale)
    values = values + (0.0 if features.mean is None else features.mean)
    return values * _LOGARITHMS[features.log_base][1]


def _range(features: MelSettings) -> tuple[float, float]:
    """The floor, and about the largest value of sound, as mels have them."""
    loudest = _window(features).sum() / 2.0
    top = features.filters.max(axis=0) * loudest**features.power
    factor = _LOGARITHMS[features.log_base][1]
    bounds = []
    for nepers, pick in (
        (np.full(len(top), math.log(features.floor)), np.min),
        (np.log(np.maximum(top, features.floor)), np.max),
    ):
        values = nepers / factor
        values = values - (0.0 if features.mean is None else features.mean)
        values = values / (1.0 if features.scale is None else features.scale)
        bounds.append(float(pick(values)))
    return bounds[0], bounds[1]


def _window(features: MelSettings) -> np.ndarray:
    length = features.window_length or features.fft_length
    return get_window(features.window, length)


def _levels(nepers: np.ndarray, features: MelSettings) -> np.ndarray:
    """Least level of the sound of each frame, in dB re full scale."""
    sums, tops = features.filters.sum(axis=0), features.filters.max(axis=0)
    used = sums > 0.0
    # Of the mean magnitude under each filter, times as many as it covers.
    squares = (nepers[:, used] - np.log(sums[used])) * (2.0 / features.power)
    energy = squares + np.log(sums[used] / tops[used])
    most = energy.max(axis=1, keepdims=True)
    total = most[:, 0] + np.log(np.exp(energy - most).sum(axis=1))
    full = features.fft_length / 2.0 * np.square(_window(features)).sum()
    return (total - math.log(full)) * 10.0 / math.log(10.0)


def _seen(rows: np.ndarray, features: MelSettings) -> tuple[str, str]:
    """Names the scale that values are on, and the expression that mends it."""
    log, factor = _LOGARITHMS[features.log_base]
    decibel = math.log(10.0) / 20.0 * features.power
    normalised = features.scale is not None
    shift = 15.0 * math.log(2.0) * features.power
    if normalised and abs(rows.mean()) < 0.5 and 0.5 < rows.std() < 2.0:
        return _OTHERWISE_NORMALISED
    candidates = []
    if rows.min() >= 0.0:
        candidates.append(
            (
                f"linear mel {_what(features)}",
                f"{log}(np.maximum(mel, {features.floor:g}))",
                np.log(np.maximum(rows, features.floor)),
            )
        )
    if rows.min() < -20.0 or np.ptp(rows) > 30.0:
        candidates.append(
            ("decibels", f"mel * {decibel / factor:.5g}", rows * decibel)
        )
    if normalised:
        candidates.append(("mels not normalised", "mel", rows * factor))
    candidates.append(
        (
            "mels of samples on the scale of 16-bit integers",
            f"mel - {shift / factor:.5g}",
            (_nepers(rows, features) if normalised else rows * factor) - shift,
        )
    )
    candidates += [
        (f"{name} in place of {log}", f"mel * {own / factor:.5g}", rows * own)
        for name, own in _LOGARITHMS.values()
        if name != log
    ]
    floor = math.log(features.floor)
    for name, mend, nepers in candidates:
        levels = _levels(nepers, features)
        loud = float(np.percentile(levels, 95))
        if (
            np.mean(nepers < floor - _BELOW) <= 0.2
            and -70.0 < loud <= _DOUBTFUL_LEVEL
            and levels.max() <= _IMPOSSIBLE_LEVEL
        ):
            if normalised and "integers" in name:
                mend = (
                    f"mel - np.divide({shift / factor:.5g}, "
                    "vocoder.features.scale)"
                )
            elif normalised:
                mend = (
                    f"({mend} - vocoder.features.mean) / vocoder.features.scale"
                )
            return name, mend
    if abs(rows.mean()) < 1.0 and 0.3 < rows.std() < 3.0:
        return _OTHERWISE_NORMALISED
    return "", ""


def mels_in_a_row(mels: Any, num_mel_bins: int) -> Any:
    """Refuses lists of mels of unequal lengths, and mels that lie bins first.

    Args:
        mels: What `vocode` was given: sound, mels or a list of either.
        num_mel_bins: Bins of the vocoder.

    Returns:
        Float32 array of it.

    Raises:
        ValueError: If it is one of them; the message says how to go on.
    """
    if isinstance(mels, (list, tuple)):
        shapes = [tuple(np.shape(each)) for each in mels]
        if len(set(shapes)) > 1:
            raise ValueError(
                "One batch needs mels, or sounds, of one length; of a list of "
                "arrays each may have its own: "
                "vocode([np.asarray(each) for each in mels]). "
                f"Received: shapes {shapes[:4]}"
            )
    array = np.asarray(mels)
    if array.dtype.kind not in "fiu":
        raise ValueError(
            "Expected real numbers: mels (frames, "
            f"{num_mel_bins}) or sound (time,). Received: {array.dtype}"
        )
    if (
        array.ndim in (2, 3)
        and array.shape[-2] == num_mel_bins
        and array.shape[-1] not in (1, num_mel_bins)
    ):
        raise ValueError(
            f"Mels must have the shape (frames, {num_mel_bins}) or (batch, "
            f"frames, {num_mel_bins}); these lie bins first: give "
            f"np.swapaxes(mel, -1, -2). Received: shape {array.shape}"
        )
    return array
