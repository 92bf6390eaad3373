import io
import json
import math
import signal

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from keras_audiogan.models import WaveGAN
from keras_audiogan.runs.alarms import ADVICE, Alarms, diversity
from keras_audiogan.runs.callbacks import (
    Checkpoints,
    Previews,
    StepCallback,
    in_a_row,
    resumed_at,
)
from keras_audiogan.runs.checkpoints import NonFiniteWeightsError
from keras_audiogan.runs.interrupts import StopOnSignal
from keras_audiogan.runs.progress import Progress
from keras_audiogan.runs.run_log import EventLog, RunLog, read_log
from keras_audiogan.runs.step_log import (
    Means,
    decibels,
    describe,
    spoken_time,
)

GOOD = {
    "adv/discriminator": 0.6,
    "adv/generator": 0.7,
    "level/fake": 0.1,
    "level/real": 0.1,
    "score/real": 1.0,
    "score/fake": 0.5,
    "skipped": 0.0,
}


@pytest.fixture(scope="module")
def gan():
    return WaveGAN(slice_length=64, dim=1, discriminators=["waveform"])


@pytest.fixture
def relativistic(gan):
    gan.compile(loss="relativistic")
    return gan


@pytest.fixture
def wasserstein(gan):
    gan.compile(loss="wgan-gp")
    return gan


class _Steps:
    """Shows callbacks the logs of a run that is written by hand."""

    def __init__(self, model, *callbacks):
        self.callbacks = callbacks
        self._batch = 0
        for callback in callbacks:
            callback.set_model(model)
            callback.on_train_begin()
            callback.on_epoch_begin(0)

    def show(self, count=1, **changes):
        logs = {**GOOD, **{k.replace("_", "/"): v for k, v in changes.items()}}
        for _ in range(count):
            for callback in self.callbacks:
                callback.on_train_batch_end(self._batch, logs)
            self._batch += 1

    def end(self):
        for callback in self.callbacks:
            callback.on_train_end()


def _alarms(**options):
    raised = []
    alarms = Alarms(
        report=lambda name, advice: raised.append((name, advice)),
        **{"patience": 3, "warmup": 2, "collapse_warmup": 2, **options},
    )
    return alarms, raised


def test_silent_slices_of_the_data_raise_an_alarm(relativistic):
    clips = np.full((16, 256, 1), 0.1, "float32")
    clips[:3] = 0.0  # So many of sixteen may be.
    alarms, raised = _alarms(real_clips=clips)
    steps = _Steps(relativistic, alarms)
    steps.show(2, level_real=0.0009)
    steps.show(2)
    assert raised == []
    # Too quiet for as long as `patience`: below -60 dBFS.
    steps.show(3, level_real=0.0009, level_fake=0.1)
    assert [name for name, _ in raised] == ["silent_data"]
    clips[7] = 0.0009  # Just below -60 dBFS.
    alarms, raised = _alarms(real_clips=clips)
    _Steps(relativistic, alarms).show(5)
    ((name, advice),) = raised
    assert name == "silent_data" and "--trim" in advice
    assert alarms.counts == {"silent_data": 1}


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("silence", {"level_fake": 0.013}),
        ("discriminator_won", {"adv_discriminator": 0.019}),
        ("discriminator_lost", {"score_real": 0.5}),
    ],
)
def test_alarms_are_raised_once_until_cleared(relativistic, name, bad):
    alarms, raised = _alarms()
    steps = _Steps(relativistic, alarms)
    steps.show(2, **bad)  # too early to say
    steps.show(2, **bad)
    steps.show(1)
    steps.show(2, **bad)
    assert raised == []
    steps.show(1, **bad)
    assert raised == [(name, ADVICE[name])]
    assert alarms.active == {name}
    steps.show(10, **bad)
    # It was not gone for long enough to be raised again.
    steps.show(2)
    steps.show(10, **bad)
    assert alarms.counts == {name: 1} and len(raised) == 1
    steps.show(3)
    assert alarms.active == set()
    steps.show(3, **bad)
    assert alarms.counts == {name: 2} and len(raised) == 2


