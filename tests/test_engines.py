"""Engines: presets that onnxruntime or OpenVINO runs, without Keras."""

import collections
import concurrent.futures
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import architecture_cases as cases
import keras
import numpy as np
import pytest
from cli_support import audiogan

import keras_audiogan
from keras_audiogan import saving, zoo
from keras_audiogan.audio import write_audio
from keras_audiogan.exporting import ExportError, export_engine
from keras_audiogan.exporting.onnx_layout import keep_row_axis
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.serving import (
    EngineError,
    EngineGenerator,
    EngineVocoder,
    MissingEngineError,
    onnx_files,
    runtimes,
)

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports go through it"
)
LABELS = ["one", "two", "three"]
FORMS = {
    "wavegan": ("wavegan", {}),
    "projection_wavegan": ("projection_wavegan", {"labels": LABELS}),
    "gansynth": ("gansynth", {}),
    "hifigan": ("hifigan", {}),
    "parallel_wavegan": ("parallel_wavegan", {}),
    "vocos": ("vocos", {"phase_iterations": 3}),
    "multiband_melgan": ("multiband_melgan", {}),
}
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="is not installed"
)
RUNTIMES = [
    pytest.param("onnxruntime"),
    pytest.param("openvino", marks=needs_openvino),
]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Form -> a tiny model and the folder of its engine, made once."""
    made = {}

    def get(form):
        if form not in made:
            name, options = FORMS[form]
            keras.utils.set_random_seed(1)
            model = cases.build(name, **options)
            if model.task == "generate":
                cases.set_weights_from_paths(model)
            folder = tmp_path_factory.mktemp("engines")
            saving.save_preset(model, folder / "preset")
            # Half precision has rounded them.
            model = saving.load_preset(folder / "preset")
            export_engine(model, folder / "preset", folder / "engine")
            made[form] = model, folder / "engine"
        return made[form]

    return get


def copied(folder, tmp_path):
    return pathlib.Path(shutil.copytree(folder, tmp_path / "copy"))


def restated(folder, data=None, **engine):
    """A folder whose config.json says what lies in it, as a rogue would."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    if data is not None:
        (folder / "generator.onnx").write_bytes(data)
        config["weights"]["generator"].update(
            num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
        )
    config["engine"].update(engine)
    file.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("form", ["wavegan", "projection_wavegan", "gansynth"])
def test_the_same_seeds_are_the_same_sounds(engines, form, runtime):
    model, folder = engines(form)
    engine = keras_audiogan.from_preset(folder, runtime=runtime)
    assert isinstance(engine, EngineGenerator) and engine.runtime == runtime
    law = "normal" if form == "gansynth" else "uniform"
    assert engine.latent_law == model.latent_law == law
    wanted = model.sample(5, seed=3, batch_size=2)
    assert wanted.std() > 1e-3
    made = engine.sample(5, seed=3, batch_size=2)
    np.testing.assert_allclose(made, wanted, atol=1e-4)
    # Between two labels as well.
    labels = None if model.labels is None else model.labels[:2]
    if not model.conditional:
        labels = None
    np.testing.assert_allclose(
        engine.interpolate(1, 2, 3, labels=labels),
        model.interpolate(1, 2, 3, labels=labels),
        atol=1e-4,
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "form",
    [
        "hifigan",
        "parallel_wavegan",
        "vocos",
        pytest.param("multiband_melgan", marks=pytest.mark.slow),
    ],
)
def test_the_same_mels_are_the_same_sound(engines, form, runtime):
    model, folder = engines(form)
    engine = keras_audiogan.from_preset(folder, runtime=runtime)
    assert isinstance(engine, EngineVocoder) and engine.reach == model.reach
    rng = np.random.default_rng(0)
    sound = (0.3 * rng.standard_normal(3001)).astype("float32")
    np.testing.assert_allclose(
        engine.mel(sound, 8000), model.mel(sound, 8000), atol=1e-4
    )
    # Through resampling, front end, noise and chunks.
    given = {"sampling_rate": 11025, "seed": 4, "chunk_frames": 60}
    wanted = model.vocode(sound, **given)
    assert wanted.std() > 1e-5
    np.testing.assert_allclose(engine.vocode(sound, **given), wanted, atol=1e-4)
    mel = model.mel(sound, 8000)[0]
    stream = engine.stream(seed=2)
    parts = [stream.push(mel[:31]), stream.push(mel[31:]), stream.finish()]
    wanted = model.vocode(mel, seed=2)[0]
    np.testing.assert_allclose(np.concatenate(parts), wanted, atol=1e-4)
    made = engine.vocode([mel, mel[:40]], seed=2)
    np.testing.assert_allclose(made[0], wanted, atol=1e-4)
    np.testing.assert_allclose(
        made[1], model.vocode(mel[:40], seed=2)[0], atol=1e-4
    )
    # An engine is its network, and corrects phases as often as it is told.
    both = (engine, model)
    before = model.phase_iterations
    for each in both:
        each.set_phase_recovery(1)
    wanted = model.vocode(mel, seed=2)
    np.testing.assert_allclose(engine.vocode(mel, seed=2), wanted, atol=1e-4)
    # Its network has windows of its own, shorter than what phases need.
    engine.default_chunk_frames = 20
    made = engine.vocode(mel, seed=2, chunk_frames=150)
    np.testing.assert_allclose(made, wanted, atol=1e-4)
    assert engine.reach == model.reach
    for each in both:
        each.set_phase_recovery(before)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_hundred_calls_from_sixteen_threads(engines, runtime):
    model, folder = engines("parallel_wavegan")
    engine = keras_audiogan.from_preset(folder, runtime=runtime)
    rng = np.random.default_rng(0)
    mel = model.mel((0.3 * rng.standard_normal(900)).astype("float32"), 8000)

    def call(i):
        return engine.vocode(mel[:, : 20 + i % 9], seed=i)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(call, range(100)))
    for i, sound in enumerate(made):
        np.testing.assert_allclose(sound, call(i), atol=1e-5)


