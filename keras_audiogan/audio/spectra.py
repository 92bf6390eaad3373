"""Short-time spectra and mel filter banks in plain NumPy.

These serve pictures and metrics, where no gradient is needed. Everything works
on the last axis as time, so a clip, a batch of clips or a batch of channels
goes through the same functions; `to_mono` turns the library's
`(..., time, channels)` into that layout.
"""

import math
from typing import Any

import numpy as np

# Frames are transformed in blocks of at most this many samples, so that the
# spectra of a thousand clips do not need a thousand clips' worth of memory.
_BLOCK_SAMPLES = 1 << 23

# Slaney's Auditory Toolbox: linear up to 1 kHz (15 mels), then 27 mels for
# each factor of 6.4 in frequency.
_SLANEY_LINEAR_HERTZ = 200.0 / 3.0
_SLANEY_KNEE_HERTZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HERTZ / _SLANEY_LINEAR_HERTZ
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def to_mono(audio: np.ndarray) -> np.ndarray:
    """Averages the channels: `(..., time, channels)` to `(..., time)`.

    Args:
        audio: Array of two or more dimensions, channels last.

    Returns:
        The mean over the last axis, in float32.

    Raises:
        ValueError: If `audio` has fewer than two dimensions.
    """
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim < 2:
        raise ValueError(
            "`audio` must have a channel axis: shape (..., time, channels). "
            f"Received: shape {audio.shape}."
        )
    total = audio[..., 0].copy()
    for channel in range(1, audio.shape[-1]):
        total += audio[..., channel]
    return total / np.float32(audio.shape[-1])


def hertz_to_mel(frequency: Any, scale: str = "htk") -> np.ndarray:
    """Converts frequencies to mels.

    Args:
        frequency: Frequencies in Hz, any shape.
        scale: `"htk"` for `2595 log10(1 + f / 700)` (O'Shaughnessy, as the
            HTK toolkit has it) or `"slaney"` for the scale of Slaney's
            Auditory Toolbox, linear below 1 kHz and logarithmic above.

    Returns:
        Mels in float64, of the same shape.

    Raises:
        ValueError: If `scale` is neither.
    """
    frequency = np.asarray(frequency, dtype=np.float64)
    _check_scale(scale)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + frequency / 700.0)
    above = np.maximum(frequency, _SLANEY_KNEE_HERTZ) / _SLANEY_KNEE_HERTZ
    return np.where(
        frequency < _SLANEY_KNEE_HERTZ,
        frequency / _SLANEY_LINEAR_HERTZ,
        _SLANEY_KNEE_MEL + np.log(above) / _SLANEY_LOG_STEP,
    )


def mel_to_hertz(mel: Any, scale: str = "htk") -> np.ndarray:
    """Converts mels to frequencies; the inverse of `hertz_to_mel`.

    Args:
        mel: Mels, any shape.
        scale: `"htk"` or `"slaney"`.

    Returns:
        Frequencies in Hz in float64, of the same shape.

    Raises:
        ValueError: If `scale` is neither.
    """
    mel = np.asarray(mel, dtype=np.float64)
    _check_scale(scale)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = np.maximum(mel - _SLANEY_KNEE_MEL, 0.0)
    return np.where(
        mel < _SLANEY_KNEE_MEL,
        mel * _SLANEY_LINEAR_HERTZ,
        _SLANEY_KNEE_HERTZ * np.exp(above * _SLANEY_LOG_STEP),
    )


