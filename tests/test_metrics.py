import functools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial.distance
import scipy.stats
import sklearn.cluster
import sklearn.metrics
import sklearn.neighbors

from keras_audiogan import metrics
from keras_audiogan.audio import resample
from keras_audiogan.metrics.artefacts import ArtefactCheck
from keras_audiogan.metrics.classifier_scores import by_recording
from keras_audiogan.metrics.manifolds import compare_bins
from keras_audiogan.metrics.neighbours import duplicates
from keras_audiogan.runs.options import MEASURES


@pytest.fixture
def random():
    return np.random.default_rng(7)


# Scores of classes


def test_inception_score_of_certain_and_even_classes_is_their_number():
    score, deviation = metrics.inception_score(np.eye(4)[[0, 1, 2, 3] * 5], 1)
    assert score == pytest.approx(4)
    assert deviation == 0


def test_inception_score_is_one_when_all_clips_are_alike():
    assert metrics.inception_score(np.full((6, 3), 1 / 3), 2) == (1.0, 0.0)


def test_inception_score_by_hand_in_two_splits():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]])
    divergence = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    first, second = math.exp(divergence), 1.0
    score, deviation = metrics.inception_score(probabilities, 2)
    assert score == pytest.approx((first + second) / 2)
    assert deviation == pytest.approx((first - second) / 2)


def test_inception_score_agrees_with_scipy_entropy(random):
    probabilities = random.dirichlet(np.ones(10), 200)
    divergences = scipy.stats.entropy(
        probabilities, probabilities.mean(axis=0)[np.newaxis], axis=1
    )
    score, _ = metrics.inception_score(probabilities, 1)
    assert score == pytest.approx(np.exp(divergences.mean()))


def test_inception_score_of_clips_sorted_by_class_needs_the_shuffle():
    sorted_by_class = np.eye(4).repeat(25, axis=0)
    assert metrics.inception_score(sorted_by_class, 4)[0] == 1
    assert metrics.inception_score(sorted_by_class, 4, seed=0)[0] > 3.5


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((0, 3)), np.ones(3), np.ones((2, 3)), np.array([[1.5, -0.5]])],
)
def test_probabilities_are_checked(wrong):
    with pytest.raises(ValueError, match="Probabilities must be"):
        metrics.inception_score(wrong, 1)


def test_more_splits_than_clips_is_an_error():
    with pytest.raises(ValueError, match="Received: num_splits=3"):
        metrics.inception_score(np.eye(2), 3)


def test_confusion_matrix_and_accuracy_agree_with_sklearn(random):
    targets, heard = random.integers(0, 5, (2, 100))
    np.testing.assert_array_equal(
        metrics.confusion_matrix(targets, heard, 5),
        sklearn.metrics.confusion_matrix(targets, heard, labels=range(5)),
    )
    assert metrics.class_accuracy(targets, heard) == pytest.approx(
        sklearn.metrics.accuracy_score(targets, heard)
    )


def test_class_histogram_counts_absent_classes():
    shares = metrics.class_histogram(np.array([0, 2, 2, 2]), 4)
    assert shares.tolist() == [0.25, 0, 0.75, 0]


@pytest.mark.parametrize("wrong", [[0, 4], [-1, 0], [0.5, 1.0], [[0], [1]]])
def test_class_indices_are_checked(wrong):
    with pytest.raises(ValueError, match="`predictions` must"):
        metrics.class_histogram(np.array(wrong), 4)


# Distances


def test_frechet_distance_of_one_feature_by_hand():
    # Means 1 and 4, unbiased variances 2 and 8:
    # 3^2 + (sqrt 8 - sqrt 2)^2 = 9 + 2.
    near, far = np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]])
    assert metrics.frechet_distance(near, far) == pytest.approx(11)


