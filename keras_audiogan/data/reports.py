"""Describes data sets to people who are about to train on them."""

import collections
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_audiogan._names import shown
from keras_audiogan.data.trimming import describe_trim

if TYPE_CHECKING:
    from keras_audiogan.data.dataset import AudioDataset
    from keras_audiogan.data.folder import AudioFolder
    from keras_audiogan.data.walk import SkippedFile

_MOST_LISTED = 10

_UNREAD_SOUND = {".m4a", ".aac", ".wma", ".mp4", ".webm", ".amr", ".ape"}
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}


def describe_folder(
    folder: "AudioFolder",
    sampling_rate: int | None = None,
    num_channels: int | None = None,
) -> str:
    """Describes a scanned folder in a few aligned lines.

    Args:
        folder: The folder.
        sampling_rate: Rate in Hz that is made of its files. Defaults to that
            for which it is prepared.
        num_channels: The same of the channels.
    """
    sampling_rate = sampling_rate or folder.sampling_rate
    num_channels = num_channels or folder.num_channels
    durations = np.array([entry.duration for entry in folder.files])
    lines = [
        f"{count(folder.num_files, 'file')}, "
        f"{duration_in_words(durations.sum())} of sound in "
        f"{', '.join(map(shown, folder.roots))} "
        f"(scanned in {folder.scan_seconds:.1f} s)"
    ]
    rates = ", ".join(f"{r} Hz ({n})" for r, n in folder.rates.items())
    if list(folder.rates) != [sampling_rate]:
        rates += f", resampled to {sampling_rate} Hz"
    channels = _counted(
        {channel_name(c): n for c, n in folder.channels.items()}
    )
    if list(folder.channels) != [num_channels]:
        more = max(folder.channels, default=0) > num_channels
        channels += ", mixed to " if more else ", converted to "
        channels += channel_name(num_channels)
    lines += [_row("rate", rates), _row("channels", channels)]
    if len(durations):
        lengths = (
            f"{durations.min():.2f} s to {durations.max():.2f} s, "
            f"median {np.median(durations):.2f} s"
        )
        lines.append(_row("lengths", lengths))
        lines.append(_row("silence", describe_trim(folder)))
    if folder.labels is not None:
        labels = f"{len(folder.labels)}: {_counted(folder.class_counts)}"
        lines.append(_row("labels", labels))
    if folder.skipped:
        groups = collections.Counter(
            re.split(r"[:(,]", entry.reason)[0].strip()
            for entry in folder.skipped
        )
        reasons = ", ".join(f"{n} {why}" for why, n in groups.most_common())
        number = count(len(folder.skipped), "file")
        lines.append(_row("skipped", f"{number}: {reasons}"))
        lines += listed(folder.skipped, indent=12)
    if folder.num_excluded:
        number = count(folder.num_excluded, "file")
        lines.append(_row("excluded", f"{number}, by name"))
    if folder.other_files:
        lines.append(_row("ignored", _extensions(folder)))
    return "\n".join(lines)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number})" for name, number in counts.items())


def listed(skipped: "Sequence[SkippedFile]", indent: int = 2) -> list[str]:
    """Lists the first files that were left out, a line for each."""
    lines = [f"{shown(entry.path)}: {entry.reason}" for entry in skipped]
    if len(lines) > _MOST_LISTED:
        lines[_MOST_LISTED:] = [f"and {len(lines) - _MOST_LISTED} more"]
    return [" " * indent + line for line in lines]


def describe_nothing(folder: "AudioFolder") -> str:
    """Says what was found in a data set that holds nothing usable."""
    where = ", ".join(map(shown, folder.roots))
    lines = [f"No usable sound in {where}."]
    if not folder.skipped and not folder.other_files:
        lines.append("Found there: nothing (hidden files are passed over).")
    if folder.other_files:
        lines.append(f"Found there: {_extensions(folder)}.")
    if folder.skipped:
        number = count(len(folder.skipped), "file")
        lines.append(f"Found there: {number} named like sound, all bad:")
        lines += listed(folder.skipped)
    present = set(folder.other_files)
    if present & _UNREAD_SOUND:
        names = ", ".join(sorted(present & _UNREAD_SOUND))
        lines.append(
            f"Files of type {names} cannot be read; convert them first, "
            "e.g. with `ffmpeg -i sound.m4a sound.wav`."
        )
    if present & _ARCHIVES:
        lines.append("Unpack archives first.")
    lines.append(
        "Expected at least one file of wav, flac, ogg, opus, mp3 or aiff."
    )
    return "\n".join(lines)


