"""Presets by name: bundled, in a folder, or on the Hub.

The folders beside this file are the zoo; other packages may bring presets of
their own architectures. A checkout holds all of them, the
wheel one flagship preset per architecture and what the README uses;
`index.json` says what each is, wherever it is (see `zoo.index`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from keras_audiogan.presets import cards, weight_files
from keras_audiogan.presets.config import (
    CONFIG_FILE,
    read_config,
    read_training,
    weights_file,
)
from keras_audiogan.presets.strict_json import PresetError
from keras_audiogan.presets.tasks import TASKS
from keras_audiogan.serving.reach import known_reach

if TYPE_CHECKING:
    from keras_audiogan.models import (
        AudioClassifier,
        AudioGAN,
        ProgressiveVAEGAN,
        Vocoder,
    )
    from keras_audiogan.zoo.preset_names import (
        AutoencodeName,
        ClassifyName,
        GenerateName,
        VocodeName,
    )

HUB_SCHEME = "hf://"
HUB_OWNER = "keras-audiogan"
"""Whose repositories on the Hub hold the zoo's presets, by the same names."""
RUN_PRESET = "preset"

PRESETS_FOLDER = Path(__file__).parent
INDEX_FILE = "index.json"
# What `preset_info` takes from config.json first.
_SHOWN = "task architecture class_name sampling_rate num_channels".split()

ALIASES = {
    "genre_cgan_drums_conv": "cgan_drums_conv",
    "genre_cgan_drums_dense": "cgan_drums_dense",
}
"""Names that presets had before, and what they are called now."""


def list_presets(pattern: str = "*") -> list[str]:
    """Returns the names of the bundled presets, sorted.

    Args:
        pattern: A shell pattern, e.g. `"wavegan_*"`; a pattern without a
            wildcard stands for that name alone.
    """
    return sorted(name for name in _bundled() if fnmatchcase(name, pattern))


def _bundled() -> dict[str, Path]:
    """Returns the folders of presets that are installed, by name.

    They are the zoo's, and those that packages with architectures of their
    own bring: in a folder `presets` of the package that an entry point
    `keras_audiogan.architectures` is in. Nothing of it is imported.
    """
    homes = []
    for entry in entry_points(group="keras_audiogan.architectures"):
        spec = find_spec(entry.value.partition(".")[0])
        for place in (spec and spec.submodule_search_locations) or ():
            homes.append(Path(place) / "presets")
    return {
        folder.name: folder
        for home in (*homes, PRESETS_FOLDER)
        if home.is_dir()
        for folder in home.iterdir()
        if (folder / CONFIG_FILE).is_file()
    }


def find_presets(
    pattern: str = "*", *, task: str | None = None
) -> list[dict[str, Any]]:
    """Returns what is known of the zoo's presets, sorted by name.

    Args:
        pattern: As for `list_presets`.
        task: `"generate"`, `"vocode"`, `"autoencode"` or `"classify"`; None
            for all.

    Returns:
        For each a dict as `preset_info` returns it, with `where`:
        `"package"` for a preset that every installation holds, `"checkout"`
        for one that only the repository does and that is here, `"hub"` for
        one that is not here, but in a repository of `HUB_OWNER`. The last
        have no `path`, `config`, `training`, `engine` and `streaming`.

    Raises:
        ValueError: if the task is unknown.
    """
    _check_task(task)
    index, here = read_index(), set(_bundled())
    found = []
    for name in sorted(here | index.keys()):
        if not fnmatchcase(name, pattern):
            continue
        known = index.get(name, {"in_wheel": False})
        info = preset_info(name) if name in here else {"name": name, **known}
        in_wheel = info.pop("in_wheel", known["in_wheel"])
        if task in (None, info["task"]):
            ours = name in index
            place = "package" if in_wheel or not ours else "checkout"
            found.append({**info, "where": place if name in here else "hub"})
    return found


