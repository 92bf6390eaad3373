"""`audiogan evaluate`: is a preset any good?"""

import pathlib
from typing import Any

import click

from keras_audiogan.cli import (
    _backend,
    _evaluation,
    _music,
    _options,
    _vocoder_evaluation,
)


@click.command(context_settings={"show_default": True})
@_options.preset_argument
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path),
    metavar="DIR",
    help="Folder of the sounds that the preset was trained on; can be "
    "repeated.",
)
@click.option(
    "--test",
    "test_pattern",
    metavar="PATTERN",
    help="Files of it that were held out of training, e.g. '*_[0-4].wav', or "
    "last-tenth for the last tenth of each folder. Default: what the preset's "
    "run held out; where that is not recorded, every tenth file stands in.",
)
@click.option(
    "-n",
    "--num-samples",
    type=_options.COUNT,
    help="Sounds to generate, 10 or more; of vocoders, recordings to compare "
    f"with. Default: 1000; {_vocoder_evaluation.NUM_CLIPS} of vocoders.",
)
@click.option(
    "--classifier",
    default="auto",
    metavar="PRESET",
    help="Preset of a classifier for the figures that need one; auto takes "
    "the bundled one that knows the labels at that rate, none leaves "
    "them out.",
)
@click.option(
    "--second-classifier",
    "second",
    metavar="PRESET",
    help="Preset of one more classifier, of any labels: how many of them it "
    "hears, and how evenly. Of instruments, say, for a preset whose labels "
    "are pitches.",
)
@click.option(
    "--music/--no-music",
    "music",
    default=None,
    show_default=False,
    help="Also compare as music: pitches, keys, onsets, tempo, dynamics, form, "
    "and distances in what musicnn hears (see audiogan judge), with shuffled "
    "pieces and white noise as controls. Default: for sounds without labels.",
)
@click.option(
    "--judges/--no-judges",
    default=True,
    show_default=False,
    help="Of vocoders: also ask the published judges of speech that are "
    "installed, which takes longest. Default: ask them.",
)
@click.option(
    "--blind-check",
    "blind",
    is_flag=True,
    help="Also train small classifiers to tell generated from real clips, by "
    "spectra and by envelopes: how often they are right, and what they hear. "
    "Takes seconds.",
)
@click.option(
    "--ask",
    type=click.Choice(["evenly", "as-data"]),
    default="evenly",
    help="How often a conditional preset is asked for each label. The "
    "distances to real sound are fair only if it is as often as in it.",
)
@click.option(
    "--seed",
    type=_options.SEED,
    default=0,
    help="Seed of the latents and of the comparisons.",
)
@_options.truncation_option
@_options.batch_size_option
@_options.precision_option
@click.option(
    "--report",
    type=_options.REPORT,
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
@click.option(
    "--augmentation-study",
    "study",
    is_flag=True,
    help="Instead of the figures: train small classifiers on the real "
    "sounds, on as many generated ones, and on both, and compare them on the "
    "held-out sounds. For conditional presets.",
)
@click.option(
    "--epochs",
    type=_options.COUNT,
    help="Of the study: passes over the real sounds. Default: as many as make "
    "400 steps.",
)
@click.option(
    "--runs",
    type=_options.COUNT,
    default=3,
    help="Of the study: training runs with other seeds; their mean counts.",
)
@click.option(
    "--study-classifier",
    default="digit_classifier",
    metavar="ARCHITECTURE",
    help="Of the study: digit_classifier or lstm_classifier.",
)
@_options.json_option
def command(preset: str, save: bool, **options: Any) -> None:
    """Measure a preset against a folder of real sounds.

    Every figure stands beside that of real held-out sound, which is what a
    perfect generator would reach: of files that the preset's run held out.
    Where training heard the test files, or may have, that is said wherever
    the figures are. A conditional preset is asked for every
    label in turn: clip i for label i modulo their number. Where labels are
    pitches, a tracker says how many notes have theirs (pip install
    'keras-audiogan[pitch]'), and --report has rainbowgrams.

    What networks add to sound is measured at its place: a buzz at the
    generator's own strides, an offset from zero (DC), waves on one side of it,
    a floor of noise after the end; and how alike the sounds of each label are.

    Sounds without labels are compared as music too. Each of those figures is
    a distance from the training clips: of the generated clips, of real
    held-out ones, of these with their pieces shuffled, and of white noise.

    Of an autoencoder, held-out clips are also encoded and decoded, and the
    distances of copies stand beside those of clips of drawn latents.

    Of a vocoder, held-out recordings go to mels and back, and Griffin-Lim's
    figures from the same mels stand beside. Judges of speech whose packages
    carry their networks are asked where they are installed: DNSMOS, ViSQOL,
    pitch, periodicity and voicing by SwiftF0, words by PocketSphinx.

    \b
      pip install 'keras-audiogan[judges,visqol]'

    \b
    Examples:
      audiogan evaluate wavegan_digits --data fsdd/ --test "*_[0-4].wav"
      audiogan evaluate runs/mine --data my_sounds/ --report mine.html
      audiogan evaluate runs/mine --data my_sounds/ --save
      audiogan evaluate runs/mine --data my_sounds/ --augmentation-study
      audiogan evaluate runs/mine --data my_sounds/ -n 200 --blind-check
      audiogan evaluate runs/piano --data piano/ --music
      audiogan evaluate hifigan_speech --data speech/ --test last-tenth
      audiogan evaluate hifigan_speech --data speech/ -n 100 --no-judges
    """
    folder, config = _options.find_preset(preset, "sample", "vocode")
    if save and preset.startswith("hf://"):
        raise click.UsageError(
            "--save needs a preset folder of yours: run `audiogan pull "
            f"{preset} -o DIR` first."
        )
    from keras_audiogan.presets.tasks import task_of

    evaluate = EVALUATIONS[task_of(config).name]
    evaluate(preset, folder, config, save=save, **options)


def _evaluate_clips(
    preset: str,
    folder: pathlib.Path,
    config: dict[str, Any],
    *,
    data: tuple[pathlib.Path, ...],
    test_pattern: str | None,
    num_samples: int | None,
    classifier: str,
    second: str | None,
    music: bool | None,
    judges: bool,
    blind: bool,
    ask: str,
    seed: int,
    truncation: float | None,
    batch_size: int,
    precision: str,
    report: pathlib.Path | None,
    save: bool,
    study: bool,
    epochs: int | None,
    runs: int,
    study_classifier: str,
    as_json: bool,
) -> None:
    """Measure a preset that makes clips from latents."""
    from keras_audiogan.presets.tasks import task_of

    copies = task_of(config).can("reconstruct")
    if not judges:
        raise click.UsageError("--no-judges is for vocoders.")
    if study and report is not None:
        raise click.UsageError(
            "--report shows samples; of --augmentation-study take --json."
        )
    if study and blind:
        raise click.UsageError(
            "--blind-check goes with the figures, which --augmentation-study "
            "leaves out: give one of the two."
        )
    _options.check_report(report, (".html", ".json", ".png"))
    num_samples = 1000 if num_samples is None else num_samples
    if num_samples < 10:
        raise click.BadParameter(
            f"10 sounds or more are needed. Received: {num_samples}",
            param_hint="-n / --num-samples",
        )
    _backend.prepare()
    train, test, tested = _evaluation.split(data, config, folder, test_pattern)
    chosen = _evaluation.choose_classifier(classifier, config, test.labels)
    if second is not None:
        _options.find_preset(second, "predict", hint="--second-classifier")

    from keras_audiogan import metrics, zoo
    from keras_audiogan.runs.augmentation_study import (
        format_study,
        study_for_card,
    )

    weights = ("generator", "encoder") if copies else ("generator",)
    gan = _options.load_model(folder, precision, weights=weights)
    _evaluation.check_labels(train, gan)
    real, held_out = (_evaluation.read(part, gan) for part in (train, test))
    if study:
        report_of_study = _study(
            gan,
            real,
            held_out,
            truncation,
            architecture=study_classifier,
            epochs=epochs,
            num_runs=runs,
            batch_size=batch_size,
            seed=seed,
        )
        report_of_study["test_files"] = tested.as_json()
        if save:
            _evaluation.save(folder, study_for_card(report_of_study), tested)
        if not as_json:
            click.echo(str(tested))
        _evaluation.show(report_of_study, as_json, format_study)
        return
    fewest = min(len(real.audio), len(held_out.audio))
    if fewest < 10:
        raise click.BadParameter(
            "10 clips or more are needed of the sound that was trained on and "
            "of the sound held out. Give a larger folder, or say with --test "
            f"which files to test on. Received: {len(real.audio)} and "
            f"{len(held_out.audio)}",
            param_hint="--data",
        )
    classifier_model = zoo.from_preset(chosen) if chosen else None
    as_data = ask == "as-data"
    labels = _evaluation.as_often(real, gan, num_samples) if as_data else None
    generated = metrics.sample_clips(
        gan, num_samples, seed, batch_size, truncation, labels
    )
    figures = metrics.evaluate_gan(
        generated,
        real.audio,
        held_out.audio,
        classifier_model,
        sampling_rate=gan.sampling_rate,
        seed=seed,
        batch_size=batch_size,
        truncation=truncation,
        targets=metrics.targets_of(gan, classifier_model, num_samples, labels),
        test_targets=held_out.targets(classifier_model),
        stage_steps=gan.stage_steps,
    )
    figures["classifier_preset"] = chosen
    if _music.is_wanted(music, config["labels"] or real.label_names):
        figures["music"] = _music.evaluate(
            generated, real.audio, held_out.audio, gan.sampling_rate, seed
        )
    figures["test_files"] = tested.as_json()
    if second is not None:
        metrics.add_second_classifier(
            figures,
            generated,
            held_out.audio,
            zoo.from_preset(second),
            preset=second,
            seed=seed,
        )
    if blind:
        _evaluation.add_blind_check(figures, generated, real, held_out, seed)
    asked = _evaluation.labels_asked(gan, num_samples, labels)
    notes = _evaluation.add_pitches(figures, generated, asked, real, held_out)
    for_card = metrics.metrics_for_card(figures)
    if copies:
        found = metrics.evaluate_reconstruction(
            gan, held_out.audio[:num_samples], seed=seed, batch_size=batch_size
        )
        figures["reconstruction"] = found
        for_card |= metrics.reconstruction_metrics_for_card(found)
    if report is not None:
        metrics.write_report(
            report,
            figures,
            generated,
            real.audio,
            train_names=real.names,
            sample_labels=asked,
            rainbowgrams=notes,
            title=preset,
        )
    if save:
        _evaluation.save(folder, for_card, tested)
    _evaluation.show(figures, as_json, metrics.format_table)
    if copies and not as_json:
        text = metrics.format_reconstruction_table(figures["reconstruction"])
        click.echo("\n" + text.rstrip())
    if classifier_model is None and "music" not in figures and not as_json:
        click.echo(
            "No classifier of these labels at this rate: inception score and "
            "distances of features are left out (see --classifier)."
        )


def _study(
    gan: Any,
    real: _evaluation.RealClips,
    held_out: _evaluation.RealClips,
    truncation: float | None,
    **options: Any,
) -> dict[str, Any]:
    """Compare classifiers trained with and without generated sound."""
    import numpy as np

    from keras_audiogan import metrics
    from keras_audiogan.runs import augmentation_study as study
    from keras_audiogan.runs.bars import progress

    if not getattr(gan, "conditional", False):
        raise click.UsageError(
            "--augmentation-study needs to know what was asked for: choose a "
            "conditional preset, such as one of projection_wavegan."
        )
    # The classifier knows the labels of the data; no others are asked for.
    names = real.label_names or ()
    count = -(-len(real.audio) // len(names)) * len(names)
    generated = metrics.sample_clips(
        gan, count, options["seed"], options["batch_size"], truncation, names
    )
    steps = study.num_steps(
        len(real.audio), options["epochs"], options["batch_size"]
    )
    total = steps * options["num_runs"] * len(study.REGIMES)
    with progress("Training classifiers", total) as advance:
        return study.augmentation_study(
            study.LabelledAudio(real.audio, real.labels),
            study.LabelledAudio(generated, np.arange(count) % len(names)),
            study.LabelledAudio(held_out.audio, held_out.labels),
            names,
            gan.sampling_rate,
            on_step=advance,
            **options,
        )


# The way to evaluate a model of each task.
EVALUATIONS = {
    "generate": _evaluate_clips,
    "autoencode": _evaluate_clips,
    "vocode": _vocoder_evaluation.run,
}