def duration_in_words(seconds: float) -> str:
    """Writes a length of time with its fitting unit."""
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} hours"
    if seconds >= 60:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds:.1f} seconds"


def channel_name(num_channels: int) -> str:
    """Names a channel count: mono, stereo, or the number."""
    names = {1: "mono", 2: "stereo"}
    return names.get(num_channels, f"{num_channels} channels")


def _row(name: str, text: str) -> str:
    return f"  {name:<9} {text}"


def count(number: int, noun: str) -> str:
    """Returns a number of things, e.g. `1 sound` or `1,000 sounds`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _extensions(folder: "AudioFolder") -> str:
    return ", ".join(
        f"{number} {extension or 'without extension'}"
        for extension, number in list(folder.other_files.items())[:_MOST_LISTED]
    )


def describe_cut(dataset: "AudioDataset") -> str:
    """Says in several lines how files become slices and batches."""
    plan, rate = dataset.plan, dataset.sampling_rate
    seconds = dataset.slice_length / rate
    length = f"{seconds:.2f} s ({dataset.slice_length} samples)"
    why = ", chosen from the lengths" if dataset.mode_asked == "auto" else ""
    if plan.mode == "pad":
        text = f"one slice of {length} per file, from its start{why}"
        if plan.num_padded:
            text += f"; {count(plan.num_padded, 'file')} filled up with zeros"
        if plan.num_cut:
            lost = duration_in_words(plan.samples_unused / rate)
            text += (
                f"; of {count(plan.num_cut, 'longer file')} the rest "
                f"({lost}) is not used"
            )
    elif plan.mode == "join":
        text = (
            f"all files are joined and cut into slices of {length}; the last "
            "is filled up with zeros"
        )
    else:
        text = f"files are cut into slices of {length}{why}"
        if dataset.overlap:
            text += f", overlapping by {dataset.overlap:.0%}"
        if plan.num_padded:
            number = count(plan.num_padded, "shorter file")
            text += f"; {number} filled up with zeros"
    if plan.num_silent:
        number = count(plan.num_silent, "slice")
        text += f"; {number} of nothing but silence left out"
    epoch = (
        f"{count(dataset.num_slices, 'slice')} in "
        f"{count(dataset.steps_per_epoch, 'step')} of {dataset.batch_size}"
    )
    if dataset.discriminator_steps > 1:
        epoch += f" x {dataset.discriminator_steps} discriminator steps"
    levels = {"peak": "every file's peak brought to 1", "keep": "as recorded"}
    level = levels.get(str(dataset.level), f"multiplied by {dataset.level}")
    lines = [_row("cut", text), _row("epoch", epoch), _row("level", level)]
    if dataset.groups is not None:
        sizes = np.bincount(dataset.groups[dataset.groups >= 0])
        text = f"{len(sizes)}, of {sizes.min():,} to {sizes.max():,} slices"
        lines.append(_row("groups", text))
    extras = []
    if dataset.random_offset:
        extras.append("random offsets")
    if dataset.offset_augmentation:
        extras.append(f"{dataset.offset_augmentation} offset copies")
    if dataset.random_gain_db is not None:
        low, high = dataset.random_gain_db
        extras.append(f"random gain {low:g} to {high:g} dB")
    if dataset.balance or dataset.groups is not None:
        drawn = "labels drawn equally often"
        if dataset.groups is not None:
            within = ", as are labels in them" if dataset.balance else ""
            drawn = f"groups drawn equally often{within}"
        extras.append(drawn)
    if extras:
        lines.append(_row("varied", ", ".join(extras)))
    return "\n".join(lines)
