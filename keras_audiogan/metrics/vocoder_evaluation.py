"""Is a vocoder any good? Its copies of recordings, beside Griffin-Lim's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_audiogan.audio.levels import Levelling, level_gain
from keras_audiogan.audio.phase_recovery import griffin_lim
from keras_audiogan.metrics.figures import SYSTEMS, described
from keras_audiogan.metrics.signals import SILENCE_DB
from keras_audiogan.metrics.speech_scores import as_clip, pesq
from keras_audiogan.metrics.vocoder_scores import (
    FIGURES,
    mean_of_clips,
    rms_decibels,
    vocoder_report,
)

if TYPE_CHECKING:
    from keras_audiogan.models.vocoder import Vocoder

#: Options of `griffin_lim` for its two columns.
GRIFFIN_LIM = {
    "griffin_lim": {"momentum": 0.0, "magnitude_iterations": 0},
    "fast_griffin_lim": {"momentum": 0.99, "magnitude_iterations": 100},
}

_ALL_FIGURES = (*FIGURES, "level_difference", "real_time_factor")


def warm_up(vocoder: Vocoder) -> None:
    """Runs a vocoder twice on next to nothing.

    Backends that compile do so for the first lengths they meet, which is not
    what a real-time factor is about.
    """
    features = vocoder.features
    silence = np.zeros(2 * features.fft_length, "float32")
    vocoder.mel(silence, vocoder.sampling_rate)
    for frames in (4, 5):
        mel = np.zeros((frames, features.num_mel_bins), "float32")
        for _ in vocoder.vocode_parts(mel):
            pass


def evaluate_vocoder(
    vocoder: Vocoder,
    clips: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
    level: Levelling = "keep",
    num_iterations: int = 32,
    num_resamples: int = 200,
    seed: int = 0,
    on_clip: Callable[[], None] | None = None,
    keep_sounds: int = 0,
) -> dict[str, Any]:
    """Compares recordings with copies made from their mel spectrograms.

    The copies are the vocoder's and, from the same mels but without any
    network, those of Griffin-Lim in its usual form (`griffin_lim`:
    pseudo-inverse of the mel filters, no momentum) and in the best one known
    (`fast_griffin_lim`: non-negative magnitudes, momentum 0.99). The last
    column, `real`, is the ceiling: a recording against itself, which is 0 by
    definition; only its PESQ is computed.

    Args:
        vocoder: The model; best with its weight norm fused, as in use.
        clips: Recordings `(time,)` or `(time, 1)` at the vocoder's rate.
        names: Of the clips, for the report; their numbers by default.
        level: How clips are levelled before the mels are made, see
            `level_gain`; undone before sounds are compared.
        num_iterations: Of Griffin-Lim.
        num_resamples: Resamples of the clips for the 95 % intervals; 0
            leaves them out.
        seed: Of noise, first phases and resampling.
        on_clip: Called after each clip is copied.
        keep_sounds: Of how many clips the sounds are returned.

    Returns:
        `figures`: name -> `unit`, `better` and for each of `SYSTEMS` a
        dictionary with its mean `value`, the ends `low` and `high` of the
        interval, and `num_clips`, or None. `level_difference` is the RMS
        level of what was made over that of the recording; `real_time_factor`
        is the time from mels to sound over the length of the sound, without
        the compilation of the first call. `clips`: for each its `name`,
        `seconds` and the figures of each system. `notes`: why figures are
        missing. `num_clips`, `seconds`, `num_iterations`, `level`. And
        `sounds`, the first clips of each system, if `keep_sounds` is set.

    Raises:
        ValueError: If there are no clips, or one is shorter than a transform
            or holds numbers that are not finite.
    """
    if not len(clips):
        raise ValueError(
            "Expected recordings, at least one. Received: clips=[]"
        )
    rate = vocoder.sampling_rate
    real = [as_clip(clip) for clip in clips]
    made: dict[str, list[np.ndarray]] = {}
    factors: dict[str, list[float]] = {}
    warm_up(vocoder)
    for clip in real:
        gain = level_gain(clip, level)
        # To whole hops, so that copies are as long as the recording.
        filled = np.pad(clip, (0, -len(clip) % vocoder.features.frame_step))
        mel = vocoder.mel(filled * np.float32(gain), rate)[0]
        for system in ("vocoder", *GRIFFIN_LIM):
            begin = time.perf_counter()
            if system == "vocoder":
                again = vocoder.vocode(mel, seed=seed)[0, :, 0]
            else:
                again = griffin_lim(
                    mel,
                    vocoder.features,
                    num_iterations,
                    seed=seed,
                    **GRIFFIN_LIM[system],  # type: ignore[arg-type]
                )
            elapsed = time.perf_counter() - begin
            fake = again[: len(clip)] / np.float32(gain)
            made.setdefault(system, []).append(fake)
            factors.setdefault(system, []).append(elapsed * rate / len(clip))
        if on_clip is not None:
            on_clip()
    reports = {
        system: vocoder_report(real, fakes, rate, vocoder.features, 0)
        for system, fakes in made.items()
    }
    rows = {system: report["clips"] for system, report in reports.items()}
    rows["real"] = [_of_itself(clip, rate) for clip in real]
    for system, times in factors.items():
        for row, factor in zip(rows[system], times, strict=True):
            row["real_time_factor"] = factor
    figures = system_figures(rows, _ALL_FIGURES, num_resamples, seed)
    names = [str(i) for i in range(len(real))] if names is None else names
    report = {
        "figures": figures,
        "clips": [
            {"name": name, "seconds": len(clip) / rate}
            | {system: rows[system][i] for system in SYSTEMS}
            for i, (name, clip) in enumerate(zip(names, real, strict=True))
        ],
        "notes": {**reports["vocoder"]["notes"], **_of_silence(real)},
        "num_clips": len(real),
        "seconds": sum(map(len, real)) / rate,
        "num_iterations": num_iterations,
        "level": level,
    }
    if keep_sounds:
        report["sounds"] = {
            "real": real[:keep_sounds],
            **{name: fakes[:keep_sounds] for name, fakes in made.items()},
        }
    return report


def system_figures(
    rows: Mapping[str, Sequence[dict[str, float]]],
    names: Iterable[str],
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Returns `figures` of `evaluate_vocoder`, of those that were measured.

    `rows` are the clips' figures for each of `SYSTEMS`, `names` of figures.
    """
    figures = {}
    for name in names:
        known = described(name)
        signed = known["better"] == "real"
        columns = {
            system: mean_of_clips(
                rows[system], name, num_resamples, seed, signed
            )
            for system in SYSTEMS
        }
        if columns["vocoder"] is not None:
            figures[name] = {**known, **columns}
    return figures


def _of_itself(clip: np.ndarray, rate: int) -> dict[str, float]:
    """A recording against itself: 0 by definition, and so not computed."""
    row = dict.fromkeys(_ALL_FIGURES, 0.0)
    del row["real_time_factor"], row["pesq"]
    # If there is no PESQ, the vocoder's own report says why.
    with contextlib.suppress(ImportError, ValueError):
        row["pesq"] = pesq(clip, clip, rate)
    return row


def _of_silence(clips: Sequence[np.ndarray]) -> dict[str, int]:
    silent = sum(rms_decibels(clip) < SILENCE_DB for clip in clips)
    note = f"SILENCE: the recording is below {SILENCE_DB:g} dBFS"
    return {note: silent} if silent else {}
