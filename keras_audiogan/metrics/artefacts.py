"""Figures of what networks add to sound: combs, offsets, leaning, a floor."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Slower than the lowest, a comb is heard as a rhythm; faster than the highest,
# as a tone like others.
_COMB_RANGE = 20.0, 1000.0
_COMB_SECONDS = 0.35
# In units of a comb's frequency: neither its octave nor the one below it.
_SURROUNDINGS = 0.64, 1.76
# Bins on either side that a line's Hann window reaches, and one to spare.
_GUARD = 2
_FEWEST_PERIODS = 7
# Of a spectrum that is zero, as that of a square is.
_SMALLEST_POWER = 1e-20
_ONSET = 0.01
_FRAME_SECONDS = 0.01
_END_DB = -40.0
_FEWEST_FRAMES = 10
FLOOR_DB = -120.0

OF_CLIPS: Mapping[str, Callable[[np.ndarray], float]] = {
    "comb": lambda levels: float(np.median(levels)),
    "dc_offset": lambda shares: float(np.percentile(shares, 95)),
    "one_sidedness": lambda shares: float(np.percentile(shares, 95)),
    "noise_floor": lambda levels: float(np.median(levels)),
}
"""From the figures of clips to that of a set of clips, by name."""


def comb_levels(
    audio: np.ndarray, sampling_rate: int, stage_steps: Sequence[int]
) -> dict[float, np.ndarray]:
    """How far the envelope beats at a network's own strides.

    A transposed convolution whose kernel overlaps unevenly repeats one
    pattern at each of its steps (Odena et al., "Deconvolution and
    Checkerboard Artifacts", Distill 2016), which is heard as a buzz at the
    rate of the steps. The rectified clip, averaged over its channels, is
    taken for 0.35 s from its first sample within 40 dB of the peak, or rather
    for the whole number of steps nearest to that, so that the buzz falls on
    one bin of the spectrum under a Hann window. The level is that of the bin
    over the mean power of those from 0.64 to 1.76 times its frequency,
    without the two next to it on either side. The median of clips of white
    noise lies 1.6 dB below 0, or a little less where the bins are few.

    Args:
        audio: Array (n, time, channels) in [-1, 1].
        sampling_rate: Rate in Hz.
        stage_steps: Samples from one step to the next in each stage of the
            network; see `AudioGAN.stage_steps`.

    Returns:
        Frequency in Hz -> level (n,) in dB, NaN for silent clips. Steps
        slower than 20 Hz or faster than 1 kHz are left out, and those of
        which a clip does not hold seven.
    """
    audio = np.asarray(audio, "float32")
    low, high = _COMB_RANGE
    combs = {}
    for step in sorted(set(stage_steps), reverse=True):
        frequency = sampling_rate / step
        most = audio.shape[1] // step
        periods = min(round(_COMB_SECONDS * frequency), most)
        if low <= frequency <= high and periods >= _FEWEST_PERIODS:
            combs[frequency] = step, periods
    levels = {frequency: np.full(len(audio), np.nan) for frequency in combs}
    for i, clip in enumerate(audio):
        envelope = np.abs(clip, dtype="float64").mean(axis=1)
        if not envelope.max() > 0:
            continue
        envelope /= envelope.max()
        onset = int((envelope >= _ONSET).argmax())
        for frequency, (step, periods) in combs.items():
            start = min(onset, len(envelope) - periods * step)
            part = envelope[start : start + periods * step]
            levels[frequency][i] = _line_level(part, periods)
    return levels


def _line_level(envelope: np.ndarray, periods: int) -> float:
    """The level in dB of the line of so many periods over its surroundings."""
    # NumPy's window is symmetric: one more sample makes it periodic.
    window = np.hanning(len(envelope) + 1)[:-1]
    spectrum = np.fft.rfft((envelope - envelope.mean()) * window)
    power = np.abs(spectrum) ** 2 + _SMALLEST_POWER
    bins = np.arange(len(power))
    beside = bins >= _SURROUNDINGS[0] * periods
    beside &= bins <= _SURROUNDINGS[1] * periods
    beside &= np.abs(bins - periods) > _GUARD
    return float(10.0 * np.log10(power[periods] / power[beside].mean()))


def worst_comb(
    levels: Mapping[float, np.ndarray], real: Mapping[float, np.ndarray]
) -> tuple[float, float] | None:
    """Where clips beat most beyond real ones.

    Args:
        levels: What `comb_levels` returned.
        real: The same of real clips.

    Returns:
        The frequency in Hz at which the median level exceeds that of real
        clips most, and by how many dB; None if nothing was measured.
    """
    excess = {
        frequency: float(np.nanmedian(found) - np.nanmedian(real[frequency]))
        for frequency, found in levels.items()
        if np.isfinite(found).any() and np.isfinite(real[frequency]).any()
    }
    if not excess:
        return None
    worst = max(excess, key=lambda frequency: excess[frequency])
    return worst, excess[worst]


def dc_offsets(audio: np.ndarray) -> np.ndarray:
    """|mean| over peak (n,) of clips (n, time, channels); 0 for silence.

    Of several channels that with the largest mean counts.
    """
    audio = np.asarray(audio, "float32")
    means = np.abs(audio.mean(axis=1, dtype="float64")).max(axis=1)
    return _shares(means, np.array([np.abs(clip).max() for clip in audio]))


def one_sidedness(audio: np.ndarray) -> np.ndarray:
    """How much more of the energy of clips lies on one side of zero.

    |energy of positive samples - that of negative ones| over the energy (n,)
    of clips (n, time, channels): 0 for a wave that is as strong on either
    side, 1 for one that never crosses zero; 0 for silence.
    """
    energies = np.empty((len(audio), 2))
    for row, clip in zip(energies, np.asarray(audio, "float32"), strict=True):
        squares = np.square(clip, dtype="float64")
        row[:] = np.abs((np.sign(clip) * squares).sum()), squares.sum()
    return _shares(*energies.T)


def noise_floors(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """What is left after the end of each sound, in dB of the clip's peak.

    A sound ends with its last 10 ms within 40 dB of its loudest ones. The
    floor is the root mean square level of the later half of what follows,
    where the sound has died away.

    Args:
        audio: Array (n, time, channels) in [-1, 1].
        sampling_rate: Rate in Hz.

    Returns:
        Levels (n,), at least -120 dB, which stands for digital silence; NaN
        for silent clips, and for those that go on to within 0.1 s of their
        end.
    """
    audio = np.asarray(audio, "float32")
    size = max(1, round(_FRAME_SECONDS * sampling_rate))
    count = audio.shape[1] // size
    floors = np.full(len(audio), np.nan)
    if not count:
        return floors
    for i, clip in enumerate(audio):
        frames = clip[: count * size].reshape(count, -1).astype("float64")
        power = np.square(frames).mean(axis=1)
        loud = np.flatnonzero(power >= power.max() * 10 ** (_END_DB / 10))
        rest = power[loud[-1] + 1 :]
        if len(rest) < _FEWEST_FRAMES or not power.max():
            continue
        ratio = rest[len(rest) // 2 :].mean() / np.abs(clip).max() ** 2
        floors[i] = 10 * np.log10(max(ratio, 10 ** (FLOOR_DB / 10)))
    return floors


class ArtefactCheck:
    """Compares the artefacts of clips with those of real clips.

    Args:
        real_clips: Real sound (n, time, channels).
        sampling_rate: Rate in Hz.
        stage_steps: As `comb_levels` takes them.
    """

    def __init__(
        self,
        real_clips: np.ndarray,
        sampling_rate: int,
        stage_steps: Sequence[int] = (),
    ) -> None:
        self._combs = functools.partial(
            comb_levels, sampling_rate=sampling_rate, stage_steps=stage_steps
        )
        self._real_combs = self._combs(real_clips)
        self._real_dc = OF_CLIPS["dc_offset"](dc_offsets(real_clips))
        self._real_side = OF_CLIPS["one_sidedness"](one_sidedness(real_clips))

    def measure(self, audio: np.ndarray) -> dict[str, float]:
        """Returns how clips (n, time, channels) differ from the real ones.

        `comb_difference` in dB, where they beat most beyond real ones; it is
        missing where no steps can be measured. `dc_offset_difference` and
        `one_sidedness_difference` are differences of 95th percentiles.
        """
        figures = {
            "dc_offset_difference": OF_CLIPS["dc_offset"](dc_offsets(audio))
            - self._real_dc,
            "one_sidedness_difference": OF_CLIPS["one_sidedness"](
                one_sidedness(audio)
            )
            - self._real_side,
        }
        worst = worst_comb(self._combs(audio), self._real_combs)
        if worst is not None:
            figures["comb_difference"] = worst[1]
        return figures


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
