"""What `audiogan evaluate` reads and writes: sound, classifier, figures."""

import json
import pathlib
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from keras_audiogan.cli import _options

if TYPE_CHECKING:
    import numpy as np

    from keras_audiogan.data import AudioFolder, TestFiles

MOST_CLIPS = 10_000
"""Real clips of a kind that are kept in memory and compared."""


class RealClips(NamedTuple):
    """Real sound as a preset's training cuts it.

    Clips `(n, time, channels)`; the index (n,) of each clip's label, -1
    without labels; its file, relative to the data; and the labels' names.
    """

    audio: "np.ndarray"
    labels: "np.ndarray"
    names: list[str]
    label_names: tuple[str, ...] | None

    def targets(self, classifier: Any) -> "np.ndarray | None":
        """Return labels as a classifier counts them, None if it cannot."""
        from keras_audiogan.metrics.evaluation import places_of

        places = places_of(self.label_names or (), classifier)
        if not self.label_names or places is None:
            return None
        return places[self.labels]


def split(
    data: tuple[pathlib.Path, ...],
    config: dict[str, Any],
    folder: pathlib.Path,
    test_pattern: str | None,
) -> "tuple[AudioFolder, AudioFolder, TestFiles]":
    """Return the sounds that were trained on, those to test on, and of these
    what is known.

    Of a preset with labels, only the folders that have one of them count;
    where none has, all of them do. Test files are those of the pattern, else
    those that the preset's run held out, else every tenth file. Silence is
    trimmed as in training.
    """
    from keras_audiogan.data import (
        AudioFolder,
        AudioFolderError,
        TestFiles,
        hold_out,
        with_labels,
    )
    from keras_audiogan.data.heard import known_held_out
    from keras_audiogan.presets.cards import data_sets
    from keras_audiogan.saving import read_training

    training = read_training(folder)
    recipe = training.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else {}
    everything = AudioFolder.scan(
        data,
        sampling_rate=config["sampling_rate"],
        num_channels=config["num_channels"],
        trim=stated_trim(recipe),
    )
    wanted = config["num_channels"]
    channels = everything.channels.items()
    _options.echo_mixed(sum(n for c, n in channels if c > wanted), wanted)
    if everything.num_files < 2:
        raise click.BadParameter(
            "two files or more are needed, some to hold out. Received: "
            f"{everything.num_files}",
            param_hint="--data",
        )
    chosen = with_labels(everything, config["labels"] or ())
    if not chosen.num_files:
        chosen = everything.digits_in_words()
    elif len(chosen.labels or ()) < len(everything.labels or ()):
        click.echo(
            f"Only the sounds of the preset's labels are compared: "
            f"{', '.join(chosen.labels or ())} ({chosen.num_files} of "
            f"{everything.num_files} files).",
            err=True,
        )
    sets = data_sets(training)
    is_test = known_held_out(chosen, sets)
    if test_pattern is None and is_test.any() and not is_test.all():
        train, test = (
            chosen.subset(part.nonzero()[0]) for part in (~is_test, is_test)
        )
        return train, test, TestFiles.of(train, test, sets)
    how = "chosen by name" if test_pattern else ""
    stated = recipe.get("test")
    try:
        # What a run of an older version was told to hold out.
        if test_pattern is None and isinstance(stated, str):
            test_pattern, how = stated, f"those of its recipe's test={stated!r}"
        train, test = hold_out(chosen, test_pattern)
    except AudioFolderError:
        if how == "chosen by name":
            raise
        (train, test), how = hold_out(chosen), ""
    return train, test, TestFiles.of(train, test, sets, how)


def stated_trim(recipe: dict[str, Any]) -> str | float:
    """Return what a preset's training trimmed, off if it does not say."""
    from keras_audiogan.data.trim_option import as_trim

    try:
        return as_trim(recipe.get("trim", "off"))
    except ValueError:
        return "off"


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

    `name` is a preset, "none", or "auto" for the bundled one at the rate of
    `config` that has the labels of the data (or of the preset, if the data
    has none) and the fewest others.
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
    audio, indices = (
        np.concatenate([batch[key] for batch in batches])[:MOST_CLIPS]
        for key in ("audio", "files")
    )
    files = [clips.folder.files[index] for index in indices]
    return RealClips(
        audio,
        np.array([-1 if f.label is None else f.label for f in files]),
        [f.name for f in files],
        clips.folder.labels,
    )


