"""A blind check: can a small classifier tell generated clips from real ones?

Two of them try, each on a few hundred numbers for a clip: one on log-mel
spectra, one on the waveform's envelope, where what strided networks leave
behind is heard. They are logistic regressions, so each says what it hears.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_audiogan.audio.spectra import (
    hertz_to_mel,
    log_mel_spectrogram,
    mel_to_hertz,
    to_mono,
)
from keras_audiogan.metrics.bootstrap import bootstrap_interval
from keras_audiogan.metrics.classifier_scores import wilson_interval
from keras_audiogan.presets.figures import FIGURES

NUM_FOLDS = 5
FEWEST_CLIPS = 40
"""Clips of each kind that the check needs."""

_NUM_MEL_BINS = 40
_FRAME_SECONDS = 0.032
# Magnitudes are raised to this of a full-scale sine's: what is 90 dB below
# full scale is silence, in which files and networks may differ unheard.
_FLOOR = 10 ** (-90 / 20)
_HIGHEST_MODULATION = 1000.0
# Samples of the envelope in a window, in seconds: 7.8 Hz between the lines.
_ENVELOPE_SECONDS = 0.128
# Ridge for each clip, on standardised features.
_RIDGE = 0.02
_NUM_HEARD = 5


class Features(NamedTuple):
    """What a classifier is given of some clips.

    `values` are float64 `(clips, features)`, and `names` say what each
    feature is. All are in dB.
    """

    values: np.ndarray
    names: list[str]


def spectral_features(audio: np.ndarray, sampling_rate: int) -> Features:
    """Log-mel spectra of clips, pooled over time.

    Args:
        audio: Clips `(n, time, channels)`; channels are mixed.
        sampling_rate: In Hz.

    Returns:
        The mean of 40 mel bands, their deviation, and the mean change from
        a frame to the next but one, in dB.
    """
    frame = max(16, 1 << round(np.log2(_FRAME_SECONDS * sampling_rate)))
    decibels = (20 / np.log(10)) * log_mel_spectrogram(
        to_mono(audio),
        sampling_rate,
        fft_length=frame,
        frame_step=frame // 4,
        num_mel_bins=_NUM_MEL_BINS,
        # The window sums to half its length, a sine has half its amplitude.
        floor=_FLOOR * frame / 4,
        padding="none",
    ).astype("float64")
    later = decibels[:, 2:] if decibels.shape[1] > 2 else decibels
    change = np.abs(later - decibels[:, : later.shape[1]])
    values = [decibels.mean(axis=1), decibels.std(axis=1), change.mean(axis=1)]
    top = hertz_to_mel(sampling_rate / 2)
    centres = mel_to_hertz(
        np.arange(1, _NUM_MEL_BINS + 1) * top / (_NUM_MEL_BINS + 1)
    )
    heads = ("level at", "spread of the level at", "change in time at")
    names = [f"{head} {_hertz(f)}" for head in heads for f in centres]
    return Features(np.concatenate(values, axis=1), names)


def envelope_features(audio: np.ndarray, sampling_rate: int) -> Features:
    """How the waveform's envelope is modulated, and how the waveform leans.

    Args:
        audio: Clips `(n, time, channels)`; channels are mixed.
        sampling_rate: In Hz.

    Returns:
        The power of the envelope's frequencies up to 1 kHz, 7.8 Hz apart,
        against that of the envelope itself; the level; the constant part
        against the peak; and the highest sample against the lowest, signed
        and not. In dB.
    """
    mono = to_mono(audio).astype("float64")
    size = min(round(_ENVELOPE_SECONDS * sampling_rate), mono.shape[1])
    taper = np.hanning(size + 1)[:size]
    starts = range(0, mono.shape[1] - size + 1, max(1, size // 2))
    highest = min(_HIGHEST_MODULATION, sampling_rate / 4)
    # The first lines of a tapered window are its mean.
    lines = np.arange(2, int(highest * size / sampling_rate) + 1)
    power = np.zeros((len(mono), len(lines)))
    total = np.full((len(mono), 1), 1e-20)
    # A part at a time: spectra of a thousand clips need not be kept.
    for rows in np.array_split(np.arange(len(mono)), -(-len(mono) // 128)):
        envelope = _envelope(mono[rows])
        for start in starts:
            piece = envelope[:, start : start + size]
            spectrum = np.abs(np.fft.rfft(piece * taper)) ** 2
            power[rows] += spectrum[:, lines]
            total[rows] += spectrum[:, :1]
    high, low = (np.maximum(x, 1e-6) for x in (mono.max(1), -mono.min(1)))
    leaning = 20 * np.log10(high / low)
    columns = [
        10 * np.log10(power / total + 1e-8),
        _decibels(np.sqrt((mono**2).mean(axis=1))),
        _decibels(np.abs(mono.mean(axis=1)) / np.maximum(high, low)),
        leaning,
        np.abs(leaning),
    ]
    names = [
        f"{_hertz(f)} of the envelope" for f in lines * sampling_rate / size
    ]
    names += [
        "level",
        "constant part (DC)",
        "upper half of the waveform",
        "one-sidedness of the waveform",
    ]
    return Features(np.column_stack(columns), names)


_CHECKS = {"spectra": spectral_features, "envelopes": envelope_features}


def tell_apart(
    generated: np.ndarray,
    real: np.ndarray,
    sampling_rate: int,
    *,
    files: Sequence[Any] | None = None,
    seed: int = 0,
    num_resamples: int = 200,
) -> dict[str, Any]:
    """Tells generated clips from real ones, and says by what.

    As many generated clips as real ones are compared. Logistic regressions
    with a ridge learn from four fifths of them and are tested on the rest,
    five times over, so that every clip is judged once by a classifier that
    has not heard it. All clips of one file are in one fifth.

    As a control, real clips are told from other real ones in the same way:
    the files are parted in two by chance.

    Ask for labels as often as real clips have them; else their shares are
    heard too.

    Args:
        generated: Clips `(n, time, channels)`.
        real: Clips `(m, time, channels)`, levelled and placed as the
            generator's training clips were. With twice as many as generated
            ones, the control has as many clips as the check.
        sampling_rate: In Hz.
        files: The file that each real clip is from, anything that can be
            compared; None if each is from one of its own.
        seed: Seed of the choice of clips, the fifths and the resampling.
        num_resamples: Resamples of files for the intervals; 0 for none.

    Returns:
        A dictionary fit for JSON: `num_clips` of each kind, and
        `num_control_clips` of each half; and for `spectra` and `envelopes`
        each `accuracy` and `control`, with `value`, `low` and `high` (95 %
        interval over files; it leaves out what another training set would
        change; 0.5 is guessing); and `hears`, the features that tell most,
        each with `feature`, `difference` (generated minus real, in dB) and
        `share` of the difference of the classifier's scores.

    Raises:
        ValueError: Fewer than 40 clips of either kind, fewer than 10 files,
            or shapes that do not go together.
    """
    _check(generated, real, files)
    random = np.random.default_rng(seed)
    names = np.arange(len(real)) if files is None else np.asarray(files)
    file_of = np.unique(names, return_inverse=True)[1]
    count = min(len(generated), len(real))
    generated = generated[random.permutation(len(generated))[:count]]
    chosen = random.permutation(len(real))[: 2 * count]
    real, file_of = real[chosen], file_of[chosen]
    halves = _halves(file_of, random)
    report: dict[str, Any] = {
        "num_clips": count,
        "num_control_clips": min(map(len, halves)),
    }
    # One group for each file, and for each generated clip.
    groups = np.concatenate([file_of[:count], -1 - np.arange(count)])
    for name, features_of in _CHECKS.items():
        of_real = features_of(real, sampling_rate)
        of_generated = features_of(generated, sampling_rate).values
        first, second = (half[: report["num_control_clips"]] for half in halves)
        told = _told(
            of_real.values[:count],
            of_generated,
            groups,
            random,
            num_resamples,
            seed,
        )
        control = _told(
            of_real.values[first],
            of_real.values[second],
            file_of[np.concatenate([first, second])],
            random,
            num_resamples,
            seed,
        )
        report[name] = {
            "accuracy": told,
            "control": control,
            "hears": _heard(of_real, of_generated),
        }
    return report


def add_blind_check(
    report: dict[str, Any], generated: np.ndarray, real: Any, **options: Any
) -> None:
    """Adds a blind check to a report of `evaluate_gan`.

    Its accuracies become figures, with the control's in the column of real
    clips; the whole stands under `blind_check`.

    Args:
        report: What `evaluate_gan` returned.
        generated: The clips that it is about.
        real: As `tell_apart` takes it.
        **options: Of `tell_apart`: `files`, `seed`, `num_resamples`.
    """
    found = tell_apart(generated, real, report["sampling_rate"], **options)
    report["blind_check"] = found
    for name in _CHECKS:
        report["figures"][f"told_by_{name}"] = {
            "better": FIGURES[f"told_by_{name}"].better,
            "unit": "",
            "generated": found[name]["accuracy"],
            "real_test": found[name]["control"],
        }


def fit_logistic(
    features: np.ndarray, is_second: np.ndarray, ridge: float, steps: int = 12
) -> tuple[np.ndarray, float]:
    """Fits a logistic regression by Newton's method.

    Args:
        features: Standardised, float64 `(n, features)`.
        is_second: Whether each row is of the second kind, `(n,)`.
        ridge: Half the weight of the squared coefficients in the sum of the
            rows' losses, greater than 0; the bias is free.
        steps: Of Newton's method at most.

    Returns:
        Coefficients `(features,)` and bias; positive scores are of the
        second kind.
    """
    inputs = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(inputs.shape[1])
    penalty = np.full(len(weights), 2.0 * ridge)
    penalty[-1] = 0.0

    def loss(weights: np.ndarray) -> float:
        scores = inputs @ weights
        each = np.logaddexp(0.0, scores) - is_second * scores
        return float(each.sum() + 0.5 * (penalty * weights**2).sum())

    reached = loss(weights)
    for _ in range(steps):
        share = 0.5 + 0.5 * np.tanh(0.5 * (inputs @ weights))
        slope = inputs.T @ (share - is_second) + penalty * weights
        curvature = (inputs.T * (share * (1 - share))) @ inputs
        curvature[np.diag_indices_from(curvature)] += penalty + 1e-9
        step = np.linalg.solve(curvature, slope)
        # Newton's step may lead too far where scores are large.
        while (now := loss(weights - step)) > reached and step.any():
            step = step / 2 if np.abs(step).max() > 1e-9 else 0 * step
        weights = weights - step
        if reached - now < 1e-8 * len(inputs):
            break
        reached = now
    return weights[:-1], float(weights[-1])


def in_words(report: dict[str, Any]) -> list[str]:
    """Returns what the classifiers of `tell_apart` hear, a line each."""
    lines = []
    for name in _CHECKS:
        found = report[name]
        told, control = found["accuracy"], found["control"]
        by_chance = max(0.5, control.get("high", control["value"]))
        if told.get("low", told["value"]) <= by_chance:
            lines.append(f"By {name}: nothing for certain.")
            continue
        heard = "; ".join(
            f"{entry['feature']}, {abs(entry['difference']):.1f} dB "
            f"{'above' if entry['difference'] > 0 else 'below'} real"
            for entry in found["hears"]
        )
        lines.append(f"By {name}: {heard}.")
    return lines


def _check(generated: Any, real: Any, files: Any) -> None:
    shapes = [np.shape(generated), np.shape(real)]
    if len(shapes[0]) != 3 or shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            "Clips must be arrays (clips, time, channels), generated ones as "
            f"long as real ones. Received: shapes {shapes[0]} and {shapes[1]}"
        )
    if min(shapes[0][0], shapes[1][0]) < FEWEST_CLIPS:
        raise ValueError(
            f"The blind check needs {FEWEST_CLIPS} clips of each kind or "
            "more: generate more, or give a larger folder. Received: "
            f"{shapes[0][0]} generated and {shapes[1][0]} real clips"
        )
    if files is None:
        return
    if len(files) != shapes[1][0]:
        raise ValueError(
            "`files` must say of each real clip what file it is from. "
            f"Received: {len(files)} for {shapes[1][0]} clips"
        )
    num_files = len(set(files))
    if num_files < 2 * NUM_FOLDS:
        raise ValueError(
            f"The blind check needs {2 * NUM_FOLDS} files of real sound or "
            "more, for clips of one file are alike. Give a larger folder. "
            f"Received: {num_files} files"
        )


def _halves(files: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Parts clips in two of about as many, with each file on one side."""
    side = _folds(files, random, 2)
    return [random.permutation(np.flatnonzero(side == i)) for i in range(2)]


