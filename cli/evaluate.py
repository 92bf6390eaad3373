"""`audiogan evaluate`: is a preset any good?"""

import json
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

import click

from keras_audiogan.cli import _backend, _options

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.data import AudioFolder

REPORTS = (".html", ".json", ".png")
MOST_CLIPS = 10_000
"""Real clips of a kind that are kept in memory and compared."""


@click.command()
@_options.preset_argument
@click.option(
    "--data",
    required=True,
    type=_options.EXISTING_FOLDER,
    metavar="DIR",
    help="Folder of the sounds that the preset was trained on.",
)
@click.option(
    "--test",
    "test_pattern",
    metavar="PATTERN",
    help="Files of it that were held out of training, e.g. '*_[0-4].wav'. "
    "Default: every tenth file stands in for held-out ones.",
)
@click.option(
    "-n",
    "--num-samples",
    type=click.IntRange(min=10),
    default=1000,
    show_default=True,
    help="Sounds to generate.",
)
@click.option(
    "--classifier",
    default="auto",
    show_default=True,
    metavar="PRESET",
    help="Preset of a classifier for the figures that need one; auto takes "
    "the bundled one with the labels and the rate of the data, none leaves "
    "them out.",
)
@click.option(
    "--seed",
    type=_options.SEED,
    default=0,
    show_default=True,
    help="Seed of the latents and of the comparisons.",
)
@click.option(
    "--truncation",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Factor on the latents.",
)
@click.option(
    "--batch-size",
    type=_options.COUNT,
    default=64,
    show_default=True,
    help="Sounds at a time.",
)
@_options.precision_option(default="float32")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=pathlib.Path),
    metavar="FILE",
    help="Also write a report with sounds and their nearest training clips: "
    ".html, .png or .json.",
)
@click.option(
    "--save",
    is_flag=True,
    help="Write the figures to the preset's training.json and card. The "
    "preset must be a folder of yours.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    preset: str,
    data: pathlib.Path,
    test_pattern: str | None,
    num_samples: int,
    classifier: str,
    seed: int,
    truncation: float | None,
    batch_size: int,
    precision: str,
    report: pathlib.Path | None,
    save: bool,
    as_json: bool,
) -> None:
    """Measure a preset against a folder of real sounds.

    Every figure stands beside that of real held-out sound, which is what a
    perfect generator would reach.

    \b
    Examples:
      audiogan evaluate wavegan_digits --data fsdd/ --test "*_[0-4].wav"
      audiogan evaluate runs/mine --data my_sounds/ --report mine.html
      audiogan evaluate runs/mine --data my_sounds/ --save
    """
    if report is not None and report.suffix not in REPORTS:
        raise click.BadParameter(
            f"expected a file that ends in {', '.join(REPORTS)}. "
            f"Received: {str(report)!r}",
            param_hint="--report",
        )
    from keras_audiogan import zoo

    folder = zoo.resolve(preset)
    config = _options.check_generator(folder, preset)
    if save and preset.startswith("hf://"):
        raise click.UsageError(
            "--save needs a preset folder of yours: run `audiogan pull "
            f"{preset} -o DIR` first."
        )
    train, test = _split(data, config, test_pattern)
    chosen = _choose_classifier(classifier, config, test.labels)

    _backend.prepare()
    from keras_audiogan import metrics

    gan = _options.load_gan(folder, precision)
    judge = zoo.from_preset(chosen) if chosen else None
    train_clips, _ = _read(train, gan)
    test_clips, test_targets = _read(test, gan)
    generated = metrics.sample_clips(
        gan, num_samples, seed, batch_size, truncation
    )
    figures = metrics.evaluate_gan(
        generated,
        train_clips,
        test_clips,
        judge,
        sampling_rate=gan.sampling_rate,
        seed=seed,
        batch_size=batch_size,
        truncation=truncation,
        test_targets=_targets(test_targets, test.labels, judge),
    )
    if report is not None:
        metrics.write_report(
            report, figures, generated, train_clips, title=preset
        )
    if save:
        _save(folder, metrics.metrics_for_card(figures))
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(metrics.format_table(figures).rstrip())
    if judge is None:
        click.echo(
            "No classifier of these labels at this rate: inception score and "
            "distances of features are left out (see --classifier)."
        )


