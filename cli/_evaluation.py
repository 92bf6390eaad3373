"""What `audiogan evaluate` reads and writes: sound, classifier, figures."""

import pathlib
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from keras_audiogan.cli import _options

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.data import AudioFolder

MOST_CLIPS = 10_000
"""Real clips of a kind that are kept in memory and compared."""


class RealClips(NamedTuple):
    """Real sound as a preset's training cuts it.

    Attributes:
        audio: Clips (n, time, channels).
        labels: Index (n,) of each clip's label, -1 without labels.
        names: The file (n) of each clip, relative to the data.
        label_names: Names of the labels, or None.
    """

    audio: "np.ndarray"
    labels: "np.ndarray"
    names: list[str]
    label_names: tuple[str, ...] | None

    def targets(self, classifier: Any) -> "np.ndarray | None":
        """Return labels as a classifier counts them, None if it cannot."""
        names = self.label_names
        if classifier is None or not names:
            return None
        if set(names) - set(classifier.labels):
            return None
        import numpy as np

        places = [classifier.labels.index(name) for name in names]
        return np.array(places)[self.labels]


def split(
    data: pathlib.Path, config: dict[str, Any], test_pattern: str | None
) -> "tuple[AudioFolder, AudioFolder]":
    """Return the sounds that were trained on, and those held out.

    Of a preset with labels, only the folders that have one of them count;
    where none has, all of them do.
    """
    from keras_audiogan.data import AudioFolder, hold_out, with_labels
    from keras_audiogan.data.split import in_words

    everything = AudioFolder.scan(
        data,
        sampling_rate=config["sampling_rate"],
        num_channels=config["num_channels"],
    )
    if everything.num_files < 2:
        raise click.BadParameter(
            "two files or more are needed, some to hold out. Received: "
            f"{everything.num_files}",
            param_hint="--data",
        )
    present = everything.labels or ()
    chosen = with_labels(everything, config["labels"] or ())
    if not chosen.num_files:
        chosen = everything
        if present and len({*map(in_words, present)}) == len(present):
            chosen = everything.renamed([in_words(name) for name in present])
    elif len(chosen.labels or ()) < len(present):
        click.echo(
            f"Only the sounds of the preset's labels are compared: "
            f"{', '.join(chosen.labels or ())} ({chosen.num_files} of "
            f"{everything.num_files} files).",
            err=True,
        )
    return hold_out(chosen, test_pattern)


def check_report(report: pathlib.Path | None, endings: tuple[str, ...]) -> None:
    """Refuse a file for --report that a preset's task has no report for."""
    if report is not None and report.suffix not in endings:
        raise click.BadParameter(
            f"of this preset, expected a file that ends in "
            f"{' or '.join(endings)}. Received: {str(report)!r}",
            param_hint="--report",
        )


def check_labels(folder: "AudioFolder", gan: Any) -> None:
    """Refuse sounds that have none of a conditional generator's labels."""
    present = folder.labels or ()
    if getattr(gan, "conditional", False) and set(present) - set(gan.labels):
        raise click.BadParameter(
            "expected one folder for each label of the preset, "
            f"{', '.join(gan.labels)}. Received: folders "
            f"{', '.join(present)}",
            param_hint="--data",
        )


def choose_classifier(
    name: str, config: dict[str, Any], labels: tuple[str, ...] | None
) -> str | None:
    """Return the preset of the classifier to measure by, None for none.

    Args:
        name: What was asked for: a preset, "none", or "auto" for the bundled
            one at the preset's rate with the fewest labels besides those
            of the preset (or of the data, if it has none).
        config: The preset's.
        labels: Those of the data.
    """
    if name == "none":
        return None
    if name != "auto":
        _options.find_preset(name, "predict", hint="--classifier")
        return name
    from keras_audiogan import zoo
    from keras_audiogan.presets.tasks import task_of

    wanted = set(labels or config["labels"] or ())
    if not wanted:
        return None
    found = []
    for candidate in zoo.list_presets():
        info = zoo.preset_info(candidate)
        if (
            task_of(info).can("predict")
            and info["sampling_rate"] == config["sampling_rate"]
            and set(info["labels"]) >= wanted
        ):
            # Of two classifiers the one that hears its own test better.
            accuracy = info["metrics"].get("test_accuracy", 0.0)
            found.append((len(info["labels"]), -accuracy, candidate))
    return min(found)[2] if found else None


def read(folder: "AudioFolder", gan: Any) -> RealClips:
    """Return clips as the preset's training cut them."""
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
        clips = dataset(folder.subset(range(0, folder.num_files, step)))
    batches = list(clips.clips())
    audio = np.concatenate([batch["audio"] for batch in batches])[:MOST_CLIPS]
    labels = [
        batch.get("labels", np.full(len(batch["audio"]), -1))
        for batch in batches
    ]
    files = np.concatenate([batch["files"] for batch in batches])
    return RealClips(
        audio,
        np.concatenate(labels)[:MOST_CLIPS],
        [clips.folder.files[index].name for index in files[:MOST_CLIPS]],
        clips.folder.labels,
    )


def as_often(real: RealClips, gan: Any, num_samples: int) -> "np.ndarray":
    """Return labels to ask a generator for, as often as real clips have them.

    Raises:
        click.UsageError: if the generator or the data has no labels.
    """
    import numpy as np

    if not getattr(gan, "conditional", False) or not real.label_names:
        raise click.UsageError(
            "--ask as-data is for a conditional preset, and data with a "
            "folder for each of its labels."
        )
    places = np.array([gan.labels.index(name) for name in real.label_names])
    ends = np.cumsum(np.bincount(real.labels, minlength=len(places)))
    # The middle of each clip's share of the whole, so that counts are the
    # nearest whole numbers; labels in turn would all be the first ones.
    shares = (np.arange(num_samples) + 0.5) / num_samples
    asked = places[np.searchsorted(ends / ends[-1], shares)]
    return np.random.default_rng(0).permutation(asked)


def labels_asked(gan: Any, num_samples: int, labels: Any) -> list[str] | None:
    """Return the name of the label that each clip was asked for, if any."""
    if not getattr(gan, "conditional", False):
        return None
    asked = gan.label_indices(labels)
    return [gan.labels[asked[i % len(asked)]] for i in range(num_samples)]


def save(folder: pathlib.Path, figures: dict[str, Any]) -> None:
    """Write figures, and the command that gave them, to a preset's folder."""
    from keras_audiogan.runs.options import write_json
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
    write_json(folder / "training.json", training)
    card = folder / "README.md"
    if not card.is_file() or cards.is_generated(card.read_bytes()):
        card.write_text(cards.render_card(folder), "utf-8")