def read_index() -> dict[str, dict[str, Any]]:
    """Returns what index.json says of each preset of the zoo, by name."""
    file = PRESETS_FOLDER / INDEX_FILE
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def resolve(
    name: str | os.PathLike[str],
    *,
    token: str | bool | None = None,
    weights: Iterable[str] | None = None,
    samples: bool = True,
) -> Path:
    """Returns the folder of a preset, fetched from the Hub if it is there.

    A name of letters, digits, `_`, `-` and `.` is that of a bundled preset,
    or else of a folder in the working directory; anything with a path
    separator is a folder, and of a training run its exported preset.

    Args:
        name: A bundled preset's name, a folder, or
            `hf://owner/name[@revision]`.
        token: For private repositories of the Hub; by default the client's
            own.
        weights: Which weights to fetch from the Hub; see `pull`.
        samples: Whether to fetch samples/ from there.

    Raises:
        ValueError: if it is none of these; the message names the forms and
            what resembles it.
    """
    if isinstance(name, os.PathLike):
        return _folder(Path(name))
    if not isinstance(name, str):
        raise ValueError(
            f"A preset is given by a string or a path. Received: {name!r}"
        )
    if name.startswith(HUB_SCHEME):
        # By name, since the Hub client takes a second to import.
        hub = import_module("keras_audiogan.zoo.hub")
        return hub.pull(name, token=token, weights=weights, samples=samples)
    if "://" in name:
        raise ValueError(_wrong_scheme(name))
    looks_like_path = "/" in name or os.sep in name or name[:1] in (".", "~")
    if not looks_like_path:
        bundled = _bundled()
        if name not in bundled:
            name = ALIASES.get(name, name)
        if name in bundled:
            return bundled[name]
    folder = Path(name).expanduser()
    if name and os.path.isdir(folder):
        return _folder(folder)
    raise ValueError(_unknown(name))