def _folds(
    groups: np.ndarray, random: np.random.Generator, num_folds: int
) -> np.ndarray:
    """Deals groups to folds, each to the smallest one; a fold for each row."""
    _, places, sizes = np.unique(
        groups, return_inverse=True, return_counts=True
    )
    filled = np.zeros(num_folds, int)
    fold_of = np.zeros(len(sizes), int)
    order = random.permutation(len(sizes))
    # The largest first, in an order of chance among equals.
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[places]


def _told(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    random: np.random.Generator,
    num_resamples: int,
    seed: int,
) -> dict[str, float]:
    """How many rows are known as of the first or the second kind."""
    features = np.concatenate([first, second])
    is_second = np.arange(len(features)) >= len(first)
    folds = np.concatenate(
        [
            _folds(groups[: len(first)], random, NUM_FOLDS),
            _folds(groups[len(first) :], random, NUM_FOLDS),
        ]
    )
    right = np.zeros(len(features))
    for fold in range(NUM_FOLDS):
        held = folds == fold
        mean, scale = _scale(features[~held])
        weights, bias = fit_logistic(
            (features[~held] - mean) / scale,
            is_second[~held],
            _RIDGE * np.sum(~held),
        )
        scores = (features[held] - mean) / scale @ weights + bias
        right[held] = (scores > 0) == is_second[held]
    # Clips of one file stand or fall together.
    places = np.unique(groups, return_inverse=True)[1]
    found, sizes = np.bincount(places, right), np.bincount(places)

    def accuracy(found: np.ndarray, sizes: np.ndarray) -> float:
        return float(found.sum() / sizes.sum())

    entry = {"value": accuracy(found, sizes)}
    if num_resamples:
        low, high = bootstrap_interval(
            accuracy, [found, sizes], num_resamples=num_resamples, seed=seed
        )
        if low == high:
            # Resampling gives no width to a share of 100 %.
            low, high = wilson_interval(
                round(entry["value"] * len(sizes)), len(sizes)
            )
        entry.update(low=max(low, 0.0), high=min(high, 1.0))
    return entry


