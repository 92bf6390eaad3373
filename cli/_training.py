"""What `audiogan train` and `audiogan finetune` share: options and the run."""

import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import click

from keras_audiogan.cli import _backend, _options
from keras_audiogan.runs.options import (
    CHANGEABLE,
    DEFAULTS,
    MEASURES,
    TrainingOptions,
)
from keras_audiogan.runs.stage_options import STAGES_FILE, StageOptions

LOSSES = (
    "wgan-gp",
    "hinge",
    "relativistic",
    "dcgan",
    "lsgan",
    "wgan",
    "hifigan",
    "bigvgan",
    "bigvgan_v2",
    "melgan",
    "multiband_melgan",
    "parallel_wavegan",
    "multi_resolution_stft",
    "multi_scale_mel",
    "vocos",
)
DISTRIBUTIONS = ("mirrored", "multiworker")


class Level(_options.ParsedType):
    """peak, keep, or a number to multiply by."""

    name = "peak|keep|gain"

    def parse(self, text: str) -> str | float:
        """Return a word or a positive number."""
        if text in ("peak", "keep"):
            return text
        try:
            gain = float(text)
        except ValueError:
            gain = 0.0
        if not 0.0 < gain < float("inf"):
            raise ValueError(
                f"expected peak, keep or a number above 0. Received: {text}"
            )
        return gain


class Trim(_options.ParsedType):
    """Off, or what counts as silence in dB below a file's peak."""

    name = "db|off"

    def parse(self, text: str) -> str | float:
        """Return off or the number."""
        from keras_audiogan.data.trim_option import as_trim

        try:
            return as_trim(text if text == "off" else float(text))
        except ValueError:
            raise ValueError(
                "expected off, or what counts as silence in dB below the "
                f"file's peak, from 1 to 150. Received: {text}"
            ) from None


class Assignment(_options.ParsedType):
    """NAME=VALUE, where the value is JSON or else a word."""

    name = "name=value"

    def parse(self, text: str) -> tuple[str, Any]:
        """Return the name and the value."""
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise ValueError(
                f"expected NAME=VALUE, such as dim=16. Received: {text}"
            )
        try:
            return name, json.loads(value)
        except ValueError:
            return name, value


def option(
    flag: str,
    help: str,
    type: click.ParamType | type = _options.COUNT,
    default: str | None = None,
    also: tuple[str, ...] = (),
    **kwargs: Any,
) -> _options.Decorator:
    """Return an option whose value is None where it is not given.

    A resumed run can so tell what was asked for from what was not.

    Args:
        flag: as click takes it.
        help: what it does.
        type: of its value.
        default: what the help says is done without it; where
            `TrainingOptions` has a default, that stands there.
        also: an older flag that goes on working, and the attribute of
            `TrainingOptions`.
        **kwargs: passed to click.
    """
    name = flag.partition("/")[0].removeprefix("--").replace("-", "_")
    value = DEFAULTS.get(name)
    if value is not None and not isinstance(value, bool):
        default = f"{value:,}" if isinstance(value, int) else str(value)
    if default is not None:
        help = f"{help} Default: {default}."
    return click.option(
        flag, *also, type=type, default=None, help=help, **kwargs
    )


