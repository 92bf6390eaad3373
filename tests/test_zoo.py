"""The zoo: what is known of presets that are here and that are not."""

import pathlib
import shutil

import pytest

from keras_audiogan import zoo
from keras_audiogan.zoo import index, presets

ROOT = pathlib.Path(__file__).parents[1]
OLD = pathlib.Path(__file__).parent / "fixtures" / "presets_v1"
PYPROJECT = """
[tool.setuptools.exclude-package-data]
"*" = ["__pycache__/*"]
"keras_audiogan.zoo.presets" = ["hifigan_small/*", "cgan_drums_dense/*"]
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository of three presets, of which one stays out of the wheel."""
    folder = tmp_path / "zoo" / "presets"
    for source, name in (
        ("wavegan_words", "wavegan_small"),
        ("hifigan_causal", "hifigan_small"),
        ("word_classifier", "word_classifier"),
    ):
        shutil.copytree(OLD / source, folder / name)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for module in (presets, index):
        monkeypatch.setattr(module, "PRESETS_FOLDER", folder)
    assert index.main([]) == 0
    return tmp_path


def names(**options):
    return [info["name"] for info in zoo.find_presets(**options)]


def test_the_generated_files_of_this_repository_are_current():
    assert index.main(["--check"]) == 0


def test_a_file_that_is_not_current_is_reported(tree, capsys):
    assert index.main(["--check"]) == 0
    shutil.rmtree(tree / "zoo" / "presets" / "word_classifier")
    assert index.main(["--check"]) == 1
    assert "index.json is not current" in capsys.readouterr().err


def test_a_task_chooses_among_presets(tree):
    assert names() == ["hifigan_small", "wavegan_small", "word_classifier"]
    assert names(task="generate") == ["wavegan_small"]
    assert names(task="vocode") == ["hifigan_small"]
    assert names(task="classify") == ["word_classifier"]
    assert names(task="autoencode") == []
    assert names(pattern="w*", task="classify") == ["word_classifier"]
    with pytest.raises(ValueError, match="Expected one of generate, vocode"):
        zoo.find_presets(task="sing")


def test_a_preset_that_is_not_here_is_known_and_named_with_its_address(tree):
    here = {info["name"]: info for info in zoo.find_presets()}
    assert {name: info["where"] for name, info in here.items()} == {
        "hifigan_small": "checkout",
        "wavegan_small": "package",
        "word_classifier": "package",
    }
    shutil.rmtree(tree / "zoo" / "presets" / "hifigan_small")
    # The index remembers it: it is on the Hub.
    assert index.main([]) == 0
    (away,) = zoo.find_presets("hifigan*")
    assert away["where"] == "hub"
    for fact in ("task", "architecture", "data", "num_parameters", "num_bytes"):
        assert away[fact] == here["hifigan_small"][fact]
    assert zoo.list_presets() == ["wavegan_small", "word_classifier"]
    with pytest.raises(ValueError) as raised:
        zoo.from_preset("hifigan_small")
    uri = "hf://keras-audiogan/hifigan_small"
    assert f"write {uri} in its place" in str(raised.value)
    assert f"audiogan pull {uri}`" in str(raised.value)


def test_a_misspelt_name_is_answered_with_names_from_the_hub_too(tree):
    shutil.rmtree(tree / "zoo" / "presets" / "hifigan_small")
    with pytest.raises(ValueError, match="Did you mean hifigan_small"):
        zoo.resolve("hifigan_smal")


def test_names_that_presets_had_before_still_load(tree):
    folder = tree / "zoo" / "presets"
    for old, new in presets.ALIASES.items():
        (folder / "wavegan_small").rename(folder / new)
        assert zoo.resolve(old) == folder / new
        (folder / new).rename(folder / "wavegan_small")
    # And where only the new one's address is known.
    shutil.copytree(folder / "wavegan_small", folder / "cgan_drums_dense")
    assert index.main([]) == 0
    assert '"genre_cgan_drums_dense",' in index.render_names(
        presets.read_index()
    )
    shutil.rmtree(folder / "cgan_drums_dense")
    with pytest.raises(ValueError, match="keras-audiogan/cgan_drums_dense"):
        zoo.resolve("genre_cgan_drums_dense")


def test_a_model_of_another_task_is_refused_before_it_is_built(tree):
    gan = zoo.from_preset("wavegan_small", task="generate")
    assert gan.sample(1, seed=0).shape == (1, 4096, 1)
    folder = tree / "zoo" / "presets" / "wavegan_small"
    (folder / "generator.safetensors").unlink()
    with pytest.raises(ValueError) as raised:
        zoo.from_preset(folder, task="vocode")
    for phrase in (
        "wavegan_small is for another task: generate",
        "audiogan list --task vocode",
        "Received: task='vocode'",
    ):
        assert phrase in str(raised.value)
    with pytest.raises(ValueError, match="Received: task='sing'"):
        zoo.from_preset("wavegan_small", task="sing")


@pytest.mark.slow
def test_a_converted_checkpoint_has_a_task_too():
    checkpoint = ROOT / "tests" / "data" / "wavegan_tf1_16384"
    with pytest.raises(ValueError, match="another task: generate"):
        zoo.from_preset(checkpoint, task="vocode")
    assert zoo.from_preset(checkpoint, task="generate").slice_length == 16384
