"""One report on a generator, with real sound scored in the same table."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from keras_audiogan.metrics.class_scores import (
    class_accuracy,
    class_histogram,
    confusion_matrix,
    inception_score,
)
from keras_audiogan.metrics.classifier_scores import (
    class_recalls,
    wilson_interval,
)
from keras_audiogan.metrics.distances import (
    frechet_distance_to,
    mean_off_diagonal,
    polynomial_kernel,
)
from keras_audiogan.metrics.figures import FigureTable
from keras_audiogan.metrics.manifolds import (
    compare_bins,
    k_means,
    nearest_centre,
    precision_recall_density_coverage,
)
from keras_audiogan.metrics.neighbours import (
    duplicates,
    nearest_neighbours,
    similarity_features,
)
from keras_audiogan.metrics.placing import place_clips
from keras_audiogan.metrics.signals import (
    SILENCE_DB,
    power_spectra,
    rms_db,
    spectral_tilt,
    tilt_of_spectra,
)

# A nearest neighbour nearer than this percentile of real clips' own counts
# as a repetition or a copy.
_NEAR_PERCENTILE = 1
_NUM_NEIGHBOURS = 5
_NUM_PAIRS = 32


def sample_clips(
    gan: Any,
    num_samples: int = 1000,
    seed: int = 0,
    batch_size: int = 64,
    truncation: float | None = None,
    labels: Any = None,
) -> np.ndarray:
    """Returns `num_samples` clips of a generator, in float32.

    Args:
        gan: An `AudioGAN`.
        num_samples: How many clips.
        seed: Seed of the latents; clip i depends on (seed, i) alone.
        batch_size: Clips in one pass of the generator.
        truncation: As `AudioGAN.sample` takes it; None for none.
        labels: For conditional generators; None asks for every label in
            turn, clip i for label `i % num_classes`.
    """
    asked = {} if labels is None else {"labels": labels}
    return np.asarray(
        gan.sample(
            num_samples,
            seed=seed,
            batch_size=batch_size,
            truncation=truncation,
            **asked,
        ),
        "float32",
    )


def evaluate_gan(
    gan_or_audio: Any,
    real_train: np.ndarray | Sequence[np.ndarray],
    real_test: np.ndarray | Sequence[np.ndarray],
    classifier: Any = None,
    *,
    num_samples: int = 1000,
    seed: int = 0,
    sampling_rate: int | None = None,
    batch_size: int = 64,
    truncation: float | None = None,
    targets: Sequence[int] | np.ndarray | None = None,
    test_targets: Sequence[int] | np.ndarray | None = None,
    num_bins: int | None = None,
    num_resamples: int = 100,
) -> dict[str, Any]:
    """Measures generated clips, and real held-out clips beside them.

    Many of the figures change with the number of clips. So generated clips
    are measured in disjoint groups as large as the real test set (or the
    test set is cut to the number of generated clips, if those are fewer),
    and the mean over the groups is reported: the column of real test clips
    then is the ceiling that a perfect generator would reach.

    |D|self and |D|train come as WaveGAN has them (`d_self`, `d_train`) and
    with a floor of -60 dB (`d_self_audible`, `d_train_audible`; see
    `similarity_features`). By the latter are judged `repeated` and
    `copied`, the shares of clips that lie nearer to another one, or to a
    training clip, than all but 1 % of real clips do. A generator that
    copies shows in `d_train_audible` well below the real column.

    Real clips should be levelled and placed as the generator's training
    clips were. Lists of 1-D clips are placed at the first sample.

    Args:
        gan_or_audio: An `AudioGAN`, or generated clips (n, time, channels).
        real_train: Training clips (n, time, channels), or 1-D arrays.
        real_test: Held-out clips, likewise.
        classifier: An `AudioClassifier` at the rate of the audio; None
            leaves out the figures that need one.
        num_samples: Clips to generate.
        seed: Seed of latents, subsets, clustering and resampling.
        sampling_rate: Rate in Hz; needed when audio is passed.
        batch_size: Clips in one pass of the networks.
        truncation: As `AudioGAN.sample` takes it.
        targets: Class index, as the classifier counts, asked for of each
            generated clip. A conditional generator that is passed is asked
            for its labels in turn, and they are the targets.
        test_targets: Class index of each real test clip.
        num_bins: Bins of NDB; one for each 20 test clips by default, at
            most 100.
        num_resamples: Resamples for the confidence intervals; 0 leaves the
            intervals out.

    Returns:
        A dictionary fit for JSON: what was measured (`num_samples`,
        `group_size`, ...); `figures`, by name, each with `better`
        ("higher", "lower", or "real" for as near to real clips as can be),
        `unit`, and `generated` and `real_test`, each with `value`, `low`
        and `high` (95 % interval); `class_histogram`; `confusion` (rows:
        asked for, columns: heard) and `label_recall` if there are targets;
        `nearest`, the training clip nearest to each of the
        first samples.

    Raises:
        ValueError: Rates or shapes that do not go together, fewer than
            `2 * 5` clips, or targets of another number than the clips.
    """
    if hasattr(gan_or_audio, "sample"):
        rate = int(gan_or_audio.sampling_rate)
        if sampling_rate not in (None, rate):
            raise ValueError(
                "The generator's own sampling rate is used. Received: "
                f"sampling_rate={sampling_rate} for a generator at {rate} Hz"
            )
        sampling_rate = rate
        generated = sample_clips(
            gan_or_audio, num_samples, seed, batch_size, truncation
        )
        if targets is None:
            targets = targets_of(gan_or_audio, classifier, num_samples)
    else:
        generated = np.asarray(gan_or_audio, "float32")
    if sampling_rate is None:
        raise ValueError(
            "Audio needs its rate: pass `sampling_rate` in Hz. "
            "Received: sampling_rate=None"
        )
    if classifier is not None and classifier.sampling_rate != sampling_rate:
        raise ValueError(
            "The classifier must work at the rate of the audio. Received: a "
            f"classifier at {classifier.sampling_rate} Hz and audio at "
            f"{sampling_rate} Hz"
        )
    sets = _Sets(generated, real_train, real_test, seed)
    report: dict[str, Any] = {
        "num_samples": len(sets.generated),
        "num_real_train": len(sets.train),
        "num_real_test": len(sets.test),
        "group_size": sets.group_size,
        "seed": seed,
        "truncation": truncation,
        "sampling_rate": sampling_rate,
        "slice_length": int(sets.generated.shape[1]),
        "classifier": None,
        "figures": {},
    }
    table = FigureTable(report["figures"], num_resamples, seed)
    _add_signal_figures(table, sets, sampling_rate)
    report["nearest"] = _add_neighbour_figures(table, sets, sampling_rate)
    if classifier is not None:
        _add_classifier_figures(
            report,
            table,
            sets,
            classifier,
            batch_size,
            _as_indices(targets, len(sets.generated), "targets"),
            _as_indices(test_targets, len(sets.test), "test_targets"),
            num_bins,
        )
    return report


def targets_of(
    gan: Any, classifier: Any, num_samples: int, labels: Any = None
) -> np.ndarray | None:
    """The class that a classifier should hear in each clip of a generator.

    Args:
        gan: An `AudioGAN`.
        classifier: An `AudioClassifier`, or None.
        num_samples: How many clips.
        labels: As `sample_clips` takes them.

    Returns:
        Class indices (num_samples,) as the classifier counts; None if the
        generator is not conditional, or has a label that the classifier
        does not know.
    """
    if classifier is None or not getattr(gan, "conditional", False):
        return None
    if set(gan.labels) - set(classifier.labels):
        return None
    places = np.array([classifier.labels.index(name) for name in gan.labels])
    asked = gan.label_indices(labels)
    return places[asked[np.arange(num_samples) % len(asked)]]


class _Sets:
    """The three sets of clips, of one length, and how they are grouped."""

    def __init__(self, generated, train, test, seed: int):
        if generated.ndim != 3:
            raise ValueError(
                "Generated audio must be an array (clips, time, channels). "
                f"Received: shape {generated.shape}"
            )
        time = generated.shape[1]
        self.generated = generated
        self.train, self.test = _fit(train, time), _fit(test, time)
        self.group_size = min(map(len, (generated, self.train, self.test)))
        if self.group_size < 2 * _NUM_NEIGHBOURS:
            raise ValueError(
                f"At least {2 * _NUM_NEIGHBOURS} clips of each kind are "
                f"needed. Received: {len(generated)} generated, "
                f"{len(self.train)} training and {len(self.test)} test clips"
            )
        random = np.random.default_rng(seed)
        # Files come sorted by label; groups and subsets must not.
        self.test_order = random.permutation(len(self.test))
        self.test = self.test[self.test_order]
        self.train_subset = random.permutation(len(self.train))
        self.train_subset = self.train_subset[: self.group_size]

    def groups(self, array: np.ndarray) -> list[np.ndarray]:
        """The rows of an array in disjoint groups of one size."""
        size = self.group_size
        starts = range(0, len(array) - size + 1, size)
        return [array[start : start + size] for start in starts]

    def concatenated(
        self, function: Callable[[np.ndarray], np.ndarray], array: np.ndarray
    ) -> np.ndarray:
        """A function's values for each clip, computed group by group."""
        return np.concatenate([function(x) for x in self.groups(array)])

    def grouped(self, statistic: Callable[..., Any]):
        """The mean of a statistic over disjoint groups of one size."""

        def mean_over_groups(*arrays: np.ndarray) -> Any:
            groups = zip(*map(self.groups, arrays), strict=True)
            values = [statistic(*group) for group in groups]
            return np.mean(values, axis=0)

        return mean_over_groups


