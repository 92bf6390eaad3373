"""Pitches, MIDI files, and songs through a generator of notes."""

import tracemalloc

import architecture_cases as cases
import mido
import numpy as np
import pytest
from cli_support import audiogan

from keras_audiogan.audio import (
    MidiFileError,
    Note,
    pitch_name,
    pitch_number,
    read_audio,
    read_midi,
)

RATE, LENGTH = 8000, 256


@pytest.mark.parametrize(
    ("pitch", "number"),
    [
        *((60, 60), ("60", 60), ("060", 60), ("C4", 60), ("c4", 60)),
        *(("A4", 69), ("F#3", 54), ("Bb2", 46), ("B♭2", 46), ("Cb4", 59)),
        *(("B#3", 60), ("C-1", 0), ("G9", 127), (0, 0), (127, 127)),
    ],
)
def test_pitches_have_numbers_and_names(pitch, number):
    assert pitch_number(pitch) == number
    assert pitch_number(pitch_name(number)) == number


@pytest.mark.parametrize(
    "pitch", [128, -1, "128", "H4", "C", "C10", "G#9", "Cb-1", "", 6.5, True]
)
def test_what_is_no_pitch_is_refused(pitch):
    with pytest.raises(ValueError, match="from 0 to 127"):
        pitch_number(pitch)


def song(path, *messages, kind=1, tempo=500_000, **header):
    """Writes messages of a track; a quarter is 480 ticks, half a second."""
    file = mido.MidiFile(type=kind, ticks_per_beat=480, **header)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
    track.extend(messages)
    file.tracks.append(track)
    file.save(path)
    return path


def on(note, velocity=100, time=0, channel=0):
    return mido.Message(
        "note_on", note=note, velocity=velocity, time=time, channel=channel
    )


def off(note, time=0, channel=0):
    return mido.Message("note_off", note=note, time=time, channel=channel)


def test_a_song_is_read_in_seconds(tmp_path):
    path = song(
        tmp_path / "song.mid",
        *(on(60, 80), on(64, 90, 480), off(60, 480)),
        # A key struck again, let go by a velocity of 0; one in the drums;
        # one that is never let go.
        *(on(64, 70, 0), on(64, 0, 240), on(64, 0, 240)),
        *(on(36, channel=9), on(72, 127, 960), off(36, 480, channel=9)),
    )
    assert read_midi(path) == [
        Note(0.0, 1.0, 60, 80),
        Note(0.5, 1.25, 64, 90),
        Note(1.0, 1.5, 64, 70),
        Note(2.5, 3.0, 72, 127),
    ]
    assert [note.start for note in read_midi(path, 1.0)] == [0.0, 0.5]
    slow = song(tmp_path / "slow.mid", on(60), off(60, 480), tempo=10**6)
    assert read_midi(slow) == [Note(0.0, 1.0, 60, 100)]


def test_broken_empty_and_endless_songs_are_one_error(tmp_path):
    whole = song(tmp_path / "whole.mid", on(60), off(60, 480)).read_bytes()
    texts = {
        "no.mid": b"RIFF" + bytes(40),
        "zero.mid": b"",
        "cut.mid": whole[:-9],
        "header.mid": whole[:12],
        "film.mid": whole[:12] + b"\xe7\x28" + whole[14:],
        "type2.mid": whole[:8] + b"\0\2" + whole[10:],
        "large.mid": whole + bytes(5 << 20),
    }
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MidiFileError, match=name):
            read_midi(tmp_path / name)
    silent = song(tmp_path / "silent.mid", on(36, channel=9))
    with pytest.raises(MidiFileError, match="no notes"):
        read_midi(silent)
    # A few bytes that last for weeks.
    ages = [on(60, time=2**27), off(60, 1)] * 40
    with pytest.raises(MidiFileError, match="12 hours at most"):
        read_midi(song(tmp_path / "ages.mid", *ages))
    with pytest.raises(FileNotFoundError):
        read_midi(tmp_path / "none.mid")


@pytest.fixture(scope="module")
def gan():
    model = cases.build("gansynth", labels=["048", "C4", "062", "074"])
    cases.set_weights_from_paths(model)
    return model