def test_nothing_is_raised_where_nothing_is_wrong(relativistic):
    alarms, raised = _alarms()
    steps = _Steps(relativistic, alarms)
    steps.show(20)
    # 17 dB below the real sound is a factor of 0.1413.
    steps.show(20, level_fake=0.0142)
    steps.show(20, adv_discriminator=0.021)
    assert raised == [] and not alarms.counts


@pytest.mark.parametrize("kind", ["skipped", "not a number"])
def test_alarm_of_updates_that_are_not_finite(relativistic, kind):
    alarms, raised = _alarms()
    steps = _Steps(relativistic, alarms)
    steps.show()
    for trouble in range(1, 5):
        if kind == "skipped":
            steps.show(1, skipped=float(trouble))
            steps.show(9, skipped=float(trouble))
        else:
            steps.show(1, adv_generator=math.nan)
            steps.show(9)
    assert raised == []
    last = {"skipped": 5.0} if kind == "skipped" else {}
    steps.show(1, **(last or {"adv_generator": math.inf}))
    assert raised == [("non_finite", ADVICE["non_finite"])]
    steps.show(60, **last)
    assert alarms.active == {"non_finite"}
    # Out of sight after 100 steps, gone after 100 more.
    steps.show(160, **last)
    assert alarms.active == set()
    assert alarms.counts == {"non_finite": 1}


def test_skips_before_a_resumption_are_not_counted_again(relativistic):
    alarms, raised = _alarms()
    _Steps(relativistic, alarms).show(200, skipped=50.0)
    assert raised == []


def test_alarm_of_a_wasserstein_distance_that_runs_away(wasserstein):
    alarms, raised = _alarms()
    steps = _Steps(wasserstein, alarms)
    # The smoothed distance is 2 throughout, and so is its median.
    steps.show(1200, adv_discriminator=-2.0)
    steps.show(30, adv_discriminator=-20.0)
    assert raised == []
    # 2 + 18 (1 - 0.98^n) never reaches 16 with n = 70, and does with 75.
    steps.show(40, adv_discriminator=-20.0)
    assert raised == []
    steps.show(8, adv_discriminator=-20.0)
    assert [name for name, _ in raised] == ["discriminator_won"]


def _tones(frequencies, rate=16000, length=1024):
    time = np.arange(length) / rate
    waves = [np.sin(2 * np.pi * f * time) for f in frequencies]
    return np.stack(waves).astype("float32")[..., None]


def test_alarm_of_a_collapse(relativistic):
    previews = Previews(None, every=None)
    real = _tones(np.linspace(200, 6000, 8))
    alarms, raised = _alarms(previews=previews, real_clips=real)
    steps = _Steps(relativistic, alarms)
    same = np.repeat(real[:1], 8, axis=0)

    def show(audio, step):
        previews.audio, previews.audio_step = audio, step
        # One preview is looked at once, however long it stands there.
        steps.show(5)

    show(same, 1)
    assert raised == []
    show(real, 2)
    show(same, 3)
    assert raised == []
    show(same, 4)
    assert raised == [("collapse", ADVICE["collapse"])]
    show(same, 5)
    assert alarms.counts == {"collapse": 1}
    show(real, 6)
    assert alarms.active == {"collapse"}
    show(real, 7)
    assert alarms.active == set()


def _noise(count, seed, length=4096):
    random = np.random.default_rng(seed)
    return random.uniform(-0.9, 0.9, (count, length, 1)).astype("float32")


