"""Sound as the networks see it, and sound again.

A representation has no weights. What it knows of a corpus, such as the mean
and the deviation of each frequency bin, are arguments that `fit` finds.
"""

from __future__ import annotations

import abc
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from keras import ops

from keras_audiogan.audio.phase_recovery import invert_magnitudes
from keras_audiogan.audio.transforms import (
    constant,
    frame,
    inverse_stft,
    overlap_weight,
    rfft,
)
from keras_audiogan.audio.windows import centered_window
from keras_audiogan.layers.pqmf import PQMF
from keras_audiogan.layers.stft import root

#: Kind -> class.
REPRESENTATIONS: dict[str, type[Representation]] = {}

# Added to magnitudes before their logarithm: SpecGAN's and GANSynth's.
_LOG_EPSILON = 1e-6
# Its exponential, squared, is still a number in float32, as is its inverse.
_LARGEST_LOGARITHM = 40.0
# Clips that are analysed at a time.
_STACKED = 32
# Bins that hardly ever hold anything are not blown up.
_SMALLEST_STD = 1e-2
# The first and the last window begin at zero; a spectrum that no sound has
# would burst where the sound is divided by less of them.
_LEAST_OVERLAP = 0.1
# Below this power a bin counts as empty, and its phase is zero.
_SMALLEST_POWER = 1e-20

_Class = TypeVar("_Class", bound="type[Representation]")


def register_representation(kind: str) -> Callable[[_Class], _Class]:
    """Returns a decorator that puts a class in the table under `kind`."""

    def register(cls: _Class) -> _Class:
        cls.kind = kind
        REPRESENTATIONS[kind] = cls
        return cls

    return register


def get_representation(
    spec: str | Mapping[str, Any] | Representation | None, **defaults: Any
) -> Representation:
    """Returns a representation.

    Args:
        spec: A kind; a dictionary of `"kind"` and arguments; a
            representation, which is returned; `None` for a waveform.
        **defaults: Arguments that `spec` may leave out, such as
            `slice_length` and `sampling_rate`; those that the class does not
            take are ignored.

    Raises:
        ValueError: If the kind or an argument is unknown, or a value wrong.
    """
    if isinstance(spec, Representation):
        return spec
    options = {"kind": spec or "waveform"}
    if isinstance(spec, Mapping):
        options = {"kind": "waveform", **spec}
    kind = options.pop("kind")
    if not isinstance(kind, str) or kind not in REPRESENTATIONS:
        raise ValueError(
            "The kind of a representation must be one of "
            f"{', '.join(sorted(REPRESENTATIONS))}. Received: {kind!r}"
        )
    cls = REPRESENTATIONS[kind]
    known = set(list(inspect.signature(cls.__init__).parameters)[1:])
    if not set(options) <= known:
        raise ValueError(
            f"The representation {kind!r} takes "
            f"{', '.join(sorted(known)) or 'no arguments'}. "
            f"Received: {', '.join(sorted(set(options) - known))}"
        )
    fitting = {name: defaults[name] for name in known & set(defaults)}
    return cls(**{**fitting, **options})


