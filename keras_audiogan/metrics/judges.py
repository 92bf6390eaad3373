"""What published judges of speech say of a vocoder's copies.

Each is a package that carries its own network, so that nothing is fetched
when it judges (`pip install 'keras-audiogan[judges,visqol]'`). One that is
not installed, or that fails, is said to be missing, and the others judge.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import importlib.metadata
import importlib.util
import math
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_audiogan.audio.resampling import resample
from keras_audiogan.metrics.figures import SYSTEMS
from keras_audiogan.metrics.pitch_scores import VOICED, contour
from keras_audiogan.metrics.speech_scores import as_clip, as_contours, f0_errors
from keras_audiogan.metrics.vocoder_evaluation import system_figures

_RATE = 16000
# Why a figure that a judge could not measure is missing.
_UNHEARD = {
    "swift_f0_rmse_cents": "no pitch error by SwiftF0: no frame is voiced in "
    "both clips",
    "voicing_f1": "no F1 of voicing: no frame is voiced in either clip",
    "word_error_rate": "no word errors: no word is read in the recording",
}


class JudgeError(RuntimeError):
    """A judge's package failed."""


class Judge(abc.ABC):
    """One package that judges a copy, alone or beside its recording.

    `hear` is called once for each sound, `compare` with what was heard of a
    recording and of a copy.

    Attributes:
        name: Of what it judges, for people.
        package: What is installed.
        module: What is imported.
        extra: Of this package, which installs it.
        figures: Names of its figures, of `presets.figures`.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    module: ClassVar[str]
    extra: ClassVar[str] = "judges"
    figures: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def hear(self, clip: np.ndarray, sampling_rate: float) -> Any:
        """Returns what is heard in a clip `(time,)`, rate in Hz."""

    @abc.abstractmethod
    def compare(self, real: Any, fake: Any) -> dict[str, float]:
        """Returns the figures of a copy, NaN where there is none."""


class SpeechOpinion(Judge):
    """DNSMOS P.835: opinion scores of sound that is heard by itself.

    Reddy, Gopal and Cutler, "DNSMOS P.835: A Non-Intrusive Perceptual
    Objective Speech Quality Metric to Evaluate Noise Suppressors", ICASSP
    2022, by the package `speechmos` at 16 kHz. Clips shorter than its 9 s
    are repeated.
    """

    name, package, module = "DNSMOS", "speechmos", "speechmos"
    figures = ("dnsmos", "dnsmos_speech", "dnsmos_background")

    def __init__(self) -> None:
        self._score = importlib.import_module("speechmos.dnsmos").run

    def hear(self, clip: np.ndarray, sampling_rate: float) -> dict[str, float]:
        """Returns the three scores."""
        found = self._score(_within_scale(clip, sampling_rate), _RATE)
        keys = ("ovrl_mos", "sig_mos", "bak_mos")
        return {
            name: float(found[key])
            for name, key in zip(self.figures, keys, strict=True)
        }

    def compare(self, real: Any, fake: Any) -> dict[str, float]:
        """Returns the copy's scores."""
        return fake


