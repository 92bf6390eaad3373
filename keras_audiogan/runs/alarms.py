"""Alarms: what goes wrong in adversarial training, found while it happens."""

from __future__ import annotations

import collections
import math
import statistics
from collections.abc import Callable

import numpy as np

from keras_audiogan.audio.spectra import mel_spectrogram, to_mono
from keras_audiogan.metrics.artefacts import ArtefactCheck
from keras_audiogan.metrics.neighbours import (
    nearest_neighbours,
    similarity_features,
)
from keras_audiogan.runs.callbacks import Previews, StepCallback
from keras_audiogan.runs.step_log import (
    SCALES,
    WASSERSTEIN,
    Numbers,
    loss_name,
    num_outputs,
)

ADVICE = {
    "silence": (
        "the generated sound is far quieter than the real one. Lower the "
        "learning rate, or use wgan-gp; look whether the data are levelled."
    ),
    "silent_data": (
        "much of the real sound that is trained on is silent, and the "
        "generator learns that. Trim the files (--trim), leave quiet ones "
        "out, or use a longer slice; look at what --dry-run says."
    ),
    "collapse": (
        "the generator makes nearly the same sound from every latent. Go back "
        "to an earlier checkpoint with a lower learning rate, or use more "
        "data or a loss with stronger penalties."
    ),
    "non_finite": (
        "many updates had NaN or infinite gradients and were skipped. Lower "
        "the learning rate, or train in float32."
    ),
    "discriminator_won": (
        "the discriminator tells real from generated without fail, so the "
        "generator learns nothing. Lower the learning rate, use fewer "
        "discriminator steps, or a loss with penalties."
    ),
    "discriminator_lost": (
        "the discriminator cannot tell real from generated. Use more "
        "discriminator steps or a larger discriminator; if the previews sound "
        "right, training is done."
    ),
    "comb": (
        "the generated sound buzzes at the strides of the generator, far more "
        "than real sound does. Longer training does not take that away: use "
        "stft_gan, or another `upsampling` where the architecture has one."
    ),
    "dc_offset": (
        "the generated sound is shifted away from zero (DC), and real sound is "
        "not. Add a discriminator that hears it (complex_stft, waveform); "
        "what is left of it a high-pass filter takes away."
    ),
    "one_sidedness": (
        "the generated waves lie on one side of zero, and real ones do not: "
        "the discriminators are deaf to phase. Add one that hears it "
        "(complex_stft, waveform)."
    ),
    "repeats": (
        "many generated clips are nearly the same as another one. Use more "
        "data, go back to an earlier checkpoint with a lower learning rate, "
        "or keep the best by repeats (--keep-best repeated)."
    ),
}

# -60 dBFS.
SILENT_LEVEL = 1e-3

# What generated sound may have beyond real sound: the figure of
# `ArtefactCheck` or `Comparison`, and the most of it.
_LIMITS = {
    "comb": ("comb_difference", 6.0),
    "dc_offset": ("dc_offset_difference", 0.02),
    "one_sidedness": ("one_sidedness_difference", 0.4),
    "repeats": ("repeated", 0.3),
}
# A few clips' combs scatter by some dB.
_COMB_SCATTER = 3.0


