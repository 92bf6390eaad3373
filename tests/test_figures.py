"""The catalogue of figures: no key without a name, no number unrounded."""

import json
import math
import subprocess
import sys

import pytest
import yaml

from keras_audiogan import metrics, vocoding, zoo
from keras_audiogan.metrics import vocoder_evaluation
from keras_audiogan.presets import cards, words
from keras_audiogan.presets.card_parts import CARD_PARTS, parts_of
from keras_audiogan.presets.figures import (
    FIGURES,
    figure,
    in_words,
    rounded,
    short_summary,
)
from keras_audiogan.runs.options import MEASURES

PRESETS = zoo.list_presets()


def training_of(name):
    path = zoo.resolve(name) / "training.json"
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_figure_of_a_bundled_preset_is_in_the_catalogue(name):
    for key, entry in training_of(name)["metrics"].items():
        assert key in FIGURES, key
        better = entry.get("better", FIGURES[key].better)
        assert FIGURES[key].better == better, key


def test_every_key_that_metrics_make_is_in_the_catalogue():
    import numpy as np

    rng = np.random.default_rng(0)
    clips = [rng.uniform(-0.5, 0.5, (20, 1600, 1)) for _ in range(3)]

    class Classifier:
        sampling_rate, labels = 8000, ("low", "high")

        def predict_with_features(self, audio, batch_size=64):
            share = np.abs(audio[:, :100, 0]).mean(axis=1)
            return np.stack([share, 1 - share], 1), audio[:, ::200, 0]

    report = metrics.evaluate_gan(
        *clips,
        Classifier(),
        sampling_rate=8000,
        targets=[0, 1] * 10,
        num_resamples=0,
    )
    card = metrics.metrics_for_card(report)
    heard = metrics.classifier_metrics(np.eye(2), np.array([0, 1]), ("a", "b"))
    vocoded = vocoder_evaluation._ALL_FIGURES
    rows = [{"seconds": 1.0, "compute_seconds": 0.5}]
    for key in (
        *(*report["figures"], *card, *heard, *vocoded),
        *(*vocoding.means(rows), *MEASURES),
        *metrics.Level._fields,
    ):
        assert key in FIGURES, key
    for key, row in (*report["figures"].items(), *card.items()):
        better = row.get("better", FIGURES[key].better)
        assert FIGURES[key].better == better, key
    for key, direction in MEASURES.items():
        better = FIGURES[key].better
        assert direction == ("zero" if better == "real" else better), key


def test_the_catalogue_is_complete_and_its_names_are_distinct():
    for key, entry in FIGURES.items():
        assert entry.key == key and "_" not in entry.name
        assert entry.meaning.endswith(".") and len(entry.meaning) < 200, key
        assert entry.better in ("higher", "lower", "real", "")
    evaluated = {k: v for k, v in FIGURES.items() if "accuracy" not in k}
    names = [entry.name for entry in evaluated.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "key, value, words, short",
    [
        ("inception_score", 8.599999904632568, "inception score 8.60", 8.6),
        ("label_accuracy", 0.9479999, "label accuracy 94.8 %", 0.948),
        ("rms_db", -19.942562992572938, "level -19.9 dBFS", -19.9),
        ("level_difference", -0.0001, "level difference 0.0 dB", 0),
        ("times_real_time", 13000.4, "speed 13,000 times real time", 13000),
        ("kernel_distance", 0.005660246, "kernel distance 0.00566", 0.00566),
        ("my_own_figure", 3.14159265, "my own figure 3.14", 3.142),
        ("evaluation/repeated", 0.1711111, "repeated clips 17.1 %", 0.171),
        ("f0_rmse_cents", 493.1212, "relative pitch error 493 cents", 493),
    ],
)
def test_figures_in_words_and_for_the_hub(key, value, words, short):
    assert in_words(key, value) == words
    assert rounded(key, value) == pytest.approx(short, abs=1e-5)
    assert len(repr(rounded(key, value))) <= 8


