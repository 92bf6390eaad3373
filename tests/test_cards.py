"""Cards, and the presets' names: what a reader and a shell are told."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from huggingface_hub import ModelCard
from preset_support import TRAINING, tiny_gan

from keras_audiogan import zoo
from keras_audiogan.presets import cards as library_cards
from keras_audiogan.saving import PresetError, save_preset
from keras_audiogan.zoo import cards, presets


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("original")
    (root / "sounds").mkdir()
    (root / "sounds/000.wav").write_bytes(b"RIFF")
    (root / "sounds/sheet.png").write_bytes(b"PNG")
    return save_preset(
        tiny_gan(),
        root / "wavegan_tiny",
        training=TRAINING,
        samples_dir=root / "sounds",
    )


@pytest.fixture
def folder(original, tmp_path):
    return pathlib.Path(shutil.copytree(original, tmp_path / "wavegan_tiny"))


@pytest.fixture
def bundle(folder, monkeypatch):
    """A zoo that bundles one preset, `wavegan_tiny`."""
    for module in (presets, cards):
        monkeypatch.setattr(module, "PRESETS_FOLDER", folder.parent)
    return folder.parent


def retrain(folder, **changes):
    training = json.loads((folder / "training.json").read_text())
    training.update(changes)
    (folder / "training.json").write_text(json.dumps(training))


def test_the_hub_reads_the_front_matter(folder):
    data = ModelCard((folder / "README.md").read_text()).data
    assert data.library_name == "keras-audiogan"
    assert data.license == "cc-by-sa-4.0"
    assert {"wavegan", "gan", "audio-generation"} <= set(data.tags)
    assert data.datasets == ["fsdd"]
    assert data.metrics == ["inception_score", "accuracy"]
    assert data.model_name == "wavegan_tiny"
    results = {r.metric_type: r.metric_value for r in data.eval_results}
    assert results == {"inception_score": 6.25, "accuracy": 0.5}
    assert {r.dataset_name for r in data.eval_results} == {"FSDD"}


def test_the_card_says_what_a_user_must_know(folder):
    text = cards.render_card(folder, uri="hf://me/digits@v1")
    assert 'from_preset("hf://me/digits@v1")' in text
    assert "audiogan sample hf://me/digits@v1 -n 8 -o out/" in text
    for phrase in (
        "Spoken digits, for tests.",
        "| Sampling rate | 8,000 Hz |",
        "| Clip | 64 samples, 0.008 s |",
        "| Labels | one, two |",
        "| Attribution | Zohar Jackson and others |",
        "<https://github.com/Jakobovski/free-spoken-digit-dataset>",
        "Licence of the weights: CC BY-SA 4.0.",
        "| `loss` | wgan-gp |",
        "| Steps | 20,000 |",
        "| Seed | 7 |",
        "| Wall time | 1 h 30 min |",
        "| Hardware | 2 CPU cores |",
        "| Versions | keras 3.15.1 |",
        "| Inception score | 6.25 | higher is better | 1,000 samples |",
        "| Accuracy (%) | 50.0 | higher is better |  |",
        "- Confusion matrix (clips): in training.json",
        "- Inception score: How clearly a classifier recognises each clip",
        "Measured by (inception score):\n\n```bash\n"
        "audiogan evaluate wavegan_digits\n",
        "- dim 16: 5.1",
        "- dim 32 \\| batch norm: 4.9",
        "- It says no number above nine.",
        "nothing longer or higher",
        "- [000.wav](samples/000.wav)",
        "![sheet.png](samples/sheet.png)",
    ):
        assert phrase in text, phrase
    counts = json.loads((folder / "config.json").read_text())["weights"]
    for stem, entry in counts.items():
        assert f"Parameters, {stem} | {entry['num_parameters']:,}" in text


def test_the_code_on_the_card_runs(folder):
    text = cards.render_card(folder, uri=str(folder))
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(
        code.replace("keras_audiogan.from_preset", "zoo.from_preset"),
        {"zoo": zoo, **names},
        names,
    )
    assert names["audio"].shape == (8, 64, 1)


def test_a_card_of_an_unmeasured_preset_says_so(tmp_path):
    path = save_preset(tiny_gan(), tmp_path / "p", weights=["generator"])
    text = (path / "README.md").read_text()
    assert "Nothing was measured." in text
    assert "The discriminator is not stored" in text
    assert "model-index" not in text
    assert "## Training data" not in text
    assert ModelCard(text).data.license is None


def test_figures_without_a_command_and_plain_numbers(folder):
    retrain(folder, metrics={"fad_vggish": 3.5, "ok": True, "name": "x"})
    text = cards.render_card(folder)
    assert "| Fad vggish | 3.50 |  |" in text
    assert "- Ok: yes\n- Name: x" in text
    assert [r.metric_value for r in ModelCard(text).data.eval_results] == [3.5]


@pytest.mark.parametrize(
    "given, fields",
    [
        ("CC BY-SA 4.0", {"license": "cc-by-sa-4.0"}),
        ("MIT", {"license": "mit"}),
        ("CC0", {"license": "cc0-1.0"}),
        (
            "My own terms",
            {"license": "other", "license_name": "my-own-terms"},
        ),
    ],
)
def test_licences_are_the_hubs_names(folder, given, fields):
    retrain(folder, license=None, data={"name": "x", "license": given})
    data = ModelCard(cards.render_card(folder)).data.to_dict()
    assert {key: data[key] for key in fields} == fields


def test_data_of_several_licences_are_all_named(folder):
    data = [{"license": "CC0"}, {"name": "y"}, {"license": "CC BY 4.0"}]
    retrain(folder, license=None, data=data)
    card = ModelCard(cards.render_card(folder)).data.to_dict()
    assert card["license"] == "other"
    assert card["license_name"] == "cc0-and-cc-by-4.0"
    retrain(folder, license=None, data=[data[0], data[0]])
    assert ModelCard(cards.render_card(folder)).data.license == "cc0-1.0"


def test_words_of_a_stranger_cannot_break_the_card(folder):
    evil = "a|b\n---\n# h <script> ``` \u202e \x1b[0m: {x: 'y\"'} & \ud800 é"
    retrain(
        folder,
        summary=evil,
        license=evil,
        data=[{"name": evil, "url": "javascript:alert(1)", evil: evil}],
        recipe={evil: evil, "n": [evil], "d": {evil: [evil]}},
        metrics={evil: {"value": 1, "command": evil, evil: evil}},
        notes=[evil, {evil: evil}, 3],
        limits=[evil],
        hardware=[evil],
        steps=evil,
        wall_time_seconds=evil,
    )
    text = cards.render_card(folder, uri='hf://a/b"; rm -rf ~; "')
    text.encode("utf-8")
    data = ModelCard(text).data
    assert data.library_name == "keras-audiogan"
    (result,) = data.eval_results
    assert result.metric_value == 1
    body = text.partition(library_cards.MARKER)[2]
    prose = re.sub(r"\n```.*?\n```", "", body, flags=re.DOTALL)
    assert "<script>" not in prose and "&lt;script&gt;" in prose
    assert "(javascript:" not in text and "<javascript:" not in text
    assert all(c.isprintable() or c == "\n" for c in text)
    assert [line for line in text.split("\n") if line.startswith("# ")] == [
        "# wavegan_tiny"
    ]
    assert "audiogan sample 'hf://a/b\"; rm -rf ~; \"' -n 8" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        counts = {
            len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()
        }
        assert len(counts) == 1, block
    assert text.count("\n```") % 2 == 0


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"data": 3, "recipe": 3, "metrics": 3, "notes": 3, "limits": 3},
        {"data": [], "metrics": {"x": None}, "notes": "none"},
        {"data": {"name": 3, "license": 4}, "license": 5, "summary": 6},
    ],
)
def test_any_training_json_gives_a_card(folder, training):
    (folder / "training.json").write_text(json.dumps(training))
    assert "## Use" in cards.render_card(folder)
    assert zoo.preset_info(folder)["architecture"] == "wavegan"


def test_only_generated_cards_are_known_as_such(folder):
    text = (folder / "README.md").read_text()
    assert library_cards.is_generated(text)
    assert library_cards.is_generated(text.encode())
    assert not library_cards.is_generated("# My model\n")
    assert not library_cards.is_generated(b"\xff\xfe")


def test_model_cards_has_a_row_for_each_preset(bundle):
    text = cards.render_model_cards()
    (row,) = [x for x in text.splitlines() if x.startswith("| [wavegan_tiny]")]
    for phrase in (
        "`wavegan`",
        "0.008 s clips of mono sound at 8,000 Hz",
        "FSDD (CC BY-SA 4.0)",
        "| 6.25 |",
        "|  | 6.25 |  |  |",
    ):
        assert phrase in row
    assert "## wavegan_tiny\n\nSpoken digits, for tests." in text
    assert "- Measured: inception score 6.25, accuracy 50.0 %\n" in text
    assert "labels. Higher is better." in text
    assert "(zoo/presets/wavegan_tiny/README.md)" in text


def test_cards_are_written_and_checked(bundle, folder, tmp_path, capsys):
    path = tmp_path / "CARDS.md"
    card = folder / "README.md"
    assert cards.main([str(path), "--check"]) == 1
    assert not path.exists()
    assert "CARDS.md is not current" in capsys.readouterr().err
    assert cards.main([str(path)]) == 0
    assert path.read_text() == cards.render_model_cards()
    assert 'from_preset("wavegan_tiny")' in card.read_text()
    assert cards.main([str(path), "--check"]) == 0
    retrain(folder, steps=30000)
    assert cards.main([str(path), "--check"]) == 1
    assert "README.md is not current" in capsys.readouterr().err
    card.write_text("A person's words.")
    assert cards.main([str(path), "--check"]) == 0
    assert cards.main([str(path)]) == 0
    assert card.read_text() == "A person's words."


def test_the_module_runs_as_a_command(tmp_path):
    result = subprocess.run(
        [sys.executable, "-P", "-m", "keras_audiogan.zoo.cards", "x.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "x.md" in result.stdout
    assert (tmp_path / "x.md").read_text() == cards.render_model_cards()


def test_names_of_bundled_presets(bundle, folder):
    (bundle / "not_a_preset").mkdir()
    assert zoo.list_presets() == ["wavegan_tiny"]
    assert zoo.list_presets("wave*") == ["wavegan_tiny"]
    assert zoo.list_presets("hifi*") == []
    assert zoo.resolve("wavegan_tiny") == folder
    assert zoo.from_preset("wavegan_tiny").labels == ("one", "two")


def test_folders_are_presets_too(bundle, original, tmp_path, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(original, here / "mine")
    shutil.copytree(original, here / "wavegan_tiny")
    shutil.copytree(original, here / "runs/first/preset")
    monkeypatch.chdir(here)
    assert zoo.resolve("mine") == pathlib.Path("mine")
    assert zoo.resolve(pathlib.Path("mine")) == pathlib.Path("mine")
    assert zoo.resolve("./mine/") == pathlib.Path("mine")
    # A bundled name wins over a folder; a separator says which is meant.
    assert zoo.resolve("wavegan_tiny") == tmp_path / "wavegan_tiny"
    assert zoo.resolve("./wavegan_tiny").absolute() == here / "wavegan_tiny"
    # A training run stands for the preset that it exported.
    assert zoo.resolve("runs/first") == pathlib.Path("runs/first/preset")
    monkeypatch.setenv("HOME", str(here))
    assert zoo.resolve("~/mine") == here / "mine"
    (here / "empty").mkdir()
    with pytest.raises(PresetError, match=r"no config\.json"):
        zoo.resolve("empty")
    with pytest.raises(PresetError, match="no such folder"):
        zoo.resolve(pathlib.Path("none"))


@pytest.mark.parametrize(
    "name, words",
    [
        ("wavegan_tinny", ["Did you mean wavegan_tiny?", "hf://owner/name"]),
        ("owner/name", ["write hf:// before it", "'owner/name'"]),
        ("./none", ["'./none'", "./my_preset"]),
        ("", ["''", "wavegan_tiny"]),
        ("a\0b", [r"'a\x00b'"]),
        ("kaggle://x/y", ["hf://owner/name", "'kaggle://x/y'"]),
        (
            "https://huggingface.co/me/gan/tree/main",
            ["For this page of the Hub: hf://me/gan."],
        ),
        (3, ["a string or a path", "3"]),
    ],
)
def test_unknown_names_are_told_the_forms(bundle, name, words):
    with pytest.raises(ValueError) as caught:
        zoo.resolve(name)
    for word in words:
        assert word in str(caught.value)


def test_info_tells_what_a_preset_is(bundle, folder):
    info = zoo.preset_info("wavegan_tiny")
    gan = tiny_gan()
    assert info["name"] == "wavegan_tiny"
    assert info["path"] == folder
    assert info["sampling_rate"] == 8000
    assert info["slice_length"] == 64
    assert info["duration"] == 0.008
    assert info["labels"] == ["one", "two"]
    assert info["storage_dtype"] == "float16"
    assert info["license"] == "CC BY-SA 4.0"
    assert info["metrics"] == {"inception_score": 6.25, "accuracy": 0.5}
    assert info["training"]["seed"] == 7
    assert info["num_parameters"] == {
        stem: network.count_params()
        for stem, network in gan.preset_weights.items()
    }
    assert info["num_bytes"] == sum(
        file.stat().st_size for file in folder.glob("*.safetensors")
    )
    (folder / "generator.safetensors").write_bytes(b"")
    with pytest.raises(PresetError, match=r"generator\.safetensors"):
        zoo.preset_info("wavegan_tiny")


def test_the_public_names_of_the_zoo_exist():
    for name in zoo.__all__:
        assert callable(getattr(zoo, name)), name
    assert set(zoo.__all__) <= set(dir(zoo))
    with pytest.raises(AttributeError, match="nothing"):
        zoo.nothing  # noqa: B018


def test_the_bundled_cards_are_current():
    root = pathlib.Path(__file__).parents[1]
    if zoo.list_presets():
        assert cards.main([str(root / "MODEL_CARDS.md"), "--check"]) == 0
