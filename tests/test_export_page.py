"""docs/export.md: its Python runs as it stands."""

import importlib.util
import pathlib
import re
import warnings

import keras
import pytest
from cli_support import audiogan

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "export.md"


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports go through it"
)
def test_the_page_runs(in_a_new_folder):
    text = PAGE.read_text("utf-8")
    commands = re.findall(r"^audiogan (export \S+ \S+)", text, re.M)
    exported = [line.split() for line in commands if "digits" in line]
    for arguments in exported[:3]:
        result = audiogan(*arguments)
        assert result.exit_code == 0, result.output
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 3
    shown = {}
    for block in blocks:
        if importlib.util.find_spec("ai_edge_litert") is None:
            # TensorFlow has its class.
            block = block.replace(
                "from ai_edge_litert.interpreter import Interpreter",
                "from tensorflow import lite\nInterpreter = lite.Interpreter",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(block, shown)  # noqa: S102
        audio = shown["audio"]
        assert tuple(audio.shape) == (2, 8192, 1)
