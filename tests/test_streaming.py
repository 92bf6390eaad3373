"""Streams, batches of unequal lengths, and many callers at once."""

import concurrent.futures
import math

import architecture_cases as cases
import keras
import numpy as np
import pytest

from keras_audiogan.saving import read_config
from keras_audiogan.serving.reach import known_reach
from keras_audiogan.training import distribution
from keras_audiogan.zoo import list_presets, resolve

FORMS = {
    **{name: (name, {}) for name in cases.vocoder_architectures()},
    **cases.VOCODER_VARIANTS,
    "hifigan, causal, blocks of type 1": ("hifigan", {"causal": True}),
    "melgan, causal": ("melgan", {"causal": True}),
    "multiband_melgan, causal": ("multiband_melgan", {"causal": True}),
    "melgan, zeros": ("melgan", {"padding": "zeros"}),
    "melgan, of the past alone, phases corrected": (
        "melgan",
        {"causal": True, "phase_iterations": 3},
    ),
    "multiband_melgan, phases corrected": (
        "multiband_melgan",
        {"phase_iterations": 2},
    ),
    "vocos, same": (
        "vocos",
        {
            "head_padding": "same",
            "mel": {**cases.TINY["mel"], "padding": "same"},
        },
    ),
}
every_form = pytest.mark.parametrize("form", sorted(FORMS))
BINS = 8


@pytest.fixture(scope="module")
def vocoders():
    """Form -> a tiny vocoder, built once."""
    built = {}

    def get(form):
        if form not in built:
            name, options = FORMS[form]
            keras.utils.set_random_seed(1)
            built[form] = cases.build(name, **options)
            # Of graphs there are tests of their own.
            built[form].run_eagerly = keras.backend.backend() == "tensorflow"
        return built[form]

    return get


def mels(frames, seed=0):
    rng = np.random.default_rng(seed)
    # Within the range of all of these front ends.
    return rng.uniform(-4.9, -3.6, (frames, BINS)).astype("float32")


def whole(model, mel, seed=0):
    parts = model.vocode_parts(mel, seed, chunk_frames=10_000)
    return np.concatenate(list(parts), axis=1)[0]


def measured(model, frames, place):
    """First and last sample that changes with a frame."""
    changed = np.zeros(frames * model.features.frame_step, bool)
    for seed in range(3):
        mel = mels(frames, seed)
        other = mel.copy()
        other[place] = mel[place] + 3.0 * (-1.0) ** np.arange(BINS)
        changed |= (whole(model, mel) != whole(model, other))[:, 0]
    (places,) = np.nonzero(changed)
    return places[0], places[-1]


