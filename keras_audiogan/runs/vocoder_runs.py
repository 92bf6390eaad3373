"""What a training of a vocoder does differently from that of other GANs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.audio.files import read_audio, write_audio
from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.data import AudioDataset
from keras_audiogan.layers import MelFeatures

_CLIPS = 256
_SECONDS, _SAMPLES = 5, 4
# Bands that hardly ever hold anything are not blown up.
_SMALLEST_SCALE = 1e-2


def set_statistics(
    model_class: Any, config: dict[str, Any], dataset: AudioDataset
) -> None:
    """Normalises the mels by the data, where the architecture wants it.

    Mean and standard deviation of each band, over clips of the data, go into
    the config's `mel`. Architectures whose originals feed raw mels say
    `normalizes_mels = False`; a config that has statistics keeps them.

    Args:
        model_class: Architecture.
        config: Its arguments, changed in place.
        dataset: Clips at the rate and the level of training.
    """
    mel = dict(config.get("mel") or {})
    if not model_class.normalizes_mels or "mean" in mel:
        return
    settings = {
        **model_class.mel_defaults,
        **mel,
        "sampling_rate": config["sampling_rate"],
    }
    features = MelFeatures(**settings)
    clips = dataset.real_clips(min(_CLIPS, 4 * dataset.num_slices))
    values = np.concatenate(
        [
            np.asarray(features(clip[np.newaxis]), "float64")[0]
            for clip in clips
            if np.any(clip)
        ]
    )
    mel["mean"] = [round(float(x), 6) for x in values.mean(axis=0)]
    scale = np.maximum(values.std(axis=0), _SMALLEST_SCALE)
    mel["scale"] = [round(float(x), 6) for x in scale]
    config["mel"] = mel


def write_samples(model: Any, folder: Path, dataset: AudioDataset) -> None:
    """Writes sounds of the data as the vocoder makes them again.

    Args:
        model: Vocoder.
        folder: Where to: `0.flac` ... and `sheet.png`, real sounds first.
        dataset: What it is trained on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rate = model.sampling_rate
    length = _SECONDS * rate
    shown = []
    files = sorted(dataset.folder.files, key=lambda entry: -entry.num_samples)
    for index, entry in enumerate(files[:_SAMPLES]):
        real, _ = read_audio(entry.path, sampling_rate=rate, num_channels=1)
        real = real[:length]
        again = model.vocode(real)[0]
        write_audio(folder / f"{index}.flac", again, rate)
        shown += [
            np.pad(clip, [(0, length - len(clip)), (0, 0)])
            for clip in (real, again)
        ]
    titles = [f"{i // 2} {('real', 'made')[i % 2]}" for i in range(len(shown))]
    save_sheet(folder / "sheet.png", np.stack(shown), rate, titles=titles)
