"""Walks through the latent space, and one sound of any length."""

import tracemalloc

import architecture_cases as cases
import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan.audio import join_clips, read_audio, seams
from keras_audiogan.metrics import seam_flux, spectral_flux

RATE = 8000


@pytest.fixture(scope="module")
def gan():
    model = cases.build("wavegan")
    cases.set_weights_from_paths(model)
    return model


def test_a_walk_goes_through_the_latents_of_its_seed(gan):
    walked = gan.walk(np.array([0.0, 0.5, 1.0, 7.0]), seed=4)
    anchors = gan.sample_latents(8, seed=4)
    np.testing.assert_allclose(walked[[0, 2, 3]], anchors[[0, 1, 7]], atol=1e-6)
    assert not np.allclose(walked[1], anchors[:2].mean(axis=0), atol=0.01)
    # Whatever is asked for beside it.
    np.testing.assert_array_equal(walked[1:2], gan.walk(np.array([0.5]), 4))


@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_all_places_of_a_walk_have_the_law_of_latents(law):
    name = "wavegan" if law == "uniform" else "gansynth"
    model = cases.build(name, latent_dim=1000)
    assert model.latent_law == law
    # Half way the mean of two has half the variance.
    places = np.arange(20) * 2 + np.linspace(0.3, 0.7, 20)
    values = np.sort(model.walk(places, seed=1).ravel().astype("float64"))
    drawn = np.sort(model.sample_latents(20, seed=2).ravel())
    # Kolmogorov and Smirnov: 1.95 / sqrt(n / 2) at one in a thousand.
    shares = np.searchsorted(drawn, values, "right") / len(drawn)
    largest = np.abs(shares - (np.arange(len(values)) + 1) / len(values)).max()
    assert largest < 1.95 / np.sqrt(len(values) / 2)
    assert np.abs(values).max() <= 1.0 or law == "normal"


def test_a_stream_is_pieces_of_the_walk_with_crossfades(gan):
    fade = 32
    sound = np.concatenate(
        list(
            gan.stream(
                0.1, seed=3, speed=0.5, crossfade=fade / RATE, batch_size=2
            )
        )
    )
    assert sound.shape == (800, 1) and sound.dtype == np.float32
    clips = gan.sample(latents=gan.walk(np.array([0.0, 0.5, 1.0, 1.5]), seed=3))
    whole = np.concatenate(list(join_clips(clips, fade)))
    assert len(whole) == 4 * 256 - 3 * fade
    np.testing.assert_allclose(
        sound[: 800 - fade], whole[: 800 - fade], atol=1e-6
    )
    # The end fades out as a cosine.
    gain = np.cos((np.arange(fade) + 0.5) / fade * np.pi / 2)[:, None]
    np.testing.assert_allclose(
        sound[800 - fade :], whole[800 - fade : 800] * gain, atol=1e-6
    )
    np.testing.assert_array_equal(seams(800, 256, fade), [224, 448, 672])


def test_a_stream_that_stays_or_is_shorter_than_a_clip(gan):
    still = np.concatenate(
        list(gan.stream(0.064, seed=3, speed=0.0, crossfade=0.0))
    )
    clip = gan.sample(1, seed=3)[0]
    np.testing.assert_allclose(still, np.r_[clip, clip], atol=1e-6)
    short = np.concatenate(list(gan.stream(0.01, seed=3, crossfade=0.001)))
    assert len(short) == 80
    np.testing.assert_allclose(short[:72], clip[:72], atol=1e-6)


def test_a_stream_goes_through_given_latents(gan):
    points = gan.sample_latents(3, seed=9)
    sound = list(gan.stream(0.16, crossfade=0.0, through=points))
    halves = [points[0], points[:2].mean(0), points[1], points[1:].mean(0)]
    clips = gan.sample(latents=np.stack([*halves, points[2]]))
    np.testing.assert_allclose(
        np.concatenate(sound), np.concatenate(clips), atol=1e-6
    )


def test_labels_are_said_in_turn():
    model = cases.build("projection_wavegan")
    cases.set_weights_from_paths(model)
    time = model.slice_length
    seconds = 3 * time / model.sampling_rate
    sound = np.concatenate(
        list(
            model.stream(
                seconds, 5, speed=0.0, crossfade=0.0, labels=model.labels[:2]
            )
        )
    )
    latents = model.sample_latents(1, seed=5)
    first, second = (
        model.sample(latents=latents, labels=label)[0]
        for label in model.labels[:2]
    )
    np.testing.assert_allclose(sound, np.r_[first, second, first], atol=1e-6)


