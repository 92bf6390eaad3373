"""How far a sample of a vocoder sees: by its arguments, to the sample.

A network is a list of steps from frames to samples. Each says which of its
inputs the outputs up to a place need, and which is the oldest that an output
needs; one after the other, from the sound back to the mels, they give what
a stream has to wait for and to keep. Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keras_audiogan.audio.margins import margin


class Reach(NamedTuple):
    """What a stream waits for and keeps.

    Attributes:
        look_ahead: samples by which sound stays behind the frames that are
            in: of `n` frames `n * hop - look_ahead` samples are certain.
        look_back: frames before that of a sample which it depends on.
        first_frames: frames before there is any sound, where that is more:
            networks that mirror the start need as much of it.
    """

    look_ahead: int
    look_back: int
    first_frames: int

    def ready(self, frames: int, hop: int) -> int:
        """Returns how many samples are certain once `frames` frames are in."""
        if frames < self.first_frames:
            return 0
        return max(0, frames * hop - self.look_ahead)


class _Step(NamedTuple):
    """One layer, by the places of its outputs.

    Attributes:
        newest: place -> the last input that outputs up to it need.
        oldest: place -> the first input that the output there needs.
    """

    newest: Callable[[int], int]
    oldest: Callable[[int], int]


def _shift(left: int, right: int, mirrored: bool = False) -> _Step:
    # What is mirrored in front comes from behind the start.
    least = left if mirrored else 0
    return _Step(lambda p: max(p + right, least), lambda p: p - left)


def _conv(
    taps: int, dilation: int = 1, causal: bool = False, mirrored: bool = False
) -> _Step:
    reach = (taps - 1) * dilation
    left = reach if causal else reach // 2
    return _shift(left, reach - left, mirrored)


def _up(taps: int, rate: int, crop: int, causal: bool) -> _Step:
    if causal:
        # One step is repeated in front, and `rate` samples are cut off.
        return _Step(lambda p: p // rate, lambda p: -(-(p - taps + 1) // rate))
    return _Step(
        lambda p: (p + crop) // rate,
        lambda p: -(-(p + crop - taps + 1) // rate),
    )


def _frames(length: int, hop: int, margin: int) -> _Step:
    """Windows of `length` samples, added up; `margin` are cut off in front."""
    return _Step(
        lambda p: (p + margin) // hop,
        lambda p: -(-(p + margin - length + 1) // hop),
    )


def _hifigan(a: Mapping[str, Any]) -> list[_Step]:
    causal = a["causal"]
    blocks = []
    for taps, dilations in zip(
        a["block_kernel_sizes"], a["block_dilations"], strict=True
    ):
        lengths = [(taps - 1) * each for each in dilations]
        if a["block_type"] == 1:
            lengths += [taps - 1] * len(dilations)
        left = sum(x if causal else x // 2 for x in lengths)
        blocks.append((left, sum(lengths) - left))
    block = _shift(max(x for x, _ in blocks), max(x for _, x in blocks))
    steps = [_conv(a["kernel_size"], causal=causal)]
    for rate, taps in zip(
        a["upsample_rates"], a["upsample_kernel_sizes"], strict=True
    ):
        steps += [_up(taps, rate, (taps - rate + 1) // 2, causal), block]
    return [*steps, _conv(a["kernel_size"], causal=causal)]


def _bigvgan(a: Mapping[str, Any]) -> list[_Step]:
    # Twelve taps up and twelve down, at twice the rate.
    snake = 5
    block = 0
    for taps, dilations in zip(
        a["block_kernel_sizes"], a["block_dilations"], strict=True
    ):
        plain = (snake + taps // 2) * (a["block_type"] == 1)
        each = (snake + (taps - 1) * x // 2 + plain for x in dilations)
        block = max(block, sum(each))
    steps = [_conv(7)]
    for rate, taps in zip(
        a["upsample_rates"], a["upsample_kernel_sizes"], strict=True
    ):
        steps += [
            _up(taps, rate, (taps - rate + 1) // 2, False),
            _shift(block, block),
        ]
    return [*steps, _shift(snake, snake), _conv(7)]


def _melgan(a: Mapping[str, Any]) -> list[_Step]:
    causal = a["causal"]
    mirrored = a["padding"] == "reflect"
    end = _conv(a["kernel_size"], 1, causal, mirrored)
    steps = [end]
    for rate in a["upsample_rates"]:
        steps.append(_up(2 * rate, rate, (rate + 1) // 2, causal))
        taps = a["stack_kernel_size"]
        for j in range(a["num_stacks"]):
            steps.append(_conv(taps, taps**j, causal, mirrored))
    return [*steps, end]


def _multiband_melgan(a: Mapping[str, Any]) -> list[_Step]:
    bands, half = a["num_bands"], a["pqmf_taps"] // 2
    # Filters of `pqmf_taps` + 1 over bands with zeros between their samples.
    return [*_melgan(a), _frames(2 * half + 1, bands, half)]


def _parallel_wavegan(a: Mapping[str, Any]) -> list[_Step]:
    causal, window = a["causal"], a["context_window"]
    steps = [_shift(window, 0 if causal else window)]
    for rate in a["upsample_rates"]:
        steps.append(_frames(rate, rate, 0))
        steps.append(_shift(2 * rate, 0) if causal else _shift(rate, rate))
    cycle = a["num_layers"] // a["num_stacks"]
    reach = sum(
        (a["kernel_size"] - 1) * 2 ** (i % cycle)
        for i in range(a["num_layers"])
    )
    left = reach if causal else reach // 2
    return [*steps, _shift(left, reach - left)]


def _vocos(a: Mapping[str, Any]) -> list[_Step]:
    mel = a["mel"]
    hop, length = mel["frame_step"], a["head_fft_length"]
    margin = length if a["head_padding"] == "center" else length - hop
    convs = [_conv(7)] * (a["num_layers"] + 1)
    return [*convs, _frames(length, hop, margin // 2)]


_STEPS: dict[str, Callable[[Mapping[str, Any]], list[_Step]]] = {
    "bigvgan": _bigvgan,
    "hifigan": _hifigan,
    "melgan": _melgan,
    "multiband_melgan": _multiband_melgan,
    "parallel_wavegan": _parallel_wavegan,
    "vocos": _vocos,
}


def reach_of(
    architecture: str, arguments: Mapping[str, Any], context_frames: int
) -> Reach:
    """Returns the reach of a vocoder's network.

    Args:
        architecture: its name.
        arguments: all of its constructor's.
        context_frames: a bound to both sides, which stands for the reach of
            architectures that are not known here.
    """
    hop = arguments["mel"]["frame_step"]
    if architecture not in _STEPS:
        return Reach(context_frames * hop, context_frames, context_frames + 1)
    return _measured(_STEPS[architecture](arguments), hop)


def fitted_reach(
    reach: Reach,
    phase_iterations: int,
    hop: int,
    length: int,
    padding: str,
) -> Reach:
    """Returns the reach of sound that `fit_to_mel` changed.

    Args:
        reach: that of the network's sound.
        phase_iterations: how often phases are corrected; 0 for not at all.
        hop: `frame_step` of the mels.
        length: `fft_length` of the mels.
        padding: that of the mels.
    """
    if not phase_iterations:
        return reach
    edge = margin(length, hop, padding)
    # A correction asks the frames that overlap with a frame, and the first
    # of them all samples below a frame.
    further = phase_iterations * ((length - 1) // hop)
    certain = (edge - length - reach.look_ahead) // hop - further
    back = further - (-edge // hop) + (length - 1 - edge) // hop
    first_sound = (edge // hop + further) * hop + length - edge
    first = -(-(first_sound + reach.look_ahead) // hop)
    return Reach(
        edge - (certain + 1) * hop,
        reach.look_back + back,
        max(first, reach.first_frames),
    )


def fitted_frames(phase_iterations: int, hop: int, length: int) -> int:
    """Returns how many frames further such sound depends on.

    To either side: a bound, beside that of the network.
    """
    if not phase_iterations:
        return 0
    return phase_iterations * ((length - 1) // hop) + -(-length // hop)


def known_reach(
    architecture: str, arguments: Mapping[str, Any]
) -> Reach | None:
    """Returns the reach of a vocoder that is known here, else None.

    Of a config.json that lacks arguments it is None as well.
    """
    if architecture not in _STEPS:
        return None
    try:
        mel = arguments["mel"]
        return fitted_reach(
            reach_of(architecture, arguments, 0),
            # Presets of earlier versions do not say it.
            arguments.get("phase_iterations", 0),
            mel["frame_step"],
            mel["fft_length"],
            mel.get("padding", "center"),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _measured(steps: list[_Step], hop: int) -> Reach:
    def newest(place: int) -> int:
        for step in reversed(steps):
            place = step.newest(place)
        return place

    def oldest(place: int) -> int:
        for step in reversed(steps):
            place = step.oldest(place)
        return place

    first = newest(0) + 1
    # Far from the start; the last sample that `frames` frames determine.
    frames = 2 * first + 64
    while newest(frames * hop // 2) >= frames:
        frames *= 2
    low, high = frames * hop // 2, frames * hop
    while high - low > 1:
        middle = (low + high) // 2
        if newest(middle) < frames:
            low = middle
        else:
            high = middle
    ahead = frames * hop - (low + 1)
    # The first sample of a frame looks back furthest, seen from its frame.
    return Reach(ahead, frames - oldest(frames * hop), first)