def test_notes_are_moved_by_octaves_or_left_out(gan):
    arranged = gan.arrange(
        [
            *((0.0, 0.1, 60, 100), (0.1, 0.2, 84, 100), (0.2, 0.3, 24, 127)),
            *((0.3, 0.4, 68, 64), (0.4, 0.5, 65, 64), (0.5, 0.6, 2, 64)),
        ]
    )
    assert [note.pitch for note in arranged.notes] == [60, 60, 48, 62]
    assert [gan.labels[i] for i in arranged.labels] == [
        "C4",
        "C4",
        "048",
        "062",
    ]
    assert (arranged.num_moved, arranged.num_left_out) == (3, 2)
    with pytest.raises(ValueError, match="no notes that the generator"):
        gan.arrange([(0.0, 1.0, 65, 64)])
    for wrong in [
        *((1.0, 0.5, 60, 64), (-1.0, 0.5, 60, 64), (0.0, 1.0, 128, 64)),
        *((0.0, 1.0, 60, 0), (0.0, float("nan"), 60, 64), (0.0, 1.0)),
        *(("a", 1.0, 60, 64), 5),
    ]:
        with pytest.raises(ValueError, match="A note must be"):
            gan.arrange([wrong])
    words = cases.build("projection_wavegan")
    with pytest.raises(ValueError, match="labels are pitches"):
        words.arrange([(0.0, 1.0, 60, 64)])


def test_notes_sound_when_they_should_and_as_loud(gan):
    # A clip lasts 32 ms, a quarter of which is the release.
    sound = gan.play([(0.5, 0.51, 60, 127), (1.0, 2.0, 60, 64)], seed=3)[:, 0]
    assert not sound[:4000].any()
    held = round(0.01 * RATE) + round(0.008 * RATE)
    assert not sound[4000 + held : 8000].any()
    assert np.abs(sound[4000 : 4000 + held]).max() == pytest.approx(1.0)
    assert len(sound) == 8000 + LENGTH
    assert np.abs(sound[8000:]).max() == pytest.approx(64 / 127, rel=1e-3)
    # Two at once may reach full scale together, and no more.
    chord = gan.play([(0.0, 1.0, 60, 127), (0.0, 1.0, 62, 127)], seed=3)
    alone = [gan.play([(0.0, 1.0, pitch, 127)], seed=3) for pitch in (60, 62)]
    np.testing.assert_allclose(chord, sum(alone) / 2, atol=1e-6)


def test_the_timbre_walks_with_time(gan):
    notes = [Note(start, start, 60, 100) for start in (0.0, 1.0, 2.0, 4.0)]
    timbres = gan._timbres(notes, 5, 2.0)
    anchors = gan.sample_latents(3, seed=5)
    np.testing.assert_allclose(timbres[[0, 2, 3]], anchors, atol=1e-6)
    middle = gan.path_between(
        anchors[:1], anchors[1:2], np.array([[0.5]], "float32")
    )
    np.testing.assert_allclose(timbres[1:2], middle, atol=1e-6)


def test_long_songs_take_the_memory_of_a_batch(gan):
    notes = [(7.0 * i, 7.0 * i + 0.02, 60 + 2 * (i % 2), 90) for i in range(40)]
    arranged = gan.arrange(notes)
    whole = gan.play(notes, seed=1)
    parts = gan.play_blocks(arranged, seed=1, batch_size=3)
    tracemalloc.start()
    start = 0
    for part in parts:
        np.testing.assert_allclose(
            part, whole[start : start + len(part)], atol=1e-5
        )
        start += len(part)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert start == len(whole) > 39 * 7 * RATE
    assert most < 6 << 20
    with pytest.raises(ValueError, match="`seconds_per_timbre`"):
        gan.play_blocks(arranged, seconds_per_timbre=0.0)


@pytest.mark.slow
def test_a_song_is_played_from_the_command_line(gan, tmp_path):
    gan.save_to_preset(tmp_path / "notes", weights=["generator"])
    path = song(tmp_path / "song.mid", on(60), on(96, time=480), off(60, 480))
    out = tmp_path / "song.flac"
    arguments = ("play", tmp_path / "notes", path, "-o", out, "--seed", 4)
    done = audiogan(*arguments)
    assert done.exit_code == 0, done.output
    assert "2 notes, 1 of them moved by octaves (seed 4)" in done.output
    sound, rate = read_audio(out)
    assert rate == RATE and len(sound) == 4000 + LENGTH
    again = audiogan(*arguments)
    assert again.exit_code == 2 and "--overwrite" in again.output
    empty = song(tmp_path / "empty.mid")
    done = audiogan("play", tmp_path / "notes", empty, "-o", tmp_path / "o.wav")
    assert done.exit_code == 1 and "no notes" in done.output
    assert not (tmp_path / "o.wav").exists()
    done = audiogan("play", "wavegan_digits", path, "-o", tmp_path / "o.wav")
    assert done.exit_code == 2 and "not conditional" in done.output
