"""Short-time spectra, mel filter banks and log-mel spectrograms.

The one front end of pictures, metrics and models: NumPy's arrays are worked on
in NumPy, tensors in `keras.ops`, where gradients pass through. Time is the
last axis, so a clip, a batch of clips or a batch of channels goes through the
same functions; `to_mono` turns the library's `(..., time, channels)` into that
layout.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_audiogan.audio.margins import margin
from keras_audiogan.audio.transforms import constant, frame, namespace, rfft
from keras_audiogan.audio.windows import get_window

# Frames are transformed in blocks of at most this many samples, so that the
# spectra of a thousand clips do not need a thousand clips' worth of memory.
_BLOCK_SAMPLES = 1 << 23

# Silence has no phase: below this power the gradient of the root is zero
# instead of infinite.
_SMALLEST_POWER = 1e-30

# Slaney's Auditory Toolbox: linear up to 1 kHz (15 mels), then 27 mels for
# each factor of 6.4 in frequency.
_SLANEY_LINEAR_HERTZ = 200.0 / 3.0
_SLANEY_KNEE_HERTZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HERTZ / _SLANEY_LINEAR_HERTZ
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def to_mono(audio: np.ndarray) -> np.ndarray:
    """Averages the channels: `(..., time, channels)` to float32 `(..., time)`.

    Raises:
        ValueError: If there is no axis of channels.
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
    """Converts mels to Hz in float64; the inverse of `hertz_to_mel`."""
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
    if num_mel_bins < 1 or fft_length < 2:
        raise ValueError(
            "`num_mel_bins` must be at least 1 and `fft_length` at least 2. "
            f"Received: num_mel_bins={num_mel_bins}, fft_length={fft_length}."
        )
    for name, value, known in (
        ("scale", scale, ("htk", "slaney")),
        ("norm", norm, (None, "slaney")),
        ("slopes", slopes, ("hertz", "mel")),
    ):
        if value not in known:
            raise ValueError(
                f"`{name}` must be one of {known}. Received: {name}={value!r}"
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
    if padding in ("end", "middle"):
        return -(-num_samples // frame_step)
    edge = 0 if padding == "none" else margin(fft_length, frame_step, padding)
    return 1 + max(0, num_samples + 2 * edge - fft_length) // frame_step


def spectrogram(
    audio: Any,
    fft_length: int = 1024,
    frame_step: int = 256,
    *,
    window_length: int | None = None,
    window: str | None = "hann",
    padding: str = "center",
    power: float = 1.0,
    power_floor: float = 0.0,
    power_clip: float = 0.0,
) -> Any:
    """Magnitudes of the short-time Fourier transform.

    Equal to `torch.stft` and `librosa.stft` where the sound is mirrored: a
    window shorter than the transform lies in its middle.

    Args:
        audio: Array `(..., time)`, or tensor `(batch, time)`; see `to_mono`
            for sound with channels.
        fft_length: Samples in a frame, even or odd.
        frame_step: Samples between the starts of two frames.
        window_length: Samples under the window. Defaults to `fft_length`.
        window: Its name, see `keras_audiogan.audio.windows.get_window`.
        padding: `"center"` puts frame `i` around sample `i * frame_step`,
            `"same"` around `(i + 0.5) * frame_step`, both mirrored at the
            ends (`1 + time // frame_step` frames for an even length, and
            `time // frame_step`); `"middle"` is `"same"` with zeros for
            mirrors and frames to the last sample, `"end"` starts frame `i`
            at its sample and fills up with zeros, `"none"` makes full frames
            only (an array shorter than one frame is filled up to one).
        power: Exponent of the magnitude: 1 for amplitude, 2 for power.
        power_floor: Added to the power before.
        power_clip: Smallest power.

    Returns:
        float32 `(..., frames, fft_length // 2 + 1)`.

    Raises:
        ValueError: If a size is out of range, an option unknown, the sound
            empty, or a tensor too short to be mirrored (of an array zeros
            are added then).
    """

    def spectra(rows: Any) -> Any:
        xp = namespace(rows)
        result = _power(
            rows, fft_length, frame_step, window_length, window, padding
        )
        if power_floor:
            result = result + power_floor
        least = power_clip
        if xp is not np and power != 2.0:
            least = max(power_clip, _SMALLEST_POWER)
        if least:
            result = xp.maximum(result, least)
        if power == 2.0:
            return result
        result = xp.sqrt(result)
        return result if power == 1.0 else xp.power(result, power)

    return _by_blocks(spectra, audio, fft_length, frame_step, padding)


def mel_spectrogram(
    audio: Any,
    sampling_rate: float,
    *,
    num_mel_bins: int = 128,
    min_frequency: float = 0.0,
    max_frequency: float | None = None,
    scale: str = "htk",
    norm: str | None = None,
    slopes: str = "hertz",
    fft_length: int = 1024,
    frame_step: int = 256,
    padding: str = "center",
    **options: Any,
) -> Any:
    """Spectrogram weighted by mel filters.

    Takes the arguments of `mel_filter_bank` and, with `options`, those of
    `spectrogram`, and raises their errors.

    Returns:
        float32 `(..., frames, num_mel_bins)`.
    """
    filters = _cached_filter_bank(
        num_mel_bins,
        fft_length,
        sampling_rate,
        min_frequency,
        max_frequency,
        scale,
        norm,
        slopes,
    )

    def mel(rows: Any) -> Any:
        spectra = spectrogram(
            rows, fft_length, frame_step, padding=padding, **options
        )
        if namespace(rows) is not np:
            return namespace(rows).matmul(spectra, constant(filters, rows))
        # One large product: a stack of small ones is several times slower.
        flat = spectra.reshape(-1, spectra.shape[-1]) @ filters
        return flat.reshape(*spectra.shape[:2], -1)

    return _by_blocks(mel, audio, fft_length, frame_step, padding)


def log_mel_spectrogram(
    audio: Any,
    sampling_rate: float,
    *,
    floor: float = 1e-6,
    add_floor: bool = True,
    **options: Any,
) -> Any:
    """Natural logarithm of `mel_spectrogram`.

    WaveGAN's similarity figures use `fft_length=2048, frame_step=128,
    num_mel_bins=128, min_frequency=40, max_frequency=7800` with
    `slopes="mel", padding="end"`; HiFi-GAN clamps at 1e-5
    (`floor=1e-5, add_floor=False, scale="slaney", norm="slaney"`).

    Args:
        audio: Array `(..., time)`, or tensor `(batch, time)`.
        sampling_rate: In Hz.
        floor: Smallest magnitude, keeps the logarithm finite.
        add_floor: Whether `floor` is added to every value, or values below
            it are raised to it.
        **options: Arguments of `mel_spectrogram`.

    Returns:
        float32 `(..., frames, num_mel_bins)`.

    Raises:
        ValueError: If `floor` is not positive, or as `mel_spectrogram`.
    """
    if floor <= 0:
        raise ValueError(f"`floor` must be positive. Received: floor={floor}.")
    mel = mel_spectrogram(audio, sampling_rate, **options)
    xp = namespace(mel)
    return xp.log(mel + floor if add_floor else xp.maximum(mel, floor))


_cached_filter_bank = functools.lru_cache(maxsize=32)(mel_filter_bank)


def _by_blocks(
    function: Callable[[Any], Any],
    audio: Any,
    fft_length: int,
    frame_step: int,
    padding: str,
) -> Any:
    """Applies a function of `(rows, time)`, to arrays piece by piece."""
    if hasattr(audio, "shape") and not isinstance(audio, np.ndarray):
        return function(audio)
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim == 0 or audio.shape[-1] == 0:
        raise ValueError(
            "`audio` must hold at least one sample on its last axis. "
            f"Received: shape {audio.shape}."
        )
    frames = num_frames(audio.shape[-1], fft_length, frame_step, padding)
    rows = audio.reshape(-1, audio.shape[-1])
    size = max(1, _BLOCK_SAMPLES // (frames * fft_length))
    parts = [
        function(rows[start : start + size])
        for start in range(0, max(len(rows), 1), size)
    ]
    result = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return result.reshape(*audio.shape[:-1], *result.shape[-2:])


def _power(
    audio: Any,
    fft_length: int,
    frame_step: int,
    window_length: int | None,
    window: str | None,
    padding: str,
) -> Any:
    """Squared magnitudes `(rows, frames, bins)` of `(rows, time)`."""
    length = fft_length if window_length is None else window_length
    if not 1 <= length <= fft_length or frame_step < 1:
        raise ValueError(
            "Expected 1 <= window_length <= fft_length and a frame_step of "
            f"at least 1. Received: window_length={length}, "
            f"fft_length={fft_length}, frame_step={frame_step}"
        )
    xp = namespace(audio)
    time = audio.shape[1]
    mode = "constant"
    if padding in ("end", "middle", "none"):
        if time is None:
            raise ValueError(
                f"The length of sound must be known for padding={padding!r}. "
                f"Received: a tensor of shape {tuple(audio.shape)}"
            )
        left = (fft_length - frame_step) // 2 if padding == "middle" else 0
        frames = num_frames(time, fft_length, frame_step, padding)
        right = (frames - 1) * frame_step + fft_length - left - time
    else:
        left = right = margin(fft_length, frame_step, padding)
        # An array that cannot be mirrored in one piece gets zeros.
        if xp is not np or time > left:
            mode = "reflect"
        else:
            right += max(0, fft_length - left - right - time)
    # What lies outside the window is multiplied by zero: leaving it out
    # turns phases only.
    before = (fft_length - length) // 2
    left, right = left - before, right - (fft_length - length - before)
    if (
        mode == "reflect"
        and time is not None
        and (time <= max(left, right) or time + left + right < length)
    ):
        raise ValueError(
            f"The sound must be longer than {max(left, right, 1)} samples to "
            f"be mirrored and fill a window of {length}. Received: {time} "
            "samples; pad the sound or use a shorter window"
        )
    if left < 0 or right < 0:
        audio = audio[:, max(0, -left) : time if right >= 0 else right]
    if left > 0 or right > 0:
        sides = [[0, 0], [max(0, left), max(0, right)]]
        audio = xp.pad(audio, sides, mode=mode)
    taper = constant(get_window(window, length).astype(np.float32), audio)
    real, imaginary = rfft(frame(audio, length, frame_step) * taper, fft_length)
    return xp.square(real) + xp.square(imaginary)


def _check_scale(scale: str) -> None:
    if scale not in ("htk", "slaney"):
        raise ValueError(
            f'`scale` must be "htk" or "slaney". Received: scale={scale!r}.'
        )
