"""Configs of older versions under today's names.

Presets, run folders, `--set` and constructors all come through here, so that
whatever was written or typed for an older version goes on working.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

# Architecture -> its name today.
ARCHITECTURES = {"genre_cgan": "cgan"}
_CLASSES = {"keras_audiogan>GenreCGAN": "keras_audiogan>CGAN"}

# The task of each architecture of format version 1, which did not state it.
_TASKS = {
    **dict.fromkeys(
        ("melgan", "multiband_melgan", "hifigan", "parallel_wavegan"), "vocode"
    ),
    **dict.fromkeys(("digit_classifier", "lstm_classifier"), "classify"),
}

# What was an argument of the model, and is one of its discriminators now:
# old name -> (kind of discriminator, its argument).
_OF_DISCRIMINATORS = {
    "phase_shuffle": ("waveform", "phase_shuffle"),
    "spectral_dim": ("spectral", "dim"),
    "num_mel_bins": ("spectral", "num_mel_bins"),
    "fft_length": ("spectral", "fft_length"),
    "frame_step": ("spectral", "frame_step"),
    "min_frequency": ("spectral", "min_frequency"),
    "augment": ("spectral", "augment"),
}


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config.json as today's version would have written it.

    Args:
        config: a config.json of any format version, its types checked.
    """
    upgraded = dict(config)
    if config["format_version"] < 2:
        name = ARCHITECTURES.get(config["architecture"], config["architecture"])
        task = _TASKS.get(name, "generate")
        upgraded |= {
            "task": task,
            "architecture": name,
            "class_name": _CLASSES.get(
                config["class_name"], config["class_name"]
            ),
        }
        if task == "vocode":
            upgraded["config"] = upgrade_vocoder(config["config"])
        elif task == "generate":
            upgraded["config"] = upgrade_gan(config["config"])
    return upgraded


def upgrade_vocoder(
    arguments: Mapping[str, Any], defaults: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Returns a vocoder's arguments under today's names.

    `discriminator` becomes the one entry of `discriminators`.

    Args:
        arguments: by any name that they ever had.
        defaults: the architecture's own discriminators, which options
            without a `kind` change.

    Raises:
        ValueError: if there are both names, or the old one is no dict.
    """
    new = dict(arguments)
    if new.get("discriminator", new) is None:
        del new["discriminator"]
    if "discriminator" in new:
        _refuse_both(new, "discriminator")
        options = new.pop("discriminator")
        if not isinstance(options, Mapping):
            raise ValueError(
                "`discriminator` must be a dict of a kind and options. "
                f"Received: discriminator={options!r}"
            )
        base = {} if "kind" in options or not defaults else defaults[0]
        new["discriminators"] = [{**base, **options}]
    return new


def upgrade_gan(
    arguments: Mapping[str, Any],
    defaults: Sequence[Mapping[str, Any]] = (),
    own: Container[str] = (),
) -> dict[str, Any]:
    """Returns the arguments of a generator of clips under today's names.

    `critics` and the options of each become `discriminators`; the
    `classifier_view` of a ControlGAN becomes its `classifier`.

    Args:
        arguments: by any name that they ever had.
        defaults: the architecture's own discriminators, which options of
            critics speak of where `critics` is not given.
        own: names that the architecture itself takes.

    Raises:
        ValueError: if there are both names.
    """
    new = dict(arguments)
    old = [
        name
        for name in ("critics", *_OF_DISCRIMINATORS)
        if name in new and name not in own
    ]
    view = new.pop("classifier_view", None)
    if not old and view is None:
        return new
    kinds = [each["kind"] for each in defaults]
    of_kind: dict[str, dict[str, Any]] = {}
    for name in old:
        value = new.pop(name)
        if name == "critics":
            if not value or isinstance(value, (str, Mapping)):
                raise ValueError(
                    "`critics` must name one or more kinds in a list, e.g. "
                    f'["spectral"]. Received: critics={value!r}'
                )
            kinds = list(value)
        else:
            kind, argument = _OF_DISCRIMINATORS[name]
            of_kind.setdefault(kind, {})[argument] = value
    if old and (kinds or of_kind):
        _refuse_both(new, old[0])
        new["discriminators"] = [
            {"kind": kind, **of_kind.get(kind, {})}
            for kind in kinds or list(of_kind)
        ]
    if view is not None:
        new["classifier"] = {"kind": view, **of_kind.get(view, {})}
    return new


def _refuse_both(arguments: Mapping[str, Any], old: str) -> None:
    if arguments.get("discriminators") is not None:
        raise ValueError(
            f"`{old}` is the older name of what `discriminators` says now: "
            f"give one of them. Received: both"
        )
