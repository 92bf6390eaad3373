"""JSON files that are never seen half written."""

import json

import pytest

from keras_audiogan.presets.atomic_folder import write_json


def test_a_file_is_written_whole_and_replaced_whole(tmp_path):
    file = tmp_path / "new" / "folder" / "x.json"
    write_json(file, {"name": "Körmendi", "values": [1, 0.5, None]})
    text = file.read_text("utf-8")
    assert json.loads(text) == {"name": "Körmendi", "values": [1, 0.5, None]}
    assert "Körmendi" in text and text.endswith("}\n")
    write_json(file, [])
    assert file.read_text("utf-8") == "[]\n"
    assert [entry.name for entry in file.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (object(), TypeError)]
)
def test_what_is_no_json_leaves_the_old_file(tmp_path, value, error):
    file = tmp_path / "x.json"
    write_json(file, "old")
    with pytest.raises(error):
        write_json(file, {"value": value})
    assert json.loads(file.read_text("utf-8")) == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_file_whose_place_is_taken_leaves_nothing_behind(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OSError):
        write_json(tmp_path / "x.json", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]