def test_alarms_of_what_a_network_adds_to_the_sound():
    gan = WaveGAN(slice_length=4096, dim=1, discriminators=["waveform"])
    gan.compile(loss="relativistic")
    assert gan.stage_steps == [4, 16, 64, 256]
    real = _noise(16, 0)
    pattern = 1 + 0.5 * np.cos(2 * np.pi * np.arange(4096) / 64)[:, None]
    faults = {
        "comb": _noise(8, 1) * pattern / 1.5,
        "dc_offset": _noise(8, 2) * 0.9 + 0.05,
        # Squares less their mean: 0.63 more of the energy is positive.
        "one_sidedness": 0.36
        * (np.random.default_rng(3).normal(size=(8, 4096, 1)) ** 2 - 1),
        "repeats": np.repeat(_noise(2, 4), 4, axis=0),
    }
    for name, faulty in faults.items():
        previews = Previews(None, every=None)
        alarms, raised = _alarms(previews=previews, real_clips=real)
        shown = _Steps(gan, alarms)
        for step, audio in enumerate((_noise(8, 5), faulty, faulty, faulty)):
            assert raised == [] or step == 3
            previews.audio, previews.audio_step = audio, step
            shown.show(3)
        assert raised == [(name, ADVICE[name])]


@pytest.mark.parametrize(
    ("name", "key", "most"),
    [
        ("comb", "comb_difference", 6.0),
        ("dc_offset", "dc_offset_difference", 0.02),
        ("one_sidedness", "one_sidedness_difference", 0.4),
        ("repeats", "repeated", 0.3),
    ],
)
def test_alarms_of_an_evaluation(relativistic, name, key, most):
    previews = Previews(None, every=None)
    alarms, raised = _alarms(previews=previews, real_clips=_noise(16, 0))
    steps = _Steps(relativistic, alarms)
    for figure, count in ((1.1, 0), (0.9, 0), (1.1, 0), (1.1, 1), (1.1, 1)):
        steps.show(3)
        alarms.look_at_figures({key: figure * most, "recall": 0.0})
        assert raised == [(name, ADVICE[name])] * count
    # What a few clips say counts no more.
    previews.audio = np.repeat(_noise(1, 1) + 0.1, 8, axis=0)
    for previews.audio_step in (1, 2, 3):
        steps.show(3)
    assert alarms.counts.keys() <= {name, "collapse"}


def test_a_single_preview_says_nothing_of_a_collapse(relativistic):
    previews = Previews(None, every=None, num_samples=1)
    real = _tones(np.linspace(200, 6000, 8))
    alarms, raised = _alarms(previews=previews, real_clips=real)
    steps = _Steps(relativistic, alarms)
    for step in range(1, 6):
        previews.audio, previews.audio_step = real[:1], step
        steps.show(5)
    assert raised == [] and not alarms.counts


def test_diversity():
    tones = _tones([500.0, 3000.0])
    same = diversity(np.concatenate([tones[:1]] * 3), 16000)
    assert same == pytest.approx(0.0, abs=0.05)
    # How loud a clip is does not count.
    louder = np.concatenate([tones[:1], 0.1 * tones[:1]])
    assert diversity(louder, 16000) == pytest.approx(0.0, abs=0.05)
    assert 5.0 < diversity(tones, 16000) < 60.0
    with pytest.raises(ValueError, match="two clips or more"):
        diversity(tones[:1], 16000)


def test_steps_are_counted_over_epochs_and_resumptions(gan):
    class Due(StepCallback):
        def __init__(self):
            super().__init__()
            self.steps = []

        def on_step(self, numbers):
            if self.due(4):
                self.steps.append(self.step)

    due = Due()
    assert resumed_at(6, [due]) == [due]
    for epoch in range(2):
        due.on_epoch_begin(epoch)
        for batch in range(5):
            due.on_train_batch_end(batch)
    assert due.step == 16
    assert due.steps == [8, 12, 16]
    # Keras may run several steps between two calls.
    due.on_epoch_begin(2)
    due.on_train_batch_end(4)
    assert due.step == 21 and due.steps[-1] == 21