class Representation(abc.ABC):
    """What networks see in place of sound; the base of all.

    Tensors are float32, batches of any size, and gradients pass through
    `analyse`.
    """

    kind: str
    _config: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Representation:
        """Records the constructor's arguments."""
        instance = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        bound = signature.bind(instance, *args, **kwargs)
        bound.apply_defaults()
        instance._config = dict(list(bound.arguments.items())[1:])
        return instance

    @abc.abstractmethod
    def analyse(self, audio: Any) -> Any:
        """Returns what networks see of sound `(batch, time, channels)`."""

    @abc.abstractmethod
    def synthesise(self, x: Any) -> Any:
        """Returns sound `(batch, time, channels)` of what networks see."""

    @abc.abstractmethod
    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns the shape of `analyse` of one clip, without the batch.

        Raises:
            ValueError: If clips of this length cannot be represented.
        """

    @abc.abstractmethod
    def level(self, x: Any) -> Any:
        """Returns the RMS of the sound of a whole batch `x`, a scalar.

        Cheap: no sound is made, so that it is exact for waveforms only.
        """

    def fit(self, clips: Iterable[np.ndarray]) -> dict[str, Any]:
        """Finds the statistics of a corpus.

        Args:
            clips: Arrays `(time, channels)`, read once and not kept.

        Returns:
            Arguments of the constructor, fit for JSON.

        Raises:
            ValueError: If there is no clip, a clip is not finite, or all of
                them are silent.
        """
        del clips
        return {}

    def get_config(self) -> dict[str, Any]:
        """Returns the kind and the constructor's arguments, fit for JSON."""
        return {"kind": self.kind, **self._config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Representation:
        """Returns the representation of a config; see `get_config`."""
        return get_representation(
            {"kind": getattr(cls, "kind", None), **config}
        )


@register_representation("waveform")
class Waveform(Representation):
    """Sound as it is."""

    def __init__(self) -> None:
        pass

    def analyse(self, audio: Any) -> Any:
        """Returns `audio`."""
        return audio

    def synthesise(self, x: Any) -> Any:
        """Returns `x`."""
        return x

    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns `(slice_length, num_channels)`."""
        return slice_length, num_channels

    def level(self, x: Any) -> Any:
        """Returns the root mean square of `x`."""
        return _root_mean_square(x)


@register_representation("sub_bands")
class SubBands(Representation):
    """Sound in bands at a fraction of the rate; see `PQMF`.

    What networks see is `(time // num_bands, channels * num_bands)`: the
    bands of the first channel, lowest first, then those of the next.

    Args:
        num_bands: Number of bands; it divides the length of a clip.
        taps: Length of the filters less one, even.
        cutoff: Edge of the prototype's pass band.
        beta: Of the prototype's Kaiser window.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_bands: int = 4,
        taps: int = 62,
        cutoff: float = 0.142,
        beta: float = 9.0,
    ) -> None:
        _check_counts(512, num_bands=num_bands)
        _check_counts(1 << 14, taps=taps)
        _check_positive(cutoff=cutoff, beta=beta)
        self.num_bands = num_bands
        self.pqmf = PQMF(num_bands, taps, cutoff, beta)

    def analyse(self, audio: Any) -> Any:
        """Returns the bands `(batch, time // num_bands, channels * bands)`."""
        channels = audio.shape[2]
        if channels == 1:
            return self.pqmf.analysis(audio)
        bands = self.pqmf.analysis(_to_rows(audio)[..., None])
        return _from_rows(bands, channels, joined=True)

    def synthesise(self, x: Any) -> Any:
        """Returns the sound `(batch, time * num_bands, channels)`."""
        channels = x.shape[2] // self.num_bands
        if channels == 1:
            return self.pqmf.synthesis(x)
        x = ops.reshape(x, (-1, x.shape[1], channels, self.num_bands))
        x = ops.transpose(x, (0, 2, 1, 3))
        x = ops.reshape(x, (-1, x.shape[2], self.num_bands))
        return _from_rows(self.pqmf.synthesis(x), channels, joined=True)

    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns `(slice_length // num_bands, num_channels * num_bands)`."""
        if slice_length % self.num_bands:
            raise ValueError(
                "The length of a clip must be a multiple of `num_bands`. "
                f"Received: slice_length={slice_length}, "
                f"num_bands={self.num_bands}"
            )
        return slice_length // self.num_bands, num_channels * self.num_bands

    def level(self, x: Any) -> Any:
        """Returns the RMS of the sound, but for some hundredths of a dB."""
        return math.sqrt(self.num_bands) * _root_mean_square(x)


class _Spectra(Representation):
    """What representations by short-time spectra have in common.

    Attributes:
        num_bins: Frequencies that networks see; one of the transform's,
            below them or above them, is left out.
    """

    # How often each kept bin counts in the energy of a real sound.
    _bin_weights: np.ndarray

    def __init__(
        self, fft_length: int, frame_step: int, slice_length: int | None
    ) -> None:
        _check_counts(1 << 14, fft_length=fft_length, frame_step=frame_step)
        if slice_length is not None:
            _check_counts(1 << 26, slice_length=slice_length)
        if fft_length % 2 or frame_step > fft_length // 2:
            raise ValueError(
                "`fft_length` must be even and at least twice `frame_step`. "
                f"Received: fft_length={fft_length}, frame_step={frame_step}"
            )
        self.fft_length = fft_length
        self.frame_step = frame_step
        self.slice_length = slice_length
        self.num_bins = fft_length // 2
        self.window = centered_window("hann", None, fft_length)

    def num_frames(self, num_samples: int) -> int:
        """Returns how many frames a clip of `num_samples` samples has."""
        return -(-num_samples // self.frame_step)

    def _total(self, frames: int) -> int:
        """Samples from the start of the first frame to the last one's end."""
        return (frames - 1) * self.frame_step + self.fft_length

    def _transform(self, audio: Any, in_front: bool) -> tuple[Any, Any]:
        """Returns `(batch * channels, frames, bins + 1)`, twice."""
        time = audio.shape[1]
        rest = self._total(self.num_frames(time)) - time
        rows = _to_rows(audio)
        rows = ops.pad(rows, [[0, 0], [rest, 0] if in_front else [0, rest]])
        frames = frame(rows, self.fft_length, self.frame_step)
        return rfft(frames * constant(self.window, frames), self.fft_length)

    def _length(self, frames: int) -> int:
        """Returns how long the sound of so many frames is."""
        length = self.slice_length or frames * self.frame_step
        if length > self._total(frames):
            raise ValueError(
                f"{frames} frames hold {self._total(frames)} samples at most. "
                f"Received: slice_length={length}"
            )
        return length

    def _overlap(self, frames: int) -> np.ndarray:
        """Returns what the sum of so many frames is divided by."""
        return overlap_weight(
            self.window, frames, self.frame_step, _LEAST_OVERLAP
        )

    def _rms(self, magnitudes: Any, frames: int) -> Any:
        # Parseval: the frames of a sound have its energy as often as squared
        # windows lie over each sample.
        weights = constant(self._bin_weights, magnitudes)
        power = ops.mean(ops.sum(ops.square(magnitudes) * weights, axis=-1))
        overlap = float(np.sum(self.window**2, dtype="float64"))
        samples = self._length(frames) * self.fft_length * overlap
        return root(power * (frames * self.frame_step / samples))


