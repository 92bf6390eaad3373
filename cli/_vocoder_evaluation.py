"""`audiogan evaluate` of a vocoder: copies of recordings held out."""

import pathlib
from collections.abc import Container
from typing import Any

import click
from click.core import ParameterSource

from keras_audiogan.cli import _backend, _evaluation, _options
from keras_audiogan.cli.vocode import draw_rows

NUM_CLIPS = 20
MOST_SECONDS = 20.0
NUM_PICTURED = 4


def run(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    *,
    data: tuple[pathlib.Path, ...],
    test_pattern: str | None,
    num_samples: int | None,
    seed: int,
    precision: str,
    judges: bool,
    report: pathlib.Path | None,
    save: bool,
    as_json: bool,
    **foreign: Any,
) -> None:
    """Measure a vocoder on recordings that were held out of training.

    Recordings are `num_samples` of them, spread evenly over all; `foreign`
    are options that say nothing of a vocoder.
    """
    check_options(foreign)
    _options.check_report(report, (".json", ".png"))
    _backend.prepare()
    _, test, tested = _evaluation.split(data, config, folder, test_pattern)
    from keras_audiogan import metrics
    from keras_audiogan.metrics.figures import SYSTEMS, finite
    from keras_audiogan.presets.atomic_folder import write_json
    from keras_audiogan.runs.bars import progress

    vocoder = _options.load_model(folder, precision)
    names, clips = _read(test, vocoder, num_samples or NUM_CLIPS)
    with progress("Vocoding", len(clips)) as advance:
        found = metrics.evaluate_vocoder(
            vocoder,
            clips,
            names,
            level=vocoder.level,
            seed=seed,
            on_clip=advance,
            keep_sounds=len(clips),
        )
    sounds = found.pop("sounds")
    if judges:
        count = len(clips) * len(metrics.installed_judges())
        with progress("Judging", count) as advance:
            metrics.add_judges(
                found,
                sounds,
                vocoder.sampling_rate,
                seed=seed,
                on_clip=advance,
            )
    found = {
        "preset": preset,
        "precision": precision,
        "seed": seed,
        "test_files": tested.as_json(),
        **found,
    }
    if report is not None and report.suffix == ".json":
        write_json(report, finite(found))
    elif report is not None:
        shown = {
            SYSTEMS[name]: sounds[name][:NUM_PICTURED]
            for name in ("real", *SYSTEMS)
        }
        # The picture says it as well.
        above = [f"{name} ({tested.brief})" for name in names[:1]]
        titles = [*above, *names[1:]]
        draw_rows(report, shown, titles, vocoder.sampling_rate)
    if save:
        figures = metrics.vocoder_metrics_for_card(found)
        _evaluation.save(folder, figures, tested)
    _evaluation.show(found, as_json, metrics.format_vocoder_table)


def check_options(foreign: Container[str]) -> None:
    """Refuse options, by their names, that are for presets of another task."""
    context = click.get_current_context()
    for param in context.command.params:
        source = context.get_parameter_source(str(param.name))
        if param.name in foreign and source is not ParameterSource.DEFAULT:
            raise click.UsageError(
                f"{max(param.opts, key=len)} is not for vocoders, which are "
                "compared with the recordings that their mels come from."
            )


def _read(test: Any, vocoder: Any, num_clips: int) -> tuple[list[str], list]:
    """Return names and sounds of the recordings that can be used."""
    import numpy as np

    from keras_audiogan.audio import read_audio

    rate, shortest = vocoder.sampling_rate, vocoder.features.fft_length
    entries = [x for x in test.files if x.duration * rate >= 2 * shortest]
    if not entries:
        raise click.BadParameter(
            f"none of the {test.num_files} recordings held out is as long as "
            f"{2 * shortest / rate:.3g} s.",
            param_hint="--data",
        )
    count = min(num_clips, len(entries))
    places = np.linspace(0, len(entries) - 1, count).round().astype(int)
    chosen = [entries[place] for place in places]
    clips = [
        read_audio(
            entry.path,
            rate,
            1,
            start=entry.start / entry.sampling_rate,
            duration=min(MOST_SECONDS, entry.duration),
        )[0][:, 0]
        for entry in chosen
    ]
    return [entry.name for entry in chosen], clips