class Alarms(StepCallback):
    """Watches a training run for the ways in which GANs fail.

    - `silence`: the level of generated sound stays more than 17 dB below
      that of real sound;
    - `silent_data`: a quarter or more of the real clips are below -60 dBFS,
      which is looked at in the first step, or the level of real sound stays
      there;
    - `collapse`: previews differ from each other less than a third as much as
      real clips do, in log-mel spectra, twice in a row;
    - `non_finite`: 5 or more of the last 100 steps skipped an update or had
      logs that are not finite;
    - `discriminator_won`: its loss stays near zero, or the distance of a
      Wasserstein loss is 8 times its median so far;
    - `discriminator_lost`: it does not score real sound above generated;
    - `comb`: generated sound buzzes at the generator's own strides, 9 dB more
      than real sound in previews, or 6 dB in the many clips of an evaluation;
    - `dc_offset`, `one_sidedness`: it is shifted from zero by 2 % of the peak,
      or has 40 % more of its energy on one side of zero, than real sound;
    - `repeats`: half of the clips of a preview are nearer to another one than
      any two real clips are, or 30 % in an evaluation are repeated.

    The last four are looked for in previews, twice in a row, until the run is
    evaluated: then each evaluation tells.

    An alarm is raised when its condition has held for `patience` steps, once
    until the condition has been gone for as long, and counted.

    Args:
        previews: The `Previews` of the same `fit`, before this in the list
            of callbacks; needed to see a collapse.
        real_clips: Real sound `(clips, time, channels)` as the model is
            trained on; needed to see a collapse or silent ones. 16 or more
            are best.
        report: Called with the name of an alarm and a line of advice.
        patience: Steps.
        warmup: Steps before which only `non_finite` is raised: an untrained
            generator is silent.
        collapse_warmup: Steps before which `collapse` and `repeats` are not
            raised.

    Attributes:
        counts: How often each alarm was raised.
        active: The alarms whose condition still holds.
    """

    def __init__(
        self,
        previews: Previews | None = None,
        real_clips: np.ndarray | None = None,
        report: Callable[[str, str], None] | None = None,
        patience: int = 300,
        warmup: int = 500,
        collapse_warmup: int = 2000,
    ) -> None:
        super().__init__()
        self.counts: collections.Counter[str] = collections.Counter()
        self._previews = previews
        self._real_clips = real_clips
        self._report = report
        self._warmup = warmup
        self._collapse_warmup = collapse_warmup
        self._watches = {
            "silence": _Watch(patience),
            "silent_data": _Watch(patience),
            "collapse": _Watch(2),
            "non_finite": _Watch(1, 100),
            "discriminator_won": _Watch(patience),
            "discriminator_lost": _Watch(patience),
            **{name: _Watch(2) for name in _LIMITS},
        }
        self._artefacts: ArtefactCheck | None = None
        self._is_evaluated = False
        self._real_distance = 0.0
        self._skipped: float | None = None
        self._troubled: collections.deque[bool] = collections.deque(maxlen=100)
        self._distances = _Distances()
        self._real_diversity: float | None = None
        self._real_is_silent: bool | None = None
        self._seen_preview: int | None = None

    @property
    def active(self) -> set[str]:
        """The alarms whose condition still holds."""
        return {name for name, w in self._watches.items() if w.active}

    def on_step(self, numbers: Numbers) -> None:
        """Looks at a step's logs, and at the previews if there are new ones."""
        self._look_at_real_sound(numbers.get("level/real", math.nan))
        self._check("non_finite", self._is_troubled(numbers))
        distance = self._distances.add(-numbers.get("adv/discriminator", 0.0))
        if self.step > self._warmup:
            fake, real = (
                numbers.get(key, math.nan)
                for key in ("level/fake", "level/real")
            )
            self._check("silence", fake < 0.14 * real)
            self._check("discriminator_won", self._has_won(numbers, distance))
            self._check("discriminator_lost", _has_lost(numbers))
            self._look_at_previews()

    def _look_at_real_sound(self, level: float) -> None:
        if self._real_is_silent is None:
            clips = self._real_clips
            self._real_is_silent = clips is not None and bool(
                np.mean(rms(clips) < SILENT_LEVEL) >= 0.25
            )
            if self._real_is_silent:
                self._raise("silent_data")
        if not self._real_is_silent:
            self._check("silent_data", level < SILENT_LEVEL)

    def _is_troubled(self, numbers: Numbers) -> bool:
        skipped = numbers.get("skipped", 0.0)
        before = skipped if self._skipped is None else self._skipped
        self._skipped = skipped
        finite = all(map(math.isfinite, numbers.values()))
        self._troubled.append(skipped > before or not finite)
        return sum(self._troubled) >= 5

    def _has_won(self, numbers: Numbers, distance: float) -> bool:
        name = loss_name(self.model)
        if name in WASSERSTEIN:
            return distance > 8.0 * self._distances.median > 0.0
        if name not in SCALES:
            return False
        won = SCALES[name].won * num_outputs(self.model)
        return numbers.get("adv/discriminator", math.inf) < won

    def look_at_figures(self, figures: Numbers) -> None:
        """Looks at the figures of an evaluation, by name."""
        self._is_evaluated = True
        if self.step > self._warmup:
            self._compare(figures)

    def _compare(self, figures: Numbers, scatter: float = 0.0) -> None:
        for name, (key, most) in _LIMITS.items():
            if name == "repeats" and self.step < self._collapse_warmup:
                continue
            if key in figures:
                more = scatter if name == "comb" else 0.0
                self._check(name, figures[key] > most + more)

    def _look_at_previews(self) -> None:
        previews, real = self._previews, self._real_clips
        if previews is None or real is None:
            return
        if previews.audio is None or previews.audio_step == self._seen_preview:
            return
        self._seen_preview = step = previews.audio_step
        made, rate = np.nan_to_num(previews.audio), self.model.sampling_rate
        if not self._is_evaluated:
            if self._artefacts is None:
                steps = getattr(self.model, "stage_steps", ())
                self._artefacts = ArtefactCheck(real, rate, steps)
            self._compare(self._artefacts.measure(made), _COMB_SCATTER)
        if step is None or step < self._collapse_warmup:
            return
        if min(len(made), len(real)) < 2:
            return  # One clip has nothing to differ from.
        if self._real_diversity is None:
            self._real_diversity = diversity(real, rate)
            self._real_distance = float(_nearest(real, rate).min())
        alike = diversity(made, rate) < self._real_diversity / 3.0
        self._check("collapse", alike)
        if not self._is_evaluated:
            near = _nearest(made, rate) < self._real_distance
            # In a collapse all of them are repeats.
            self._check("repeats", not alike and bool(near.mean() >= 0.5))

    def _check(self, name: str, bad: bool) -> None:
        if self._watches[name].update(bad):
            self._raise(name)

    def _raise(self, name: str) -> None:
        self.counts[name] += 1
        if self._report is not None:
            self._report(name, ADVICE[name])