def test_what_no_stream_can_be_made_of_is_refused_at_once(gan):
    for wrong, message in [
        ({"seconds": 0.0}, "`seconds` must be a finite"),
        ({"seconds": float("inf")}, "`seconds` must be a finite"),
        ({"seconds": float("nan")}, "`seconds` must be a finite"),
        ({"speed": -1.0}, "`speed` and `crossfade`"),
        ({"crossfade": float("nan")}, "`speed` and `crossfade`"),
        ({"truncation": 2.0}, "`truncation`"),
        ({"seed": -1}, "`seed`"),
        ({"labels": "one"}, "takes no labels"),
        ({"through": np.zeros((2, 5))}, "must have the shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            gan.stream(**{"seconds": 1.0, **wrong})


def test_long_streams_take_the_memory_of_a_batch(gan):
    blocks = gan.stream(100.0, seed=0, batch_size=8)
    next(blocks)
    tracemalloc.start()
    length = sum(len(block) for block in blocks)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 90 * RATE < length < 100 * RATE
    assert most < 1 << 20


def test_flux_is_the_mean_change_in_decibels():
    # A click is as loud at every frequency. Frames of 256 samples, 64 apart,
    # see it at 0, 1/4, 1/2, 3/4 and 1 of a Hann window: as nothing (-60 dB),
    # at -6, 0 and -6 dB, and as nothing.
    sound = np.zeros(4096)
    sound[10 * 64 + 128] = 1.0
    places, flux = spectral_flux(sound, RATE)
    np.testing.assert_array_equal(places[:2], [160, 224])
    np.testing.assert_allclose(
        flux[8:12], [53.98, 6.02, 6.02, 53.98], atol=0.01
    )
    assert np.count_nonzero(flux) == 4
    with pytest.raises(ValueError, match="needs 320 samples"):
        spectral_flux(np.zeros(319), RATE)


def tones(num_clips, length, rng):
    """Clips of chords that have nothing to do with each other."""
    time = np.arange(length) / RATE
    for _ in range(num_clips):
        pitches = rng.uniform(100, 3000, (5, 1))
        yield 0.1 * np.sin(2 * np.pi * pitches * time).sum(0)[:, None]


def test_audible_seams_stand_out_and_inaudible_ones_do_not():
    rng = np.random.default_rng(0)
    length = 4096
    cut = np.concatenate(list(join_clips(tones(20, length, rng), 0)))
    found = seam_flux(cut, seams(len(cut), length, 0), 0, RATE)
    assert found.num_seams == 19
    assert found.rank == 1.0 and found.at_seams > 10 * found.elsewhere
    # Noise that is cut anew anywhere is the same noise.
    noise = 0.1 * rng.standard_normal((20 * length, 1))
    found = seam_flux(noise, seams(len(noise), length, 0), 0, RATE)
    low, high = found.rank_interval
    assert low < 0.5 < high and high - low < 0.4
    assert found.at_seams == pytest.approx(found.elsewhere, rel=0.1)


def test_seams_need_something_between_them():
    with pytest.raises(ValueError, match="two seams or more"):
        seam_flux(np.zeros(8000), [4000], 0, RATE)
    with pytest.raises(ValueError, match="stretches as long as a seam"):
        seam_flux(np.zeros(8000), [0, 1000, 2000], 8000, RATE)


def test_a_long_sound_from_the_command_line(in_a_new_folder, gan, tmp_path):
    gan.save_to_preset("tiny", weights=["generator"])
    asked = ("sample", "tiny", "--seconds", 0.5, "--seed", 6)
    done = audiogan(*asked, "-o", "long.flac", "--crossfade", 0.01)
    assert done.exit_code == 0, done.output
    assert "Wrote long.flac: 0.5 seconds (seed 6)." in done.output
    sound, rate = read_audio("long.flac")
    expected = np.concatenate(list(gan.stream(0.5, seed=6, crossfade=0.01)))
    assert rate == RATE and len(sound) == 4000
    # The weights of a preset have 16 bits.
    np.testing.assert_allclose(sound, expected, atol=2e-3)
    assert audiogan(*asked, "-o", "out").exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "tiny_6.wav"
    ]
    for flags, message in [
        (("-o", "long.flac"), "'long.flac' exists"),
        (("-o", "out"), "tiny_6.wav' exists"),
        (("-o", "new.flac", "--format", "wav"), "leave out --format"),
        (("-n", 3), "leave out --num-samples"),
        (("--page",), "leave out --page"),
        (("--interpolate", 1, 2), "leave out --interpolate"),
    ]:
        done = audiogan(*asked, *flags)
        assert done.exit_code == 2 and message in done.output, done.output
    assert audiogan(*asked, "-o", "out", "--overwrite").exit_code == 0