class SimilarityOpinion(Judge):
    """ViSQOL: how alike two sounds seem, as a predicted opinion score.

    Chinen et al., "ViSQOL v3: An Open Source Production Ready Objective
    Speech and Audio Metric", QoMEX 2020, by the package `visqol-python`:
    speech at 16 kHz, mapped to scores by its lattice.
    """

    name, package, module = "ViSQOL", "visqol-python", "visqol"
    extra = "visqol"
    figures = ("visqol",)

    def __init__(self) -> None:
        self._api = importlib.import_module("visqol").VisqolApi()
        # Without the lattice's runtime this fails; the package's older
        # mapping would give other figures under the same name.
        self._api.create(mode="speech", use_lattice_model=True)

    def hear(self, clip: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Returns the clip at the judge's rate."""
        return resample(clip, sampling_rate, _RATE).astype("float64")

    def compare(self, real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
        """Returns the score of the pair."""
        found = self._api.measure_from_arrays(real, fake, _RATE)
        return {"visqol": float(found.moslqo)}


class TrackedPitch(Judge):
    """Pitch, periodicity and voicing, as heard by SwiftF0.

    See `voicing_scores`. CARGAN and BigVGAN have them from CREPE; SwiftF0's
    confidence, from 0 to 1 each 16 ms, stands in for its periodicity.
    """

    name, package, module = "pitch and voicing", "swift-f0", "swift_f0"
    figures = ("swift_f0_rmse_cents", "periodicity_error", "voicing_f1")

    def __init__(self) -> None:
        self._tracker = importlib.import_module("swift_f0").SwiftF0()

    def hear(
        self, clip: np.ndarray, sampling_rate: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns pitch in Hz and confidence of each frame."""
        return contour(self._tracker, clip, sampling_rate)

    def compare(self, real: Any, fake: Any) -> dict[str, float]:
        """Returns the errors of the copy's pitch, periodicity and voicing."""
        length = min(len(real[0]), len(fake[0]))
        (pitch, sure), (other_pitch, other_sure) = (
            (hertz[:length], confidence[:length])
            for hertz, confidence in (real, fake)
        )
        errors = f0_errors(
            np.where(sure >= VOICED, pitch, 0.0),
            np.where(other_sure >= VOICED, other_pitch, 0.0),
        )
        return {
            "swift_f0_rmse_cents": errors["f0_rmse_cents"],
            **voicing_scores(sure, other_sure),
        }


class Words(Judge):
    """Words of the copy beside those of the recording, by PocketSphinx.

    Huggins-Daines et al., "PocketSphinx: A Free, Real-Time Continuous Speech
    Recognition System for Hand-Held Devices", ICASSP 2006, with the model of
    US English that lies in the package, at 16 kHz. It mishears much; so its
    own reading of the recording is what the copy's must equal.
    """

    name, package, module = "words", "pocketsphinx", "pocketsphinx"
    figures = ("word_error_rate",)

    def __init__(self) -> None:
        package = importlib.import_module("pocketsphinx")
        self._decoder = package.Decoder(samprate=_RATE, loglevel="FATAL")

    def hear(self, clip: np.ndarray, sampling_rate: float) -> list[str]:
        """Returns the words that are read."""
        sound = _within_scale(clip, sampling_rate)
        self._decoder.start_utt()
        try:
            # In one piece, levels are those of the whole clip, and nothing
            # of the clip before is left.
            self._decoder.process_raw(
                np.round(32767.0 * sound).astype("int16").tobytes(),
                full_utt=True,
            )
        finally:
            self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr.split() if found else []

    def compare(self, real: list[str], fake: list[str]) -> dict[str, float]:
        """Returns the copy's word error rate, NaN beside no words."""
        rate = word_error_rate(real, fake) if real else math.nan
        return {"word_error_rate": rate}


#: All judges, in the order in which they are asked.
JUDGES: tuple[type[Judge], ...] = (
    SpeechOpinion,
    SimilarityOpinion,
    TrackedPitch,
    Words,
)


def voicing_scores(
    real: np.ndarray, fake: np.ndarray, voiced: float = VOICED
) -> dict[str, float]:
    """Errors of periodicity and voicing of two contours.

    As in CARGAN (Morrison et al., "Chunked Autoregressive GAN for
    Conditional Waveform Synthesis", ICLR 2022) and BigVGAN (Lee et al., ICLR
    2023), of one pair of clips.

    Args:
        real: Periodicity of each frame of the recording, from 0 to 1.
        fake: The same of the copy.
        voiced: Periodicity from which a frame is voiced.

    Returns:
        `periodicity_error`, the root mean square difference; `voicing_f1`,
        the harmonic mean of precision and recall of the copy's voiced
        frames, NaN if no frame of either is voiced.

    Raises:
        ValueError: If the two are empty or differ in length.
    """
    real, fake = as_contours(real, fake)
    wanted, found = real >= voiced, fake >= voiced
    # Twice the frames voiced in both over all that are voiced in either
    # contour is the harmonic mean of precision and recall.
    total = int(wanted.sum() + found.sum())
    both = int((wanted & found).sum())
    return {
        "periodicity_error": math.sqrt(np.mean((real - fake) ** 2)),
        "voicing_f1": 2.0 * both / total if total else math.nan,
    }


def word_error_rate(real: Sequence[str], fake: Sequence[str]) -> float:
    """Fewest words to insert, delete or replace, per word that is right.

    Args:
        real: The words that are right.
        fake: The words beside them.

    Returns:
        From 0 to, with many words too many, more than 1.

    Raises:
        ValueError: If no word is right.
    """
    if not len(real):
        raise ValueError(
            "A rate of word errors needs a word that is right. Received: "
            f"real={real!r}"
        )
    # Levenshtein's distance, row by row.
    costs = list(range(len(fake) + 1))
    for row, word in enumerate(real, 1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(fake, 1):
            cost = min(
                diagonal + (word != other),
                costs[column] + 1,
                costs[column - 1] + 1,
            )
            diagonal, costs[column] = costs[column], cost
    return costs[-1] / len(real)


def installed_judges() -> dict[type[Judge], str]:
    """Returns those of `JUDGES` that are installed: judge -> version."""
    found = {}
    for judge in JUDGES:
        if importlib.util.find_spec(judge.module) is not None:
            # A module of that name may come with another package.
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[judge] = importlib.metadata.version(judge.package)
    return found


def add_judges(
    report: dict[str, Any],
    sounds: Mapping[str, Sequence[np.ndarray]],
    sampling_rate: float,
    num_resamples: int = 200,
    seed: int = 0,
    on_clip: Callable[[], None] | None = None,
    kinds: Container[type[Judge]] | None = None,
) -> None:
    """Adds what the installed judges say to a report of `evaluate_vocoder`.

    Of the recordings themselves as well: that is what a perfect vocoder
    would reach.

    Args:
        report: Gets `figures`, the figures of each clip, `notes` of what is
            missing and why, and `judges`: package -> version.
        sounds: `report["sounds"]` of all clips: `real`, and the copies of
            each other one of `SYSTEMS`.
        sampling_rate: Of all, in Hz.
        num_resamples: Resamples of the clips for the 95 % intervals; 0
            leaves them out.
        seed: Of the resampling.
        on_clip: Called after each clip is judged by one judge.
        kinds: Which of `JUDGES` are asked, all by default.
    """
    clips = report["clips"]
    present = installed_judges()
    notes: Counter[str] = Counter(
        {note: len(clips) for note in _not_installed(present)}
    )
    report["judges"] = {}
    for kind, version in present.items():
        if kinds is not None and kind not in kinds:
            continue
        report["judges"][kind.package] = version
        try:
            judge = _ask(kind)
        except JudgeError as error:
            notes[f"no {kind.name}: {error}"] += len(clips)
            continue
        for index, clip in enumerate(clips):
            heard = {name: sounds[name][index] for name in SYSTEMS}
            rows, reasons = _judge_clip(judge, heard, sampling_rate)
            for system, row in rows.items():
                clip[system].update(row)
            notes.update(reasons)
            if on_clip is not None:
                on_clip()
        rows_of = {name: [clip[name] for clip in clips] for name in SYSTEMS}
        for name, row in system_figures(
            rows_of, kind.figures, num_resamples, seed
        ).items():
            report["figures"][name] = {
                **row,
                "judge": f"{kind.package} {version}",
            }
    report["notes"] = {**notes, **report["notes"]}


def _within_scale(clip: np.ndarray, sampling_rate: float) -> np.ndarray:
    """A clip at the judges' rate, cut to full scale: a resampler rings."""
    sound = resample(clip, sampling_rate, _RATE)
    if not len(sound):
        # speechmos would repeat nothing for ever.
        raise ValueError(
            f"the clip is shorter than a sample at {_RATE} Hz. Received: "
            f"{len(clip)} samples at {sampling_rate:g} Hz"
        )
    return np.clip(sound, -1.0, 1.0)


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        # Whatever a stranger's package raises, the others' figures stand.
        said = " ".join(str(error).split())[:200]
        raise JudgeError(
            f"{type(error).__name__}: {said}".rstrip(".: ")
        ) from error


def _judge_clip(
    judge: Judge, sounds: Mapping[str, np.ndarray], sampling_rate: float
) -> tuple[dict[str, dict[str, float]], set[str]]:
    """Figures of each system for one clip, and why others are missing."""
    rows: dict[str, dict[str, float]] = {}
    reasons = set()
    try:
        real = _ask(judge.hear, as_clip(sounds["real"]), sampling_rate)
    except JudgeError as error:
        return rows, {f"no {judge.name}: {error}"}
    for system, sound in sounds.items():
        try:
            heard = (
                real
                if system == "real"
                else _ask(judge.hear, as_clip(sound), sampling_rate)
            )
            found = _ask(judge.compare, real, heard)
        except JudgeError as error:
            reasons.add(f"no {judge.name} of {SYSTEMS[system]}: {error}")
            continue
        rows[system] = {k: v for k, v in found.items() if math.isfinite(v)}
        for name in found.keys() - rows[system].keys():
            reasons.add(_UNHEARD.get(name, f"no {name}: it is not finite"))
    return rows, reasons


def _not_installed(present: Container[type[Judge]]) -> list[str]:
    """One line for each extra of which something is missing."""
    missing: dict[str, list[str]] = {}
    for judge in JUDGES:
        if judge not in present:
            named = f"{judge.name} ({judge.package})"
            missing.setdefault(judge.extra, []).append(named)
    return [
        f"no {', '.join(names)}: not installed (pip install "
        f"'keras-audiogan[{extra}]')"
        for extra, names in missing.items()
    ]