# In the order of the help.
_SHARED = (
    _options.output_option(
        "Folder of the run: log, previews, checkpoints, and the preset it "
        "makes.",
        required=True,
    ),
    option(
        "--steps",
        "Generator updates in all; a classifier's: 1,000. With --stages: of "
        "each, or one number for all.",
        _options.Counts(),
    ),
    option(
        "--epochs",
        "Passes over the data in place of --steps; for classifiers.",
        default="by --steps",
    ),
    option(
        "--batch-size",
        "Clips of one discriminator update. With --stages: of each, or one "
        "number for all; by default the architecture's own by stage.",
        _options.Counts(),
    ),
    option("--precision", _options.PRECISION_HELP, _options.PRECISION),
    option(
        "--loss",
        "Adversarial loss; it brings its optimisers and update ratio. Those "
        "from hifigan on are for vocoders.",
        click.Choice(LOSSES),
        "the preset's, with its numbers; or else the architecture's own",
    ),
    option(
        "--loss-scale",
        "What losses are multiplied by before they are differentiated, for "
        "mixed precision: 32 in Körmendi's thesis.",
        click.FloatRange(0, min_open=True),
        "none; of mixed_float16, found by trying",
    ),
    option(
        "--learning-rate",
        "Of both optimisers.",
        click.FloatRange(0, 1, min_open=True, max_open=True),
        "the loss's own",
    ),
    option(
        "--discriminator-steps",
        "Discriminator updates a step.",
        default="the loss's own",
        also=("--critic-steps",),
    ),
    option(
        "--penalty",
        "Weight of the loss's gradient penalties: less makes a sharper "
        "discriminator, at some risk.",
        click.FloatRange(0),
        "the loss's own",
    ),
    option(
        "--balance-gradients/--no-balance-gradients",
        "Let each of several discriminators move the generator by its weight "
        "alone, not by the size of its gradients too.",
        bool,
        "no",
    ),
    option(
        "--discriminator-start",
        "Steps of a vocoder before its discriminator enters.",
        click.IntRange(0),
        "the loss's own; 0 where a preset brings one",
    ),
    option(
        "--seed",
        "Of weights, latents, order of the data and previews.",
        _options.SEED,
    ),
    option(
        "--mode",
        "pad: one clip a file, short ones filled up. slice: files are cut "
        "into clips. join: all files are one, which is cut. auto: pad or slice "
        "by the lengths of the files.",
        click.Choice(["auto", "pad", "slice", "join"]),
    ),
    option(
        "--overlap",
        "Part of a slice that the next one repeats.",
        click.FloatRange(0, 1, max_open=True),
    ),
    option(
        "--random-offset/--no-random-offset",
        "Begin clips at random places.",
        bool,
        "yes when files are sliced",
    ),
    option(
        "--offset-augmentation",
        "Level of the offset augmentation: copies of every clip at other "
        "places in it.",
        click.IntRange(0, 9),
    ),
    option(
        "--random-gain-db",
        "Make every clip quieter by a random amount, up to this.",
        click.FloatRange(0, 120, min_open=True),
        metavar="DB",
    ),
    option(
        "--balance/--no-balance",
        "Draw every label (sub-folder) equally often.",
        bool,
    ),
    option(
        "--label-names",
        "Names for the labels, in the order of the folders' names; or "
        "OLD=NEW,... for those that change, e.g. 0=zero,1=one.",
        _options.Names(),
        "the names of the sub-folders",
        metavar="A,B,...",
    ),
    option(
        "--include",
        "Only files whose name, from DATA on, matches, e.g. '*/kick*'.",
        str,
        metavar="PATTERN",
    ),
    option(
        "--exclude",
        "Leave files out, e.g. a test set: '*_[0-4].wav'.",
        str,
        metavar="PATTERN",
    ),
    option(
        "--test",
        "Files held out of training, in place of --hold-out: e.g. "
        "'*_[0-4].wav', last-tenth for the last tenth of each label, or tenth "
        "for every tenth file.",
        str,
        "none; of classifiers, which are tested on them, tenth",
        metavar="PATTERN",
    ),
    option(
        "--hold-out",
        "Part of each label's files held out of training, which audiogan "
        "evaluate measures on; the same ones when files are added. 0 trains "
        "on all.",
        click.FloatRange(0, 1, max_open=True),
        metavar="PART",
    ),
    option(
        "--trim",
        "Leave silence at both ends of files out, and slices that are wholly "
        "silent: what is so many dB below the file's peak.",
        Trim(),
        metavar="DB|off",
    ),
    option(
        "--strict/--no-strict",
        "Stop at a file that cannot be read instead of skipping it.",
        bool,
    ),
    option("--preview-every", "Steps between previews: sound and picture."),
    option("--num-previews", "Clips in a preview."),
    option("--checkpoint-every", "Steps between checkpoints."),
    option("--keep-checkpoints", "How many of the newest are kept."),
    option(
        "--evaluate-every",
        "Steps between measurements; the best is kept.",
        default="never",
    ),
    option(
        "--keep-best",
        "Figure by which the best model is kept in best/.",
        click.Choice(list(MEASURES)),
        "frechet_distance",
        metavar="FIGURE",
    ),
    option(
        "--classifier",
        "Classifier of the data's labels, for the measurements.",
        str,
        metavar="PRESET",
    ),
    option("--log-every", "Steps between lines of the log."),
    option(
        "--distribute",
        "Train on all devices of this machine, or on several machines "
        "(TF_CONFIG).",
        click.Choice(DISTRIBUTIONS),
    ),
    option("--data-name", "Name of the data, for the card.", str),
    option("--data-license", "Its licence, for the card.", str),
    option("--data-url", "Its address, for the card.", str),
    click.option(
        "--resume",
        is_flag=True,
        help="Continue the run in --output on the same data. Options may be "
        "left out or repeated; only these may change: "
        + ", ".join("--" + name.replace("_", "-") for name in CHANGEABLE)
        + " (but of a classifier not --steps).",
    ),
    click.option(
        "-n",
        "--dry-run",
        is_flag=True,
        help="Scan the data, show what would be done, and stop.",
    ),
)


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options of every training run."""
    for decorator in reversed(_SHARED):
        function = decorator(function)
    return function


data_argument: _options.Decorator = click.argument(
    "data",
    nargs=-1,
    required=True,
    metavar="DATA...",
    type=click.Path(exists=True, path_type=pathlib.Path),
)


def start(
    data: tuple[pathlib.Path, ...], dry_run: bool, **options: Any
) -> None:
    """Train, or with `dry_run` show what training would do.

    Keras is imported here, after every mistake that can be found without it.
    The `options` are the other attributes of `TrainingOptions`.
    """
    if options.get("classifier") is not None:
        options["classifier"], _ = _options.find_preset(
            options["classifier"], "predict", hint="--classifier"
        )
    several = {
        name: options.pop(name, None)
        for name in ("stages", "frozen_steps", "steps", "batch_size")
    }
    folder = pathlib.Path(options["output"]).expanduser()
    resumes = options["resume"] and (folder / STAGES_FILE).is_file()
    if several["stages"] is not None or resumes:
        _start_stages(data, options, several, dry_run)
        return
    if several.pop("stages") or several.pop("frozen_steps") is not None:
        raise ValueError(
            "`frozen_steps` are those of a stage: give `stages` (--stages) "
            f"as well. Received: frozen_steps={several}"
        )
    for name, value in several.items():
        if isinstance(value, tuple):
            raise ValueError(
                f"Several numbers of `{name}` are for `stages` (--stages). "
                f"Received: {name}={','.join(map(str, value))}"
            )
    chosen = TrainingOptions(data=data, **several, **options)
    chosen.check()
    _backend.prepare()
    from keras_audiogan.runs import run

    if dry_run:
        click.echo(run.describe_run(chosen))
        return
    _finish(run.run_training(chosen))


def _start_stages(
    data: tuple[pathlib.Path, ...],
    options: dict[str, Any],
    several: dict[str, Any],
    dry_run: bool,
) -> None:
    several["batch_sizes"] = several.pop("batch_size")
    if isinstance(several["stages"], int):
        several["stages"] = (several["stages"],)
    chosen = TrainingOptions(data=data, **options)
    chosen.check()
    asked = StageOptions(**several)
    if asked.stages is not None or not chosen.resume:
        asked.check()
    _backend.prepare()
    from keras_audiogan.runs import stages

    if dry_run:
        click.echo(stages.describe_stages(chosen, asked))
        return
    _finish(stages.run_stages(chosen, asked))


def _finish(result: Any) -> None:
    click.echo(result)
    if result.signal is not None:
        sys.exit(128 + result.signal)