def rms(clips: np.ndarray) -> np.ndarray:
    """Returns the level of each of `(clips, time, channels)`."""
    return np.sqrt(np.mean(np.square(clips, dtype="float64"), axis=(1, 2)))


class _Watch:
    """Raises an alarm once, until its condition has long been gone."""

    def __init__(self, patience: int, recovery: int | None = None) -> None:
        self.active = False
        self._patience = patience
        self._recovery = recovery or patience
        self._bad = self._good = 0

    def update(self, bad: bool) -> bool:
        """Returns whether the alarm is to be raised now."""
        self._bad = self._bad + 1 if bad else 0
        self._good = 0 if bad else self._good + 1
        if self.active and self._good >= self._recovery:
            self.active = False
        if not self.active and self._bad >= self._patience:
            self.active = True
            return True
        return False


class _Distances:
    """The distance of a Wasserstein loss, smoothed, and its median so far."""

    def __init__(self) -> None:
        self._smooth: float | None = None
        self._history: list[float] = []
        self._steps = 0

    def add(self, distance: float) -> float:
        """Returns the smoothed distance."""
        if not math.isfinite(distance):
            return self._smooth or 0.0
        if self._smooth is None:
            self._smooth = distance
        self._smooth += 0.02 * (distance - self._smooth)
        self._steps += 1
        if self._steps % 100 == 0:
            self._history.append(self._smooth)
        return self._smooth

    @property
    def median(self) -> float:
        """The median so far; 0 while there is too little to go by."""
        if len(self._history) < 10:
            return 0.0
        return statistics.median(self._history)


def _has_lost(numbers: Numbers) -> bool:
    margin = numbers.get("score/real", math.nan)
    margin -= numbers.get("score/fake", math.nan)
    return margin <= 0.0


def _nearest(clips: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Distance of each clip to the most similar other one, at one level."""
    levels = np.maximum(rms(clips), 1e-8)[:, None, None]
    levelled = 0.1 * clips / levels
    heard = similarity_features(levelled, sampling_rate, audible=True)
    return nearest_neighbours(heard).distances


def diversity(clips: np.ndarray, sampling_rate: int) -> float:
    """Measures how much clips differ from each other.

    Args:
        clips: `(clips, time, channels)`, two or more.
        sampling_rate: In Hz.

    Returns:
        The mean distance of two clips in dB: the root mean square difference
        of their log-mel spectrograms, each clip brought to one peak, over the
        60 dB below the loudest spot.
    """
    if len(clips) < 2:
        raise ValueError(
            f"Diversity needs two clips or more. Received: {len(clips)} clips"
        )
    sound = to_mono(np.nan_to_num(clips))
    peaks = np.abs(sound).max(axis=1, keepdims=True)
    fft_length = 1 << round(math.log2(max(64.0, sampling_rate * 0.04)))
    mel = mel_spectrogram(
        sound / np.maximum(peaks, 1e-8),
        sampling_rate,
        fft_length=fft_length,
        frame_step=fft_length // 2,
        num_mel_bins=min(40, fft_length // 8),
    )
    floor = max(1e-3 * float(mel.max()), 1e-12)
    flat = 20.0 * np.log10(np.maximum(mel, floor)).reshape(len(clips), -1)
    squares = (flat**2).mean(axis=1)
    products = flat @ flat.T / flat.shape[1]
    distances = squares[:, None] + squares - 2.0 * products
    pairs = distances[np.triu_indices(len(clips), 1)]
    return float(np.sqrt(np.maximum(pairs, 0.0)).mean())
