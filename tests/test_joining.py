"""Clips in a row, and loops."""

import numpy as np
import pytest

from keras_audiogan.audio import join_clips


def joined(clips, crossfade, loop=False):
    return np.concatenate(list(join_clips(clips, crossfade, loop)))


def test_clips_are_joined_with_equal_power():
    ones = np.ones((8, 1), "float32")
    sound = joined([ones * 0.5, ones * 0.25], 4)
    angle = (np.arange(4) + 0.5) / 4 * np.pi / 2
    fading = 0.5 * np.cos(angle) + 0.25 * np.sin(angle)
    np.testing.assert_allclose(
        sound, np.r_[[0.5] * 4, fading, [0.25] * 4][:, None], rtol=1e-6
    )


def test_a_loop_has_no_seam():
    # A period and a quarter: its end and its start do not meet.
    clip = 0.4 * np.sin(2.5 * np.pi * np.arange(1000) / 1000)[:, None]
    whole = joined([clip], 100, loop=True)
    assert whole.shape == (900, 1)

    def largest_step(sound):
        return np.abs(np.diff(np.r_[sound, sound][:, 0])).max()

    assert largest_step(clip) > 0.39
    assert largest_step(whole) < 0.01
    # Before the join the clip is itself.
    np.testing.assert_allclose(whole[:800], clip[100:900], rtol=1e-6)


def test_a_loop_of_several_clips_closes_over_the_first():
    clips = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 64, 2))
    whole = joined(clips, 8, loop=True)
    assert whole.shape == (3 * 64 - 3 * 8, 2)
    np.testing.assert_allclose(whole[:48], clips[0, 8:56], rtol=1e-6)
    np.testing.assert_allclose(whole[-16:-8], clips[2, 48:56], rtol=1e-6)


@pytest.mark.parametrize("loop", [False, True])
def test_clips_shorter_than_the_overlap(loop):
    clips = np.full((3, 5, 1), 0.1)
    # Half of each at most: 2 samples of 5.
    assert len(joined(clips, 100, loop)) == 15 - 2 * (3 if loop else 2)


def test_there_is_something_to_join():
    with pytest.raises(ValueError, match="one clip or more"):
        joined([], 4)
    with pytest.raises(ValueError, match=r"0 or more samples\. Received: -1"):
        joined([np.zeros((4, 1))], -1)
