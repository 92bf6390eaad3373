"""`audiogan evaluate` of a vocoder: copies of recordings held out."""

import json
import pathlib
from typing import Any

import click

from keras_audiogan import vocoding
from keras_audiogan.cli import (
    _evaluation,
    _options,
    _progress,
)

NUM_CLIPS = 20
MOST_SECONDS = 20.0
NUM_PICTURED = 4
REPORTS = (".json", ".png")
# Options of the other presets, which say nothing of a vocoder.
FOREIGN = (
    "classifier",
    "ask",
    "truncation",
    "study",
    "epochs",
    "runs",
    "study_classifier",
)


def run(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    *,
    data: pathlib.Path,
    test_pattern: str | None,
    num_clips: int,
    seed: int,
    precision: str,
    report: pathlib.Path | None,
    save: bool,
    as_json: bool,
) -> None:
    """Measure a vocoder on recordings that were held out of training.

    Args:
        preset: what the user called it.
        folder: where it lies.
        config: its config.
        data: folder of recordings.
        test_pattern: those that were held out, see `data.hold_out`.
        num_clips: how many of these, spread evenly over all.
        seed: of noise, first phases and intervals.
        precision: as `--precision`.
        report: file to write to, or None.
        save: whether figures go to the preset's training.json.
        as_json: whether to print JSON.
    """
    check_options(report)
    _, test = _evaluation.split(data, config, test_pattern)
    from keras_audiogan import metrics

    vocoder = _options.load_gan(folder, precision)
    if vocoder.weight_norm:
        vocoder = vocoder.fuse_weight_norm()
    names, clips = _read(test, vocoder, num_clips)
    with _progress.progress("Vocoding", len(clips)) as advance:
        found = metrics.evaluate_vocoder(
            vocoder,
            clips,
            names,
            level=vocoder.level,
            seed=seed,
            on_clip=advance,
            keep_sounds=NUM_PICTURED,
        )
    sounds = found.pop("sounds")
    found = {"preset": preset, "precision": precision, "seed": seed, **found}
    if report is not None and report.suffix == ".json":
        vocoding.write_json(report, found)
    elif report is not None:
        _draw(report, sounds, names, vocoder.sampling_rate)
    if save:
        _evaluation.save(folder, metrics.vocoder_metrics_for_card(found))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(metrics.format_vocoder_table(found).rstrip())


def check_options(report: pathlib.Path | None) -> None:
    """Refuse options that are for presets of another kind.

    Raises:
        click.UsageError: if one was given.
    """
    context = click.get_current_context()
    given = [
        max(param.opts, key=len)
        for param in context.command.params
        if param.name in FOREIGN
        and context.get_parameter_source(param.name)
        not in (click.core.ParameterSource.DEFAULT, None)
    ]
    if given:
        raise click.UsageError(
            f"{given[0]} is not for vocoders, which are compared with the "
            "recordings that their mels come from."
        )
    if report is not None and report.suffix not in REPORTS:
        raise click.BadParameter(
            "of a vocoder, expected a file that ends in "
            f"{' or '.join(REPORTS)}. Received: {str(report)!r}",
            param_hint="--report",
        )


def _read(test: Any, vocoder: Any, num_clips: int) -> tuple[list[str], list]:
    """Return names and sounds of the recordings that can be used."""
    import numpy as np

    from keras_audiogan.audio import read_audio

    rate, shortest = vocoder.sampling_rate, vocoder.features.fft_length
    entries = [
        entry for entry in test.files if entry.duration * rate >= 2 * shortest
    ]
    if not entries:
        raise click.BadParameter(
            f"none of the {test.num_files} recordings held out is as long as "
            f"{2 * shortest / rate:.3g} s.",
            param_hint="--data",
        )
    count = min(num_clips, len(entries))
    chosen = [
        entries[index]
        for index in np.linspace(0, len(entries) - 1, count).round().astype(int)
    ]
    clips = [
        read_audio(entry.path, rate, 1, duration=MOST_SECONDS)[0][:, 0]
        for entry in chosen
    ]
    return [entry.name for entry in chosen], clips


def _draw(
    report: pathlib.Path, sounds: dict[str, list], names: list[str], rate: int
) -> None:
    from keras_audiogan import audio
    from keras_audiogan.metrics.vocoder_evaluation import SYSTEMS

    clips, titles = [], []
    for system in ("real", *(name for name in SYSTEMS if name != "real")):
        clips += sounds[system]
        titles += [
            f"{SYSTEMS[system]} {name}" for name in names[: len(sounds[system])]
        ]
    audio.save_sheet(
        report, clips, rate, titles=titles, columns=len(sounds["real"])
    )
