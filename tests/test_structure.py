"""The house: what stands where, and who may know whom."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Each room and the rooms that it may import: downward only.
ROOMS = {
    "audio": set(),
    "presets": set(),
    "layers": {"audio"},
    "data": {"audio", "presets"},
    "collections": {"presets"},
    "training": {"audio", "layers", "data"},
    "serving": {"audio", "presets"},
    "exporting": {"audio", "presets", "serving"},
    "models": {
        "audio",
        "presets",
        "layers",
        "training",
        "exporting",
        "serving",
    },
    "saving": {"presets", "models", "serving"},
    "vocoding": {"audio", "presets", "layers", "data", "models", "serving"},
    "reconstructing": {"audio", "data", "models", "serving"},
    "metrics": {"audio", "presets", "layers", "data", "models"},
    "converters": {"audio", "presets", "layers", "models", "saving"},
}
# Helpers of every package.
ANYBODY = {"_lazy", "_names"}
ROOMS["runs"] = {"training", *ROOMS}
ROOMS["zoo"] = set(ROOMS) - {"runs"}
ROOMS["cli"] = set(ROOMS)


def files():
    for path in sorted((ROOT / "keras_audiogan").rglob("*.py")):
        below = path.relative_to(ROOT / "keras_audiogan")
        if below.name != "__init__.py" or len(below.parts) > 1:
            yield path, below.parts[0].removesuffix(".py")
    for room in ("zoo", "cli"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, room


def imported(path):
    """The rooms that a file imports anywhere, with the lines."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "keras_audiogan":
                names = [f"keras_audiogan.{a.name}" for a in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "keras_audiogan" and len(parts) > 1:
                yield parts[1], node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_downward_only(room):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for path, own in files()
        if own == room
        for other, line in imported(path)
        if other not in {room, *ROOMS[room], *ANYBODY}
    ]
    assert not wrong, "\n".join(wrong)


def test_every_file_stands_in_a_room():
    assert {room for _, room in files()} == {*ROOMS, *ANYBODY}


def test_nobody_asks_for_the_kind_of_a_model():
    asking = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, _ in files()
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        if "is_vocoder" in line or "is_classifier" in line
    ]
    assert not asking