def test_frechet_distance_agrees_with_scipy_sqrtm(random):
    near = random.normal(size=(80, 6)) @ random.normal(size=(6, 6))
    far = random.normal(1, 2, size=(50, 6)) @ random.normal(size=(6, 6))
    covariances = [np.cov(x, rowvar=False) for x in (near, far)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    difference = near.mean(axis=0) - far.mean(axis=0)
    expected = difference @ difference + np.trace(
        covariances[0] + covariances[1] - 2 * root
    )
    assert metrics.frechet_distance(near, far) == pytest.approx(expected)
    assert metrics.frechet_distance(far, near) == pytest.approx(expected)


def test_frechet_distance_with_fewer_clips_than_features(random):
    features = random.normal(size=(5, 20))
    assert metrics.frechet_distance(features, features) == pytest.approx(
        0, abs=1e-6
    )
    shifted = features + 2
    assert metrics.frechet_distance(features, shifted) == pytest.approx(80)


def test_kernel_distance_by_hand():
    # (x y + 1)^3 with a = 0, 1 and b = 1, 2:
    # pairs of a: 1; pairs of b: 27; mixed: (1 + 1 + 8 + 27) / 4.
    value = metrics.kernel_distance(
        np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    )
    assert value == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kernel_distance_agrees_with_kernels_of_sklearn(random):
    left, right = random.normal(size=(7, 4)), random.normal(size=(5, 4))
    kernel = functools.partial(
        sklearn.metrics.pairwise.polynomial_kernel, degree=3
    )
    within = [
        kernel(x)[~np.eye(len(x), dtype=bool)].mean() for x in (left, right)
    ]
    assert metrics.kernel_distance(left, right) == pytest.approx(
        sum(within) - 2 * kernel(left, right).mean()
    )


def test_kernel_distance_is_unbiased(random):
    values = [
        metrics.kernel_distance(*random.normal(size=(2, 20, 3)))
        for _ in range(400)
    ]
    standard_error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * standard_error
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("name", ["frechet_distance", "kernel_distance"])
def test_distances_refuse_what_they_cannot_measure(name, random):
    distance = getattr(metrics, name)
    good = random.normal(size=(5, 3))
    with pytest.raises(ValueError, match="of one width. Received: 3 and 2"):
        distance(good, good[:, :2])
    with pytest.raises(ValueError, match="at least 2 clips"):
        distance(good, good[:1])
    with pytest.raises(ValueError, match="finite numbers. Received: 1 "):
        distance(good, np.where(np.arange(15).reshape(5, 3) == 4, np.nan, 1))


# Balls and bins


def test_precision_recall_density_coverage_by_hand():
    # Balls of the real clips (k = 1) reach to the next: 0 +- 1, 1 +- 1,
    # 3 +- 2, 10 +- 7.
    real = np.array([[0.0], [1.0], [3.0], [10.0]])
    generated = np.array([[0.5], [0.6], [30.0], [31.0]])
    scores = metrics.precision_recall_density_coverage(real, generated, 1)
    assert scores.precision == 0.5
    # The generated balls are +- 0.1 and +- 1: no real clip lies in them.
    assert scores.recall == 0
    # 0.5 and 0.6 lie in the balls of 0 and 1 alone.
    assert scores.density == pytest.approx(4 / 4)
    assert scores.coverage == 0.5


def test_manifolds_agree_with_sklearn_neighbours(random):
    real, generated = random.normal(size=(2, 60, 4))
    generated *= 1.3
    scores = metrics.precision_recall_density_coverage(real, generated, 3)

    def radii(features):
        neighbours = sklearn.neighbors.NearestNeighbors(n_neighbors=4)
        return neighbours.fit(features).kneighbors(features)[0][:, 3]

    distances = sklearn.metrics.pairwise_distances(real, generated)
    inside = distances < radii(real)[:, np.newaxis]
    assert scores.precision == pytest.approx(inside.any(0).mean())
    assert scores.density == pytest.approx(inside.sum(0).mean() / 3)
    assert scores.coverage == pytest.approx(
        (distances.min(1) < radii(real)).mean()
    )
    assert scores.recall == pytest.approx(
        (distances < radii(generated)).any(1).mean()
    )


def test_a_collapsed_generator_is_precise_and_covers_nothing(random):
    real = random.normal(size=(100, 3))
    collapsed = real[:1] + 1e-3 * random.normal(size=(100, 3))
    scores = metrics.precision_recall_density_coverage(real, collapsed)
    assert scores.precision == 1
    assert scores.recall < 0.1
    assert scores.coverage < 0.2


def test_bins_are_compared_by_the_two_sample_z_test():
    train = np.repeat([0, 1, 2], [50, 30, 20])
    generated = np.repeat([0, 1, 2], [30, 31, 39])
    outcome = compare_bins(train, generated, 4)
    p_values = []
    for first, second in [(50, 30), (30, 31), (20, 39)]:
        pooled = (first + second) / 200
        error = math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 100))
        z_score = abs(first - second) / 100 / error
        p_values.append(2 * scipy.stats.norm.sf(z_score))
    assert outcome.num_different == sum(p < 0.05 for p in p_values) == 2
    assert outcome.num_bins == 4
    expected = (
        scipy.spatial.distance.jensenshannon(
            [0.5, 0.3, 0.2], [0.3, 0.31, 0.39], base=2
        )
        ** 2
    )
    assert outcome.jensen_shannon == pytest.approx(expected)