@register_representation("log_spectrogram")
class LogSpectrogram(_Spectra):
    """Logarithms of magnitudes, normalised by the corpus: SpecGAN's.

    Donahue et al., "Adversarial Audio Synthesis", ICLR 2019
    (arXiv:1802.04208), section 3.4. Frames under a Hann window, filled up
    with zeros at the end, without the highest bin; `log(|X| + 1e-6)`, less
    the mean of each bin, by `num_std` of its standard deviations, clipped to
    [-1, 1]. Phases are lost: `synthesise` finds some by Griffin-Lim, from
    zeros. What networks see is `(frames, fft_length // 2, channels)`.

    Args:
        fft_length: Samples in a frame.
        frame_step: Samples from one frame to the next.
        mean: Of the logarithm in each of `fft_length // 2 + 1` bins; see
            `fit`. Without statistics, silence (1e-6) is -1 and a sine of
            full scale 1. The highest bin is left at its mean.
        std: Standard deviation of the logarithm in each bin.
        num_std: Deviations that are 1.
        clip: Whether what lies outside [-1, 1] is clipped.
        num_iterations: Of Griffin-Lim.
        momentum: Of the fast Griffin-Lim; 0 is the original's plain one.
        slice_length: Samples of what `synthesise` returns; by default
            `frames * frame_step`.
        exact_overlap: Whether frames that are added up are divided by the
            sum of their squared windows. The original's are not, which
            modulates the level: `False` sounds as it does.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        fft_length: int = 256,
        frame_step: int = 128,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        num_std: float = 3.0,
        clip: bool = True,
        num_iterations: int = 16,
        momentum: float = 0.0,
        slice_length: int | None = None,
        exact_overlap: bool = True,
    ) -> None:
        super().__init__(fft_length, frame_step, slice_length)
        _check_positive(num_std=num_std)
        _check_counts(1000, num_iterations=num_iterations)
        if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` must lie between 0 and below 1. "
                f"Received: momentum={momentum!r}"
            )
        if (mean is None) != (std is None):
            raise ValueError(
                "`mean` and `std` belong together; `fit` finds both. Received: "
                "one of them"
            )
        if mean is None:
            low, high = math.log(_LOG_EPSILON), math.log(fft_length / 4)
            centre = np.full(self.num_bins + 1, (low + high) / 2)
            scale = np.full(self.num_bins + 1, (high - low) / 2)
        else:
            centre = per_bin("mean", mean, self.num_bins + 1)
            scale = per_bin("std", std, self.num_bins + 1, positive=True)
            self._config.update(mean=centre.tolist(), std=scale.tolist())
            scale = scale * num_std
            if np.max(np.abs(centre) + scale) > _LARGEST_LOGARITHM:
                raise ValueError(
                    "`mean` and `num_std` deviations `std` above and below it "
                    "must be logarithms of magnitudes that numbers hold, from "
                    f"-{_LARGEST_LOGARITHM:g} to {_LARGEST_LOGARITHM:g}. "
                    f"Received: up to {np.max(np.abs(centre) + scale):g}"
                )
        self._centre = centre[:-1].astype("float32")
        self._scale = scale[:-1].astype("float32")
        self._highest = math.exp(centre[-1])
        self._bin_weights = np.full(self.num_bins, 2.0, "float32")
        self._bin_weights[0] = 1.0

    def _logarithms(self, audio: Any) -> Any:
        """Returns `(batch * channels, frames, bins + 1)`."""
        real, imaginary = self._transform(audio, in_front=False)
        power = ops.square(real) + ops.square(imaginary)
        return ops.log(root(power) + _LOG_EPSILON)

    def analyse(self, audio: Any) -> Any:
        """Returns `(batch, frames, bins, channels)` within [-1, 1]."""
        x = self._logarithms(audio)[..., :-1]
        x = (x - constant(self._centre, x)) / constant(self._scale, x)
        if self._config["clip"]:
            x = ops.clip(x, -1.0, 1.0)
        return _from_rows(x, audio.shape[2])

    def _magnitudes(self, x: Any) -> Any:
        rows = ops.transpose(ops.cast(x, "float32"), (0, 3, 1, 2))
        scale = constant(self._scale, rows)
        return ops.exp(rows * scale + constant(self._centre, rows))

    def synthesise(self, x: Any) -> Any:
        """Returns the sound `(batch, time, channels)`."""
        frames = x.shape[1]
        sound = invert_magnitudes(
            ops.pad(
                self._magnitudes(x),
                [[0, 0], [0, 0], [0, 0], [0, 1]],
                constant_values=self._highest,
            ),
            self.window,
            self.frame_step,
            self._config["num_iterations"],
            self._config["momentum"],
            weight=self._overlap(frames)
            if self._config["exact_overlap"]
            else np.ones(self._total(frames), "float32"),
        )
        return ops.transpose(sound[..., : self._length(frames)], (0, 2, 1))

    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns `(frames, fft_length // 2, num_channels)`."""
        return self.num_frames(slice_length), self.num_bins, num_channels

    def level(self, x: Any) -> Any:
        """Returns the RMS of a sound with these magnitudes."""
        return self._rms(self._magnitudes(x), x.shape[1])

    def fit(
        self, clips: Iterable[np.ndarray], skip_silence: bool = False
    ) -> dict[str, Any]:
        """Returns `mean` and `std` of the logarithm in each bin.

        With `skip_silence`, frames without sound in them do not count. Among
        short sounds that are filled up with zeros they outweigh all others,
        and what is heard has little of [-1, 1] left.
        """
        moments = Moments()
        for batch in _stacked(checked_clips(clips)):
            values = ops.convert_to_numpy(self._logarithms(batch))
            if skip_silence:
                # A thousandth above the logarithm of nothing.
                loud = values.max(axis=-1) > math.log(_LOG_EPSILON) + 1e-3
                values = values[loud]
            if values.size:
                moments.add(values)
        if not moments.count:
            raise ValueError(
                "Statistics need clips with sound in them. Received: clips "
                f"whose magnitudes lie below {_LOG_EPSILON:g}"
            )
        mean, std = moments.fitted()
        return {"mean": mean, "std": std}