def mel_filter_bank(
    num_mel_bins: int,
    fft_length: int,
    sampling_rate: float,
    min_frequency: float = 0.0,
    max_frequency: float | None = None,
    scale: str = "htk",
    norm: str | None = None,
    slopes: str = "hertz",
) -> np.ndarray:
    """Builds triangular filters that are evenly spaced on a mel scale.

    Multiply a spectrum `(..., fft_length // 2 + 1)` by the result to get
    `(..., num_mel_bins)`.

    Args:
        num_mel_bins: Number of filters.
        fft_length: Samples in the transform that made the spectrum.
        sampling_rate: In Hz.
        min_frequency: Lower foot of the first filter, in Hz.
        max_frequency: Upper foot of the last filter, in Hz. Defaults to half
            the sampling rate.
        scale: `"htk"` or `"slaney"`, see `hertz_to_mel`.
        norm: `None` for filters of peak 1, or `"slaney"` for filters of unit
            area (divided by half of their width in Hz), as HiFi-GAN and
            MelGAN use.
        slopes: `"hertz"` for triangles whose sides are straight over
            frequency (librosa, torchaudio), or `"mel"` for sides straight
            over mels (the HTK toolkit, TensorFlow and WaveGAN's classifier;
            those leave out the 0 Hz bin as well).

    Returns:
        float32 array `(fft_length // 2 + 1, num_mel_bins)`.

    Raises:
        ValueError: If a count is not positive, the frequencies are out of
            order or above half the sampling rate, or an option is unknown.
    """
    _check_scale(scale)
    if num_mel_bins < 1 or fft_length < 2:
        raise ValueError(
            "`num_mel_bins` must be at least 1 and `fft_length` at least 2. "
            f"Received: num_mel_bins={num_mel_bins}, fft_length={fft_length}."
        )
    if norm not in (None, "slaney"):
        raise ValueError(
            f'`norm` must be None or "slaney". Received: norm={norm!r}.'
        )
    if slopes not in ("hertz", "mel"):
        raise ValueError(
            f'`slopes` must be "hertz" or "mel". Received: slopes={slopes!r}.'
        )
    nyquist = sampling_rate / 2
    if max_frequency is None:
        max_frequency = nyquist
    if not 0 <= min_frequency < max_frequency <= nyquist:
        raise ValueError(
            "Expected 0 <= min_frequency < max_frequency <= half the sampling "
            f"rate ({nyquist:g} Hz). Received: min_frequency={min_frequency}, "
            f"max_frequency={max_frequency}."
        )
    low, high = hertz_to_mel([min_frequency, max_frequency], scale)
    feet_mel = np.linspace(low, high, num_mel_bins + 2)
    feet_hertz = mel_to_hertz(feet_mel, scale)
    # The last bin of an odd length lies below half the rate.
    half = fft_length // 2
    bins = np.linspace(0.0, half * sampling_rate / fft_length, half + 1)
    if slopes == "mel":
        feet, positions = feet_mel, hertz_to_mel(bins, scale)
    else:
        feet, positions = feet_hertz, bins
    left, centre, right = feet[:-2], feet[1:-1], feet[2:]
    rising = (positions[:, None] - left) / (centre - left)
    falling = (right - positions[:, None]) / (right - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    if slopes == "mel":
        filters[0] = 0.0
    if norm == "slaney":
        filters *= 2.0 / (feet_hertz[2:] - feet_hertz[:-2])
    return filters.astype(np.float32)


def num_frames(
    num_samples: int, fft_length: int, frame_step: int, padding: str = "center"
) -> int:
    """Counts the frames that `spectrogram` makes of `num_samples` samples.

    Args:
        num_samples: Length of the sound in samples.
        fft_length: Samples in a frame.
        frame_step: Samples between the starts of two frames.
        padding: See `spectrogram`.

    Returns:
        The number of frames, at least 1.

    Raises:
        ValueError: If a size is not positive or `padding` is unknown.
    """
    if fft_length < 2 or frame_step < 1 or num_samples < 1:
        raise ValueError(
            "Expected `fft_length` >= 2, `frame_step` >= 1 and at least one "
            f"sample. Received: fft_length={fft_length}, "
            f"frame_step={frame_step}, num_samples={num_samples}."
        )
    if padding == "end":
        return -(-num_samples // frame_step)
    if padding == "center":
        return 1 + num_samples // frame_step
    if padding == "none":
        return 1 + max(0, num_samples - fft_length) // frame_step
    raise ValueError(
        '`padding` must be "center", "end" or "none". '
        f"Received: padding={padding!r}."
    )


def spectrogram(
    audio: np.ndarray,
    fft_length: int = 1024,
    frame_step: int = 256,
    *,
    window_length: int | None = None,
    padding: str = "center",
    power: float = 1.0,
) -> np.ndarray:
    """Magnitudes of the short-time Fourier transform.

    The window is a periodic Hann window, centred in the frame when it is
    shorter than `fft_length`.

    Args:
        audio: Array `(..., time)`; see `to_mono` for sound with channels.
        fft_length: Samples in a frame.
        frame_step: Samples between the starts of two frames.
        window_length: Samples under the window. Defaults to `fft_length`.
        padding: `"center"` puts frame `i` around sample `i * frame_step`
            (mirrored at the ends), `"end"` starts frame `i` there and fills
            up with zeros, `"none"` makes full frames only (a sound shorter
            than one frame is filled up to one).
        power: Exponent of the magnitude: 1 for amplitude, 2 for power.

    Returns:
        float32 array `(..., frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If a size is not positive, the sound is empty, or
            `padding` is unknown.
    """
    audio, leading = _flatten(audio)
    frames = num_frames(audio.shape[-1], fft_length, frame_step, padding)
    result = np.empty(
        (len(audio), frames, fft_length // 2 + 1), dtype=np.float32
    )
    window = _window(window_length, fft_length)
    rows = max(1, _BLOCK_SAMPLES // (frames * fft_length))
    for start in range(0, len(audio), rows):
        block = _framed(
            audio[start : start + rows], frames, fft_length, frame_step, padding
        )
        magnitude = np.abs(np.fft.rfft(block * window))
        result[start : start + rows] = (
            magnitude if power == 1.0 else magnitude**power
        )
    return result.reshape(*leading, frames, -1)


def mel_spectrogram(
    audio: np.ndarray,
    sampling_rate: float,
    *,
    fft_length: int = 1024,
    frame_step: int = 256,
    num_mel_bins: int = 128,
    min_frequency: float = 0.0,
    max_frequency: float | None = None,
    scale: str = "htk",
    norm: str | None = None,
    slopes: str = "hertz",
    window_length: int | None = None,
    padding: str = "center",
    power: float = 1.0,
) -> np.ndarray:
    """Spectrogram weighted by mel filters.

    Args:
        audio: Array `(..., time)`; see `to_mono` for sound with channels.
        sampling_rate: In Hz.
        fft_length: Samples in a frame.
        frame_step: Samples between the starts of two frames.
        num_mel_bins: Number of filters.
        min_frequency: Lower end of the first filter, in Hz.
        max_frequency: Upper end of the last filter, in Hz. Defaults to half
            the sampling rate.
        scale: `"htk"` or `"slaney"`, see `hertz_to_mel`.
        norm: `None` or `"slaney"`, see `mel_filter_bank`.
        slopes: `"hertz"` or `"mel"`, see `mel_filter_bank`.
        window_length: Samples under the window. Defaults to `fft_length`.
        padding: `"center"`, `"end"` or `"none"`, see `spectrogram`.
        power: Exponent of the magnitude before the filters.

    Returns:
        float32 array `(..., frames, num_mel_bins)`.

    Raises:
        ValueError: As `spectrogram` and `mel_filter_bank`.
    """
    filters = mel_filter_bank(
        num_mel_bins,
        fft_length,
        sampling_rate,
        min_frequency,
        max_frequency,
        scale,
        norm,
        slopes,
    )
    audio, leading = _flatten(audio)
    frames = num_frames(audio.shape[-1], fft_length, frame_step, padding)
    result = np.empty((len(audio), frames, num_mel_bins), dtype=np.float32)
    rows = max(1, _BLOCK_SAMPLES // (frames * fft_length))
    for start in range(0, len(audio), rows):
        block = spectrogram(
            audio[start : start + rows],
            fft_length,
            frame_step,
            window_length=window_length,
            padding=padding,
            power=power,
        )
        # One large product: a stack of small ones is several times slower.
        flat = block.reshape(-1, block.shape[-1]) @ filters
        result[start : start + rows] = flat.reshape(len(block), frames, -1)
    return result.reshape(*leading, frames, num_mel_bins)


def log_mel_spectrogram(
    audio: np.ndarray,
    sampling_rate: float,
    *,
    floor: float = 1e-6,
    add_floor: bool = True,
    **options: Any,
) -> np.ndarray:
    """Natural logarithm of `mel_spectrogram`.

    WaveGAN's similarity figures use `fft_length=2048, frame_step=128,
    num_mel_bins=128, min_frequency=40, max_frequency=7800` with
    `slopes="mel", padding="end"`; HiFi-GAN clamps at 1e-5
    (`floor=1e-5, add_floor=False, scale="slaney", norm="slaney"`).

    Args:
        audio: Array `(..., time)`; see `to_mono` for sound with channels.
        sampling_rate: In Hz.
        floor: Smallest magnitude, keeps the logarithm finite.
        add_floor: Whether `floor` is added to every value, or values below
            it are raised to it.
        **options: Arguments of `mel_spectrogram`.

    Returns:
        float32 array `(..., frames, num_mel_bins)`.

    Raises:
        ValueError: If `floor` is not positive, or as `mel_spectrogram`.
    """
    if floor <= 0:
        raise ValueError(f"`floor` must be positive. Received: floor={floor}.")
    mel = mel_spectrogram(audio, sampling_rate, **options)
    if add_floor:
        mel += np.float32(floor)
    else:
        np.maximum(mel, np.float32(floor), out=mel)
    return np.log(mel, out=mel)


def _check_scale(scale: str) -> None:
    if scale not in ("htk", "slaney"):
        raise ValueError(
            f'`scale` must be "htk" or "slaney". Received: scale={scale!r}.'
        )


def _flatten(audio: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim == 0 or audio.shape[-1] == 0:
        raise ValueError(
            "`audio` must hold at least one sample on its last axis. "
            f"Received: shape {audio.shape}."
        )
    return audio.reshape(-1, audio.shape[-1]), audio.shape[:-1]


def _window(window_length: int | None, fft_length: int) -> np.ndarray:
    length = fft_length if window_length is None else window_length
    if not 0 < length <= fft_length:
        raise ValueError(
            "`window_length` must lie between 1 and `fft_length`. "
            f"Received: window_length={length}, fft_length={fft_length}."
        )
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    left = (fft_length - length) // 2
    window = np.zeros(fft_length, dtype=np.float32)
    window[left : left + length] = hann
    return window


def _framed(
    audio: np.ndarray,
    frames: int,
    fft_length: int,
    frame_step: int,
    padding: str,
) -> np.ndarray:
    needed = (frames - 1) * frame_step + fft_length
    if padding == "center":
        half = fft_length // 2
        sides = ((0, 0), (half, half))
        # A clip shorter than half a frame cannot be mirrored in one piece.
        if audio.shape[-1] > half:
            audio = np.pad(audio, sides, mode="reflect")
        else:
            audio = np.pad(audio, sides)
    missing = max(0, needed - audio.shape[-1])
    audio = np.pad(audio, ((0, 0), (0, missing)))
    windows = np.lib.stride_tricks.sliding_window_view(audio, fft_length, -1)
    return windows[:, : (frames - 1) * frame_step + 1 : frame_step]
