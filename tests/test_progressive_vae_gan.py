"""Progressive VAE-GAN: its losses, its growth, and copies of recordings."""

import architecture_cases as cases
import keras
import numpy as np
import pytest
from cli_support import audiogan
from keras import ops

from keras_audiogan import reconstructing, saving
from keras_audiogan.audio import AudioFileError, read_audio, write_audio
from keras_audiogan.metrics import (
    evaluate_reconstruction,
    reconstruction_distances,
)
from keras_audiogan.models import progressive_vae_gan

RATE, LENGTH = 8000, 256


def built(**options):
    model = cases.build("progressive_vae_gan", **options)
    cases.set_weights_from_paths(model)
    return model


@pytest.fixture(scope="module")
def model():
    return built(num_channels=2)


def numpy(value):
    return np.asarray(ops.convert_to_numpy(value))


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal(shape)).clip(-1, 1).astype("float32")


def test_the_encoder_has_the_discriminators_shape(model):
    def shapes(network):
        return {
            weight.path.partition("/")[2]: tuple(weight.shape)
            for weight in network.weights
        }

    own, other = shapes(model.encoder), shapes(model.discriminator)
    assert own.pop("output/kernel") == (16 * 8, 2 * model.latent_dim)
    assert own.pop("output/bias") == (2 * model.latent_dim,)
    assert other.pop("output/kernel") == (16 * 8, 1)
    del other["output/bias"]
    assert own == other
    assert set(model.preset_weights) == {
        "generator",
        "discriminator",
        "encoder",
    }


def test_divergence_and_error_by_hand():
    mean = np.array([[1.0, 0.0], [0.0, 0.0]], "float32")
    log_variance = np.array([[0.0, np.log(4.0)], [0.0, 0.0]], "float32")
    found = numpy(progressive_vae_gan._divergence(mean, log_variance))
    by_hand = [0.5 * (1.0 + (4.0 - 1.0 - np.log(4.0))) / 2, 0.0]
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)
    real = np.full((2, 4, 1), 0.5, "float32")
    copy = np.stack([0.0 * real[0], 0.8 * real[1]])
    found = numpy(progressive_vae_gan._relative_error(copy, real))
    # Silence misses all of the power of 0.25; 0.8 times it a fifth, squared.
    np.testing.assert_allclose(found, [1.0, 0.04], rtol=1e-3)


@pytest.mark.parametrize("form", ["samples", "features"])
def test_the_encoders_loss_is_error_and_divergence(form):
    own = built(reconstruction=form, kl_warmup=0, kl_weight=0.5)
    own.compile(discriminator_steps=1)
    audio, drawn = noise(3, LENGTH, 1), noise(3, own.latent_dim, seed=1)
    batch = own.as_batch(ops.convert_to_tensor(audio))
    total, logs = own.encoder_loss(batch, ops.convert_to_tensor(drawn))
    ((*_, both),) = own.encoder(audio)
    mean, log_variance = np.split(numpy(both), 2, axis=-1)
    log_variance = np.clip(log_variance, -10.0, 10.0)
    copies = own.generator(mean + np.exp(0.5 * log_variance) * drawn)
    pair = [audio, numpy(copies)]
    if form == "features":
        # The last hidden layer: 16 frames.
        pair = [numpy(own.discriminator(each)[0][-2]) for each in pair]
        assert pair[0].shape[1] == 16
    error = np.mean(
        [
            np.mean((first - second) ** 2) / (np.mean(first**2) + 1e-4)
            for first, second in zip(*pair, strict=True)
        ]
    )
    divergence = 0.5 * np.mean(
        mean**2 + np.exp(log_variance) - 1.0 - log_variance
    )
    assert float(logs["vae/error"]) == pytest.approx(error, rel=1e-4)
    assert float(logs["vae/kl"]) == pytest.approx(divergence, rel=1e-4)
    assert float(total) == pytest.approx(error + 0.5 * divergence, rel=1e-4)