@register_representation("magnitude_frequency")
class MagnitudeFrequency(_Spectra):
    """Log-magnitudes and how fast phases turn: GANSynth's.

    Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019
    (arXiv:1902.08710), with the numbers of its code. Zeros go in front of the
    sound, and the lowest bin is dropped. The instantaneous frequency is the
    change of the phase from frame to frame over pi, within [-1, 1], the phase
    itself in the first frame. With `mel`, powers and unwrapped phases are
    weighted by as many triangular filters as there are bins. Both channels
    are scaled and clipped to [-1, 1]. What networks see is
    `(frames, fft_length // 2, 2 * channels)`: magnitude and frequency of
    the first channel, then of the next.

    Args:
        fft_length: Samples in a frame.
        frame_step: Samples from one frame to the next.
        mel: Whether frequencies are warped to the mel scale.
        sampling_rate: In Hz, for the mel scale.
        num_frames: Frames of a clip; by default as many as its length has
            steps. GANSynth has 128 for 64,000 samples.
        slice_length: Samples of what `synthesise` returns; by default
            `frames * frame_step`.
        magnitude_scale: Multiplies the logarithms: of the magnitude plus
            1e-6, with `mel` of the power. By default GANSynth's, without
            `mel` twice that.
        magnitude_offset: Added after that. By default GANSynth's.
        frequency_scale: Multiplies the instantaneous frequency.
        frequency_offset: Added after that.
        clip: Whether what lies outside [-1, 1] is clipped.
        exact_overlap: Whether frames that are added up are divided by the
            sum of their squared windows sample by sample, so that sounds
            last to their end. `False` divides by the sum that holds in the
            middle, as the original, which fades the last window out.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        frame_step: int = 512,
        mel: bool = True,
        sampling_rate: int = 16000,
        num_frames: int | None = None,
        slice_length: int | None = None,
        magnitude_scale: float | None = None,
        magnitude_offset: float = 0.113718730221,
        frequency_scale: float = 0.8,
        clip: bool = True,
        exact_overlap: bool = True,
        frequency_offset: float = 0.0,
    ) -> None:
        if magnitude_scale is None:
            magnitude_scale = 0.0661371661726 * (1 if mel else 2)
        self._config["magnitude_scale"] = magnitude_scale
        super().__init__(fft_length, frame_step, slice_length)
        _check_positive(
            magnitude_scale=magnitude_scale, frequency_scale=frequency_scale
        )
        for name, offset in (
            ("magnitude_offset", magnitude_offset),
            ("frequency_offset", frequency_offset),
        ):
            if not _is_number(offset):
                raise ValueError(
                    f"`{name}` must be a finite number. "
                    f"Received: {name}={offset!r}"
                )
        if num_frames is not None:
            _check_counts(1 << 16, num_frames=num_frames)
        _check_counts(1 << 20, sampling_rate=sampling_rate)
        self._bin_weights = np.full(self.num_bins, 2.0, "float32")
        self._bin_weights[-1] = 1.0
        self._warp = self._unwarp = None
        if mel:
            _check_counts(1 << 12, fft_length=fft_length)
            warp = warping_matrix(self.num_bins, sampling_rate)
            self._warp = warp.astype("float32")
            sums = np.sum(warp @ warp.T, axis=0)
            sums[np.abs(sums) <= 1e-8] = 1.0
            self._unwarp = np.ascontiguousarray((warp / sums[:, None]).T)
            self._unwarp = self._unwarp.astype("float32")

    def num_frames(self, num_samples: int) -> int:
        """Returns how many frames a clip of `num_samples` samples has.

        Raises:
            ValueError: If the clip is longer than the frames.
        """
        frames = self._config["num_frames"] or super().num_frames(num_samples)
        if num_samples > self._total(frames):
            raise ValueError(
                f"{frames} frames hold {self._total(frames)} samples at most. "
                f"Received: a clip of {num_samples}"
            )
        return frames

    def _features(self, audio: Any) -> tuple[Any, Any]:
        """Returns logarithms and frequencies, `(rows, frames, bins)` each."""
        real, imaginary = self._transform(audio, in_front=True)
        real, imaginary = real[..., 1:], imaginary[..., 1:]
        power = ops.square(real) + ops.square(imaginary)
        empty = power < _SMALLEST_POWER
        # Nothing has no phase, nor has it a slope.
        phases = ops.arctan2(
            ops.where(empty, 0.0, imaginary), ops.where(empty, 1.0, real)
        )
        magnitudes = root(power) + _LOG_EPSILON
        if self._warp is None:
            return ops.log(magnitudes), _turns(phases)
        warp = constant(self._warp, phases)
        unwrapped = np.pi * ops.cumsum(_turns(phases), axis=1)
        mel = ops.matmul(ops.square(magnitudes), warp)
        return ops.log(mel + _LOG_EPSILON), _turns(ops.matmul(unwrapped, warp))

    def analyse(self, audio: Any) -> Any:
        """Returns `(batch, frames, bins, 2 * channels)` within [-1, 1]."""
        config = self._config
        logarithms, turns = self._features(audio)
        logarithms = (
            logarithms * config["magnitude_scale"] + config["magnitude_offset"]
        )
        turns = turns * config["frequency_scale"] + config["frequency_offset"]
        x = ops.stack([logarithms, turns], axis=-1)
        if config["clip"]:
            x = ops.clip(x, -1.0, 1.0)
        frames, bins, channels = x.shape[1], x.shape[2], audio.shape[2]
        if channels > 1:
            x = ops.reshape(x, (-1, channels, frames, bins, 2))
            x = ops.transpose(x, (0, 2, 3, 1, 4))
        return ops.reshape(x, (-1, frames, bins, 2 * channels))

    def _parts(self, x: Any) -> Any:
        """Returns `(2, batch * channels, frames, bins)`."""
        frames, bins, channels = x.shape[1], x.shape[2], x.shape[3] // 2
        x = ops.reshape(ops.cast(x, "float32"), (-1, frames, bins, channels, 2))
        x = ops.transpose(x, (4, 0, 3, 1, 2))
        return ops.reshape(x, (2, -1, frames, bins))

    def _magnitudes(self, x: Any) -> Any:
        config = self._config
        x = (x - config["magnitude_offset"]) / config["magnitude_scale"]
        if self._unwarp is None:
            return ops.exp(x)
        power = ops.matmul(ops.exp(x), constant(self._unwarp, x))
        return ops.sqrt(power + _LOG_EPSILON)

    def synthesise(self, x: Any) -> Any:
        """Returns the sound `(batch, time, channels)`."""
        frames, channels = x.shape[1], x.shape[3] // 2
        parts = self._parts(x)
        magnitudes = self._magnitudes(parts[0])
        config = self._config
        turns = parts[1] - config["frequency_offset"]
        phases = np.pi * ops.cumsum(turns / config["frequency_scale"], axis=1)
        if self._unwarp is not None:
            phases = ops.matmul(phases, constant(self._unwarp, phases))
        lowest = [[0, 0], [0, 0], [1, 0]]
        sound = inverse_stft(
            ops.pad(magnitudes * ops.cos(phases), lowest),
            ops.pad(magnitudes * ops.sin(phases), lowest),
            self.window,
            self.frame_step,
            self._overlap(frames),
        )
        sound = sound[:, self._total(frames) - self._length(frames) :]
        return _from_rows(sound[..., None], channels, joined=True)

    def _overlap(self, frames: int) -> np.ndarray:
        if self._config["exact_overlap"]:
            return super()._overlap(frames)
        # The sum over one step in the middle of many frames, repeated.
        parts = -(-self.fft_length // self.frame_step)
        long = overlap_weight(self.window, 2 * parts, self.frame_step)
        start = parts * self.frame_step
        steady = long[start : start + self.frame_step]
        return np.resize(steady, self._total(frames))

    def shape(self, slice_length: int, num_channels: int) -> tuple[int, ...]:
        """Returns `(frames, fft_length // 2, 2 * num_channels)`."""
        return self.num_frames(slice_length), self.num_bins, 2 * num_channels

    def level(self, x: Any) -> Any:
        """Returns the RMS of a sound with these magnitudes."""
        return self._rms(self._magnitudes(self._parts(x)[0]), x.shape[1])

    def fit(self, clips: Iterable[np.ndarray]) -> dict[str, Any]:
        """Returns scale and offset that bring logarithms to [-0.8, 0.8]."""
        low, high = math.inf, -math.inf
        for clip in checked_clips(clips):
            values = ops.convert_to_numpy(self._features(clip[None])[0])
            low = min(low, float(values.min()))
            high = max(high, float(values.max()))
        if not high > low:
            raise ValueError(
                "Statistics need clips with sound in them. Received: clips "
                f"whose magnitudes lie below {_LOG_EPSILON:g}"
            )
        margin = 0.8
        scale = 2.0 * margin / (high - low)
        return {
            "magnitude_scale": scale,
            "magnitude_offset": -margin - scale * low,
        }


def warping_matrix(num_bins: int, sampling_rate: float) -> np.ndarray:
    """Returns GANSynth's filters from frequencies to as many mels.

    Triangles over frequency, evenly spaced on the HTK mel scale from 0 Hz to
    half the rate, widened to at least 1.5 bins. Two oddities are the
    original's, and its weights need them: the bins lie at
    `k / (num_bins - 1)` of half the rate, though the one at 0 Hz has been
    dropped before; and a filter that is widened moves the middle of the next
    one and the foot of that after it.

    Args:
        num_bins: Of the spectrum and of the mel spectrum.
        sampling_rate: In Hz.

    Returns:
        float64 array `(num_bins, num_bins)`.
    """
    nyquist = sampling_rate / 2.0
    feet = np.linspace(0.0, 1127.0 * np.log1p(nyquist / 700.0), num_bins + 2)

    def hertz(mel: Any) -> Any:
        return 700.0 * np.expm1(mel / 1127.0)

    least = 1.5 * nyquist / num_bins
    for i in range(num_bins):
        if hertz(feet[i + 2]) - hertz(feet[i]) < least:
            half = least / 2.0 / (hertz(feet[i + 1]) + 700.0)
            reach = 1127.0 * np.arcsinh(half)
            feet[i], feet[i + 2] = feet[i + 1] - reach, feet[i + 1] + reach
    left, centre, right = (hertz(feet[i : i + num_bins]) for i in range(3))
    bins = np.linspace(0.0, nyquist, num_bins)[:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    matrix = np.maximum(0.0, np.minimum(rising, falling))
    matrix[0] = 0.0
    return matrix


class Moments:
    """Mean and deviation over everything but the last axis, in float64.

    Chan, Golub and LeVeque's update of Welford's algorithm: nothing of what
    was added is kept.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, values: Any) -> None:
        """Adds values `(..., size)`."""
        values = np.asarray(values, "float64").reshape(-1, values.shape[-1])
        count = len(values)
        mean = values.mean(axis=0)
        apart = mean - self.mean
        total = self.count + count
        self._squares = (
            self._squares
            + np.square(values - mean).sum(axis=0)
            + np.square(apart) * (self.count * count / total)
        )
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviations `(size,)`."""
        return np.sqrt(self._squares / self.count)

    def fitted(self) -> tuple[list[float], list[float]]:
        """Returns means, and deviations of 0.01 or more, to six digits."""
        std = np.maximum(self.std, _SMALLEST_STD)
        return self.mean.round(6).tolist(), std.round(6).tolist()


def checked_clips(clips: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields clips `(time, channels)` as float32 that have statistics.

    Raises:
        ValueError: If there is no clip, a clip is empty, not finite or of
            another number of axes, or, at the end, all were silent.
    """
    count, loud = 0, False
    for clip in clips:
        clip = np.asarray(clip, "float32")
        count += 1
        if clip.ndim != 2 or not clip.size or not np.isfinite(clip).all():
            raise ValueError(
                "Statistics need clips (time, channels) of finite numbers. "
                f"Received: clip {count} of shape {clip.shape}"
                + (" with NaN or infinity" if clip.size else "")
            )
        loud = loud or bool(np.any(clip))
        yield clip
    if not loud:
        raise ValueError(
            "Statistics need clips with sound in them. Received: "
            + (f"{count} silent clip(s)" if count else "no clips")
        )


