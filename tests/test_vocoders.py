"""The vocoders: from mels to sound, in chunks, in presets, in training."""

import architecture_cases as cases
import keras
import numpy as np
import pytest

import keras_audiogan
from keras_audiogan.audio import fit_to_mel
from keras_audiogan.models import HiFiGAN, MelGAN, MultiBandMelGAN
from keras_audiogan.serving.vocoding import Vocoding

FORMS = {
    **{name: (name, {}) for name in cases.vocoder_architectures()},
    **cases.VOCODER_VARIANTS,
}
every_vocoder = pytest.mark.parametrize("name", cases.vocoder_architectures())
every_form = pytest.mark.parametrize("form", sorted(FORMS))


@pytest.fixture(scope="module")
def vocoders():
    """Form -> a tiny vocoder, built once."""
    built = {}

    def get(form):
        if form not in built:
            name, options = FORMS[form]
            keras.utils.set_random_seed(1)
            built[form] = cases.build(name, **options)
            # One graph for each shape would take longer than all the rest.
            built[form].run_eagerly = keras.backend.backend() == "tensorflow"
        return built[form]

    return get


@pytest.mark.slow
@pytest.mark.backends
@every_vocoder
def test_a_vocoder_trains_a_step(name):
    keras.utils.set_random_seed(1)
    model = cases.build(name)
    # A graph of one step takes TensorFlow longer than the step. Of Vocos's
    # whole step XLA's lowest level, at which the tests compile (conftest.py),
    # makes gradients that are not finite; its usual level does not.
    eager = keras.backend.backend() == "tensorflow" or (
        keras.backend.backend() == "jax" and name == "vocos"
    )
    model.compile(discriminator_start=0, seed=0, run_eagerly=eager)
    before = [np.array(w) for w in model.weights]
    batch = {"audio": cases.make_vocoder_batch(model, 3)["audio"]}
    logs = model.fit(batch, batch_size=3, verbose=0).history
    assert all(np.isfinite(v).all() for v in logs.values()), logs
    assert logs["skipped"] == [0.0]
    assert {"adv/generator", "adv/discriminator", "level/fake"} <= set(logs)
    still = {
        weight.path
        for old, weight in zip(before, model.weights, strict=True)
        if np.array_equal(old, np.array(weight))
    }
    # Within the hinge's margin the biases of the two sides cancel out; the
    # last block of a WaveNet hands nothing on; one number has no direction.
    known = ("bias", "seed_generator", "block_3_out", "conv_in/direction")
    assert all(any(each in path for each in known) for path in still), still