SCRIPT = """
import sys
from keras_audiogan.cli.main import main
import keras_audiogan
generator, vocoder, sound, out = sys.argv[1:]
gan = keras_audiogan.from_preset(generator)
assert gan.sample(2, seed=0, labels="two").shape[0] == 2
for arguments in (
    ["sample", generator, "-n", "2", "--seed", "5", "-o", out + "/a"],
    ["vocode", vocoder, sound, "-o", out + "/b"],
    ["info", vocoder],
):
    main(arguments, standalone_mode=False)
loaded = {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
assert not loaded, loaded
"""


def test_neither_keras_nor_tensorflow_is_imported(engines, tmp_path):
    model, generator = engines("projection_wavegan")
    vocoder, folder = engines("hifigan")
    rng = np.random.default_rng(0)
    sound = tmp_path / "sound.wav"
    write_audio(sound, 0.3 * rng.standard_normal((4000, 1)), 8000)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, generator, folder, sound, tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "onnx, run without Keras" in done.stdout
    assert "samples (" in done.stdout and "log-mel" in done.stdout
    names = sorted(path.name for path in (tmp_path / "a").glob("*.wav"))
    assert names == ["engine_5_00_one.wav", "engine_5_01_two.wav"]


@pytest.mark.slow
def test_the_command_writes_an_engine(engines, tmp_path):
    _, folder = engines("hifigan")
    preset, target = folder.parent / "preset", tmp_path / "fast"
    result = audiogan("export", preset, target, "--engine", "onnx")
    assert result.exit_code == 0, result.output
    assert "engine" in result.output and "Keras" in result.output
    names = {path.name for path in target.iterdir()}
    assert names == {"config.json", "generator.onnx", "README.md"}
    mel = np.full((30, 8), -5.0, "float32")
    np.testing.assert_array_equal(
        *(keras_audiogan.from_preset(x).vocode(mel) for x in (target, folder))
    )
    for arguments, said in (
        ((preset, target, "--engine", "onnx"), "new or empty folder"),
        ((preset, tmp_path / "x", "--engine", "onnx", "--with-mel"), "leave"),
        ((target, tmp_path / "x.onnx"), "is an engine already"),
    ):
        result = audiogan("export", *arguments)
        assert result.exit_code and said in result.output, result.output


