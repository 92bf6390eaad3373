"""A model that grows is trained stage by stage; each stage is a run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from cli_support import audiogan
from training_support import assert_same_bits, state

from keras_audiogan.data import AudioDataset
from keras_audiogan.data.slices import plan_slices
from keras_audiogan.runs.options import TrainingOptions
from keras_audiogan.runs.run import run_training
from keras_audiogan.runs.stage_options import StageOptions
from keras_audiogan.runs.stages import carry_stage, run_stages
from keras_audiogan.zoo import resolve

RATE = 16000
PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Three stereo files and a mono one, of half a second."""
    folder = tmp_path_factory.mktemp("sounds")
    time_ = np.arange(RATE // 2) / RATE
    for i in range(4):
        pitches = [220 + 50 * i, 330 + 50 * i][: 1 if i == 3 else 2]
        sound = [0.5 * np.sin(2 * np.pi * f * time_) for f in pitches]
        soundfile.write(folder / f"{i}.wav", np.stack(sound, 1), RATE)
    return folder


def options(data, output, **changes):
    return TrainingOptions(
        **{
            "data": data,
            "output": output,
            "architecture": "progressive_wavegan",
            "model": {"dim": 4, "latent_dim": 3},
            "discriminator_steps": 1,
            "precision": "float32",
            "num_previews": 1,
            **changes,
        }
    )


def stages(*blocks, **changes):
    return StageOptions(
        **{
            "stages": blocks,
            "frozen_steps": 1,
            "steps": 2,
            "batch_sizes": 2,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def trained(sounds, tmp_path_factory):
    run = tmp_path_factory.mktemp("stages") / "run"
    result = run_stages(options(sounds, run), stages(1, 2), quiet=True)
    assert result.folder == run / "stage_2" and result.step == 2
    return run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": (4, 6)}, "rise by one"),
        ({"stages": (4, 4)}, "rise by one"),
        ({"stages": (5, 4)}, "rise by one"),
        ({"stages": (0, 1)}, "rise by one"),
        ({"stages": ()}, "rise by one"),
        ({"stages": (8, 9)}, "from 1 to 8"),
        ({"steps": (1, 2, 3)}, "one for each of the 2"),
        ({"batch_sizes": (4, 0)}, "1 or more"),
        ({"frozen_steps": -1}, "0 or more"),
    ],
)
def test_stages_that_cannot_be_are_refused(changes, message):
    asked = stages(1, 2, **changes)
    with pytest.raises(ValueError, match=message):
        asked.check(8)


def test_batch_sizes_are_those_of_the_thesis_by_stage():
    asked = StageOptions(stages=(5, 6, 7, 8)).resolved(
        (128, 112, 96, 80, 64, 32, 8, 4)
    )
    assert asked.batch_sizes == [64, 32, 8, 4]
    assert asked.steps == [20_000] * 4


@pytest.mark.parametrize("given", ["4,6", "5,4", "4,4"])
def test_the_command_refuses_them_before_anything(tmp_path, sounds, given):
    result = audiogan(
        *("train", "progressive_wavegan", sounds, "-o", tmp_path / "run"),
        *("--stages", given),
    )
    assert result.exit_code != 0 and "rise by one" in result.output
    assert not (tmp_path / "run").exists()


def test_lists_need_stages(tmp_path, sounds):
    for flags in (("--steps", "1,2"), ("--frozen-steps", "3")):
        result = audiogan(
            *("train", "wavegan", sounds, "-o", tmp_path / "run", *flags)
        )
        assert result.exit_code != 0 and "--stages" in result.output


def test_dry_run_shows_every_part(tmp_path, sounds):
    result = audiogan(
        *("train", "progressive_wavegan", sounds, "-o", tmp_path / "run"),
        *("--stages", "1,2", "--frozen-steps", "3", "--steps", "5,6"),
        *("--dim", "4", "--precision", "float32", "-n"),
        *("--hold-out", 0),
    )
    assert result.exit_code == 0, result.output
    assert "stereo (3), mono (1), converted to stereo" in result.output
    rows = result.output.split("begins with\n")[1].split("\n")
    words = [row.split() for row in rows if row]
    assert [row[0] for row in words] == ["stage_1", "stage_2_frozen", "stage_2"]
    assert [row[-1] for row in words] == [
        "nothing",
        "stage_1",
        "stage_2_frozen",
    ]
    assert [row[4:6] for row in words] == [["128", "5"], ["112", "3"]] + [
        ["112", "6"]
    ]
    assert all(row[-2] == "GB" for row in words)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_each_part_begins_with_the_one_before(trained):
    first = state(trained / "stage_1", 2)
    frozen = state(trained / "stage_2_frozen", 1)
    whole = state(trained / "stage_2", 2)
    carried = [
        name
        for name in first
        if name.startswith("model/") and "_audio" not in name
    ]
    assert len(carried) == 2 * 4 + 4
    for name in carried:  # Of the frozen part nothing old has moved.
        assert frozen[name].tobytes() == first[name].tobytes(), name
        if not name.endswith("output/bias"):  # It cancels out of the loss.
            assert not np.array_equal(frozen[name], whole[name]), name
    slots = [name for name in frozen if "momentum" in name]
    assert sorted(name.split("generator_")[-1] for name in slots)[-2:] == [
        "upconv_1_bias_momentum",
        "upconv_1_kernel_momentum",
    ]
    assert len(slots) == 8
    # The first and only step of the frozen part began with new 1 x 1 ones.
    name = "model/generator/to_audio/kernel"
    assert not np.array_equal(first[name], frozen[name])
    known = json.loads((trained / "stages.json").read_text())
    assert known["done"] == {"stage_1": 2, "stage_2_frozen": 1, "stage_2": 2}
    assert resolve(trained) == trained / "stage_2" / "preset"


@pytest.mark.slow
def test_a_killed_stage_ends_as_if_it_never_was(trained, sounds, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "keras_audiogan.cli", "train"]
    command += ["progressive_wavegan", str(sounds), "-o", str(run)]
    begin = ["--stages=1,2", "--frozen-steps=1", "--steps=2", "--dim=4"]
    begin += ["--batch-size=2", "--set=latent_dim=3", "--num-previews=1"]
    begin += ["--discriminator-steps=1", "--precision=float32"]
    process = subprocess.Popen(
        command + begin, env={**os.environ, "KERAS_BACKEND": "tensorflow"}
    )
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not (run / "stage_2_frozen" / "options.json").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Options may be left out.
    result = run_stages(
        TrainingOptions(data=sounds, output=run, resume=True),
        StageOptions(),
        quiet=True,
    )
    assert result.step == 2
    for part, step in (("stage_1", 2), ("stage_2_frozen", 1), ("stage_2", 2)):
        assert_same_bits(state(run / part, step), state(trained / part, step))


@pytest.mark.slow
def test_a_run_goes_on_to_the_next_stage(trained, sounds, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    resumed = options(sounds, run, resume=True)
    for asked, message in (
        (stages(4), "the first of them at most 3"),
        (stages(1, 2, frozen_steps=5), "started with, 1"),
        (stages(1, 2, steps=(3, 2)), "Stage 1 is done"),
    ):
        with pytest.raises(ValueError, match=message):
            run_stages(resumed, asked, quiet=True)
    with pytest.raises(ValueError, match="is not empty"):
        run_stages(options(sounds, run), stages(1, 2), quiet=True)
    # Torn: the stage before is neither believed nor touched.
    torn = run / "stage_2" / "checkpoints" / "step_00000002"
    file = torn / "state.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="no sound checkpoint"):
        run_stages(resumed, stages(3), quiet=True)
    assert not (run / "stage_3_frozen").exists()
    file.write_bytes(whole)
    result = run_stages(resumed, stages(3), quiet=True)
    assert result.folder == run / "stage_3" and result.step == 2
    known = json.loads((run / "stages.json").read_text())
    assert (known["stages"], known["steps"]) == ([1, 2, 3], [2, 2, 2])
    assert_same_bits(state(run / "stage_2", 2), state(trained / "stage_2", 2))


@pytest.mark.slow
def test_stages_of_other_widths_or_none_are_refused(trained, tmp_path):
    from keras_audiogan.models import ProgressiveWaveGAN

    for arguments in ({"dim": 8, "latent_dim": 3}, {"dim": 4}):
        gan = ProgressiveWaveGAN(num_blocks=2, num_channels=2, **arguments)
        with pytest.raises(ValueError, match="of the same widths"):
            carry_stage(gan, trained / "stage_1")
    with pytest.raises(ValueError, match="holds no whole run"):
        carry_stage(gan, tmp_path / "stage_1")
    small = ProgressiveWaveGAN(
        num_blocks=1, num_channels=2, dim=4, latent_dim=3
    )
    with pytest.raises(ValueError, match="from fewer blocks to more"):
        carry_stage(small, trained / "stage_2")


def test_a_batch_that_memory_cannot_hold_is_refused(sounds, tmp_path):
    huge = options(sounds, tmp_path / "run", batch_size=10**9, steps=1)
    huge = TrainingOptions(
        **{**vars(huge), "model": {"num_blocks": 3, "dim": 4}}
    )
    with pytest.raises(ValueError, match=r"the largest that fits is \d{4,}"):
        run_training(huge, quiet=True)
    assert not (tmp_path / "run").exists()


def test_joined_files_are_cut_as_one():
    # 5 + 3 + 8 samples in slices of 4: the second goes on into file 1.
    plan = plan_slices(np.array([5, 3, 8]), 4, "join")
    assert plan.files.tolist() == [0, 0, 2, 2]
    assert plan.starts.tolist() == [0, 4, 0, 4]
    # 17 samples in slices of 10, and again from sample 1 on.
    plan = plan_slices(np.array([5, 3, 9]), 10, "join", offset_augmentation=1)
    assert plan.files.tolist() == [0, 0, 2, 2]
    assert plan.starts.tolist() == [0, 1, 2, 3]
    assert plan.num_padded == 0


def test_joined_files_are_read_as_one(sounds):
    data = AudioDataset(sounds, 3000, mode="join", level="keep", trim="off")
    joined = np.concatenate([batch["audio"] for batch in data.clips()])
    joined = joined.reshape(-1, 2)
    files = [
        soundfile.read(sounds / f"{i}.wav", always_2d=True)[0] for i in range(4)
    ]
    files[3] = np.repeat(files[3], 2, axis=1)
    expected = np.concatenate(files)
    assert len(joined) == 11 * 3000
    np.testing.assert_allclose(joined[: len(expected)], expected, atol=1e-6)
    assert not joined[len(expected) :].any()
    assert "all files are joined" in data.report()
    with pytest.raises(ValueError, match="no random place"):
        AudioDataset(sounds, 3000, mode="join", random_offset=True)


def test_a_bad_file_among_joined_ones_is_silent_and_counted(sounds, tmp_path):
    folder = shutil.copytree(sounds, tmp_path / "sounds")
    data = AudioDataset(folder, 12000, mode="join", level="keep", trim="off")
    (folder / "1.wav").write_bytes(b"no sound")
    first = next(data.clips(1))["audio"][0]
    assert first[:8000].any() and not first[8000:].any()
    assert [entry.path for entry in data.folder.skipped] == [
        str(folder / "1.wav")
    ]
