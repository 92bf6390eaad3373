"""Artefacts are heard where they are, and are not where they are not."""

import numpy as np
import pytest

from keras_audiogan import metrics, models
from keras_audiogan.metrics.artefacts import (
    OF_CLIPS,
    ArtefactCheck,
    comb_levels,
    dc_offsets,
    noise_floors,
    one_sidedness,
    worst_comb,
)
from keras_audiogan.metrics.figures import format_table, metrics_for_card
from keras_audiogan.metrics.variety import fit_kinds, pooled, variety_by_label

RATE = 16000


@pytest.fixture
def random():
    return np.random.default_rng(0)


def lines(length, **amplitudes):
    """A positive clip that beats so strongly in periods of so many samples."""
    time = np.arange(length)
    wave = 1.0 + sum(
        strength * np.cos(2 * np.pi * time / float(period.removeprefix("of_")))
        for period, strength in amplitudes.items()
    )
    return (0.5 * wave).astype("float32")[None, :, None]


def test_the_level_of_a_line_over_its_surroundings():
    # 22 periods of 256 samples are the nearest to 0.35 s. Bins 15 to 38 lie
    # round bin 22, without five of them: 19. A line at 11 / 8 of the rate,
    # hence bin 30.25 of them, would spread; one in bin 33 has 1.5 times the
    # power of its middle in three bins.
    clip = (
        lines(RATE, of_256=0.1)
        + 0.5 * (lines(RATE, **{f"of_{256 * 22 / 33}": 0.05}) - 0.5) * 2.0
    )
    (level,) = comb_levels(clip, RATE, [256])[62.5]
    assert level == pytest.approx(10 * np.log10(19 / 1.5 / 0.5**2), abs=0.01)


def test_white_noise_has_the_median_of_its_spectrum(random):
    # The power of a bin is exponential: its median is ln 2 of its mean.
    noise = random.normal(size=(600, 6000, 1))
    levels = comb_levels(noise, RATE, [16, 64])
    for frequency in (250.0, 1000.0):
        median = OF_CLIPS["comb"](levels[frequency])
        assert median == pytest.approx(10 * np.log10(np.log(2)), abs=0.6)