def test_a_classifier_is_no_engine(tmp_path):
    model = cases.build(
        "digit_classifier",
        labels=LABELS,
        sampling_rate=8000,
        slice_length=1024,
    )
    saving.save_preset(model, tmp_path / "preset")
    with pytest.raises(ExportError, match="a generator or a vocoder"):
        export_engine(model, tmp_path / "preset", tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


def test_a_pipe(engines, tmp_path):
    model, folder = engines("vocos")
    rng = np.random.default_rng(0)
    audio = (0.3 * rng.standard_normal(2000)).astype("float32")
    mel = model.mel(audio, 8000)[0]
    command = [sys.executable, "-m", "keras_audiogan.cli", "vocode", folder]

    def run(data):
        return subprocess.run(
            [*command, "-", "--raw"], input=data, capture_output=True
        )

    done = run(mel.astype("<f4").tobytes())
    assert done.returncode == 0 and not done.stderr, done.stderr
    made = np.frombuffer(done.stdout, "<f4")
    np.testing.assert_allclose(made, model.vocode(mel)[0, :, 0], atol=1e-4)
    done = run(mel.astype("<f4").tobytes()[:-5])
    assert done.returncode == 1
    said = done.stderr.decode()
    assert said.startswith("Error: The input ended within a frame, after")
    assert "8 float32 numbers, 32 bytes each. Received: 27 bytes" in said
    # What came whole was made.
    assert len(done.stdout) == (len(mel) - 1) * 16 * 4
    bad = mel.copy()
    bad[3, 2] = np.inf
    done = run(bad.astype("<f4").tobytes())
    assert done.returncode == 1 and b"finite numbers" in done.stderr
    for arguments in ((folder, "-"), (folder, "-", "--raw", "-o", tmp_path)):
        result = audiogan("vocode", *arguments)
        assert result.exit_code == 2 and "--raw" in result.output


def test_a_listener_that_leaves(engines, tmp_path):
    _, folder = engines("vocos")
    frames = tmp_path / "frames"
    np.full((20_000, 8), -5.0, "<f4").tofile(frames)
    with frames.open("rb") as source:
        child = subprocess.Popen(
            [sys.executable, "-m", "keras_audiogan.cli"]
            + ["vocode", str(folder), "-", "--raw"],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    child.stdout.close()
    said = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 0 and not said, said


# What strangers may send.


def test_a_file_must_be_the_one_that_is_stated(engines, tmp_path):
    _, folder = engines("hifigan")
    _, other = engines("vocos")
    copy = copied(folder, tmp_path)
    file = copy / "generator.onnx"
    data = file.read_bytes()
    for wrong, said in (
        (data[:-1], "shorter than config.json states"),
        (data + b"\0", "longer than config.json states"),
        (data[:-1] + bytes([data[-1] ^ 1]), "of another preset, or damaged"),
        ((other / "generator.onnx").read_bytes(), "another one"),
    ):
        file.write_bytes(wrong)
        with pytest.raises(PresetError, match=said):
            keras_audiogan.from_preset(copy)
    file.unlink()
    with pytest.raises(PresetError, match="the file is missing"):
        keras_audiogan.from_preset(copy)
    os.mkfifo(file)
    with pytest.raises(PresetError, match="not a regular file"):
        keras_audiogan.from_preset(copy)


def test_the_network_must_be_of_the_preset(engines, tmp_path):
    _, folder = engines("hifigan")
    for form in ("parallel_wavegan", "wavegan"):
        _, other = engines(form)
        copy = copied(folder, tmp_path / form)
        restated(copy, (other / "generator.onnx").read_bytes())
        with pytest.raises(PresetError, match="something else than config"):
            keras_audiogan.from_preset(copy)
    # The same kind, of another hop: it shows when it runs.
    copy = restated(
        copied(folder, tmp_path / "hop"),
        mel={**keras_audiogan.from_preset(folder).features.settings}
        | {"frame_step": 8},
    )
    engine = keras_audiogan.from_preset(copy)
    with pytest.raises(PresetError, match="something else than sound"):
        engine.vocode(np.full((30, 8), -5.0, "float32"))


def changed(folder, change):
    """The bytes of an engine's network after a change."""
    import onnx

    model = onnx.load_from_string((folder / "generator.onnx").read_bytes())
    change(model)
    return model.SerializeToString()


def hostile():
    import onnx
    from onnx import helper

    def external(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"

    def external_in_a_constant(model):
        tensor = onnx.TensorProto(data_type=1, dims=[1])
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
        node = helper.make_node("Constant", [], ["k"], value=tensor)
        model.graph.node.append(node)

    def loop(model):
        node = helper.make_node("Run", [], ["x"], domain="evil.ops")
        body = helper.make_graph([node], "body", [], [])
        model.graph.node.append(helper.make_node("Loop", [], [], body=body))

    def domain(model):
        node = helper.make_node("Run", [], ["x"], domain="evil.ops")
        model.graph.node.append(node)

    def function(model):
        made = helper.make_function(
            "", "F", [], [], [], [helper.make_opsetid("", 18)]
        )
        model.functions.append(made)

    def nan(model):
        for tensor in model.graph.initializer:
            if tensor.data_type == 1 and len(tensor.dims) == 4:
                array = onnx.numpy_helper.to_array(tensor)
                tensor.raw_data = np.full_like(array, np.nan).tobytes()

    return {
        "data in another file": external,
        "data in another file ": external_in_a_constant,
        "operators that are not ONNX's own ": loop,
        "operators that are not ONNX's own": domain,
        "functions of its own": function,
        "finite": nan,
    }


@pytest.mark.parametrize("said", list(hostile()))
def test_hostile_files_are_not_run(engines, tmp_path, said):
    _, folder = engines("hifigan")
    data = changed(folder, hostile()[said])
    copy = restated(copied(folder, tmp_path), data)
    with pytest.raises(PresetError, match=said.strip()):
        engine = keras_audiogan.from_preset(copy)
        engine.vocode(np.full((30, 8), -5.0, "float32"))


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"PK\x03\x04" * 9, b"\x3a\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_onnx_file(engines, tmp_path, data):
    _, folder = engines("hifigan")
    copy = restated(copied(folder, tmp_path), data)
    with pytest.raises(PresetError, match="no whole ONNX file"):
        keras_audiogan.from_preset(copy)


def test_any_cut_is_one_error(engines):
    _, folder = engines("hifigan")
    data = (folder / "generator.onnx").read_bytes()
    path = folder / "generator.onnx"
    onnx_files._check(path, data)
    refused = 0
    for cut in range(1, len(data), max(1, len(data) // 50)):
        try:
            onnx_files._check(path, data[:cut])
        except PresetError:
            refused += 1
    # A cut between two fields leaves a smaller file, for the runtime.
    assert refused >= 45


@pytest.mark.parametrize(
    ("form", "engine", "said"),
    [
        ("hifigan", {"format": "tflite"}, "format. is unknown"),
        ("hifigan", {"look_back": -1}, "look_back. is missing or wrong"),
        ("hifigan", {"chunk_frames": 1 << 40}, "beyond"),
        ("hifigan", {"phase_iterations": -1}, "phase_iterations"),
        ("hifigan", {"phase_iterations": "8"}, "phase_iterations"),
        ("hifigan", {"causal": 1}, "causal. is missing or wrong"),
        ("hifigan", {"mel": {"fft_length": 64}}, "settings of a mel"),
        ("hifigan", {"level": "loud"}, "level"),
        ("wavegan", {"latent_law": "cauchy"}, "uniform or normal"),
        ("wavegan", {"latent_dim": None}, "latent_dim. is missing"),
        ("wavegan", {"conditional": True}, "labels"),
        ("wavegan", {"slice_length": 100}, "something else than config"),
    ],
)
def test_settings_are_checked(engines, tmp_path, form, engine, said):
    _, folder = engines(form)
    copy = restated(copied(folder, tmp_path), **engine)
    with pytest.raises(PresetError, match=said):
        keras_audiogan.from_preset(copy)


def test_a_runtime_that_is_missing(engines, monkeypatch):
    _, folder = engines("hifigan")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in runtimes.RUNTIMES else find(name),
    )
    with pytest.raises(MissingEngineError, match=r"\[onnx\].*\[openvino\]"):
        keras_audiogan.from_preset(folder)
    result = audiogan("vocode", folder, "-", "--raw", "--runtime", "openvino")
    assert result.exit_code == 1
    assert "pip install 'keras-audiogan[openvino]'" in result.output


def test_precisions_that_there_are_not(engines):
    _, folder = engines("hifigan")
    with pytest.raises(EngineError, match="lacks bfloat16.*OpenVINO"):
        keras_audiogan.from_preset(
            folder, runtime="onnxruntime", dtype="bfloat16"
        )
    with pytest.raises(ValueError, match="must be one of float32, mixed_bf"):
        keras_audiogan.from_preset(folder, dtype="mixed_float16")
    with pytest.raises(ValueError, match="one of onnxruntime, openvino"):
        keras_audiogan.from_preset(folder, runtime="tensorrt")
    with pytest.raises(PresetError, match="Keras runs this preset"):
        keras_audiogan.from_preset(folder.parent / "preset", runtime="openvino")
    if importlib.util.find_spec("openvino") is None:
        with pytest.raises(MissingEngineError):
            keras_audiogan.from_preset(folder, runtime="openvino")
        return
    if runtimes.has_bfloat16("openvino"):
        engine = keras_audiogan.from_preset(folder, dtype="mixed_bfloat16")
        assert engine.runtime == "openvino"
    else:
        with pytest.raises(EngineError, match="no instructions"):
            keras_audiogan.from_preset(folder, dtype="mixed_bfloat16")


def test_other_uses_say_what_an_engine_is(engines, tmp_path):
    model, folder = engines("wavegan")
    with pytest.raises(PresetError, match="cannot be trained"):
        saving.load_preset_weights(model, folder)
    card = (folder / "README.md").read_text()
    assert "cannot be trained further" in card and "finetune" not in card
    info = zoo.preset_info(folder)
    assert info["engine"] == "onnx" and info["num_bytes"] > 1000
    assert list(info["num_parameters"]) == ["generator"]
    sounds = tmp_path / "sounds"
    write_audio(sounds / "a.wav", np.zeros((2000, 1)), 8000)
    for command in ("finetune", "evaluate"):
        arguments = [command, folder]
        arguments += (
            [sounds, "-o", tmp_path / "run"]
            if command == "finetune"
            else ["--data", sounds]
        )
        result = audiogan(*arguments)
        assert result.exit_code == 2, result.output
        assert "is an engine" in result.output and "likely a fault" not in (
            result.output
        )


def test_convolutions_pass_pictures_on(engines):
    """Of a residual network nothing changes shape between convolutions."""
    onnx = pytest.importorskip("onnx")
    model, folder = engines("hifigan")
    graph = onnx.load(folder / "generator.onnx").graph
    counts = collections.Counter(node.op_type for node in graph.node)
    stages = len(model.generator.upsamples)
    # A first convolution, the last one, and two a residual of each block.
    assert counts["Conv"] == 2 + stages * (1 + 2 * 2 * 2)
    assert counts["Transpose"] == 1 + stages
    # In front of the padding of each up-sampling, and behind it; at the ends.
    assert counts["Squeeze"] == 1 + 2 * stages
    assert counts["Unsqueeze"] == 1 + stages


def test_the_axis_of_one_row_stays_to_the_end():
    onnx = pytest.importorskip("onnx")
    import onnxruntime

    helper = onnx.helper

    def tensor(name, values):
        return onnx.numpy_helper.from_array(np.asarray(values), name)

    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((2, 2, 1, 3)).astype("float32")
    bias = np.array([[0.5], [-2.0]], "float32")

    def conv(source, out):
        return [
            helper.make_node("Unsqueeze", [source, "axes"], [out + "u"]),
            helper.make_node(
                "Conv", [out + "u", "kernel"], [out + "c"], pads=[0, 1, 0, 1]
            ),
            helper.make_node("Squeeze", [out + "c", "axes"], [out + "s"]),
            helper.make_node("Add", [out + "s", "bias"], [out]),
        ]

    proto = helper.make_model(
        helper.make_graph(
            [
                *conv("x", "a"),
                helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.1),
                *conv("b", "c"),
                helper.make_node("Add", ["a", "c"], ["y"]),
            ],
            "graph",
            [helper.make_tensor_value_info("x", 1, [None, 2, None])],
            [helper.make_tensor_value_info("y", 1, [None, 2, None])],
            [
                tensor("axes", np.array([2])),
                tensor("kernel", kernel),
                tensor("bias", bias),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    x = rng.standard_normal((1, 2, 5)).astype("float32")

    def run():
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        return session.run(None, {"x": x})[0]

    wanted = run()
    keep_row_axis(proto)
    assert [node.op_type for node in proto.graph.node] == (
        "Unsqueeze Conv Add LeakyRelu Conv Add Add Squeeze".split()
    )
    np.testing.assert_allclose(run(), wanted, atol=1e-6)
