"""Judges of speech: arithmetic by hand, and what the packages must know."""

import importlib.util
import math
import pathlib
import sys

import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan import metrics
from keras_audiogan.audio import read_audio
from keras_audiogan.metrics import figures, judges

DIGITS = sorted(
    (pathlib.Path(__file__).parent / "data" / "digits").rglob("*.flac")
)
SYSTEMS = ("real", "vocoder", "griffin_lim", "fast_griffin_lim")


def made(judge):
    """The judge, or a skip where its package is not installed."""
    if importlib.util.find_spec(judge.module) is None:
        pytest.skip(
            f"{judge.name} needs {judge.package}, of the extra {judge.extra}"
        )
    return judge()


@pytest.fixture(scope="module")
def speech():
    """Two seconds or more of digits, and their rate."""
    clips = [read_audio(path) for path in DIGITS[:6]]
    return np.concatenate([clip[:, 0] for clip, _ in clips]), clips[0][1]


def noisy(clip):
    """The clip with white noise as loud as itself."""
    noise = np.random.default_rng(0).standard_normal(len(clip))
    level = np.sqrt(np.mean(clip**2))
    return (clip + level * noise).astype("float32")


def empty_report(num_clips):
    clips = [{name: {} for name in SYSTEMS} for _ in range(num_clips)]
    return {
        **{"clips": clips, "figures": {}, "notes": {"no PESQ": 1}},
        **{"num_clips": num_clips, "seconds": 1.0, "num_iterations": 32},
    }


@pytest.mark.parametrize(
    ("fake", "rate"),
    [
        ("we were not wrong", 0.0),
        # One replaced, one missing.
        ("we are wrong", 0.5),
        ("not wrong", 0.5),
        ("", 1.0),
        # One replaced, five added.
        ("he we were not so wrong at all or are", 1.5),
    ],
)
def test_word_error_rate_by_hand(fake, rate):
    real = "we were not wrong".split()
    assert metrics.word_error_rate(real, fake.split()) == rate


def test_words_beside_none():
    with pytest.raises(ValueError, match="needs a word"):
        metrics.word_error_rate([], ["a"])


def test_voicing_scores_by_hand():
    real, fake = [0.9, 0.8, 0.1, 0.5, 0.0], [0.9, 0.2, 0.7, 0.6, 0.1]
    scores = metrics.voicing_scores(real, fake)
    # Three frames of each are voiced, two of them in both.
    assert scores["voicing_f1"] == pytest.approx(2 / 3)
    squares = 0.6**2 + 0.6**2 + 0.1**2 + 0.1**2
    assert scores["periodicity_error"] == pytest.approx(math.sqrt(squares / 5))
    # Precision 1, recall 1/3.
    scores = metrics.voicing_scores(real, [0.9, 0, 0, 0, 0])
    assert scores["voicing_f1"] == pytest.approx(0.5)
    assert metrics.voicing_scores(real, real) == {
        "periodicity_error": 0.0,
        "voicing_f1": 1.0,
    }
    assert math.isnan(metrics.voicing_scores([0.1], [0.2])["voicing_f1"])
    for other in ([], [0.1, 0.2]):
        with pytest.raises(ValueError, match="one length"):
            metrics.voicing_scores([0.1], other)


class Peak(judges.Judge):
    """Its score is the largest sample."""

    name, package, module, figures = "peaks", "numpy", "numpy", ("visqol",)

    def hear(self, clip, sampling_rate):
        return float(clip.max())

    def compare(self, real, fake):
        return {"visqol": fake}


class Deaf(Peak):
    """Hears nothing of what is loud, as a package that crashes."""

    name, figures = "deaf", ("dnsmos",)

    def hear(self, clip, sampling_rate):
        if clip.max() > 2:
            raise ZeroDivisionError("too loud.")
        return 1.0

    def compare(self, real, fake):
        return {"dnsmos": fake}


class Unwilling(Peak):
    """Cannot be started."""

    name = "unwilling"

    def __init__(self):
        raise OSError("no model")


class Wordless(judges.Words):
    """Reads words where there is sound, none elsewhere."""

    module, package = "numpy", "numpy"

    def __init__(self):
        pass

    def hear(self, clip, sampling_rate):
        return ["word"] if clip.any() else []


class Absent(Peak):
    """Its package is not there."""

    name, package, module = "absent", "absent-judge", "absent_judge"


class Namesake(Peak):
    """Its module is there, but as part of another package."""

    package = "absent-judge"


def test_a_module_of_another_package_is_no_judge(monkeypatch):
    monkeypatch.setattr(judges, "JUDGES", (Peak, Namesake))
    assert list(metrics.installed_judges()) == [Peak]