@pytest.mark.parametrize(("size", "buzzes"), [(25, True), (32, False)])
def test_kernels_that_overlap_unevenly_are_heard(random, size, buzzes):
    """A kernel of whole strides covers each sample as often as any other."""
    frames = np.zeros((9, 8192, 1))
    frames[:, ::64, 0] = random.uniform(0.8, 1.2, (9, 128))
    kernel = np.ones(4 * size)[: 64 * size // 16]
    clips = np.stack([np.convolve(x[:, 0], kernel) for x in frames])
    level = OF_CLIPS["comb"](comb_levels(clips[..., None], RATE, [64])[250.0])
    assert level > 20 if buzzes else level < 0


def test_a_comb_is_heard_wherever_a_sound_begins_and_however_loud(random):
    decay = np.exp(-np.arange(8192) / 2000)[:, None]
    clean = decay * random.uniform(-1, 1, (40, 8192, 2))
    pattern = 1 + 0.4 * np.cos(2 * np.pi * np.arange(8192) / 256)[:, None]
    buzzing = clean * pattern
    levels = [
        OF_CLIPS["comb"](comb_levels(x, RATE, [256])[62.5])
        for x in (clean, buzzing, 1e-3 * buzzing)
    ]
    assert levels[0] < 0 and levels[1] > levels[0] + 10
    assert levels[2] == pytest.approx(levels[1], abs=0.01)
    later = np.pad(buzzing, ((0, 0), (4000, 0), (0, 0)))
    assert comb_levels(later, RATE, [256])[62.5] == pytest.approx(
        comb_levels(buzzing, RATE, [256])[62.5]
    )


def test_what_no_one_hears_as_a_buzz_is_not_measured():
    silent = np.zeros((2, 4096, 1))
    levels = comb_levels(silent, RATE, [4, 16, 64, 256, 512, 1024])
    # 4 kHz is a tone, of 31 Hz there are 8 periods, of 16 Hz none.
    assert list(levels) == [31.25, 62.5, 250.0, 1000.0]
    assert all(np.isnan(x).all() for x in levels.values())
    assert list(comb_levels(silent[:, :1024], RATE, [64, 256])) == [250.0]
    assert comb_levels(silent, RATE, []) == {}
    assert worst_comb(levels, levels) is None


def test_the_worst_comb_is_the_one_farthest_beyond_real_sound():
    made = {62.5: np.array([9.0, 11.0, np.nan]), 250.0: np.array([8.0, 8.0])}
    real = {62.5: np.array([7.0]), 250.0: np.array([-2.0, 0.0, np.nan])}
    assert worst_comb(made, real) == (250.0, 9.0)


def test_offsets_by_hand():
    clips = np.zeros((3, 8, 2))
    clips[0, ::2], clips[0, 1::2] = 1.0, -0.5  # 0.25 of the peak
    clips[1, :, 1] = -0.5  # One channel is nothing else.
    assert dc_offsets(clips).tolist() == [0.25, 1.0, 0.0]
    # Of 21 clips the one at the 95th percentile is the second largest.
    shares = np.array([0.5, 0.25, *[0.0] * 19])
    assert OF_CLIPS["dc_offset"](shares) == 0.25


def test_one_sidedness_by_hand():
    clips = np.zeros((4, 8, 1))
    clips[0, ::2], clips[0, 1::2] = 1.0, -1.0
    clips[1, ::2], clips[1, 1::2] = 1.0, -0.5  # (1 - 0.25) / 1.25
    clips[2, 3] = -0.1
    assert one_sidedness(clips) == pytest.approx([0.0, 0.6, 1.0, 0.0])


def test_a_kick_of_one_side_shows_among_real_ones(random):
    time = np.arange(4000) / RATE
    kick = np.sin(2 * np.pi * 60 * time) * np.exp(-time / 0.05)
    whole = random.uniform(0.5, 1, (20, 1)) * kick
    cut = np.where(np.arange(20)[:, None] % 10, whole, np.maximum(whole, 0))
    found = [
        OF_CLIPS["one_sidedness"](one_sidedness(x[..., None]))
        for x in (whole, cut)
    ]
    assert found[0] < 0.5 and found[1] > 0.95


def test_floors_by_hand():
    clips = np.zeros((4, 8000, 1))
    time = np.arange(4000) / 8000
    clips[:3, :4000, 0] = 0.5 * np.sin(2 * np.pi * 1000 * time)
    clips[0, 4000:, 0] = np.where(np.arange(4000) % 2, 0.001, -0.001)
    clips[2, 4000:] = clips[2, :4000]
    floors = noise_floors(clips, 8000)
    # 0.001 of 0.5; digital silence; no end; no sound.
    assert floors[:2] == pytest.approx([20 * np.log10(0.002), -120], abs=0.01)
    assert np.isnan(floors[2:]).all()
    # What dies away after the end is not the floor.
    clips[1, 4000:6000, 0] = 0.004
    assert noise_floors(clips[1:2], 8000)[0] == -120
    assert np.isnan(noise_floors(np.ones((1, 3, 1)), 8000)).all()


def test_differences_from_real_clips(random):
    real = random.uniform(-1, 1, (30, 4096, 1))
    check = ArtefactCheck(real, RATE, [64])
    same = check.measure(real)
    assert same == {
        "comb_difference": 0.0,
        "dc_offset_difference": 0.0,
        "one_sidedness_difference": 0.0,
    }
    shifted = ArtefactCheck(real, RATE).measure(0.5 * real + 0.25)
    assert shifted.keys() == same.keys() - {"comb_difference"}
    assert shifted["dc_offset_difference"] == pytest.approx(0.33, abs=0.05)
    # The cubes of 0.75 and 0.25: 26 parts of 28 are positive.
    assert shifted["one_sidedness_difference"] == pytest.approx(0.9, abs=0.06)


def test_variety_by_hand():
    features = np.array([[0.0], [0], [1], [1], [3], [50], [51], [52], [9]])
    labels = np.array([0] * 5 + [1] * 3 + [0])
    real = np.array([[0.0], [1], [2], [3], [4], [5], [6]])
    nearest = np.array([0.0, 0, 0, 0, 2, 1, 1, 1])
    found = variety_by_label(
        features, labels, real, np.zeros(7, int), nearest, 0.5
    )
    # Of label 1 there are too few.
    assert found.keys() == {0}
    # Pairs of 0 0 1 1 3 9: 54 / 15; of seven places in a row: 56 / 21.
    assert found[0].as_json() == {
        "num_clips": 5,
        "repeated": 0.8,
        "nearest": 0.4,
        "distance": pytest.approx(54 / 15 / (56 / 21)),
    }
    assert (
        variety_by_label(features, labels, real, np.ones(7, int), nearest, 0.5)
        == {}
    )


def test_a_few_odd_clips_are_no_kind_of_sound():
    train = np.array([0.0] * 60 + [10.0] * 39 + [100.0])[:, None]
    kinds_of, count = fit_kinds(train, 3)
    assert count == 2
    low, high = kinds_of(np.array([[1.0], [9.0]]))
    assert low != high
    assert kinds_of(np.array([[100.0]])) == high
    assert fit_kinds(train[:3], 5)[1] == 1


def test_spectra_are_pooled_over_time():
    spectra = np.arange(2 * 16 * 3.0).reshape(2, 48)
    means = pooled(spectra, 3)
    assert means.shape == (2, 24)
    assert means[0, :3].tolist() == [1.5, 2.5, 3.5]
    assert pooled(spectra[:, :6], 3).tolist() == spectra[:, :6].tolist()


class Ears:
    """Hears whether a clip is low or high by its zero crossings."""

    labels = ("low", "high")
    sampling_rate = 8000

    def predict_with_features(self, audio, batch_size=64):
        crossings = (np.diff(np.sign(audio[:, :, 0]), axis=1) != 0).mean(1)
        high = (crossings > 0.06).astype("float64")
        return np.stack([1 - high, high], 1), crossings[:, None]


def tones(count, seed, share=0.5):
    """Decaying tones in turn, then silence: clips, and which are high."""
    random = np.random.default_rng(seed)
    high = np.arange(count) % 10 < 10 * share
    frequencies = np.where(high, 800, 200) * random.uniform(0.9, 1.1, count)
    time = np.arange(2048) / 8000
    audio = np.sin(2 * np.pi * frequencies[:, None] * time)
    audio *= np.exp(-time / 0.02)
    audio[:, 1024:] = 0.0
    return audio[..., None].astype("float32"), high.astype(int)


def report_on(audio, ears=None, **options):
    options = {"sampling_rate": 8000, "num_resamples": 0, **options}
    real = tones(80, 0)[0], tones(40, 1)[0]
    return metrics.evaluate_gan(audio, *real, ears, **options)


def test_a_report_names_the_worst_place_of_each_fault():
    audio, high = tones(60, 2)
    audio[high == 1] = audio[0]  # The high ones are all the same.
    pattern = 1 + 0.8 * np.cos(2 * np.pi * np.arange(2048) / 128)
    report = report_on(
        audio * pattern[:, None].astype("float32") + 0.004,
        Ears(),
        targets=high,
        stage_steps=[4, 128],
        num_resamples=4,
    )
    figures = report["figures"]
    made = {name: row["generated"] for name, row in figures.items()}
    real = {name: row["real_test"] for name, row in figures.items()}
    assert made["comb"]["at"] == real["comb"]["at"] == "62.5 Hz"
    assert made["comb"]["value"] > real["comb"]["value"] + 10
    assert made["noise_floor"]["value"] == pytest.approx(-52, abs=3)
    assert real["noise_floor"]["value"] == -120
    assert made["label_repeated"]["at"] == "high"
    assert made["label_repeated"]["value"] == 1
    assert real["label_repeated"]["value"] < 0.2
    assert made["label_distance"]["at"] == "high"
    # Zero, but for the rounding of inner products.
    assert made["label_distance"]["value"] == pytest.approx(0, abs=1e-6)
    assert real["label_distance"]["value"] == pytest.approx(1, abs=0.2)
    assert report["variety"]["generated"]["low"]["num_clips"] > 15
    text = format_table(report)
    assert "(62.5 Hz)" in text and "(high)" in text
    card = metrics_for_card(report)
    assert card["comb"]["at"] == "62.5 Hz"
    assert "label_distance" not in card


@pytest.mark.parametrize("ears", [None, Ears()])
def test_shares_of_kinds_are_those_asked_for(ears):
    # One of ten is high.
    figures = report_on(tones(60, 3, share=0.1)[0], ears)["figures"]
    kinds = ["cluster", "class"] if ears else ["cluster"]
    for kind in kinds:
        smallest, largest = (
            figures[f"{name}_{kind}_share"] for name in ("smallest", "largest")
        )
        if ears is None:  # Of ten clusters, not two.
            assert smallest["real_test"]["value"] < 0.1
            assert largest["generated"]["value"] > 0.15
            continue
        assert smallest["generated"]["value"] == pytest.approx(0.1)
        assert largest["generated"]["value"] == pytest.approx(0.9)
        assert largest["real_test"]["value"] == pytest.approx(0.5)
    assert ("smallest_class_share" in figures) == (ears is not None)
    if ears is not None:  # A label is named only where something is repeated.
        for column in ("generated", "real_test"):
            entry = figures["label_repeated"][column]
            assert ("at" in entry) == (entry["value"] > 0)
    assert "comb" not in figures


@pytest.mark.parametrize(
    ("architecture", "arguments", "steps"),
    [
        (models.WaveGAN, {"dim": 1}, [4, 16, 64, 256, 1024]),
        (
            models.WaveGAN,
            {"dim": 1, "upsampling": "nearest", "slice_length": 8192},
            [2, 8, 32, 128, 512],
        ),
        (models.GAN, {"dim": 1, "slice_length": 1000}, []),
        (
            models.CGAN,
            {"network": "conv", "dim": 1, "labels": ["a", "b"]},
            [4, 16, 64, 256, 1024],
        ),
        (models.STFTGAN, {"dim": 1}, [128, 256, 512, 1024]),
        (models.SpecGAN, {"dim": 1}, [128, 256, 512, 1024, 2048, 4096]),
        (
            models.ProgressiveWaveGAN,
            {"dim": 16, "num_blocks": 3},
            [4, 16, 64],
        ),
    ],
)
def test_steps_of_the_stages_of_a_generator(architecture, arguments, steps):
    assert architecture(**arguments).stage_steps == steps