@overload
def from_preset(
    name: GenerateName,
    *,
    task: Literal["generate"] | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> AudioGAN: ...
@overload
def from_preset(
    name: VocodeName,
    *,
    task: Literal["vocode"] | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> Vocoder: ...
@overload
def from_preset(
    name: ClassifyName,
    *,
    task: Literal["classify"] | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> AudioClassifier: ...
@overload
def from_preset(
    name: AutoencodeName,
    *,
    task: Literal["autoencode"] | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> ProgressiveVAEGAN: ...
@overload
def from_preset(
    name: str | os.PathLike[str],
    *,
    task: Literal["generate"],
    token: str | bool | None = None,
    **kwargs: Any,
) -> AudioGAN: ...
@overload
def from_preset(
    name: str | os.PathLike[str],
    *,
    task: Literal["vocode"],
    token: str | bool | None = None,
    **kwargs: Any,
) -> Vocoder: ...
@overload
def from_preset(
    name: str | os.PathLike[str],
    *,
    task: Literal["classify"],
    token: str | bool | None = None,
    **kwargs: Any,
) -> AudioClassifier: ...
@overload
def from_preset(
    name: str | os.PathLike[str],
    *,
    task: Literal["autoencode"] | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> Any: ...


def from_preset(
    name: str | os.PathLike[str],
    *,
    task: str | None = None,
    token: str | bool | None = None,
    **kwargs: Any,
) -> Any:
    """Loads a pretrained model.

    An original author's checkpoint (see `keras_audiogan.converters`) is
    converted as it is loaded, from a folder, a file or the Hub.

    Example:

    ```python
    gan = keras_audiogan.from_preset("wavegan_digits")
    audio = gan.sample(8, seed=0)
    vocoder = keras_audiogan.from_preset("runs/mine", task="vocode")
    again = vocoder.vocode(audio[0])
    ```

    Args:
        name: A bundled preset's name, a folder, a checkpoint's file, or
            `hf://owner/name[@revision]`.
        task: What the model must be for: `"generate"`, `"vocode"`,
            `"autoencode"` or `"classify"`. Editors and type checkers then
            know its methods, as they do for the names of the zoo's presets.
        token: For private repositories of the Hub.
        **kwargs: As `keras_audiogan.saving.load_preset` takes them:
            `weights`, `dtype`; of an engine also `runtime`, `"onnxruntime"`
            or `"openvino"`.

    Returns:
        A model of the preset's class, not compiled; of a folder that
        `audiogan export --engine` wrote an `Engine`, without Keras.

    Raises:
        ValueError: if there is no such preset (see `resolve`), it is for
            another task, or it is broken
            (`keras_audiogan.saving.PresetError`,
            `keras_audiogan.converters.ConversionError`).
        HubError: if the Hub refuses or cannot be reached.
    """
    _check_task(task)
    path = _resolve_any(name, token, kwargs.get("weights"))
    from keras_audiogan import saving

    if not saving.is_preset_folder(path) and _is_checkpoint(path):
        from keras_audiogan import converters

        model = converters.convert(path, **kwargs)
        _check_is_for(task, model.task, name)
        return model
    if task is not None:
        # Before a weight is read.
        _check_is_for(task, read_config(path)["task"], name)
    return saving.load_preset(path, **kwargs)


def _check_task(task: str | None) -> None:
    if task is not None and task not in TASKS:
        raise ValueError(
            f"Unknown task. Expected one of {', '.join(TASKS)}. "
            f"Received: task={task!r}"
        )


def _check_is_for(
    wanted: str | None, task: str, name: str | os.PathLike[str]
) -> None:
    if wanted not in (None, task):
        raise ValueError(
            f"{os.fspath(name)} is for another task: {task}. Choose a preset "
            f"that `audiogan list --task {wanted}` shows, or ask for "
            f"task={task!r}. Received: task={wanted!r}"
        )


def _resolve_any(
    name: str | os.PathLike[str],
    token: str | bool | None,
    weights: Iterable[str] | None,
) -> Path:
    """Returns a preset's folder, or where a checkpoint of others is."""
    if isinstance(name, str) and name.startswith(HUB_SCHEME):
        hub = import_module("keras_audiogan.zoo.hub_checkpoint")
        return hub.pull_any(name, token=token, weights=weights, samples=False)
    try:
        return resolve(name, token=token)
    except ValueError:
        path = Path(name).expanduser()
        if os.path.exists(path) and _is_checkpoint(path):
            return path
        raise


def _is_checkpoint(path: Path) -> bool:
    """Returns whether an original author's checkpoint lies at a path."""
    from keras_audiogan import converters

    try:
        converters.identify(path)
    except converters.MissingPackageError:
        raise
    except converters.ConversionError:
        return False
    return True


def preset_info(
    name: str | os.PathLike[str], *, token: str | bool | None = None
) -> dict[str, Any]:
    """Returns what a preset says of itself, without building its model.

    Args:
        name: As for `resolve`.
        token: For private repositories of the Hub.

    Returns:
        A dict with `name`, `path`, `summary`, `task`, `architecture`,
        `class_name`, `sampling_rate` (Hz), `num_channels`, `slice_length`
        (samples), `duration` (seconds), `labels`, `config`, `num_parameters`
        (by file stem), `num_bytes` (of all weights), `storage_dtype`, `data`
        (a list), `license`, `metrics` (name -> number), `library_version`,
        `engine` (its format, of presets without Keras), `streaming` (of
        vocoders, `look_ahead` in samples, `latency` in seconds and
        `first_frames`) and `training` (all of training.json). What a preset
        does not say is None or empty.

    Raises:
        ValueError: if there is no such preset, or its files are broken.
    """
    folder = resolve(name, token=token)
    is_bundled = folder in _bundled().values()
    config, training = read_config(folder), read_training(folder)
    entries = config["weights"]
    dtypes: set[str | None] = {"float32"}
    if "engine" not in config:
        headers = {
            stem: weight_files.read_header(folder / weights_file(config, stem))
            for stem in sorted(entries)
        }
        dtypes = {
            header.metadata.get("storage_dtype") for header in headers.values()
        }
        entries = {
            stem: {
                "num_parameters": header.num_parameters,
                "num_bytes": header.num_bytes,
            }
            for stem, header in headers.items()
        }
    data = cards.data_sets(training)
    licenses = [entry["license"] for entry in data if entry.get("license")]
    return {
        "name": folder.name if is_bundled else str(name),
        "path": folder,
        "summary": cards.summary(config, training),
        **{key: config[key] for key in _SHOWN},
        "slice_length": config["config"].get("slice_length"),
        "duration": cards.duration_seconds(config),
        "labels": config["labels"],
        "config": config["config"],
        "num_parameters": {
            stem: entry["num_parameters"] for stem, entry in entries.items()
        },
        "num_bytes": sum(entry["num_bytes"] for entry in entries.values()),
        "storage_dtype": dtypes.pop() if len(dtypes) == 1 else None,
        "data": data,
        "license": training.get("license") or ", ".join(licenses) or None,
        "metrics": cards.figures(training),
        "library_version": config["library_version"],
        "engine": config.get("engine", {}).get("format"),
        "streaming": _streaming(config),
        "training": training,
    }


def _streaming(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns how far the sound of a vocoder's stream stays behind."""
    if config["task"] != "vocode":
        return None
    reach = known_reach(config["architecture"], config["config"])
    if reach is None or not config["sampling_rate"]:
        # Of an architecture of others, or a preset of long ago.
        return None
    return {
        "look_ahead": reach.look_ahead,
        "latency": reach.look_ahead / config["sampling_rate"],
        "first_frames": max(
            reach.first_frames,
            reach.look_ahead // config["config"]["mel"]["frame_step"] + 1,
        ),
    }


def _folder(folder: Path) -> Path:
    """Returns a folder, or the exported preset of a training run's.

    A run of stages is its last stage that has one.
    """
    stages = [
        place
        for place in folder.glob(f"stage_*/{RUN_PRESET}")
        if place.parent.name.removeprefix("stage_").isdecimal()
    ]
    stages.sort(key=lambda place: -int(place.parent.name[6:]))
    for place in (folder, folder / RUN_PRESET, *stages):
        if (place / CONFIG_FILE).is_file():
            return place
    if not os.path.isdir(folder):
        raise PresetError(folder, "there is no such folder")
    raise PresetError(
        folder,
        f"this is not a preset folder: it has no {CONFIG_FILE}",
        advice="`audiogan convert` makes a preset of an original author's "
        "checkpoint",
    )


def _forms() -> str:
    return (
        "Expected the name of a bundled preset "
        f"({', '.join(list_presets()) or 'there are none'}), a folder "
        "(./my_preset) or hf://owner/name[@revision]."
    )


def _wrong_scheme(name: str) -> str:
    match = re.match(
        r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(.*)", name
    )
    parts = match.group(1).strip("/").split("/") if match else []
    advice = ""
    if len(parts) >= 2:
        advice = f" For this page of the Hub: hf://{parts[0]}/{parts[1]}."
    return f"{_forms()}{advice} Received: {name!r}"


def _unknown(name: str) -> str:
    index = read_index()
    if name in index:
        uri = f"{HUB_SCHEME}{HUB_OWNER}/{name}"
        return (
            f"{name} is a preset of the zoo that this installation does not "
            f"hold. It is on the Hub: write {uri} in its place, or fetch it "
            f"once with `audiogan pull {uri}`. Received: {name!r}"
        )
    advice = ""
    close = get_close_matches(name, {*list_presets(), *index})
    if close:
        advice = f" Did you mean {' or '.join(close)}?"
    elif re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name):
        advice = (
            " If it is on the Hub, write hf:// before it; there is no such "
            "folder here."
        )
    return f"No preset is called {name!r}.{advice} {_forms()}"