def _split(
    data: pathlib.Path, config: dict[str, Any], test_pattern: str | None
) -> "tuple[AudioFolder, AudioFolder]":
    """Return the sounds that were trained on, and those held out."""
    from keras_audiogan.data import AudioFolder

    options = {
        "sampling_rate": config["sampling_rate"],
        "num_channels": config["num_channels"],
    }
    if test_pattern is not None:
        return (
            AudioFolder.scan(data, exclude=test_pattern, **options),
            AudioFolder.scan(data, include=test_pattern, **options),
        )
    everything = AudioFolder.scan(data, **options)
    if everything.num_files < 2:
        raise click.BadParameter(
            "two files or more are needed, some to hold out. Received: "
            f"{everything.num_files}",
            param_hint="--data",
        )
    held_out = everything.files[::10]
    rest = [file for i, file in enumerate(everything.files) if i % 10]
    return tuple(  # type: ignore[return-value]
        AudioFolder(
            everything.roots, files, labels=everything.labels, **options
        )
        for files in (rest, held_out)
    )


def _choose_classifier(
    name: str, config: dict[str, Any], labels: tuple[str, ...] | None
) -> str | None:
    """Return the preset of the classifier to judge by, None for none."""
    if name != "auto":
        return None if name == "none" else name
    from keras_audiogan import zoo

    wanted = set(config["labels"] or labels or ())
    for candidate in zoo.list_presets():
        info = zoo.preset_info(candidate)
        if (
            "classifier" in info["num_parameters"]
            and info["sampling_rate"] == config["sampling_rate"]
            and set(info["labels"]) == wanted
        ):
            return candidate
    return None


def _read(folder: "AudioFolder", gan: Any) -> "tuple[np.ndarray, np.ndarray]":
    """Return clips as the preset's training cut them, and their labels."""
    import numpy as np

    from keras_audiogan.data import AudioDataset

    def dataset(folder: "AudioFolder") -> AudioDataset:
        return AudioDataset(
            folder,
            gan.slice_length,
            gan.sampling_rate,
            gan.num_channels,
            level=gan.level,
            labels=folder.labels is not None,
        )

    clips = dataset(folder)
    step = -(-clips.num_slices // MOST_CLIPS)
    if step > 1:
        clips = dataset(
            type(folder)(
                folder.roots,
                folder.files[::step],
                labels=folder.labels,
                sampling_rate=folder.sampling_rate,
                num_channels=folder.num_channels,
            )
        )
    batches = list(clips.clips())
    audio = np.concatenate([batch["audio"] for batch in batches])
    labels = [
        batch.get("labels", np.full(len(batch["audio"]), -1))
        for batch in batches
    ]
    return audio[:MOST_CLIPS], np.concatenate(labels)[:MOST_CLIPS]


def _targets(
    labels: "np.ndarray", names: tuple[str, ...] | None, judge: Any
) -> "np.ndarray | None":
    """Return labels as the classifier counts them, None if it cannot."""
    if judge is None or names is None or set(names) - set(judge.labels):
        return None
    import numpy as np

    places = [judge.labels.index(name) for name in names]
    return np.array(places)[labels]


def _save(folder: pathlib.Path, figures: dict[str, Any]) -> None:
    """Write figures, and the command that gave them, to a preset's folder."""
    from keras_audiogan.saving import read_training
    from keras_audiogan.zoo import cards

    typed = click.get_current_context().meta[_options.ARGUMENTS]
    shown = shlex.join(["audiogan", *typed])
    training = read_training(folder)
    kept = training.get("metrics")
    training["metrics"] = {
        **(kept if isinstance(kept, dict) else {}),
        **{
            name: {**entry, "command": shown} for name, entry in figures.items()
        },
    }
    file = folder / "training.json"
    temporary = file.with_suffix(".json.part")
    temporary.write_text(
        json.dumps(training, indent=2, ensure_ascii=False) + "\n", "utf-8"
    )
    temporary.replace(file)
    card = folder / "README.md"
    if not card.is_file() or cards.is_generated(card.read_bytes()):
        card.write_text(cards.render_card(folder), "utf-8")
