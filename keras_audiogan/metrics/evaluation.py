"""One report on a generator, with real sound scored in the same table."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from keras_audiogan.audio.resampling import resample
from keras_audiogan.metrics.artefacts import (
    OF_CLIPS,
    comb_levels,
    dc_offsets,
    noise_floors,
    one_sidedness,
    worst_comb,
)
from keras_audiogan.metrics.class_scores import (
    class_accuracy,
    class_histogram,
    confusion_matrix,
    inception_score,
)
from keras_audiogan.metrics.classifier_scores import (
    recall_by_label,
    wilson_interval,
)
from keras_audiogan.metrics.distances import (
    frechet_distance_to,
    kernel_distance_to,
)
from keras_audiogan.metrics.figures import COLUMNS, FigureTable
from keras_audiogan.metrics.manifolds import (
    compare_bins,
    fit_bins,
    precision_recall_density_coverage,
)
from keras_audiogan.metrics.neighbours import (
    NUM_BANDS,
    duplicates,
    near_threshold,
    nearest_neighbours,
    similarity_features,
)
from keras_audiogan.metrics.signals import (
    SILENCE_DB,
    power_spectra,
    rms_db,
    spectral_tilt,
    tilt_of_spectra,
)
from keras_audiogan.metrics.variety import fit_kinds, pooled, variety_by_label

NUM_NEIGHBOURS = 5
_NUM_PAIRS = 32
# Kinds of sound that are told apart where no labels are known.
_NUM_KINDS = 10


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
    options: dict[str, Any] = {"truncation": truncation}
    if labels is not None:
        options["labels"] = labels
    clips = gan.sample(num_samples, seed=seed, batch_size=batch_size, **options)
    return np.asarray(clips, "float32")


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
    stage_steps: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Measures generated clips, and real held-out clips beside them.

    Many of the figures change with the number of clips. So generated clips
    are measured in disjoint groups as large as the real test set (or the
    test set is cut to the number of generated clips, if those are fewer),
    and the mean over the groups is reported: the column of real test clips
    then is the ceiling that a perfect generator would reach.

    |D|self and |D|train come as WaveGAN has them (`d_self`, `d_train`) and
    with a floor of -60 dB (`d_self_audible`, `d_train_audible`; see
    `similarity_features`). `repeated` and `copied` go by the latter: the
    shares of clips that lie nearer to another one, or to a training clip,
    than all but 1 % of real clips do. A generator that copies has a
    `d_train_audible` well below the real column.

    Real clips should be levelled and placed as the generator's training
    clips were. Lists of 1-D clips are placed at the first sample.

    Args:
        gan_or_audio: An `AudioGAN`, or generated clips (n, time, channels).
        real_train: Training clips (n, time, channels), or 1-D arrays.
        real_test: Held-out clips, likewise.
        classifier: An `AudioClassifier`, whose rate may be lower than the
            audio's: it is given the audio at its own. None leaves out the
            figures that need one.
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
        stage_steps: Samples from one step to the next in each stage of the
            generator, at which it may buzz; see `AudioGAN.stage_steps`. Those
            of a generator that is passed are known.

    Returns:
        A dictionary fit for JSON: what was measured (`num_samples`,
        `group_size`, ...); `figures`, by name, each with `better`
        ("higher", "lower", or "real" for as near to real clips as can be),
        `unit`, and `generated` and `real_test`, each with `value`, `low`
        and `high` (95 % interval), and some with `at`, the label or frequency
        at which they are worst; `class_histogram`; `confusion` (rows:
        asked for, columns: heard) and `label_recall` if there are targets;
        `nearest`, the training clip nearest to each of the
        first samples; `variety`, how alike the clips of each label are;
        `cluster_shares`; `warnings`, sentences on real clips that are silent.

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
        if stage_steps is None:
            stage_steps = getattr(gan_or_audio, "stage_steps", ())
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
    if classifier is not None and classifier.sampling_rate > sampling_rate:
        raise ValueError(
            "The classifier listens for frequencies that the audio cannot "
            "have: its rate must be the audio's or lower. Received: a "
            f"classifier at {classifier.sampling_rate} Hz and audio at "
            f"{sampling_rate} Hz"
        )
    evaluation = _Evaluation(
        generated, real_train, real_test, sampling_rate, num_resamples, seed
    )
    evaluation.report["truncation"] = truncation
    evaluation.add_signal_figures()
    evaluation.add_artefact_figures(stage_steps or ())
    if classifier is not None:
        evaluation.add_classifier_figures(
            classifier, batch_size, targets, test_targets, num_bins
        )
    evaluation.add_neighbour_figures()
    return evaluation.report


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
    if not getattr(gan, "conditional", False):
        return None
    places = places_of(gan.labels, classifier)
    if places is None:
        return None
    asked = gan.label_indices(labels)
    return places[asked[np.arange(num_samples) % len(asked)]]


def places_of(labels: Sequence[str], classifier: Any) -> np.ndarray | None:
    """Class index of each label, None without a classifier that knows all."""
    if classifier is None or set(labels) - set(classifier.labels):
        return None
    return np.array([classifier.labels.index(name) for name in labels])


def place_clips(
    clips: Sequence[np.ndarray], slice_length: int, starts: int | None = 0
) -> np.ndarray:
    """Returns 1-D clips as (n, slice_length, 1), each from sample `starts`.

    What does not fit is cut; with None for `starts`, clips are centred.
    """
    slices = np.zeros((len(clips), slice_length, 1), "float32")
    for row, clip in zip(slices, clips, strict=True):
        start = starts
        if start is None:
            start = max(0, (slice_length - len(clip)) // 2)
        clip = clip[: slice_length - start]
        row[start : start + len(clip), 0] = clip
    return slices


class _Evaluation:
    """A report in the making: three sets of clips, of one length, in groups."""

    def __init__(
        self,
        generated: np.ndarray,
        train: Any,
        test: Any,
        sampling_rate: int,
        num_resamples: int,
        seed: int,
    ) -> None:
        if generated.ndim != 3:
            raise ValueError(
                "Generated audio must be an array (clips, time, channels). "
                f"Received: shape {generated.shape}"
            )
        time = generated.shape[1]
        train, test = fit_clips(train, time), fit_clips(test, time)
        self.group_size = min(map(len, (generated, train, test)))
        if self.group_size < 2 * NUM_NEIGHBOURS:
            raise ValueError(
                f"At least {2 * NUM_NEIGHBOURS} clips of each kind are "
                f"needed. Received: {len(generated)} generated, "
                f"{len(train)} training and {len(test)} test clips"
            )
        random = np.random.default_rng(seed)
        # Files come sorted by label; groups and subsets must not.
        self.test_order = random.permutation(len(test))
        self.train_subset = random.permutation(len(train))[: self.group_size]
        self.train = train
        self.columns = (generated, test[self.test_order])
        self.sampling_rate = sampling_rate
        self.seed = seed
        self.report: dict[str, Any] = {
            "num_samples": len(generated),
            "num_real_train": len(train),
            "num_real_test": len(test),
            "group_size": self.group_size,
            "seed": seed,
            "truncation": None,
            "sampling_rate": sampling_rate,
            "slice_length": time,
            "classifier": None,
            "figures": {},
        }
        # Indices of the labels of training clips and columns, once known.
        self.labels: list[np.ndarray] = []
        self.add = FigureTable(self.report["figures"], num_resamples, seed).add

    def add_signal_figures(self) -> None:
        rate = self.sampling_rate
        levels = [rms_db(audio) for audio in self.columns]
        self.add("rms_db", _mean, levels, signed=True)
        peaks = [np.abs(audio).max(axis=(1, 2)) for audio in self.columns]
        self.add("peak", _mean, peaks)
        silent = [(x < SILENCE_DB).astype("float64") for x in levels]
        self.add("silent", _mean, silent)
        # In parts, since levels are measured in float64.
        train = [
            rms_db(self.train[i : i + 256]) < SILENCE_DB
            for i in range(0, len(self.train), 256)
        ]
        self.report["warnings"] = _of_silence(
            {"training": np.concatenate(train), "test": silent[1]}
        )
        tilt = spectral_tilt(self.train, rate)
        self.add(
            "spectral_tilt_difference",
            lambda power: tilt_of_spectra(power, rate) - tilt,
            [power_spectra(audio, rate) for audio in self.columns],
            signed=True,
        )

    def add_artefact_figures(self, stage_steps: Sequence[int]) -> None:
        rate = self.sampling_rate
        combs = [comb_levels(x, rate, stage_steps) for x in self.columns]
        worst = worst_comb(*combs)
        found = {
            "dc_offset": list(map(dc_offsets, self.columns)),
            "one_sidedness": list(map(one_sidedness, self.columns)),
            "noise_floor": [noise_floors(x, rate) for x in self.columns],
        }
        if worst is not None:
            found["comb"] = [levels[worst[0]] for levels in combs]
        for name, columns in found.items():
            known = [values[np.isfinite(values)] for values in columns]
            self.add(
                name,
                OF_CLIPS[name],
                [values if len(values) > 1 else None for values in known],
                signed=name in ("comb", "noise_floor"),
            )
        if worst is not None:
            self._say_where("comb", [f"{worst[0]:g} Hz"] * 2)

    def _say_where(self, name: str, places: Sequence[str | None]) -> None:
        """Adds the label or frequency at which a figure is worst."""
        row = self.report["figures"][name]
        for column, place in zip(COLUMNS, places, strict=True):
            if row[column] is not None and place is not None:
                row[column]["at"] = place

    def add_neighbour_figures(self) -> None:
        for suffix in ("", "_audible"):
            # The audible ones come last: pairs and copies are told by them.
            train, *columns = (
                similarity_features(
                    audio, self.sampling_rate, audible=bool(suffix)
                )
                for audio in (self.train, *self.columns)
            )
            to_self = [
                np.concatenate(
                    [nearest_neighbours(x).distances for x in self._groups(c)]
                )
                for c in columns
            ]
            nearest = [nearest_neighbours(c, train) for c in columns]
            to_train = [neighbours.distances for neighbours in nearest]
            self.add(f"d_self{suffix}", _mean, to_self)
            self.add(f"d_train{suffix}", _mean, to_train)
        real_to_self = nearest_neighbours(train[self.train_subset]).distances
        for name, distances, reference in (
            ("repeated", to_self, real_to_self),
            ("copied", to_train, to_train[1]),
        ):
            threshold = near_threshold(reference)
            self.add(name, partial(duplicates, threshold=threshold), distances)
        if self.labels:
            threshold = near_threshold(real_to_self)
            self._add_variety([train, *columns], to_self, threshold)
        else:
            self._add_clusters(
                *(pooled(x, NUM_BANDS) for x in (train, *columns)),
                count=_NUM_KINDS,
            )
        self.report["nearest"] = [
            {"sample": i, "train": int(index), "distance": float(distance)}
            for i, (distance, index) in enumerate(
                zip(*(x[:_NUM_PAIRS] for x in nearest[0]), strict=True)
            )
        ]

    def add_classifier_figures(
        self,
        classifier: Any,
        batch_size: int,
        targets: Sequence[int] | np.ndarray | None,
        test_targets: Sequence[int] | np.ndarray | None,
        num_bins: int | None,
    ) -> None:
        wanted = [
            _as_indices(targets, len(self.columns[0]), "targets"),
            _as_indices(test_targets, len(self.columns[1]), "test_targets"),
        ]
        if wanted[1] is not None:
            wanted[1] = wanted[1][self.test_order]
        rate = self.report["sampling_rate"]
        outputs = [
            classifier.predict_with_features(
                np.stack(
                    [
                        resample(clip, rate, classifier.sampling_rate)
                        for clip in audio
                    ]
                ),
                batch_size,
            )
            for audio in (*self.columns, self.train)
        ]
        probabilities = [output[0] for output in outputs[:2]]
        *columns, train = (output[1].astype("float64") for output in outputs)
        self.report["classifier"] = {
            "architecture": getattr(type(classifier), "architecture", None),
            "labels": list(classifier.labels),
        }
        self._add_heard_labels(classifier.labels, probabilities, wanted)
        heard = [output[0].argmax(axis=1) for output in outputs]
        self.labels = [
            heard[2],
            *(
                h if w is None else w
                for h, w in zip(heard[:2], wanted, strict=True)
            ),
        ]
        self._add_clusters(train, *columns, count=len(classifier.labels))
        self.add(
            "frechet_distance",
            self._grouped(frechet_distance_to(train)),
            columns,
        )
        self.add(
            "kernel_distance",
            list(map(kernel_distance_to(train), columns)),
            [np.arange(len(features)) for features in columns],
            replace=False,
            signed=True,
        )
        reference = train[self.train_subset]
        self.add(
            ("precision", "recall", "density", "coverage"),
            self._grouped(
                lambda features: precision_recall_density_coverage(
                    reference, features, NUM_NEIGHBOURS
                )
            ),
            columns,
        )
        bins = num_bins or int(np.clip(len(columns[1]) // 20, 2, 100))
        bins_of = fit_bins(train, bins, self.seed)
        train_bins = bins_of(train)
        self.add(
            "num_different_bins",
            self._grouped(
                lambda b: compare_bins(train_bins, b, bins).num_different
            ),
            list(map(bins_of, columns)),
            unit=f"of {bins}",
        )

    def _add_heard_labels(
        self,
        labels: Sequence[str],
        probabilities: Sequence[np.ndarray],
        wanted: Sequence[np.ndarray | None],
    ) -> None:
        """Adds what labels were heard, and how often those asked for."""
        count = len(labels)
        heard = [p.argmax(axis=1) for p in probabilities]
        self.report["class_histogram"] = {
            name: dict(
                zip(labels, class_histogram(h, count).tolist(), strict=True)
            )
            for name, h in zip(COLUMNS, heard, strict=True)
        }
        self.add(
            "inception_score",
            self._grouped(lambda p: inception_score(p, 1)[0]),
            probabilities,
            most=count,
        )
        self._add_shares("class", heard, count)
        self.add("confidence", _mean, [p.max(axis=1) for p in probabilities])
        known = {
            name: (asked, h)
            for name, asked, h in zip(COLUMNS, wanted, heard, strict=True)
            if asked is not None
        }
        if known:
            self.add(
                "label_accuracy",
                class_accuracy,
                [known.get(name) for name in COLUMNS],
                # Resampling gives no width to a share of 100 %.
                interval=lambda asked, heard: wilson_interval(
                    int((asked == heard).sum()), len(asked)
                ),
            )
            self.report["label_recall"] = {
                name: recall_by_label(*pair, labels)
                for name, pair in known.items()
            }
        self.report["confusion"] = {
            name: confusion_matrix(*pair, count).tolist()
            for name, pair in known.items()
        }

    def _add_clusters(
        self, train: np.ndarray, *columns: np.ndarray, count: int
    ) -> None:
        """Adds how clips spread over clusters of the training clips."""
        kinds_of, count = fit_kinds(train, count, self.seed)
        kinds = list(map(kinds_of, columns))
        self.report["cluster_shares"] = {
            name: class_histogram(found, count).tolist()
            for name, found in zip(COLUMNS, kinds, strict=True)
        }
        self._add_shares("cluster", kinds, count)

    def _add_shares(
        self, of: str, indices: Sequence[np.ndarray], count: int
    ) -> None:
        for name, extreme in (("smallest", np.min), ("largest", np.max)):
            self.add(
                f"{name}_{of}_share",
                lambda found, extreme=extreme: extreme(
                    class_histogram(found, count)
                ),
                indices,
            )

    def _add_variety(
        self,
        features: Sequence[np.ndarray],
        to_self: Sequence[np.ndarray],
        threshold: float,
    ) -> None:
        """Adds the labels that repeat themselves most and vary least.

        `features` are those of training clips and of the columns.
        """
        names = self.report["classifier"]["labels"]
        train, *columns = zip(features, self.labels, strict=True)
        found = [
            variety_by_label(*column, *train, nearest, threshold)
            for column, nearest in zip(columns, to_self, strict=True)
        ]
        self.report["variety"] = {
            name: {names[i]: row.as_json() for i, row in rows.items()}
            for name, rows in zip(COLUMNS, found, strict=True)
        }
        for name, part, worst in (
            ("label_repeated", "repeated", max),
            ("label_distance", "distance", min),
        ):
            values: list[np.ndarray | None] = []
            places: list[str | None] = []
            for rows in found:
                samples = {i: getattr(row, part) for i, row in rows.items()}
                means = {i: float(x.mean()) for i, x in samples.items()}
                if not means:
                    values.append(None)
                    places.append(None)
                    continue
                label = worst(means, key=means.__getitem__)
                # Where nothing is repeated, no label is the worst.
                named = part == "distance" or means[label] > 0
                values.append(samples[label])
                places.append(names[label] if named else None)
            self.add(name, _mean, values)
            self._say_where(name, places)

    def _groups(self, array: np.ndarray) -> list[np.ndarray]:
        """The rows of an array in disjoint groups of one size."""
        size = self.group_size
        starts = range(0, len(array) - size + 1, size)
        return [array[start : start + size] for start in starts]

    def _grouped(self, statistic: Callable[[np.ndarray], Any]):
        """The mean of a statistic over disjoint groups of one size."""

        def mean_over_groups(array: np.ndarray) -> Any:
            return np.mean([statistic(x) for x in self._groups(array)], axis=0)

        return mean_over_groups


def fit_clips(clips: Any, time: int) -> np.ndarray:
    """Returns clips `(n, time, channels)`, cut or filled up at the end."""
    if isinstance(clips, np.ndarray) and clips.ndim == 3:
        clips = clips[:, :time].astype("float32", copy=False)
        missing = time - clips.shape[1]
        return np.pad(clips, ((0, 0), (0, missing), (0, 0)))
    return place_clips(clips, time)


def _as_indices(values: Any, count: int, name: str) -> np.ndarray | None:
    if values is None:
        return None
    indices = np.asarray(values)
    if indices.shape != (count,):
        raise ValueError(
            f"`{name}` must hold one class index for each of {count} clips. "
            f"Received: shape {indices.shape}"
        )
    return indices


def _of_silence(silent: dict[str, np.ndarray]) -> list[str]:
    """Says how many real clips of each kind are silent; nothing if none is."""
    counts = {name: int(clips.sum()) for name, clips in silent.items()}
    if not any(counts.values()):
        return []
    found = " and ".join(
        f"{counts[name]} of {len(clips)} {name} clips"
        for name, clips in silent.items()
    )
    return [
        f"SILENCE: {found} of real sound are below {SILENCE_DB:g} dBFS, and "
        "silence counts as real in every figure. Trim it from the files, or "
        "train with --trim."
    ]


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))