def test_every_other_clip_is_a_copy():
    own = built()
    own.compile(discriminator_steps=2)
    audio = ops.convert_to_tensor(noise(6, LENGTH, 1))
    latents = ops.convert_to_tensor(noise(6, 2, own.latent_dim, seed=1))
    batch = own.as_batch({"audio": audio, "latents": latents})
    # Of three rows of an update two are copied; the mean weight is 1.
    np.testing.assert_allclose(
        numpy(batch["copied"]), [1.5, 1.5, 0.0, 0.0, 1.5, 1.5]
    )
    part = own._part(batch, 1)
    found = numpy(own._latents(part, 0))
    drawn = numpy(part["latents"])[:, 0]
    np.testing.assert_array_equal(found[1], drawn[1])
    ((*_, both),) = own.encoder(numpy(part["audio"]))
    mean, log_variance = np.split(numpy(both), 2, axis=-1)
    around = mean + np.exp(0.5 * np.clip(log_variance, -10, 10)) * drawn
    np.testing.assert_allclose(found[[0, 2]], around[[0, 2]], rtol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """A model after three iterations, and what it logged."""
    own = built(kl_weight=0.5, reconstruction="samples")
    own.compile(seed=1, discriminator_optimizer=keras.optimizers.SGD(0.01))
    audio = noise(20, LENGTH, 1)
    logs = own.fit(audio, batch_size=20, epochs=3, verbose=0, shuffle=False)
    return own, logs.history


def test_an_iteration_is_an_encoder_step_five_and_one(trained):
    own, logs = trained
    pair = own.optimizer
    steps = [
        int(each.inner.iterations)
        for each in (pair.others["encoder"], pair.discriminator, pair.generator)
    ]
    assert steps == [3, 15, 3]
    # The warm-up has two iterations.
    np.testing.assert_allclose(logs["vae/kl_weight"], [0.0, 0.25, 0.5])
    assert logs["skipped"] == [0.0] * 3
    # The encoder's is like the generator's unless it is given.
    assert type(pair.others["encoder"].inner) is type(pair.generator.inner)
    assert "encoder_optimizer" in own.get_compile_config()


def test_the_encoder_grows_with_the_others(trained):
    own, _ = trained
    grown = own.grow(frozen=True)
    assert grown.slice_length == 4 * LENGTH
    before = {weight.path: numpy(weight) for weight in own.encoder.weights}
    for weight in grown.encoder.weights:
        if "from_audio" not in weight.path and "_2/" not in weight.path:
            np.testing.assert_array_equal(numpy(weight), before[weight.path])
    assert {w.path for w in grown.encoder.trainable_weights} == {
        f"encoder/{layer}/{kind}"
        for layer in ("from_audio", "downconv_2")
        for kind in ("kernel", "bias")
    }
    grown.compile()
    assert len(grown.optimizer.others["encoder"].targets) == 4
    audio = noise(2, 4 * LENGTH, 1)
    assert grown.reconstruct(audio).shape == audio.shape


@pytest.mark.slow
def test_recomputing_gives_the_same_numbers():
    weights = []
    audio = noise(6, LENGTH, 1)
    latents = noise(6, 2, 6, seed=1)
    for recompute in (False, True):
        own = built(kl_warmup=0)
        own.compile(
            discriminator_steps=2,
            recompute=recompute,
            generator_optimizer=keras.optimizers.SGD(0.01),
            discriminator_optimizer=keras.optimizers.SGD(0.01),
        )
        own.fit(
            {"audio": audio, "latents": latents},
            batch_size=6,
            shuffle=False,
            verbose=0,
        )
        weights.append([numpy(weight) for weight in own.weights])
    for first, second in zip(*weights, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.slow
def test_it_learns_to_copy():
    time = np.arange(LENGTH) / RATE
    sounds = np.stack(
        [0.8 * np.sin(2 * np.pi * f * time) for f in (200, 500, 900, 1300)]
    )[..., None].astype("float32")
    own = cases.build(
        "progressive_vae_gan", dim=32, reconstruction="samples", kl_weight=0.0
    )
    own.compile("hinge", seed=1, learning_rate=2e-3)
    logs = own.fit(
        np.tile(sounds, (2, 1, 1)),
        batch_size=8,
        epochs=300,
        verbose=0,
        shuffle=False,
    ).history
    # Silence has 1; what is best without latents, the mean of four sines that
    # are at right angles, has 3/4.
    assert logs["vae/error"][0] > 0.95
    assert logs["vae/error"][-1] < 0.7


def test_numbers_out_of_range_are_refused():
    for wrong, message in [
        ({"reconstruction": "mel"}, "reconstruction"),
        ({"kl_weight": -1.0}, "`kl_weight` must be 0"),
        ({"kl_warmup": float("inf")}, "`kl_warmup` must be 0"),
        ({"reconstruction_weight": -1.0}, "`reconstruction_weight` must"),
        ({"feature_layers": 0}, "`feature_layers` must be 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            cases.build("progressive_vae_gan", **wrong)


def test_latents_of_clips_and_clips_of_latents(model):
    clips = noise(3, LENGTH, 2)
    latents = model.encode(clips, batch_size=2)
    assert latents.shape == (3, 6) and latents.dtype == np.float32
    np.testing.assert_allclose(
        latents, model.encode(clips, batch_size=3), atol=1e-5
    )
    np.testing.assert_allclose(
        model.reconstruct(clips), model.decode(latents), atol=1e-5
    )
    drawn = model.encode(clips, seed=1)
    assert not np.allclose(drawn, latents, atol=1e-3)
    np.testing.assert_array_equal(drawn, model.encode(clips, seed=1))
    path = model.between(clips[0], clips[1], 3)
    np.testing.assert_allclose(
        path[[0, 2]], model.decode(latents[:2]), atol=1e-5
    )
    for wrong, message in [
        (clips[:, :-1], "Clips must have the shape"),
        (clips[..., :1], "Clips must have the shape"),
        (clips[:0], "Clips must have the shape"),
        (np.full_like(clips, np.nan), "must be finite"),
        (1000 * clips, "Received"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.encode(wrong)
    with pytest.raises(ValueError, match="2 clips or more"):
        model.between(clips[0], clips[1], 1)


def test_a_recording_goes_through_in_pieces(model):
    sound = noise(600, 2)
    fade = 64
    copy = model.reconstruct(sound, crossfade=fade / RATE)
    assert copy.shape == sound.shape
    padded = np.pad(sound, [(0, 40), (0, 0)])
    starts = [0, 192, 384]
    np.testing.assert_array_equal(model.piece_starts(600, fade / RATE), starts)
    pieces = np.stack([padded[i : i + LENGTH] for i in starts])
    first, second, third = model.reconstruct(pieces)
    np.testing.assert_allclose(copy[:192], first[:192], atol=1e-5)
    np.testing.assert_allclose(copy[256:384], second[64:192], atol=1e-5)
    np.testing.assert_allclose(copy[448:], third[64:216], atol=1e-5)
    angle = (np.arange(fade) + 0.5)[:, None] / fade * np.pi / 2
    mixed = np.cos(angle) * first[192:] + np.sin(angle) * second[:64]
    np.testing.assert_allclose(copy[192:256], mixed.clip(-1.0, 1.0), atol=1e-5)
    assert model.reconstruct(sound[:10]).shape == (10, 2)


def test_files_of_other_rates_channels_and_lengths(
    model, tmp_path, monkeypatch
):
    # Some pieces at a time, as of hours.
    monkeypatch.setattr(reconstructing, "_BATCH_SAMPLES", 2 * LENGTH)
    sound = 0.25 * noise(3000, 2)
    write_audio(tmp_path / "a.wav", sound, RATE)
    row = reconstructing.reconstruct_file(
        model, tmp_path / "a.wav", tmp_path / "b.wav", crossfade=0.008
    )
    assert (row["pieces"], row["seconds"]) == (16, 0.375)
    copy, rate = read_audio(tmp_path / "b.wav")
    stored, _ = read_audio(tmp_path / "a.wav")
    gain = 1.0 / np.abs(stored).max()
    expected = model.reconstruct(gain * stored, crossfade=0.008) / gain
    assert rate == RATE
    np.testing.assert_allclose(copy, expected, atol=1e-4)
    # Mono, of another rate, shorter than a clip.
    write_audio(tmp_path / "short.wav", sound[:100, :1], 4000)
    latents = reconstructing.encode_file(model, tmp_path / "short.wav")
    assert latents.shape == (1, 6)
    row = reconstructing.reconstruct_file(
        model, tmp_path / "short.wav", tmp_path / "c.flac"
    )
    assert read_audio(tmp_path / "c.flac")[0].shape == (200, 2)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(AudioFileError, match="bad.wav"):
        reconstructing.encode_file(model, tmp_path / "bad.wav")


def test_distances_of_copies_by_hand():
    sound = noise(16000, 1)
    same = reconstruction_distances(sound, sound, 16000)
    assert all(value == 0.0 for value in same.values())
    half = reconstruction_distances(sound, 0.5 * sound, 16000)
    assert half["level_difference"] == pytest.approx(-6.02, abs=0.01)
    assert half["log_mel_distance"] == pytest.approx(np.log(2), abs=0.01)
    assert half["log_stft_distance"] == pytest.approx(np.log(2), abs=0.01)
    assert half["spectral_convergence"] == pytest.approx(0.5, abs=0.01)
    # Channel by channel: one of two is the same.
    pair = np.repeat(sound, 2, axis=1)
    one = reconstruction_distances(pair, pair * [1.0, 0.5], 16000)
    assert one["log_mel_distance"] == pytest.approx(np.log(2) / 2, abs=0.01)
    with pytest.raises(ValueError, match="as many channels"):
        reconstruction_distances(sound, pair, 16000)


def test_copies_are_measured_beside_clips_of_drawn_latents(model):
    clips = noise(3, LENGTH, 2)
    report = evaluate_reconstruction(model, clips, seed=4)
    entry = report["figures"]["reconstruction_log_mel_distance"]
    others = {"copies": model.reconstruct(clips), "random": model.sample(3, 4)}
    for column, made in others.items():
        expected = np.mean(
            [
                reconstruction_distances(*pair, RATE)["log_mel_distance"]
                for pair in zip(clips, made, strict=True)
            ]
        )
        assert entry[column]["value"] == pytest.approx(expected, rel=1e-5)
        assert entry[column]["low"] <= expected <= entry[column]["high"]


def test_a_preset_and_its_commands(in_a_new_folder, model, tmp_path):
    model.save_to_preset("vae")
    loaded = saving.load_preset("vae")
    clips = noise(2, LENGTH, 2)
    # Weights are stored in 16 bits.
    np.testing.assert_allclose(
        loaded.encode(clips), model.encode(clips), atol=0.05
    )
    lone = saving.load_preset("vae", weights=["generator"])
    assert lone.sample(1, seed=0).shape == (1, LENGTH, 2)
    with pytest.raises(ValueError, match="encoder's weights were not loaded"):
        lone.encode(clips)

    write_audio("in/a.wav", noise(1000, 2), RATE)
    write_audio("in/b.wav", noise(900, 3, seed=1), 2 * RATE)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no sound")
    done = audiogan(
        "reconstruct", "vae", "in", "-o", "out", "--report", "r.json"
    )
    assert done.exit_code == 0, done.output
    assert "Wrote 2 sounds to out" in done.stdout
    assert "1 file with more channels mixed to stereo" in done.stderr
    assert "Skipped 1" in done.stderr and "bad.wav" in done.stderr
    assert read_audio("out/a.wav")[0].shape == (1000, 2)
    assert read_audio("out/b.wav")[0].shape == (450, 2)
    assert (tmp_path / "r.json").is_file()
    again = audiogan("reconstruct", "vae", "in", "-o", "out")
    assert again.exit_code == 1 and "exists already" in again.stderr
    strict = audiogan("reconstruct", "vae", "in", "-o", "new", "--strict")
    assert strict.exit_code == 1 and "bad.wav" in strict.stderr

    ends = ("in/a.wav", "in/b.wav")
    between = ("sample", "vae", "--between", *ends, "--no-plot")
    done = audiogan(*between, "--steps", 3, "-o", "path")
    assert done.exit_code == 0, done.output
    sounds = sorted((tmp_path / "path").glob("*.wav"))
    assert [path.name for path in sounds] == [
        f"vae_a-b_{index:02d}.wav" for index in range(3)
    ]
    first = reconstructing.Recording("in/a.wav", loaded).pieces([0])
    np.testing.assert_allclose(
        read_audio(sounds[0])[0], loaded.reconstruct(first)[0], atol=1e-3
    )
    through = ("--through", ends[0], "--through", ends[1])
    done = audiogan(
        "sample", "vae", "--seconds", 0.5, *through, "-o", "long.flac"
    )
    assert done.exit_code == 0, done.output
    assert len(read_audio("long.flac")[0]) == RATE // 2
    for arguments, message in [
        ((*between, "--steps", 1), "2 sounds or more"),
        ((*between, "--seed", 1), "leave out --seed"),
        ((*between, "-n", 3), "leave out --num-samples"),
        ((*between[:-1], "--seconds", 3), "leave out --between"),
        (("sample", "vae", *through), "--through is for --seconds"),
        (("sample", "vae", "--steps", 4), "--steps counts the sounds of"),
        (("sample", "wavegan_digits", *between[2:]), "cannot encode"),
        (("reconstruct", "wavegan_digits", "in", "-o", "x"), "cannot recon"),
    ]:
        done = audiogan(*arguments)
        assert done.exit_code == 2 and message in done.stderr, done.output