def _fit(clips: Any, time: int) -> np.ndarray:
    if isinstance(clips, np.ndarray) and clips.ndim == 3:
        clips = clips[:, :time].astype("float32", copy=False)
        missing = time - clips.shape[1]
        return np.pad(clips, ((0, 0), (0, missing), (0, 0)))
    return place_clips(clips, time)


def _as_indices(values, count: int, name: str) -> np.ndarray | None:
    if values is None:
        return None
    indices = np.asarray(values)
    if indices.shape != (count,):
        raise ValueError(
            f"`{name}` must hold one class index for each of {count} clips. "
            f"Received: shape {indices.shape}"
        )
    return indices


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _add_signal_figures(table: FigureTable, sets: _Sets, sampling_rate: int):
    generated, test = sets.generated, sets.test
    levels = [rms_db(generated), rms_db(test)]
    table.add("rms_db", _mean, levels, "real", "dBFS", signed=True)
    peaks = [np.abs(audio).max(axis=(1, 2)) for audio in (generated, test)]
    table.add("peak", _mean, peaks, "real")
    silent = [(x < SILENCE_DB).astype("float64") for x in levels]
    table.add("silent", _mean, silent, "lower", most=1.0)
    tilt = spectral_tilt(sets.train, sampling_rate)
    spectra = [
        power_spectra(audio, sampling_rate) for audio in (generated, test)
    ]
    table.add(
        "spectral_tilt_difference",
        lambda power: tilt_of_spectra(power, sampling_rate) - tilt,
        spectra,
        "real",
        "dB/octave",
        signed=True,
    )