def test_different_bins_find_a_lost_mode(random):
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    train = centres.repeat(50, 0) + random.normal(size=(200, 2))
    same = centres.repeat(25, 0) + random.normal(size=(100, 2))
    lost = centres[:3].repeat(33, 0) + random.normal(size=(99, 2))
    assert metrics.num_statistically_different_bins(
        train, same, 4
    ) == metrics.DifferentBins(0, 4, pytest.approx(0, abs=1e-9))
    # A quarter of the clips moved to three modes: only the lost one is
    # beyond doubt at this size.
    outcome = metrics.num_statistically_different_bins(train, lost, 4)
    assert outcome.num_different == 1


def test_k_means_is_as_good_as_sklearn(random):
    features = np.concatenate(
        [random.normal(centre, 0.3, size=(40, 2)) for centre in (0, 4, 8)]
    )
    centres = metrics.k_means(features, 3, seed=1)
    theirs = sklearn.cluster.KMeans(3, n_init=5, random_state=0).fit(features)
    np.testing.assert_allclose(
        np.sort(centres, axis=0), np.sort(theirs.cluster_centers_, axis=0)
    )


def test_k_means_with_fewer_different_clips_than_clusters():
    features = np.array([[0.0], [0.0], [1.0], [1.0]])
    centres = metrics.k_means(features, 3)
    assert set(centres.ravel()) == {0.0, 1.0}


# Nearest neighbours


def test_nearest_neighbours_agree_with_sklearn(random):
    queries = random.normal(-13, 2, size=(40, 300)).astype("float32")
    references = random.normal(-13, 2, size=(70, 300)).astype("float32")
    ball_tree = sklearn.neighbors.BallTree(references.astype("float64"))
    distances, indices = ball_tree.query(queries.astype("float64"))
    found = metrics.nearest_neighbours(queries, references, chunk_size=16)
    np.testing.assert_array_equal(found.indices, indices[:, 0])
    np.testing.assert_allclose(found.distances, distances[:, 0])


def test_a_clip_is_not_its_own_neighbour_but_its_copy_is():
    features = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0], [9.0, 4.0]])
    found = metrics.nearest_neighbours(features)
    assert found.distances.tolist() == [5, 0, 0, 6]
    assert found.indices[1] == 2 and found.indices[2] == 1
    assert duplicates(found.distances, 1.0) == 0.5


def test_nearest_neighbours_need_another_clip():
    with pytest.raises(ValueError, match="at least one other clip"):
        metrics.nearest_neighbours(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="of one width"):
        metrics.nearest_neighbours(np.zeros((2, 3)), np.zeros((2, 4)))


def test_similarity_features_have_wavegans_numbers(random):
    # 16,384 samples every 128 give 128 frames of 128 bands; half the rate
    # and half the samples give as many.
    wide = metrics.similarity_features(np.zeros((1, 16384, 1)), 16000)
    narrow = metrics.similarity_features(np.zeros((1, 8192, 2)), 8000)
    assert wide.shape == narrow.shape == (1, 128 * 128)
    np.testing.assert_allclose(wide, np.log(1e-6), rtol=1e-6)