@pytest.mark.slow
@pytest.mark.backends
@every_form
def test_chunks_make_the_sound_of_the_whole(vocoders, form):
    model = vocoders(form)
    frames = 5 * model.context_frames + 3
    mel = cases.make_mels(model, 2, frames)
    whole = model.vocode(mel, seed=1, chunk_frames=10_000)
    assert whole.shape == (2, frames * model.features.frame_step, 1)
    assert whole.std() > 1e-5
    for chunk in (7, frames - 1):
        parts = list(model.vocode_parts(mel, seed=1, chunk_frames=chunk))
        # The first and the last have but one side to look beyond. JAX, which
        # compiles each length, takes two windows of one that it knows.
        inner = frames - 2 * model.context_frames
        few = 2 if model.compiles_lengths else 1
        assert len(parts) == -(-inner // chunk) or len(parts) <= few
        np.testing.assert_allclose(
            np.concatenate(parts, axis=1), whole, atol=1e-6
        )


@every_form
def test_no_context_is_wasted_or_missing(vocoders, form):
    """A frame reaches as far as `context_frames` says, and no further."""
    model = vocoders(form)
    context, hop = model.context_frames, model.features.frame_step
    frames = 2 * context + 5
    mel = cases.make_mels(model, 1, frames)
    other = mel.copy()
    other[:, context + 2] += 9.0
    # By parts: `vocode` would refuse such mels.
    sound, changed = (
        np.concatenate(list(model.vocode_parts(each)), axis=1)
        for each in (mel, other)
    )
    changed = np.abs(sound - changed)[0, :, 0]
    (places,) = np.nonzero(changed)
    first, last = places.min() // hop, places.max() // hop
    assert first >= (context + 2 if model.causal else 2)
    assert last <= 2 * context + 2
    assert last - first >= 1


@pytest.mark.backends
@every_form
def test_fused_weight_norm_makes_the_same_sound(vocoders, form):
    model = vocoders(form)
    fused = model.fuse_weight_norm()
    mel = cases.make_mels(model, 1, 12)
    np.testing.assert_allclose(model.vocode(mel), fused.vocode(mel), atol=2e-6)
    assert not fused.weight_norm
    if not model.weight_norm:
        return
    names = {w.path.rsplit("/")[-1] for w in fused.ema_generator.weights}
    # Snakes have weights of their own.
    assert names <= {"kernel", "bias", "alpha", "beta"}
    assert fused.ema_generator.count_params() < (
        model.ema_generator.count_params()
    )


@pytest.mark.slow
@pytest.mark.backends
@every_vocoder
def test_a_preset_brings_the_front_end_with_it(vocoders, name, tmp_path):
    rng = np.random.default_rng(0)
    mel = {
        **cases.tiny(name)["mel"],
        "mean": rng.normal(size=8).round(3).tolist(),
        "scale": rng.uniform(0.5, 2, 8).round(3).tolist(),
        "log_base": "10",
    }
    model = cases.build(name, mel=mel)
    model.save_to_preset(tmp_path / "preset", storage_dtype="float32")
    loaded = keras_audiogan.from_preset(str(tmp_path / "preset"))
    assert loaded.get_config() == model.get_config()
    audio = 0.3 * rng.standard_normal((1, 640, 1)).astype("float32")
    np.testing.assert_array_equal(loaded.mel(audio), model.mel(audio))
    again = model.vocode(audio)
    assert again.shape == audio.shape
    np.testing.assert_allclose(loaded.vocode(audio), again, atol=1e-6)
    for ours, theirs in zip(
        model.discriminator.weights, loaded.discriminator.weights, strict=True
    ):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.slow
def test_the_discriminator_enters_at_its_step():
    model = cases.build("multiband_melgan")
    model.compile(discriminator_start=2, seed=0)
    batch = {"audio": cases.make_vocoder_batch(model, 6)["audio"]}
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            judge = np.array(self.model.discriminator.trainable_variables[0])
            seen.append((judge, "adv/generator" in logs))

    start = np.array(model.discriminator.trainable_variables[0])
    model.fit(batch, batch_size=2, verbose=0, callbacks=[Watch()])
    assert [adversarial for _, adversarial in seen] == [False, False, True]
    np.testing.assert_array_equal(seen[1][0], start)
    assert np.abs(seen[2][0] - start).max() > 0


@pytest.mark.slow
def test_training_lowers_the_distance_of_spectra():
    keras.utils.set_random_seed(1)
    model = cases.build("multiband_melgan", channels=32)
    model.compile(seed=0, learning_rate=3e-3)
    time = np.arange(model.slice_length) / model.sampling_rate
    tones = [np.sin(2 * np.pi * f * time) for f in (220, 440, 660, 990)]
    audio = 0.3 * np.stack(tones)[..., None].astype("float32")
    logs = model.fit(audio, batch_size=4, epochs=25, verbose=0).history
    assert logs["rec/stft"][-1] < 0.7 * logs["rec/stft"][0]
    mel = cases.make_mels(model, 1, 60)
    np.testing.assert_allclose(
        model.vocode(mel, chunk_frames=9), model.vocode(mel), atol=1e-5
    )


def test_what_is_not_a_mel_or_a_sound_is_refused(vocoders):
    model = vocoders("melgan")
    bins = model.features.num_mel_bins
    for wrong, message in (
        (np.zeros((1, 0, bins)), "one frame or more"),
        (np.full((1, 5, bins), np.nan), "finite"),
        (np.zeros((2, 3, 4, 5)), "shape"),
        (np.full((100,), np.inf), "finite"),
        (np.zeros((1, 100, 2)), "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            model.vocode(wrong)
    with pytest.raises(ValueError, match="samples or more"):
        model.mel(np.zeros(10))
    assert not hasattr(model, "sample")
    with pytest.raises(ValueError, match="chunk_frames"):
        list(model.vocode_parts(np.zeros((1, 5, bins)), chunk_frames=0))
    # Sound shorter than a transform is filled up, and cut to its length.
    assert model.vocode(np.zeros(10)).shape == (1, 10, 1)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="upsample_rates"):
        cases.build("melgan", upsample_rates=[4, 2])
    with pytest.raises(ValueError, match="slice_length"):
        cases.build("hifigan", slice_length=2049)
    with pytest.raises(ValueError, match="one channel"):
        cases.build("hifigan", num_channels=2)
    with pytest.raises(ValueError, match="negative_slope"):
        cases.build("hifigan", negative_slope=[0.1])
    for wrong in (-1, 1001, 1.5, True):
        with pytest.raises(ValueError, match="phase_iterations"):
            cases.build("hifigan", phase_iterations=wrong)
    few = {**cases.TINY["mel"], "window_length": 24}
    with pytest.raises(ValueError, match="half their window"):
        cases.build("hifigan", mel=few, phase_iterations=1)
    with pytest.raises(ValueError, match="kind"):
        cases.build("melgan", discriminators="nothing")
    with pytest.raises(ValueError, match="takes the arguments"):
        cases.build("melgan", discriminators={"kind": "dilated", "depth": 3})
    with pytest.raises(ValueError, match="all adversarial"):
        cases.build("melgan").compile(discriminator_start=5)
    with pytest.raises(ValueError, match="The loss of a vocoder"):
        cases.build("melgan").compile("wgan-gp")
    with pytest.raises(ValueError, match="compile"):
        cases.build("melgan").fit(np.zeros((2, 2048, 1), "float32"))


@pytest.mark.backends
def test_phases_are_corrected_in_use_and_not_in_training(tmp_path):
    model = cases.build("hifigan")
    mel = cases.make_mels(model, 1, 60)
    plain = model.vocode(mel)
    model.set_phase_recovery(6)
    fitted = model.vocode(mel)
    by_hand = fit_to_mel(plain[:, :, 0], mel, model.features, 6)
    np.testing.assert_allclose(
        fitted[:, :, 0], by_hand.clip(-1.0, 1.0), atol=1e-4
    )

    def miss(sound):
        again = model.mel(sound, model.sampling_rate)
        return np.abs(again - mel)[:, 4:-4].mean()

    assert miss(fitted) < 0.5 * miss(plain)
    # The preset keeps it; weights are rounded, the network is what it was.
    model.save_to_preset(tmp_path / "preset")
    loaded = keras_audiogan.from_preset(tmp_path / "preset")
    assert loaded.get_config()["phase_iterations"] == 6
    np.testing.assert_allclose(loaded.vocode(mel), fitted, atol=5e-3)
    with pytest.raises(ValueError, match="from 0 to 1000"):
        loaded.set_phase_recovery(-1)
    loaded.set_phase_recovery(0)
    np.testing.assert_allclose(loaded.vocode(mel), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("model_class", "options", "generator", "discriminator"),
    [
        # `architectures.md` of the originals: with gains, and without.
        (MelGAN, {}, 4_266_050, 16_924_086),
        (HiFiGAN, {}, 13_936_130, 70_743_127),
        (HiFiGAN, {"channels": 128}, 928_514, None),
        (MultiBandMelGAN, {}, 2_539_448, None),
    ],
)
def test_published_sizes_have_the_published_counts(
    model_class, options, generator, discriminator
):
    from keras_audiogan.presets.model_sizes import measure_model

    sizes = measure_model(model_class, options).shapes

    def count(stem):
        return sum(int(np.prod(shape)) for shape in sizes[stem].values())

    if generator is not None:
        assert count("generator") == generator
    if discriminator is not None:
        assert count("discriminator") == discriminator


class SixteenFrames(Vocoding):
    """What reaches sixteen frames to either side."""

    context_frames = 16


def test_windows_are_no_wider_than_as_many_need():
    vocoding = SixteenFrames()
    width = vocoding._least_width(861, vocoding._width(861, 512))
    # In place of twice 544: 861 frames, and 32 twice.
    assert width == 447
    windows = list(vocoding._windows(861, width))
    assert windows == [(0, 0, 431), (414, 431, 861)]


@pytest.mark.parametrize("chunk", [1, 7, 64, 500])
@pytest.mark.parametrize("frames", [1, 32, 33, 34, 100, 399, 1000])
def test_windows_hold_what_their_frames_depend_on(frames, chunk):
    vocoding = SixteenFrames()
    widest = vocoding._width(frames, chunk)
    width = vocoding._least_width(frames, widest)
    windows = list(vocoding._windows(frames, width))
    assert width <= widest
    assert len(windows) == len(list(vocoding._windows(frames, widest)))
    starts = [each.start for each in windows]
    assert [0, *(each.stop for each in windows)] == [*starts, frames]
    for left, start, stop in windows:
        assert 0 <= left <= frames - width
        assert left == 0 or start - left >= 16
        assert left + width == frames or left + width - stop >= 16