def as_often(real: RealClips, gan: Any, num_samples: int) -> "np.ndarray":
    """Return labels to ask for, each as often as real clips have it."""
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


def add_pitches(
    report: dict[str, Any],
    generated: "np.ndarray",
    asked: list[str] | None,
    real: RealClips,
    held_out: RealClips,
) -> "list[tuple[str, np.ndarray, np.ndarray]]":
    """Add what a tracker of pitches hears, where labels are pitches.

    Without its package that is said. Returns some pitches with a real and a
    generated note of each, for pictures; none for other labels.
    """
    import numpy as np

    from keras_audiogan import metrics
    from keras_audiogan.audio.notes import pitch_name
    from keras_audiogan.metrics.pitch_scores import NO_TRACKER, has_tracker

    wanted, known, tested = (
        metrics.pitches_of_labels(labels)
        for labels in (asked, real.label_names, held_out.label_names)
    )
    if wanted is None or known is None or tested is None:
        return []
    notes = (
        (generated, wanted),
        (real.audio, known[real.labels]),
        (held_out.audio, tested[held_out.labels]),
    )
    if has_tracker():
        metrics.add_pitch_figures(report, *notes, seed=report["seed"])
    else:
        report["warnings"].append(NO_TRACKER)
    shared = np.intersect1d(wanted, notes[2][1])
    places = np.linspace(0, len(shared) - 1, min(8, len(shared)))
    return [
        (
            f"{pitch_name(int(pitch))} ({pitch})",
            held_out.audio[np.flatnonzero(notes[2][1] == pitch)[0]],
            generated[np.flatnonzero(wanted == pitch)[0]],
        )
        for pitch in shared[places.round().astype(int)]
    ]


def add_blind_check(
    report: dict[str, Any],
    generated: "np.ndarray",
    real: RealClips,
    held_out: RealClips,
    seed: int,
) -> None:
    """Add how well generated clips are told from all of the real ones."""
    import numpy as np

    from keras_audiogan import metrics

    try:
        metrics.add_blind_check(
            report,
            generated,
            np.concatenate([held_out.audio, real.audio]),
            files=[*held_out.names, *real.names],
            seed=seed,
        )
    except ValueError as error:
        raise click.BadParameter(
            str(error), param_hint="--blind-check"
        ) from error


def show(
    report: dict[str, Any], as_json: bool, as_table: Callable[[Any], str]
) -> None:
    """Print a report for programs or for people."""
    from keras_audiogan.metrics.figures import finite

    click.echo(
        json.dumps(finite(report), indent=2)
        if as_json
        else as_table(report).rstrip()
    )


def save(
    folder: pathlib.Path, figures: dict[str, Any], tested: "TestFiles"
) -> None:
    """Write figures to a preset's folder, and how they were measured.

    That is the command, and whether the test files were heard in training.
    """
    from keras_audiogan.metrics.figures import finite
    from keras_audiogan.presets.atomic_folder import write_json, write_text
    from keras_audiogan.saving import read_training
    from keras_audiogan.zoo import cards

    typed = click.get_current_context().meta[_options.ARGUMENTS]
    shown = shlex.join(["audiogan", *typed])
    training = read_training(folder)
    kept = training.get("metrics")
    metrics = dict(kept) if isinstance(kept, dict) else {}
    for name, entry in finite(figures).items():
        about = {"command": shown, "test_files": tested.brief}
        metrics[name] = {**entry, **about}
    training["metrics"] = metrics
    write_json(folder / "training.json", training)
    card = folder / "README.md"
    if not card.is_file() or cards.is_generated(card.read_bytes()):
        write_text(card, cards.render_card(folder))