def test_audible_similarity_does_not_hear_a_faint_hiss(random):
    speech = random.normal(0, 0.2, size=(2, 4096, 1))
    clips = np.pad(speech, ((0, 0), (0, 4096), (0, 0)))
    hissing = clips + random.normal(0, 1e-5, size=clips.shape)
    distances = {}
    for audible in (False, True):
        features, copies = (
            metrics.similarity_features(x, 8000, audible=audible)
            for x in (clips, hissing)
        )
        own = metrics.nearest_neighbours(features).distances.mean()
        copy = metrics.nearest_neighbours(copies, features).distances.mean()
        distances[audible] = copy / own
    assert distances[False] > 1
    assert distances[True] < 0.01


def test_similarity_features_put_a_tone_in_its_band():
    time = np.arange(16384) / 16000
    tone = np.sin(2 * np.pi * 1000 * time)[np.newaxis, :, np.newaxis]
    features = metrics.similarity_features(tone, 16000).reshape(128, 128)
    edges = np.linspace(*(1127 * np.log1p(np.array([40, 7800]) / 700)), 130)
    band = np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    assert features[40].argmax() == band


# Level and tilt


def test_level_by_hand():
    square = np.tile([0.5, -0.5], 50)
    clips = np.stack([square, 0 * square])[..., np.newaxis]
    outcome = metrics.level(clips)
    halves = 20 * math.log10(0.5)
    assert outcome.rms_db == pytest.approx((halves - 120) / 2)
    assert outcome.rms_db_deviation == pytest.approx((halves + 120) / 2)
    assert outcome.peak == 0.25
    assert outcome.silent == 0.5
    assert outcome.clipped == 0
    assert metrics.level(np.ones((1, 9, 1))).clipped == 1


def test_tilt_of_white_noise_is_level_and_of_its_sum_minus_six(random):
    white = random.normal(size=(20, 16000, 1))
    assert metrics.spectral_tilt(white, 16000) == pytest.approx(0, abs=0.2)
    brown = np.cumsum(white, axis=1)
    brown -= brown.mean(axis=1, keepdims=True)
    # Below 0.1 of the rate a running sum falls by 6 dB per octave.
    difference = metrics.spectral_tilt_difference(brown[:, 100:], white, 16000)
    assert difference == pytest.approx(-6, abs=0.7)


def test_tilt_does_not_change_with_level_or_trailing_silence(random):
    noise = random.normal(size=(4, 4096, 1))
    padded = np.pad(0.01 * noise, ((0, 0), (0, 4096), (0, 0)))
    assert metrics.spectral_tilt(padded, 8000) == pytest.approx(
        metrics.spectral_tilt(noise, 8000), abs=0.1
    )
    assert metrics.spectral_tilt(np.zeros((2, 900, 1)), 8000) == pytest.approx(
        0, abs=1e-9
    )


def test_audio_must_be_clips():
    with pytest.raises(ValueError, match=r"Received: shape \(8, 1\)"):
        metrics.level(np.zeros((8, 1)))


# Intervals


def test_bootstrap_interval_of_a_mean_is_two_standard_errors(random):
    values = random.normal(5, 2, size=400)
    low, high = metrics.bootstrap_interval(np.mean, values, num_resamples=800)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_half_samples_spread_as_much_as_resamples(random):
    values = random.normal(5, 2, size=400)
    low, high = metrics.bootstrap_interval(
        np.mean, values, num_resamples=800, replace=False
    )
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says(random):
    covered = 0
    for seed in range(100):
        low, high = metrics.bootstrap_interval(
            np.mean, random.normal(size=40), num_resamples=100, seed=seed
        )
        covered += low < 0 < high
    assert 85 <= covered <= 100


def test_bootstrap_keeps_rows_together_and_gives_arrays():
    left = np.arange(30.0)

    def differences(first, second, factor):
        assert (second == 2 * first).all()
        return np.array([first.mean(), factor * 3.0])

    low, high = metrics.bootstrap_interval(differences, [left, 2 * left], 2)
    assert low[0] < 14.5 < high[0]
    assert low[1] == high[1] == 6