def test_what_a_file_says_counts_where_the_catalogue_is_silent():
    entry = {"value": 0.25, "low": 0.0, "high": 1.284, "unit": "of 15"}
    bins = figure("num_different_bins", entry)
    assert bins.title == "Mismatched groups (of 15)"
    assert bins.measured(entry) == "0.2 [0.0, 1.3]"
    level = figure("rms_db", {"unit": "bels", "better": "higher"})
    assert (level.unit, level.better) == ("dBFS", "real")
    other = figure("mine", {"unit": "apples", "better": "lower"})
    assert other.title == "Mine (apples)"
    assert other.direction == "lower is better"
    assert figure("mine", {"unit": [], "better": {}}).title == "Mine"
    percent = figure("mine", {"unit": "%"})
    assert f"{percent.title} {percent.number(12.5)}" == "Mine (per cent) 12.5"


def test_the_best_known_figures_come_first():
    found = zoo.preset_info("projection_wavegan_digits")["metrics"]
    assert short_summary(found, 2) == (
        "inception score 8.60, label accuracy 94.8 %"
    )
    found = zoo.preset_info("hifigan_speech")["metrics"]
    assert short_summary(found, 1) == "mel-cepstral distortion 1.11 dB"
    assert short_summary({"mine": 1.0, "silent": 0.0}) == (
        "silent clips 0.0 %, mine 1.00"
    )
    assert short_summary({}) == ""


def test_the_catalogue_needs_the_standard_library_alone():
    code = (
        "import sys; before = set(sys.modules);"
        "import keras_audiogan.presets.figures;"
        "new = {n.partition('.')[0] for n in set(sys.modules) - before};"
        "print(sorted(new - sys.stdlib_module_names))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['keras_audiogan']"


@pytest.mark.parametrize("name", PRESETS)
def test_no_raw_key_reaches_a_reader(name):
    folder = zoo.resolve(name)
    training = training_of(name)
    front, _, body = (
        cards.render_card(folder).removeprefix("---\n").partition("\n---\n")
    )
    (result,) = yaml.safe_load(front)["model-index"][0]["results"]
    for entry in result["metrics"]:
        # Four digits that count, however small it is.
        assert float(f"{entry['value']:.4g}") == entry["value"], entry
        assert "_" not in entry["name"]
    # Options of the training run are what a user types, as are commands.
    prose = body.partition("## Measured")[2].replace("--keep-best", "")
    prose = "".join(prose.split("`")[::2])
    for key in training["metrics"]:
        if "_" in key:
            assert key not in prose, key


def test_a_task_without_parts_of_its_own_gets_a_card(tmp_path):
    assert set(CARD_PARTS) == {
        "generate",
        "autoencode",
        "vocode",
        "classify",
    }
    config = {
        "task": "another",
        "config": {"slice_length": 8000},
        "weights": {"generator": {}},
        "sampling_rate": 8000,
        "num_channels": 2,
    }
    assert cards.summary(config, {}) == (
        "Handles 1 s clips of stereo sound at 8,000 Hz."
    )
    assert parts_of(config).commands[0] == "audiogan info {preset}"


def test_numbers_that_cannot_be_shown_are_left_out():
    odd = {"a": 10**400, "b": math.nan, "c": True, "d": 2}
    assert cards.figures({"metrics": odd}) == {"d": 2}


def test_lengths_of_time_and_sizes():
    assert [words.duration(s) for s in (45.4, 200, 3599.6, 7500)] == [
        "45 s",
        "3 min 20 s",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert [words.size(n) for n in (999, 4.5e6, 2e9)] == [
        "999 bytes",
        "4.5 MB",
        "2.0 GB",
    ]


def test_blocks_cannot_break_their_place():
    blocks = ["a <b> | c", [["x", "y"], ["1 | 2", "\x1b[0m"]], {"n": "<i>"}]
    assert words.as_markdown(blocks) == (
        "a &lt;b&gt; \\| c\n\n| x | y |\n| --- | --- |\n| 1 \\| 2 | [0m |\n\n"
        "- n: &lt;i&gt;"
    )
    assert words.as_terminal(blocks) == (
        "a <b> | c\n\nx      y\n1 | 2  [0m\n\nn: <i>"
    )
    page = words.as_html(blocks)
    assert "<p>a &lt;b&gt; | c</p>" in page and "<i>" not in page
    assert "<tr><th>x</th><th>y</th></tr>" in page
    assert "<dt>n</dt><dd>&lt;i&gt;</dd>" in page