def _heard(real: Features, generated: np.ndarray) -> list[dict[str, Any]]:
    """The features that part the mean scores of both kinds most."""
    features = np.concatenate([real.values[: len(generated)], generated])
    is_second = np.arange(len(features)) >= len(features) // 2
    mean, scale = _scale(features)
    weights, _ = fit_logistic(
        (features - mean) / scale, is_second, _RIDGE * len(features)
    )
    difference = features[is_second].mean(0) - features[~is_second].mean(0)
    contribution = weights * difference / scale
    total = np.abs(contribution).sum() or 1.0
    heard: list[int] = []
    for i in np.argsort(-contribution).tolist():
        # Neighbours overlap, and would say the same.
        if len(heard) < _NUM_HEARD and not {i - 1, i + 1} & {*heard}:
            heard.append(i)
    return [
        {
            "feature": real.names[i],
            "difference": float(difference[i]),
            "share": float(contribution[i] / total),
        }
        for i in heard
        if contribution[i] > 0
    ]


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # What hardly changes, a tenth of a dB, says nothing to an ear.
    return features.mean(axis=0), np.maximum(features.std(axis=0), 0.1)


def _envelope(audio: np.ndarray) -> np.ndarray:
    """Magnitudes of analytic signals `(n, time)` (Gabor 1946)."""
    time = audio.shape[1]
    spectrum = np.fft.fft(audio)
    spectrum[:, 1 : (time + 1) // 2] *= 2.0
    spectrum[:, time // 2 + 1 :] = 0.0
    return np.abs(np.fft.ifft(spectrum))


def _decibels(amplitude: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(amplitude, _FLOOR))


def _hertz(frequency: float) -> str:
    return f"{frequency:.0f} Hz"