def test_bootstrap_is_a_function_of_its_seed(random):
    values = random.normal(size=50)
    first = metrics.bootstrap_interval(np.mean, values, seed=3)
    assert first == metrics.bootstrap_interval(np.mean, values, seed=3)
    assert first != metrics.bootstrap_interval(np.mean, values, seed=4)


def test_bootstrap_refuses_arrays_of_unequal_length():
    with pytest.raises(ValueError, match=r"Received: lengths \[3, 4\]"):
        metrics.bootstrap_interval(np.mean, [np.ones(3), np.ones(4)])


# The whole report


class ToneClassifier:
    """Hears a low or a high tone by its zero crossings."""

    labels = ("low", "high")
    sampling_rate = 8000

    def features(self, audio):
        return self.predict_with_features(audio)[1]

    def predict_with_features(self, audio, batch_size=64):
        crossings = (np.diff(np.sign(audio[:, :, 0]), axis=1) != 0).mean(1)
        high = 1 / (1 + np.exp(-200 * (crossings - 0.1)))
        features = np.stack([crossings, audio.std(axis=(1, 2))], axis=1)
        return np.stack([1 - high, high], axis=1), features


def tones(count, seed, classes=(0, 1)):
    random = np.random.default_rng(seed)
    targets = np.resize(classes, count)
    frequencies = np.where(targets, 800, 200) * random.uniform(0.9, 1.1, count)
    time = np.arange(512) / 8000
    audio = np.sin(2 * np.pi * frequencies[:, np.newaxis] * time)
    audio *= random.uniform(0.5, 1, (count, 1))
    return audio[..., np.newaxis].astype("float32"), targets


@pytest.fixture(scope="module")
def real():
    return tones(80, 0), tones(40, 1)


def evaluate(audio, real, **options):
    (train, _), (test, test_targets) = real
    return metrics.evaluate_gan(
        audio,
        train,
        test,
        ToneClassifier(),
        sampling_rate=8000,
        test_targets=test_targets,
        **{"num_resamples": 10, **options},
    )


def test_report_on_a_faithful_generator_is_near_the_real_column(real):
    audio, targets = tones(120, 2)
    report = evaluate(audio, real, targets=targets)
    figures = report["figures"]
    assert report["num_samples"] == 120
    assert report["group_size"] == 40
    for name in ("inception_score", "label_accuracy", "d_train", "d_self"):
        generated, test = figures[name]["generated"], figures[name]["real_test"]
        assert generated["value"] == pytest.approx(test["value"], rel=0.2)
        assert generated["low"] <= generated["value"] <= generated["high"]
    assert figures["inception_score"]["generated"]["value"] > 1.9
    assert figures["coverage"]["generated"]["value"] > 0.8
    assert figures["frechet_distance"]["generated"]["value"] < 0.05
    assert report["confusion"]["generated"] == [[60, 0], [0, 60]]
    assert json.loads(json.dumps(report)) == report


def test_report_on_a_collapsed_generator_shows_it(real):
    audio, _ = tones(60, 3, classes=(1,))
    audio[:] = audio[:1]
    figures = evaluate(audio, real)["figures"]
    assert figures["inception_score"]["generated"]["value"] == pytest.approx(1)
    assert figures["smallest_class_share"]["generated"]["value"] == 0
    assert figures["repeated"]["generated"]["value"] == 1
    assert figures["d_self"]["generated"]["value"] == 0
    assert figures["coverage"]["generated"]["value"] < 0.2


def test_report_on_a_copying_generator_shows_it(real):
    train = real[0][0]
    report = evaluate(train[:50], real)
    assert report["figures"]["copied"]["generated"]["value"] == 1
    copied = report["figures"]["d_train"]["generated"]["value"]
    assert copied == pytest.approx(0, abs=1e-3)
    assert report["nearest"][7] == {
        "sample": 7,
        "train": 7,
        "distance": pytest.approx(0, abs=1e-3),
    }