def _add_neighbour_figures(
    table: FigureTable, sets: _Sets, sampling_rate: int
) -> list[dict[str, Any]]:
    for suffix in ("", "_audible"):
        # The audible ones come last: pairs and copies are judged by them.
        generated, train, test = (
            similarity_features(audio, sampling_rate, audible=bool(suffix))
            for audio in (sets.generated, sets.train, sets.test)
        )
        selves = [
            sets.concatenated(lambda x: nearest_neighbours(x).distances, x)
            for x in (generated, test)
        ]
        to_train = [nearest_neighbours(x, train) for x in (generated, test)]
        distances = [neighbours.distances for neighbours in to_train]
        table.add(f"d_self{suffix}", _mean, selves, "real")
        table.add(f"d_train{suffix}", _mean, distances, "real")
    real_selves = nearest_neighbours(train[sets.train_subset]).distances
    for name, values, reference in (
        ("repeated", selves, real_selves),
        ("copied", distances, distances[1]),
    ):
        threshold = float(np.percentile(reference, _NEAR_PERCENTILE))
        table.add(
            name,
            partial(duplicates, threshold=threshold),
            values,
            "lower",
            most=1.0,
        )
    return [
        {
            "sample": sample,
            "train": int(to_train[0].indices[sample]),
            "distance": float(to_train[0].distances[sample]),
        }
        for sample in range(min(_NUM_PAIRS, len(generated)))
    ]