def test_clips_in_a_row():
    clips = np.ones((3, 4, 2), "float32")
    clips[1, 0] = np.nan
    row = in_a_row(clips, 8, pause=0.25)
    expected = [1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(row[:, 0], expected)
    assert row.shape == (16, 2)


def test_means():
    means = Means()
    means.add({"a": 1.0, "skipped": 1.0})
    means.add({"a": 2.0, "skipped": 4.0})
    assert means.take() == {"a": 1.5, "skipped": 4.0}
    means.add({"a": 5.0})
    assert means.take() == {"a": 5.0}
    assert means.take() == {}


@pytest.mark.parametrize(
    ("ratio", "level"), [(1.0, 0.0), (0.1, -20.0), (10.0, 20.0), (0.0, -120.0)]
)
def test_decibels(ratio, level):
    assert decibels(ratio) == pytest.approx(level)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (60.0, "1 min"),
        (3569.0, "59 min"),
        (3571.0, "1 h 0 min"),
        (5640.0, "1 h 34 min"),
        (47.5 * 3600, "47 h 30 min"),
        (50 * 3600, "2 d 2 h"),
    ],
)
def test_spoken_time(seconds, text):
    assert spoken_time(seconds) == text


def test_description_of_a_step(relativistic):
    text = describe(relativistic, {**GOOD, "skipped": 2.0})
    assert text == (
        "discriminator 0.6 (0.69 is lost), generator 0.7, "
        "level -20 dB (real -20 dB), 2 updates skipped"
    )
    relativistic.compile(loss="wgan-gp")
    text = describe(relativistic, {"adv/discriminator": -3.21})
    assert text == "distance 3.21"


def test_progress_in_plain_lines(relativistic):
    stream = io.StringIO()
    progress = Progress(10, every=5, stream=stream)
    steps = _Steps(relativistic, *resumed_at(2, [progress]))
    steps.show(3, adv_generator=0.25)
    progress.say("Something [happened]")
    steps.show(5, adv_generator=0.75)
    steps.end()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("step 5 of 10, ")
    assert "steps/s, 0 s left, discriminator 0.6" in lines[0]
    assert "generator 0.25" in lines[0]
    assert lines[1] == "Something [happened]"
    assert lines[2].startswith("step 10 of 10, ")
    assert "generator 0.75" in lines[2]


def test_quiet_progress_says_only_what_it_is_told(relativistic):
    stream = io.StringIO()
    progress = Progress(3, every=1, stream=stream, quiet=True)
    steps = _Steps(relativistic, progress)
    steps.show(3)
    progress.say("Alarm")
    steps.end()
    assert stream.getvalue() == "Alarm\n"


def test_log_drops_what_came_after_the_resumed_step(relativistic, tmp_path):
    log = RunLog(tmp_path, every=2)
    steps = _Steps(relativistic, log)
    steps.show(4)
    log.event("silence", "It is silent.")
    steps.show(2)
    # Killed in the middle of a line, without a proper end.
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 6, "adv/gen')
    log.close()
    assert [entry["step"] for entry in read_log(tmp_path)] == [2, 4, 4, 6]
    log = RunLog(tmp_path, every=2)
    steps = _Steps(relativistic, *resumed_at(4, [log]))
    entries = read_log(tmp_path / "log.jsonl")
    assert [entry["step"] for entry in entries] == [2, 4, 4]
    assert entries[-1]["event"] == "silence"
    steps.show(1, adv_generator=1.0)
    steps.show(1, adv_generator=2.0, level_real=math.inf)
    steps.end()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert len(lines) == 4 and last["step"] == 6
    assert last["adv/generator"] == 1.5
    assert last["level/real"] is None
    events = _events(tmp_path / "tensorboard")
    scalars = events.Scalars("adv/generator")
    assert [event.step for event in scalars] == [2, 4, 6]
    assert scalars[-1].value == 1.5


def _events(folder):
    events = EventAccumulator(
        str(folder), size_guidance={"audio": 0, "images": 0, "tensors": 0}
    )
    events.Reload()
    return events