def test_report_is_a_function_of_its_seed(real):
    audio, _ = tones(60, 4)
    first = evaluate(audio, real, seed=5)
    assert evaluate(audio, real, seed=5) == first
    other = evaluate(audio, real, seed=6)["figures"]
    assert other["frechet_distance"] != first["figures"]["frechet_distance"]


class Tones:
    """Answers every label with its tone, but too often with the low one."""

    sampling_rate = 8000
    conditional = True
    labels = ("high", "low")

    def sample(self, num_samples, seed, batch_size, truncation):
        return tones(num_samples, seed, (1, 0, 0, 0))[0]

    def label_indices(self, labels):
        return np.arange(2)


def test_a_quick_look_gives_the_figures_of_the_functions(real):
    (train, _), _ = real
    classifier = ToneClassifier()
    comparison = metrics.Comparison(train, classifier, 4, stage_steps=[64])
    figures = comparison.measure(Tones(), 40)
    assert figures == comparison.measure(Tones(), 40)
    assert figures.keys() == MEASURES.keys()
    audio = Tones().sample(40, 4, 64, None)
    features, wanted = classifier.features(audio), classifier.features(train)
    # High is asked for 20 times and low 20 times; 10 high ones are low.
    assert figures["label_accuracy"] == 0.75
    scores = metrics.precision_recall_density_coverage(wanted[:40], features)
    mels, real_mels = (
        metrics.similarity_features(x, 8000, audible=True)
        for x in (audio, train)
    )
    own = metrics.nearest_neighbours(real_mels).distances
    to_self = metrics.nearest_neighbours(mels).distances
    to_train = metrics.nearest_neighbours(mels, real_mels).distances
    expected = {
        **scores._asdict(),
        "frechet_distance": metrics.frechet_distance(features, wanted),
        "kernel_distance": metrics.kernel_distance(features, wanted),
        "inception_score": metrics.inception_score(
            classifier.predict_with_features(audio)[0], 1
        )[0],
        "num_different_bins": metrics.num_statistically_different_bins(
            wanted, features, 20, seed=4
        ).num_different,
        "d_self_difference": to_self.mean() - own.mean(),
        "d_train_difference": to_train.mean() - own.mean(),
        "repeated": (to_self < np.percentile(own, 1)).mean(),
        "copied": (to_train < np.percentile(own, 1)).mean(),
        "level_difference": metrics.level(audio).rms_db
        - metrics.level(train).rms_db,
        "spectral_tilt_difference": metrics.spectral_tilt_difference(
            audio, train, 8000
        ),
        "label_accuracy": 0.75,
        **ArtefactCheck(train, 8000, [64]).measure(audio),
    }
    assert figures == pytest.approx(expected, rel=1e-9)


def test_a_quick_look_needs_one_rate(real):
    class Fast(Tones):
        sampling_rate = 16000

    comparison = metrics.Comparison(real[0][0], ToneClassifier())
    with pytest.raises(ValueError, match="8000 Hz and 16000 Hz"):
        comparison.measure(Fast(), 20)


def test_report_samples_a_generator_with_its_seed(real):
    (train, _), (test, _) = real
    report = metrics.evaluate_gan(
        Tones(), train, test, num_samples=30, seed=9, num_resamples=0
    )
    same = metrics.evaluate_gan(
        tones(30, 9, (1, 0, 0, 0))[0],
        train,
        test,
        sampling_rate=8000,
        seed=9,
        num_resamples=0,
    )
    assert report == same
    assert "inception_score" not in report["figures"]
    assert "low" not in report["figures"]["d_self"]["generated"]


def test_report_takes_clips_of_any_length_as_they_are_placed(real):
    (train, _), (test, _) = real
    lists = [[clip[:300, 0] for clip in clips] for clips in (train, test)]
    audio = np.pad(train[:30, :300], ((0, 0), (0, 212), (0, 0)))
    report = metrics.evaluate_gan(
        audio, *lists, sampling_rate=8000, num_resamples=0
    )
    copied = report["figures"]["d_train"]["generated"]["value"]
    assert copied == pytest.approx(0, abs=1e-3)


