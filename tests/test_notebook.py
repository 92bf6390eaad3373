"""The notebook, run in a real kernel at toy size, with a Hub on loopback."""

import json
import pathlib

import architecture_cases as cases
import nbclient
import nbformat
import numpy as np
import pytest
from hub_server import HubServer, User

from keras_audiogan.audio import read_audio, write_audio

HERE = pathlib.Path(__file__).parent
NOTEBOOK = HERE.parent / "notebooks" / "finetune_conditional.ipynb"
LABELS = ["zero", "one"]
TOKEN = "hf_secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty recordings of two words and a tiny preset that knows them."""
    folder = tmp_path_factory.mktemp("notebook")
    rng = np.random.default_rng(0)
    for name in LABELS:
        sources = sorted((HERE / "data" / "digits" / name).iterdir())
        (folder / "sounds" / name).mkdir(parents=True)
        for take in range(20):
            audio, rate = read_audio(sources[take % len(sources)])
            audio = np.roll(audio, 7 * take) * rng.uniform(0.5, 0.9)
            write_audio(folder / "sounds" / name / f"{take}.wav", audio, rate)
    gan = cases.build("projection_wavegan", labels=LABELS, slice_length=1024)
    gan.save_to_preset(folder / "preset")
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notebook_goes_from_a_folder_to_the_hub(folder, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (
        cell
        for cell in notebook.cells
        if "parameters" in cell.metadata.get("tags", [])
    )
    with HubServer({TOKEN: User("me")}) as hub:
        for name, value in {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }.items():
            monkeypatch.setenv(name, value)
        toy = {
            "DATA": "sounds",
            "PRESET": "./preset",
            "CLASSIFIER": "digit_classifier",
            "STEPS": 2,
            "NUM_SAMPLES": 20,
            "RUN": "run",
            "HUB": "hf://me/words",
        }
        names = {line.split(" = ")[0] for line in parameters.source.split("\n")}
        assert names == set(toy)
        parameters.source = "\n".join(f"{k} = {v!r}" for k, v in toy.items())
        nbclient.NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        ).execute()
        files = hub.repos["me/words"].history()[0].tree
    text = json.dumps(notebook)
    assert "'zero': 20" in text
    assert "image/png" in text and "audio/wav" in text
    assert "Label accuracy" in text
    assert (folder / "report.html").stat().st_size > 10_000
    assert {"config.json", "generator.safetensors", "README.md"} <= set(files)
    assert "label_accuracy" in (folder / "run/preset/README.md").read_text()
    printed = "".join(
        output.text
        for output in notebook.cells[-1].outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    # The preset's weights are stored and sent bit for bit.
    assert float(printed.split()[-1]) == 0.0