def test_a_judge_that_fails_takes_no_other_with_it(monkeypatch):
    monkeypatch.setattr(
        judges, "JUDGES", (Unwilling, Deaf, Peak, Wordless, Absent)
    )
    report = empty_report(3)
    levels = {"real": [1, 0, 3], "vocoder": [2, 1, 1], "griffin_lim": [3, 0, 0]}
    levels["fast_griffin_lim"] = [0, 0, 0]
    sounds = {
        name: [np.full(5, level, "float32") for level in levels[name]]
        for name in SYSTEMS
    }
    calls = []
    metrics.add_judges(report, sounds, 8000, on_clip=lambda: calls.append(1))
    assert len(calls) == 9
    assert report["notes"] == {
        "no absent (absent-judge): not installed (pip install "
        "'keras-audiogan[judges]')": 3,
        "no unwilling: OSError: no model": 3,
        "no deaf of Griffin-Lim: ZeroDivisionError: too loud": 1,
        "no deaf: ZeroDivisionError: too loud": 1,
        "no word errors: no word is read in the recording": 1,
        "no PESQ": 1,
    }
    row = report["figures"]["visqol"]
    for name in SYSTEMS:
        assert row[name]["value"] == pytest.approx(np.mean(levels[name]))
        assert row[name]["num_clips"] == 3
    assert row["vocoder"]["low"] <= 4 / 3 <= row["vocoder"]["high"]
    assert row["better"] == "higher" and row["judge"].startswith("numpy ")
    # Of the first two clips, the second of which has no Griffin-Lim.
    counts = [report["figures"]["dnsmos"][x]["num_clips"] for x in SYSTEMS]
    assert counts == [2, 2, 1, 2]
    words = report["figures"]["word_error_rate"]
    assert words["real"]["value"] == 0.0
    assert words["vocoder"]["value"] == 0.0
    assert words["griffin_lim"]["value"] == 0.5
    assert words["fast_griffin_lim"]["value"] == 1.0
    assert report["clips"][0]["vocoder"]["visqol"] == 2.0
    card = figures.vocoder_metrics_for_card(report)
    assert card["visqol"]["judge"] == row["judge"]
    assert card["visqol"]["real"] == row["real"]["value"]
    table = figures.format_vocoder_table(report)
    assert "ViSQOL (MOS-LQO)" in table and "Judges: numpy" in table
    assert "no unwilling: OSError: no model (3 of 3 recordings)" in table
    # Those that are asked alone.
    report = empty_report(3)
    metrics.add_judges(report, sounds, 8000, kinds=(Peak,))
    assert list(report["judges"]) == [Peak.package]
    assert "visqol" in report["figures"]
    assert "dnsmos" not in report["figures"]


def test_without_any_package_two_lines_say_so(monkeypatch):
    for judge in judges.JUDGES:
        monkeypatch.setitem(sys.modules, judge.module, None)
    assert metrics.installed_judges() == {}
    report = empty_report(1)
    metrics.add_judges(report, {}, 8000)
    assert list(report["notes"]) == [
        "no DNSMOS (speechmos), pitch and voicing (swift-f0), words "
        "(pocketsphinx): not installed (pip install 'keras-audiogan[judges]')",
        "no ViSQOL (visqol-python): not installed (pip install "
        "'keras-audiogan[visqol]')",
        "no PESQ",
    ]
    assert report["figures"] == report["judges"] == {}


def test_judges_are_for_vocoders():
    result = audiogan(
        *("evaluate", "wavegan_digits", "--data", DIGITS[0].parents[1]),
        "--no-judges",
    )
    assert result.exit_code == 2
    assert "--no-judges is for vocoders." in result.stderr


# What the packages themselves warn of is theirs.
@pytest.mark.filterwarnings("default")
class TestPackages:
    """What each package must say of sounds whose order is known."""

    def test_dnsmos_hears_noise(self, speech):
        judge = made(judges.SpeechOpinion)
        clip, rate = speech
        clean, worse = (judge.hear(x, rate) for x in (clip, noisy(clip)))
        for name in ("dnsmos", "dnsmos_background"):
            assert 1.0 <= worse[name] < clean[name] - 0.3 <= 4.7
        # A resampled click may pass full scale, which the package refuses.
        click = np.where(np.arange(4000) % 9 < 4, 1.0, -1.0)
        assert judge.hear(click.astype("float32"), 22050)["dnsmos"] < 3
        with pytest.raises(ValueError, match="shorter than a sample"):
            judge.hear(clip[:1], 192000)

    def test_visqol_of_the_same_sound(self, speech):
        judge = made(judges.SimilarityOpinion)
        clip, rate = speech
        real, fake = (judge.hear(x, rate) for x in (clip, noisy(clip)))
        same = judge.compare(real, real)["visqol"]
        assert 4.3 < same <= 5.0
        assert judge.compare(real, fake)["visqol"] < same - 1

    def test_pitch_of_two_tones(self):
        judge = made(judges.TrackedPitch)
        times = np.arange(22050) / 22050
        tones = [
            sum(np.sin(2 * np.pi * f * k * times) / k for k in range(1, 6)) / 4
            for f in (200.0, 210.0)
        ]
        low, high = (judge.hear(x.astype("float32"), 22050) for x in tones)
        same, other = judge.compare(low, low), judge.compare(low, high)
        assert same["swift_f0_rmse_cents"] == 0.0
        assert same["periodicity_error"] == 0.0 and same["voicing_f1"] == 1.0
        cents = 1200 * math.log2(210 / 200)
        assert other["swift_f0_rmse_cents"] == pytest.approx(cents, rel=0.1)
        assert other["voicing_f1"] > 0.95
        silence = judge.hear(np.zeros(22050, "float32"), 22050)
        lost = judge.compare(low, silence)
        assert lost["voicing_f1"] == 0.0 and lost["periodicity_error"] > 0.8
        assert math.isnan(lost["swift_f0_rmse_cents"])

    def test_words_of_the_same_sound(self, speech):
        judge = made(judges.Words)
        clip, rate = speech
        words = judge.hear(clip, rate)
        assert words
        # Whatever was read before.
        assert judge.hear(np.zeros(100, "float32"), rate) == []
        noise = judge.hear(noisy(clip), rate)
        again = judge.hear(clip, rate)
        assert judge.compare(words, again) == {"word_error_rate": 0.0}
        assert judge.compare(words, noise)["word_error_rate"] > 0
        assert math.isnan(judge.compare([], words)["word_error_rate"])