def test_a_classifier_of_a_lower_rate_is_given_its_own(real):
    (train, _), (test, _) = real
    audio, targets = tones(40, 2)
    at_its_rate = metrics.evaluate_gan(
        *(audio, train, test, ToneClassifier()),
        sampling_rate=8000,
        targets=targets,
        num_resamples=0,
    )
    doubled = [
        np.stack([resample(clip, 8000, 16000) for clip in clips])
        for clips in (audio, train, test)
    ]
    report = metrics.evaluate_gan(
        *(*doubled, ToneClassifier()),
        sampling_rate=16000,
        targets=targets,
        num_resamples=0,
    )
    for name in ("label_accuracy", "inception_score"):
        figure = report["figures"][name]["generated"]
        expected = at_its_rate["figures"][name]["generated"]
        assert figure["value"] == pytest.approx(expected["value"], rel=0.02)


def test_wrong_rates_and_counts_are_refused(real):
    audio, targets = tones(20, 2)
    (train, _), (test, _) = real
    with pytest.raises(ValueError, match="pass `sampling_rate`"):
        metrics.evaluate_gan(audio, train, test)
    with pytest.raises(ValueError, match="8000 Hz and audio at 4000 Hz"):
        metrics.evaluate_gan(
            audio, train, test, ToneClassifier(), sampling_rate=4000
        )
    with pytest.raises(ValueError, match="`targets` must hold one class"):
        evaluate(audio, real, targets=targets[:3])
    with pytest.raises(ValueError, match="Received: 5 generated"):
        evaluate(audio[:5], real)


def test_table_shows_both_columns_and_the_ratio(real):
    report = evaluate(tones(40, 2)[0], real, num_resamples=0)
    lines = metrics.format_table(report).splitlines()
    (row,) = [line for line in lines if line.startswith("Inception score ")]
    generated, test = (
        report["figures"]["inception_score"][column]["value"]
        for column in ("generated", "real_test")
    )
    assert row.split() == [
        *("Inception", "score"),
        f"{generated:.2f}",
        f"{test:.2f}",
        f"{generated / test:.3f}",
        *("higher", "is", "better"),
    ]
    assert "Heard as  Generated  Real test" in lines
    assert any(line.startswith("Repeated clips: Clips") for line in lines)
    markdown = metrics.format_table(report, markdown=True).splitlines()
    start = markdown.index(
        "| Figure | Generated | Real test | Ratio | Better |"
    )
    rows = markdown[start : start + len(report["figures"]) + 2]
    assert {line.count("|") for line in rows} == {6}


def test_metrics_for_a_card_carry_the_ceiling(real):
    report = evaluate(tones(40, 2)[0], real)
    card = metrics.metrics_for_card(report)
    figure = report["figures"]["frechet_distance"]
    assert card["frechet_distance"] == {
        **figure["generated"],
        "better": "lower",
        "real_test": figure["real_test"]["value"],
    }
    assert "label_accuracy" not in card
    assert set(card["class_histogram"]["value"]) == {"low", "high"}