def test_tensorboard_reads_the_events(tmp_path):
    log = EventLog(tmp_path)
    log.scalars(3, {"loss": 0.5})
    clips = np.zeros((2, 100, 1), "float32")
    clips[1, 0] = np.nan
    log.sounds(4, "previews", clips, 8000)
    picture = tmp_path / "picture.png"
    header = b"\x89PNG\r\n\x1a\n" + bytes(8)
    picture.write_bytes(header + bytes([0, 0, 1, 2, 0, 0, 0, 3]))
    log.picture(5, "previews", picture)
    log.text(6, "events/silence", "It is silent.")
    log.close()
    events = _events(tmp_path)
    (scalar,) = events.Scalars("loss")
    assert (scalar.step, scalar.value) == (3, 0.5)
    (sound,) = events.Audio("previews/1")
    assert sound.step == 4
    assert sound.sample_rate == 8000 and sound.length_frames == 100
    assert sound.encoded_audio_string.startswith(b"RIFF")
    (image,) = events.Images("previews")
    assert (image.step, image.width, image.height) == (5, 258, 3)
    (text,) = events.Tensors("events/silence")
    assert text.tensor_proto.string_val == [b"It is silent."]


def test_previews_are_shown_in_tensorboard(relativistic, tmp_path):
    previews = Previews(tmp_path / "previews", every=2, num_samples=2, seed=1)
    log = RunLog(tmp_path, previews=previews)
    steps = _Steps(relativistic, previews, log)
    steps.show(3)
    np.testing.assert_array_equal(
        previews.audio, relativistic.sample(2, seed=1)
    )
    assert previews.audio_step == 2
    steps.end()
    assert previews.path == tmp_path / "previews" / "step_00000003.png"
    events = _events(tmp_path / "tensorboard")
    assert [e.step for e in events.Audio("previews/0")] == [2, 3]
    assert [e.step for e in events.Images("previews")] == [2, 3]


class _Spoil(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            bias = self.model.ema_generator.dense.bias
            bias.assign(np.full(bias.shape, np.nan, "float32"))


def test_spoilt_weights_end_a_training_and_spare_what_was_saved(tmp_path):
    gan = WaveGAN(slice_length=64, dim=1, discriminators=["waveform"])
    gan.compile(loss="relativistic")
    saved = []
    checkpoints = Checkpoints(
        tmp_path, every=1, keep=1, on_save=lambda step, path: saved.append(step)
    )
    previews = Previews(tmp_path / "previews", every=1, num_samples=2)
    with pytest.raises(
        NonFiniteWeightsError,
        match=r"At step 3 .* step 2 .*lower learning rate.* ema_gen\S+/dense/b",
    ):
        gan.fit(
            np.zeros((8, 64, 1), "float32"),
            batch_size=2,
            verbose=0,
            callbacks=[_Spoil(), previews, checkpoints],
        )
    assert saved == [1, 2]
    assert checkpoints.checkpoints.steps() == [2]
    assert checkpoints.restore(gan) == 2
    assert np.isfinite(gan.sample(2, seed=0)).all()


def test_spoilt_weights_without_a_checkpoint(gan, tmp_path):
    gan.compile(loss="relativistic")
    before = gan.get_weights()
    bias = gan.generator.dense.bias
    bias.assign(np.full(bias.shape, np.inf, "float32"))
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.set_model(gan)
    with pytest.raises(NonFiniteWeightsError, match="no earlier checkpoint"):
        checkpoints.save()
    gan.set_weights(before)
    assert not any(tmp_path.rglob("*"))


def test_a_second_signal_acts_at_once(relativistic):
    said = []
    stop = StopOnSignal(said.append)
    stop.set_model(relativistic)
    stop.on_train_begin()
    relativistic.stop_training = False
    try:
        stop.on_train_batch_end(0)
        assert not relativistic.stop_training
        signal.raise_signal(signal.SIGINT)
        stop.on_train_batch_end(1)
        assert relativistic.stop_training
        assert stop.signal == signal.SIGINT
        assert len(said) == 1 and "once more stops at once" in said[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        stop.restore()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