def _stacked(clips: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields clips of one shape that follow each other as one array."""
    held: list[np.ndarray] = []
    for clip in clips:
        if held and (len(held) == _STACKED or clip.shape != held[0].shape):
            yield np.stack(held)
            held = []
        held.append(clip)
    if held:
        yield np.stack(held)


def per_bin(
    name: str, values: Any, num_bins: int, positive: bool = False
) -> np.ndarray:
    """Returns the argument `name`, one number for each bin, as float64.

    Raises:
        ValueError: If the numbers are too many or few, not finite in float32,
            or not `positive` where they must be.
    """
    try:
        array = np.asarray(values, "float64")
    except (TypeError, ValueError):
        array = np.full(0, np.nan)
    with np.errstate(over="ignore"):
        single = array.astype("float32")
    if (
        array.shape != (num_bins,)
        or not np.isfinite(single).all()
        or (positive and not (single > 0).all())
    ):
        raise ValueError(
            f"`{name}` must hold one finite{' positive' * positive} number "
            f"for each of the {num_bins} bins. Received: shape {array.shape}, "
            f"least {array.min(initial=np.inf):g}, largest "
            f"{array.max(initial=-np.inf):g}"
        )
    return array


def _turns(phases: Any) -> Any:
    """Returns the first phase and the changes after it, over pi, wrapped."""
    change = (phases[:, 1:] - phases[:, :-1]) / np.pi
    change = change - 2.0 * ops.round(change / 2.0)
    return ops.concatenate([phases[:, :1] / np.pi, change], axis=1)


def _to_rows(audio: Any) -> Any:
    """`(batch, time, channels)` as float32 `(batch * channels, time)`."""
    audio = ops.cast(audio, "float32")
    if audio.shape[2] == 1:
        return audio[:, :, 0]
    rows = ops.transpose(audio, (0, 2, 1))
    return ops.reshape(rows, (-1, audio.shape[1]))


def _from_rows(rows: Any, channels: int, joined: bool = False) -> Any:
    """`(batch * channels, a, b)` as `(batch, a, b, channels)`.

    With `joined` as `(batch, a, channels * b)`.
    """
    a, b = rows.shape[1], rows.shape[2]
    if channels == 1:
        return rows if joined else ops.expand_dims(rows, -1)
    x = ops.reshape(rows, (-1, channels, a, b))
    if joined:
        x = ops.transpose(x, (0, 2, 1, 3))
        return ops.reshape(x, (-1, a, channels * b))
    return ops.transpose(x, (0, 2, 3, 1))


def _root_mean_square(x: Any) -> Any:
    return root(ops.mean(ops.square(ops.cast(x, "float32"))))


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _check_counts(most: int, **counts: Any) -> None:
    for name, value in counts.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not 1 <= value <= most
        ):
            raise ValueError(
                f"`{name}` must be a whole number from 1 to {most}. "
                f"Received: {name}={value!r}"
            )


def _check_positive(**values: Any) -> None:
    for name, value in values.items():
        if not _is_number(value) or value <= 0:
            raise ValueError(
                f"`{name}` must be a positive number. "
                f"Received: {name}={value!r}"
            )