def test_report_pages(real, tmp_path):
    audio, _ = tones(20, 2)
    train = real[0][0]
    report = evaluate(audio, real, num_resamples=0)
    names = [f"<{index}>.wav" for index in range(len(train))]
    page = metrics.write_report(
        tmp_path / "report.html",
        report,
        audio,
        train,
        train_names=names,
        num_rows=3,
        title="A & B",
    ).read_text("utf-8")
    # A waveform and a spectrogram of each.
    assert page.count("data:image/png;base64,") == 12
    assert page.count('class="wave"') == 6
    assert page.count("data:audio/wav;base64,") == 6
    assert "<h1>A &amp; B</h1>" in page
    assert (
        "<td>Level (dBFS)</td>" in page and "best where real sound is" in page
    )
    assert page.count("<dt>Repeated clips</dt><dd>Clips that") == 1
    assert not any(f">{key}<" in page for key in report["figures"])
    nearest = report["nearest"][0]["train"]
    assert f"&lt;{nearest}&gt;.wav" in page
    picture = metrics.write_report(
        tmp_path / "report.png", report, audio, train, num_rows=2
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    numbers = metrics.write_report(
        tmp_path / "report.json", report, audio, train
    )
    assert json.loads(numbers.read_text("utf-8")) == report
    report["figures"]["peak"]["generated"]["value"] = math.nan
    metrics.write_report(numbers, report, audio, train)
    stored = json.loads(numbers.read_text("utf-8"), parse_constant=pytest.fail)
    assert stored["figures"]["peak"]["generated"]["value"] is None
    with pytest.raises(ValueError, match="about other clips"):
        metrics.write_report(tmp_path / "x.html", report, audio[:2], train)
    with pytest.raises(ValueError, match="must end in"):
        metrics.write_report(tmp_path / "x.pdf", report, audio, train)


def test_importing_the_package_does_not_import_keras():
    code = (
        "import sys, keras_audiogan.metrics as m; m.frechet_distance, "
        "m.evaluate_gan, m.write_report; "
        "assert not {'keras', 'tensorflow', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert all(getattr(metrics, name) for name in metrics.__all__)


# Classifiers


def test_balanced_accuracy_agrees_with_sklearn(random):
    targets = random.choice(4, 200, p=[0.7, 0.2, 0.05, 0.05])
    heard = np.where(random.uniform(size=200) < 0.3, 0, targets)
    assert metrics.balanced_accuracy(targets, heard, 4) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(targets, heard)
    )
    recalls = metrics.class_recalls(targets, heard, 5)
    np.testing.assert_allclose(
        recalls[:4],
        sklearn.metrics.recall_score(targets, heard, average=None),
    )
    assert np.isnan(recalls[4])


@pytest.mark.parametrize(("right", "count"), [(60, 60), (0, 7), (13, 20)])
def test_the_interval_of_a_share_agrees_with_scipy(right, count):
    wanted = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
    found = metrics.wilson_interval(right, count)
    assert found == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@pytest.mark.parametrize("wrong", [(3, 2, 0.9), (0, 0, 0.9), (1, 2, 1.0)])
def test_a_share_must_be_one(wrong):
    with pytest.raises(ValueError, match="Received"):
        metrics.wilson_interval(*wrong)


def test_a_recording_is_heard_as_the_mean_of_its_slices():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    means, numbers = by_recording(probabilities, np.array([7, 3, 7]))
    assert numbers.tolist() == [3, 7]
    np.testing.assert_allclose(means, [[0.2, 0.8], [0.65, 0.35]])


def test_intervals_of_shares_end_at_one(real):
    (train, _), (test, _) = real
    report = evaluate(test, real, targets=np.zeros(40, int))
    for name in ("precision", "recall", "coverage", "label_accuracy"):
        for column in ("generated", "real_test"):
            entry = report["figures"][name][column]
            assert 0 <= entry["low"] <= entry["value"] <= entry["high"] <= 1
    assert report["figures"]["label_accuracy"]["real_test"]["low"] < 1
    bare = evaluate(test, real, num_resamples=0)
    assert "low" not in bare["figures"]["label_accuracy"]["real_test"]


def test_the_confusion_of_a_report_counts_labels_asked_for(real):
    audio, targets = tones(60, 5)
    wrong = targets.copy()
    wrong[:6] = 1 - wrong[:6]
    report = evaluate(audio, real, targets=wrong)
    assert report["figures"]["label_accuracy"]["generated"]["value"] == 0.9
    assert report["confusion"]["generated"] == [[27, 3], [3, 27]]
    assert report["label_recall"]["generated"] == {"low": 0.9, "high": 0.9}
    table = metrics.format_table(report)
    assert "asked for  low  high  right\nlow        27   3     90.0%" in table
    assert "| low | 27 | 3 | 90.0% |" in metrics.format_table(report, True)
    card = metrics.metrics_for_card(report)
    assert card["confusion"]["value"] == [[27, 3], [3, 27]]
    assert card["label_accuracy"]["value"] == 0.9
