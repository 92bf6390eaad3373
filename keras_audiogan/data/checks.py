"""Is a file usable sound? What its header says, and what is inside."""

import re
import warnings

import numpy as np
import soundfile

from keras_audiogan.audio.files import (
    AudioFileError,
    AudioInfo,
    convert_channels,
    decode,
    open_sound,
    read_section,
    sound_info,
)
from keras_audiogan.audio.levels import (
    IMPOSSIBLE_PEAK,
    SILENCE_PEAK,
    scale_remark,
)
from keras_audiogan.audio.readers import Reader
from keras_audiogan.audio.resampling import resampled_length

# Files up to this length are decoded whole to find their peak; of longer
# ones `_NUM_WINDOWS` windows are, so that hours of sound start in seconds.
EXACT_SECONDS = 60.0
_NUM_WINDOWS = 15
_WINDOW_SECONDS = 2.0

_TAIL_SAMPLES = 2048

# libsndfile clips the length of a file that was cut to what is there, and
# says so only in its remarks.
_CUT_SIZE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)",
    re.MULTILINE,
)
_CUT_REMARKS = (
    ("File ended unexpectedly",),
    # Either alone is harmless: a ripped stream, a tag behind the last page.
    ("lacks an end-of-stream bit", "Junk after the last page"),
    ("does not match value from 'ds64' chunk",),
)
# Writers that stream put this or more where they do not know the size.
_STREAMED_SIZE = 0x7FFFF000
_SLACK_BYTES = 8


def check_header(path: str) -> AudioInfo:
    """Returns a file's header, once it and the last samples are checked.

    Raises:
        AudioFileError: If the file is not sound, holds no samples, or ends
            before its header says.
    """
    with open_sound(path) as sound:
        info = sound_info(sound)
        _check_size(info)
        if info.num_samples == 0:
            raise AudioFileError(path, "header only, no samples")
        for end in sound.ends:
            tail = min(end, _TAIL_SAMPLES)
            try:
                present = len(sound.read(end - tail, tail))
            except soundfile.SoundFileError as error:
                raise AudioFileError(
                    path, "truncated or damaged (the end cannot be reached)"
                ) from error
            if present < tail:
                raise AudioFileError(
                    path,
                    f"truncated: its header promises {info.duration:.2f} s, "
                    "the end is missing",
                )
    return info


def measure_peak(path: str, sampling_rate: int, num_channels: int) -> float:
    """Finds the peak of a file as training will see it, and checks it.

    Files up to a minute are decoded whole. In longer ones the peak is that
    of 15 windows of 2 seconds spread evenly: half a minute of sound for a
    file of any length.

    Args:
        path: The file.
        sampling_rate: Rate to which the file will be resampled, in Hz.
        num_channels: Channels to which it will be converted.

    Raises:
        AudioFileError: If the file is damaged, silent, or holds values that
            are not finite.
    """
    with open_sound(path) as sound:
        total = resampled_length(sound.frames, sound.samplerate, sampling_rate)
        if is_exact(sound.frames, sound.samplerate):
            audio = read_section(sound, 0, total, sampling_rate, num_channels)
            return checked_peak(path, audio)
        length = round(_WINDOW_SECONDS * sampling_rate)
        starts = np.linspace(0, total - length, _NUM_WINDOWS).astype(int)
        windows = (
            read_section(sound, int(x), length, sampling_rate, num_channels)
            for x in starts
        )
        peak = max(checked_section(path, audio) for audio in windows)
        if peak < SILENCE_PEAK:
            # All windows may have fallen into pauses.
            peak = _peak_in_blocks(path, sound, num_channels)
            _check_silence(path, peak, num_channels)
        return peak


def _peak_in_blocks(path: str, sound: Reader, num_channels: int) -> float:
    """Returns the peak of a whole file at its own rate."""
    block = 1 << 18
    return max(
        finite_peak(
            path,
            convert_channels(
                decode(sound, first, min(block, sound.frames - first)),
                num_channels,
            ),
        )
        for first in range(0, sound.frames, block)
    )


def is_exact(num_samples: int, sampling_rate: int) -> bool:
    """Whether `measure_peak` decodes a file of this length whole."""
    return num_samples <= EXACT_SECONDS * sampling_rate


def checked_peak(path: str, audio: np.ndarray) -> float:
    """Returns the peak of a whole file; refuses silence and integers too."""
    peak = finite_peak(path, audio)
    _check_silence(path, peak, audio.shape[-1])
    check_scale(path, peak)
    return peak


def checked_section(path: str, audio: np.ndarray) -> float:
    """Returns the peak of a part of a file, which may be silent.

    Raises:
        AudioFileError: If it holds NaN or infinity, or cannot be sound in
            [-1, 1]: one wild second among hours is met when it is read.
    """
    peak = finite_peak(path, audio)
    if peak > IMPOSSIBLE_PEAK:
        check_scale(path, peak)
    return peak


def check_scale(path: str, peak: float) -> None:
    """Refuses floats on the scale of integers; warns where it is doubtful.

    Args:
        path: The file.
        peak: Its largest magnitude.

    Raises:
        AudioFileError: If the file cannot be sound in [-1, 1].
    """
    remark = scale_remark(peak)
    if remark is None:
        return
    if peak > IMPOSSIBLE_PEAK:
        raise AudioFileError(path, f"not on the scale of sound: {remark}")
    warnings.warn(f"{path}: {remark}", stacklevel=2)


def finite_peak(path: str, audio: np.ndarray) -> float:
    """Returns the largest magnitude of a section, 0 for no samples.

    Raises:
        AudioFileError: If the sound holds NaN or infinity.
    """
    if not audio.size:
        return 0.0
    # Both carry NaN along, and neither makes a copy.
    peak = max(float(audio.max()), -float(audio.min()))
    if not np.isfinite(peak):
        raise AudioFileError(path, "holds NaN or infinite values")
    return peak


def _check_silence(path: str, peak: float, num_channels: int) -> None:
    if peak >= SILENCE_PEAK:
        return
    with open_sound(path) as sound:
        own = sound.channels
        if own > num_channels and (
            _peak_in_blocks(path, sound, own) >= SILENCE_PEAK
        ):
            raise AudioFileError(
                path,
                f"its {own} channels cancel each other out when they are "
                f"mixed to {num_channels} (opposite phases): invert one of "
                "them, or keep them apart",
            )
    raise AudioFileError(
        path,
        "silent (every sample is zero)"
        if peak == 0
        else f"silent (its peak is {20 * np.log10(peak):.0f} dB)",
    )


def _check_size(info: AudioInfo) -> None:
    for claimed, present in _CUT_SIZE.findall(info.remarks):
        if int(claimed) < _STREAMED_SIZE and (
            int(claimed) > int(present) + _SLACK_BYTES
        ):
            raise AudioFileError(
                info.path,
                f"truncated: its header promises {claimed} bytes of sound, "
                f"{present} are there",
            )
    if any(
        all(remark in info.remarks for remark in remarks)
        for remarks in _CUT_REMARKS
    ):
        raise AudioFileError(
            info.path, "truncated: the stream ends before its last block"
        )