def _add_classifier_figures(
    report: dict[str, Any],
    table: FigureTable,
    sets: _Sets,
    classifier: Any,
    batch_size: int,
    targets: np.ndarray | None,
    test_targets: np.ndarray | None,
    num_bins: int | None,
) -> None:
    outputs = [
        classifier.predict_with_features(audio, batch_size)
        for audio in (sets.generated, sets.test, sets.train)
    ]
    probabilities = [output[0] for output in outputs[:2]]
    generated, test, train = (output[1].astype("float64") for output in outputs)
    heard = [p.argmax(axis=1) for p in probabilities]
    labels = list(classifier.labels)
    num_classes = len(labels)
    report["classifier"] = {
        "architecture": getattr(type(classifier), "architecture", None),
        "labels": labels,
    }
    histograms = [class_histogram(h, num_classes) for h in heard]
    report["class_histogram"] = {
        name: dict(zip(labels, map(float, shares), strict=True))
        for name, shares in zip(
            ("generated", "real_test"), histograms, strict=True
        )
    }
    table.add(
        "inception_score",
        sets.grouped(lambda p: inception_score(p, 1)[0]),
        probabilities,
        "higher",
        most=num_classes,
    )
    table.add(
        "smallest_class_share",
        lambda h: class_histogram(h, num_classes).min(),
        heard,
        "higher",
        most=1.0,
    )
    table.add(
        "confidence",
        _mean,
        [p.max(axis=1) for p in probabilities],
        "real",
        most=1.0,
    )
    if test_targets is not None:
        test_targets = test_targets[sets.test_order]
    pairs = [
        None if wanted is None else (wanted, h)
        for wanted, h in zip((targets, test_targets), heard, strict=True)
    ]
    if any(pair is not None for pair in pairs):
        table.add(
            "label_accuracy",
            class_accuracy,
            pairs,
            "higher",
            # Resampling gives no width to a share of 100 %.
            interval=lambda asked, heard: wilson_interval(
                int((asked == heard).sum()), len(asked)
            ),
        )
        report["label_recall"] = {
            name: {
                label: float(share)
                for label, share in zip(
                    labels, class_recalls(*pair, num_classes), strict=True
                )
                if np.isfinite(share)
            }
            for name, pair in zip(
                ("generated", "real_test"), pairs, strict=True
            )
            if pair is not None
        }
    report["confusion"] = {
        name: confusion_matrix(*pair, num_classes).tolist()
        for name, pair in zip(("generated", "real_test"), pairs, strict=True)
        if pair is not None
    }
    table.add(
        "frechet_distance",
        sets.grouped(frechet_distance_to(train)),
        (generated, test),
        "lower",
    )
    table.add(
        "kernel_distance",
        _kernel_statistics((generated, test), train),
        [np.arange(len(generated)), np.arange(len(test))],
        "lower",
        replace=False,
        signed=True,
    )
    reference = train[sets.train_subset]
    table.add(
        ("precision", "recall", "density", "coverage"),
        sets.grouped(
            lambda features: precision_recall_density_coverage(
                reference, features, _NUM_NEIGHBOURS
            )
        ),
        (generated, test),
        "higher",
        most=(1.0, 1.0, math.inf, 1.0),
    )
    if num_bins is None:
        num_bins = int(np.clip(len(test) // 20, 2, 100))
    deviation = train.std(axis=0)
    deviation[deviation == 0] = 1
    centres = k_means(train / deviation, num_bins, seed=table.seed)
    bins = [nearest_centre(x / deviation, centres) for x in (generated, test)]
    train_bins = nearest_centre(train / deviation, centres)
    table.add(
        "num_different_bins",
        sets.grouped(
            lambda b: compare_bins(train_bins, b, num_bins).num_different
        ),
        bins,
        "lower",
        f"of {num_bins}",
    )


def _kernel_statistics(
    sets: Sequence[np.ndarray], train: np.ndarray
) -> list[Callable[[np.ndarray], float]]:
    """The kernel distance to `train` of chosen rows of each set.

    The kernel matrices are computed once; resamples only pick from them.
    """
    of_train = mean_off_diagonal(polynomial_kernel(train, train))

    def statistic_of(features: np.ndarray) -> Callable[[np.ndarray], float]:
        own = polynomial_kernel(features, features)
        to_train = polynomial_kernel(features, train).mean(axis=1)

        def statistic(chosen: np.ndarray) -> float:
            return float(
                mean_off_diagonal(own[np.ix_(chosen, chosen)])
                + of_train
                - 2 * to_train[chosen].mean()
            )

        return statistic

    return [statistic_of(features) for features in sets]