@every_form
def test_the_reach_is_what_perturbed_frames_show(vocoders, form):
    model = vocoders(form)
    reach, hop = model.reach, model.features.frame_step
    assert known_reach(model.architecture, model.get_config()) == reach
    place = model.context_frames + 3
    first, last = measured(model, 2 * place + 2, place)
    # What comes through the last tap of every layer may be lost in rounding,
    # as are the ends of a filter bank.
    most, frames = (hop if "multiband" in form else hop // 4), 1
    if form.startswith("bigvgan"):
        # The last taps of its filters are thousandths, twice in each block.
        most, frames = 2 * hop, 2
    if "phases" in form:
        # Windows fall to nothing at both ends.
        most, frames = 2 * model.features.fft_length, 6
    assert 0 <= reach.look_ahead - (place * hop - first) <= most
    assert 0 <= reach.look_back - (last // hop - place) <= frames
    # The start depends on no later frame than the reach says.
    at = reach.first_frames
    early, _ = measured(model, at + place, at)
    assert early >= reach.ready(at, hop)
    causal = model.causal and not any(x in form for x in ("multi", "phases"))
    assert (reach.look_ahead == 0) == causal


@every_form
def test_a_stream_is_the_whole(vocoders, form):
    model = vocoders(form)
    hop = model.features.frame_step
    frames = 2 * model.context_frames + 9
    mel = mels(frames)
    wanted = whole(model, mel, seed=5)
    assert wanted.std() > 1e-5
    stream = model.stream(seed=5)
    sound, at = [], 0
    for size in (1, 2, 0, 1, 5, 3, 1, 1, frames):
        sound.append(stream.push(mel[at : at + size]))
        at = min(frames, at + size)
        # As early as the network allows.
        out = sum(map(len, sound))
        assert out == model.reach.ready(at, hop) == stream.num_samples
    sound.append(stream.finish())
    np.testing.assert_allclose(np.concatenate(sound), wanted, atol=1e-5)
    assert stream.latency == stream.look_ahead / model.sampling_rate


def test_one_frame_at_a_time(vocoders):
    model = vocoders("hifigan")
    mel = mels(40)
    with model.stream() as stream:
        sound = [stream.push(frame) for frame in mel]
        sound.append(stream.finish())
    np.testing.assert_allclose(
        np.concatenate(sound), whole(model, mel), atol=1e-5
    )
    # What can no longer be heard is not kept.
    reach = model.reach
    ahead = math.ceil(reach.look_ahead / model.features.frame_step)
    assert len(stream._kept) <= reach.look_back + ahead + 2


@pytest.mark.parametrize("form", sorted(n for n in FORMS if "causal" in n))
def test_causal_networks_keep_state(vocoders, form, monkeypatch):
    model = vocoders(form)
    reach, hop = model.reach, model.features.frame_step
    if "multiband" in form:
        # Its filter bank looks ahead by half its taps, as the original's.
        assert reach.look_ahead == 31 and model._step() is None
        return
    mel = mels(reach.first_frames + 12)
    wanted = whole(model, mel, seed=2)
    # No frame goes through twice.
    monkeypatch.setattr(type(model), "run_frames", None)
    stream = model.stream(seed=2)
    sound = [stream.push(frame) for frame in mel]
    sizes = [len(part) for part in sound]
    assert sizes[reach.first_frames :] == [hop] * 12
    np.testing.assert_allclose(np.concatenate(sound), wanted, atol=1e-5)
    assert len(stream.finish()) == 0


def test_a_stream_says_what_is_wrong_and_goes_on(vocoders):
    model = vocoders("melgan")
    mel = mels(30)
    stream = model.stream()
    sound = [stream.push(mel[:20])]
    for wrong in (np.zeros((3, BINS + 1)), np.zeros((1, 3, BINS)), mel[20:].T):
        with pytest.raises(ValueError, match=r"\(frames, 8\).*it can go on"):
            stream.push(wrong)
    with pytest.raises(ValueError, match="finite numbers.*Received: 1 that"):
        stream.push([[np.nan] + [0.0] * 7])
    sound += [stream.push(mel[20:]), stream.finish()]
    np.testing.assert_allclose(
        np.concatenate(sound), whole(model, mel), atol=1e-5
    )
    for call in (stream.finish, lambda: stream.push(mel)):
        with pytest.raises(ValueError, match="closed: open another one"):
            call()
    stream.close()
    # Closed early, and empty.
    with model.stream() as early:
        early.push(mel)
    with pytest.raises(ValueError, match="frames after 30"):
        early.push(mel)
    assert model.stream().finish().shape == (0, 1)


LENGTHS = (7, 61, 13, 200, 7, 94, 150)


@pytest.mark.slow
@every_form
def test_a_list_is_its_items_alone(vocoders, form):
    model = vocoders(form)
    clips = [mels(length, length) for length in LENGTHS]
    made = model.vocode(clips, seed=3, chunk_frames=60)
    assert isinstance(made, list) and len(made) == len(clips)
    for clip, sound in zip(clips, made, strict=True):
        wanted = whole(model, clip, seed=3)
        assert sound.shape == wanted.shape
        np.testing.assert_allclose(sound, wanted, atol=1e-5)


def test_lists_of_sounds_and_of_odd_things(vocoders):
    model = vocoders("multiband_melgan")
    rng = np.random.default_rng(0)
    sounds = [
        (0.3 * rng.standard_normal(n)).astype("float32") for n in (700, 1111)
    ]
    made = model.vocode(sounds, sampling_rate=8000)
    for sound, copy in zip(sounds, made, strict=True):
        alone = model.vocode(sound, sampling_rate=8000)[0]
        assert copy.shape == (len(sound), 1)
        np.testing.assert_allclose(copy, alone, atol=1e-5)
    mel = mels(9)
    (one,) = model.vocode([mel[None]])
    np.testing.assert_allclose(one, whole(model, mel), atol=1e-5)
    with pytest.raises(ValueError, match="a batch of 2"):
        model.vocode([mel, np.stack([mel, mel])])
    with pytest.raises(ValueError, match="leave out `noise`"):
        model.vocode([mel], noise=np.zeros((1, 9 * 16, 1)))
    with pytest.raises(ValueError, match="finite"):
        model.vocode([mel, np.full((5, BINS), np.nan)])


@pytest.mark.parametrize(
    "form",
    [pytest.param("hifigan", marks=pytest.mark.slow), "parallel_wavegan"],
)
def test_a_hundred_calls_from_sixteen_threads(form):
    # A new one, whose graph the threads make as well.
    name, options = FORMS[form]
    keras.utils.set_random_seed(1)
    model = cases.build(name, **options)
    clips = [mels(7 + i % 7, i) for i in range(100)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(
            pool.map(lambda i: model.vocode([clips[i]], i)[0], range(100))
        )
    for i, clip in enumerate(clips):
        np.testing.assert_allclose(
            made[i], whole(model, clip, seed=i), atol=1e-5
        )


def test_a_new_length_is_no_new_graph():
    model = cases.build("vocos")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("others compile each length, or nothing")
    assert distribution.has_free_shapes(model)
    model.vocode(mels(6))
    graph = model.__dict__["_any_length"]
    traced = []
    inner = model.ema_generator.call
    model.ema_generator.call = lambda *a, **k: (
        traced.append(1) or inner(*a, **k)
    )
    for length in (7, 31, 64):
        model.vocode(mels(length))
    del model.ema_generator.call
    assert not traced and model.__dict__["_any_length"] is graph


def test_lengths_that_are_compiled_are_few(vocoders, monkeypatch):
    model = vocoders("hifigan")
    monkeypatch.setattr(type(model), "compiles_lengths", True)
    context = model.context_frames
    widths = {model._width(n, 512) for n in range(4 * context, 512)}
    assert len(widths) < 12 and min(widths) > 3 * context
    assert model._width(3 * context, 512) == 3 * context
    mel = mels(5 * context)
    np.testing.assert_allclose(
        model.vocode([mel])[0], whole(model, mel), atol=1e-5
    )


def test_every_bundled_vocoder_states_its_reach():
    found = {}
    for name in list_presets():
        config = read_config(resolve(name))
        if config["task"] == "vocode":
            found[name] = known_reach(config["architecture"], config["config"])
    assert len(found) >= 5 and all(found.values())
    # By hand: 8 blocks and the first layer of 7 taps, 3 frames each, and
    # half of what a window of 1,024 is longer than a hop.
    wanted = 9 * 3 * 256 + 384
    # 32 corrections of phases, and the frames that they begin with, look
    # three frames further each.
    wanted += (32 + 1) * 3 * 256
    assert found["vocos_speech"].look_ahead == wanted
