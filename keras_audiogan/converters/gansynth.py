"""Converts the folders that GANSynth was released in (TensorFlow 1).

Source: https://github.com/magenta/magenta, models/gansynth. A folder holds
`experiment.json`, the options of the training, and a folder for each stage of
it, `stage_00000` and so on, with a checkpoint. The generator is the moving
average, as the original samples from.
"""

from __future__ import annotations

import logging
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_audiogan.converters import checkpoint_files, config_files, wavegan
from keras_audiogan.converters.errors import ConversionError
from keras_audiogan.converters.network_weights import NetworkWeights
from keras_audiogan.converters.parts import Parts, build
from keras_audiogan.converters.tensorflow_checkpoint import (
    TensorFlowCheckpoint,
)
from keras_audiogan.converters.torch_files import Layer

if TYPE_CHECKING:
    from keras_audiogan.models.gansynth import GANSynth

logger = logging.getLogger(__name__)

_OPTIONS = "experiment.json"
_STAGE = re.compile(r"stage_(\d{1,9})")
_GENERATOR = "Generator/progressive_gan_generator/progressive_gan_block_{}/"
_DISCRIMINATOR = (
    "Discriminator/progressive_gan_discriminator/progressive_gan_block_{}/"
)
_CLASSES = "Discriminator/discriminator_cond/classification_logits/"
_AVERAGE = "/ExponentialMovingAverage"
_FIRST_KERNEL = f"{_GENERATOR.format(1)}conv0/conv2d/kernel{_AVERAGE}"
# Of the subset of NSynth that the original trains on.
_PITCHES = range(24, 85)
_MAX_BLOCKS = 12
_MAX_STATISTICS = 1 << 16


def read_contents(
    prefix: str | pathlib.Path, networks: Collection[str] | None = None
) -> wavegan.Contents:
    """Reads a checkpoint with TensorFlow, in this process.

    `networks` are those whose weights to read; None for all that are there.
    """
    checkpoint = TensorFlowCheckpoint(prefix)
    if len(checkpoint.shapes.get(_FIRST_KERNEL, ())) != 4:
        raise ConversionError(
            f"{checkpoint.index_path} is no checkpoint of GANSynth: expected "
            f"a variable {_FIRST_KERNEL!r} with 4 dimensions. Received: "
            f"{checkpoint.shapes.get(_FIRST_KERNEL, 'none')}"
        )
    held = {}
    for name in checkpoint.shapes:
        if name.startswith("Generator/") and name.endswith(_AVERAGE):
            held[name] = "generator"
        elif name.startswith("Discriminator/") and "/Adam" not in name:
            held[name] = "discriminator"
    arrays = checkpoint.read(
        name
        for name, network in held.items()
        if networks is None or network in networks
    )
    clocks = [
        name
        for name in ("global_step", "Variable")
        if checkpoint.shapes.get(name) == ()
    ]
    return wavegan.Contents(
        "gansynth",
        {name: float(x) for name, x in checkpoint.read(clocks).items()},
        sorted(set(held.values())),
        arrays,
    )


class GANSynthConverter:
    """Converts the folders of GANSynth."""

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no folder of GANSynth; None if it is one."""
        try:
            _find_stage(source)
        except ConversionError as error:
            return str(error)
        return None

    def list_networks(self, source: str | pathlib.Path) -> list[str]:
        """Returns which networks a folder holds, by their preset's stems."""
        prefix, _, _ = _find_stage(source)
        return list(wavegan.outline(prefix, __name__).networks)

    def convert(
        self,
        source: str | pathlib.Path,
        *,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        weights: Iterable[str] | None = None,
        dtype: Any = None,
    ) -> GANSynth:
        """Converts a folder of GANSynth, from any stage.

        Blocks that a stage has not come to are as initialised, and have no
        part in what the model makes until it is trained further.

        Args:
            source: The folder with `experiment.json`, of which the last stage
                is taken; the folder of a stage in it; or a checkpoint there.
            sampling_rate: In Hz. None takes what the options say.
            slice_length: Samples of a clip, as the options say or None.
            weights: Networks to load, e.g. `["generator"]`; None for all.
            dtype: Dtype policy of the networks; Keras's global policy if
                None.

        Returns:
            A `GANSynth`.

        Raises:
            MissingPackageError: If TensorFlow is not installed.
            ConversionError: If the files are damaged, hold something else, or
                ask for what has no counterpart here.
        """
        prefix, path, stage = _find_stage(source)
        options = config_files.read_json(path)
        config = _config(options)
        num_blocks = config.pop("num_blocks")
        if not 0 <= stage < 2 * num_blocks - 1:
            raise ConversionError(
                f"{prefix.parent}: with {num_blocks} resolutions there are "
                f"stages 0 to {2 * num_blocks - 2}. Received: stage {stage}"
            )
        if slice_length not in (None, config["slice_length"]):
            raise ConversionError(
                f"{path}: its networks make clips of "
                f"{config['slice_length']} samples. Received: "
                f"slice_length={slice_length}"
            )
        if sampling_rate is not None:
            config["sampling_rate"] = sampling_rate
        wanted = None if weights is None else {"generator", *weights}
        contents = wavegan.read_apart(prefix, wanted, __name__)
        held = (stage + 1) // 2 + 1
        progress = _progress(options, contents.config, num_blocks, held)
        num_classes = (
            contents.arrays[_FIRST_KERNEL].shape[2] - config["latent_dim"]
        )
        config["labels"] = _labels(path, num_classes)
        networks = {
            network: _GrowingWeights(
                prefix,
                _layers(contents.arrays, network, held, num_blocks, config),
                progress,
            )
            for network in contents.networks
            if wanted is None or network in wanted
        }
        parts = Parts(
            prefix,
            "gansynth",
            config,
            networks["generator"],
            networks.get("discriminator"),
        )
        return build(parts, dtype)


converter = GANSynthConverter()
convert_gansynth = converter.convert


class _GrowingWeights(NetworkWeights):
    """Weights of a growing network, and how far it has grown."""

    def __init__(
        self, path: pathlib.Path, layers: dict[str, Layer], progress: float
    ) -> None:
        super().__init__(path, layers)
        self.progress = progress

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compares all but the progress, which is in no layer."""
        super().check({k: v for k, v in shapes.items() if k != "progress"})

    def assign(self, variables: Mapping[str, Any]) -> None:
        """Assigns to our variables by name; `check` must have passed."""
        super().assign(variables)
        variables["progress"].assign(self.progress)


def _find_stage(
    source: str | pathlib.Path,
) -> tuple[pathlib.Path, pathlib.Path, int]:
    """Returns a checkpoint's prefix, the options' file and the stage."""
    path = pathlib.Path(source)
    folder = path if path.is_dir() else path.parent
    if (folder / _OPTIONS).is_file():
        stages = {
            int(match[1]): entry
            for entry in folder.iterdir()
            if (match := _STAGE.fullmatch(entry.name)) and entry.is_dir()
        }
        if not stages:
            raise ConversionError(
                f"{folder}: expected folders stage_00000, stage_00001, ... "
                f"beside {_OPTIONS}. Received: none"
            )
        path = folder = stages[max(stages)]
    match = _STAGE.fullmatch(folder.resolve().name)
    options = folder.resolve().parent / _OPTIONS
    if match is None or not options.is_file():
        raise ConversionError(
            f"Found no folder of GANSynth. Expected {_OPTIONS} and beside it "
            f"stage_00000 or others. Received: {str(source)!r}"
        )
    return checkpoint_files.find_checkpoint(path), options, int(match[1])


def _config(options: config_files.Options) -> dict[str, Any]:
    """Returns `GANSynth`'s arguments, and `num_blocks`.

    Where the file has none, the defaults are those of the original.
    """
    num_blocks = options.integer("num_resolutions", 7, high=_MAX_BLOCKS)
    for name, value in (
        ("scale_mode", "ALL"),
        ("scale_base", 2),
        ("simple_arch", False),
        ("to_rgb_activation", "tanh"),
    ):
        options.choice(name, [value], value)
    if options.number("fmap_decay", 1.0) != 1.0:
        raise options.error("fmap_decay", "1")
    start_width = options.integer("start_width", 8, high=1 << 12)
    generator_weight = options.number("generator_ac_loss_weight", 1.0)
    weight = options.number("discriminator_ac_loss_weight", 1.0)
    if weight != generator_weight:
        logger.warning(
            "%s weighs the classes by %g in the generator and by %g in the "
            "discriminator; trained further, both have the second.",
            options.path,
            generator_weight,
            weight,
        )
    width = start_width * 2 ** (num_blocks - 1)
    return {
        "num_blocks": num_blocks,
        "start_width": start_width,
        "start_height": options.integer("start_height", 4, high=1 << 12),
        "fft_length": 2 * width,
        "frame_step": width // 2,
        "mel": options.choice("data_type", ["mel", "linear"], "mel") == "mel",
        "slice_length": options.integer("audio_length", 64000),
        "sampling_rate": options.integer("sample_rate", 16000),
        "exact_overlap": False,
        **_normalization(options),
        "latent_dim": options.integer("latent_vector_size", 256),
        "class_scale": 1.0,
        "kernel_size": options.integer("kernel_size", 3, high=64),
        "channel_base": options.integer("fmap_base", 512),
        "max_channels": options.count("fmap_max", 128),
        "schedule": "images",
        "num_stable": options.integer("stable_stage_num_images", 32, low=0),
        "num_transition": options.integer(
            "transition_stage_num_images", 32, low=0
        ),
        "class_weight": weight,
        "drift_weight": options.number("real_score_penalty_weight", 0.001),
    }


def _normalization(options: config_files.Options) -> dict[str, float]:
    kinds = ("specgrams_prespecified_normalizer", "specgrams_simple_normalizer")
    kind = options.choice("data_normalizer", kinds, kinds[0])
    if kind == kinds[0]:
        found = [
            options.number("mag_normalizer_a", 0.0661371661726),
            options.number("mag_normalizer_b", 0.113718730221),
            options.number("p_normalizer_a", 0.8),
            options.number("p_normalizer_b", 0.0),
        ]
        place = options.path
    else:
        place = options.path.parent / "assets" / f"{kind}.npz"
        found = _read_statistics(place)
    if not np.isfinite(found).all() or found[0] <= 0 or found[2] <= 0:
        raise ConversionError(
            f"{place}: expected a positive scale and an offset of magnitudes, "
            f"and of frequencies. Received: {found}"
        )
    names = (
        *("magnitude_scale", "magnitude_offset"),
        *("frequency_scale", "frequency_offset"),
    )
    return dict(zip(names, found, strict=True))


def _read_statistics(path: pathlib.Path) -> list[float]:
    """Reads four numbers, and nothing that runs."""
    try:
        if path.stat().st_size > _MAX_STATISTICS:
            raise ValueError("it is too large")
        with np.load(path, allow_pickle=False) as file:
            values = np.asarray(file["normalizer"], "float64")
        if values.shape != (4,):
            raise ValueError(f"its shape is {values.shape}")
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        raise ConversionError(
            f"{path} does not hold the four numbers of the normaliser that "
            f"{_OPTIONS} names. Received: {type(error).__name__}: "
            f"{str(error)[:200]}"
        ) from error
    return values.tolist()


def _progress(
    options: config_files.Options,
    clocks: Mapping[str, float],
    num_blocks: int,
    held: int,
) -> float:
    """Returns how far the networks have grown."""
    if not options.flag("train_progressive", True):
        return held - 1.0
    limit = options.optional("train_time_limit", options.number)
    if limit is not None:
        factor = options.number("train_time_stage_multiplier", 1.0)
        return _progress_in_time(
            clocks.get("Variable", 0.0), limit, factor, num_blocks, held
        )
    stable = options.integer("stable_stage_num_images", 32, low=0)
    transition = options.integer("transition_stage_num_images", 32, low=0)
    last = held * stable + (held - 1) * transition - 1
    image = min(int(clocks.get("global_step", 0)), last)
    if image < 0:
        return held - 1.0
    whole, rest = divmod(image, stable + transition)
    return whole + max(0.0, (rest - stable) / max(transition, 1))


def _progress_in_time(
    now: float, limit: float, factor: float, num_blocks: int, held: int
) -> float:
    """Is `_progress` where stages last so many seconds."""
    ends = np.cumsum(factor ** np.arange(2.0 * num_blocks - 1))
    ends *= limit / ends[-1]
    faded = (now - ends[0:-1:2]) / (ends[1::2] - ends[0:-1:2])
    return float(min(np.clip(faded, 0.0, 1.0).sum(), held - 1.0))


def _labels(path: pathlib.Path, num_classes: int) -> list[str]:
    if num_classes == len(_PITCHES):
        return [f"{pitch:03d}" for pitch in _PITCHES]
    if not 1 < num_classes <= 128 - _PITCHES.start:
        raise ConversionError(
            f"{path}: `latent_vector_size` leaves no pitches: they are what "
            f"the first kernel takes beside. Received: {num_classes}"
        )
    logger.warning(
        "%s: of %d pitches nothing tells which; they are named from %d on.",
        path,
        num_classes,
        _PITCHES.start,
    )
    return [f"{_PITCHES.start + i:03d}" for i in range(num_classes)]


def _layers(
    arrays: Mapping[str, np.ndarray],
    network: str,
    held: int,
    num_blocks: int,
    config: Mapping[str, Any],
) -> dict[str, Layer]:
    """Returns the layers of a network by our names."""
    ending = _AVERAGE if network == "generator" else ""
    block = _GENERATOR if network == "generator" else _DISCRIMINATOR
    picture = "to_rgb" if network == "generator" else "from_rgb"
    places = {
        f"block_{b}_{ours}": (block.format(b) + theirs, "conv2d")
        for b in range(1, held + 1)
        for ours, theirs in (
            ("conv_0", "conv0"),
            ("conv_1", "conv1"),
            ("picture", picture),
        )
    }
    if network == "discriminator":
        places["score"] = (block.format(1) + "logits", "dense")
        places["classes"] = (_CLASSES[:-1], "dense")
    layers = {}
    for target, (place, kind) in places.items():
        layer = Layer(None, {}, {})
        for name, source in (
            ("kernel", f"{place}/{kind}/kernel{ending}"),
            ("bias", f"{place}/bias{ending}"),
        ):
            if source not in arrays:
                raise ConversionError(
                    f"The checkpoint holds no variable {source!r}, which its "
                    "stage must have."
                )
            values = arrays[source]
            if kind == "dense" and name == "kernel":
                values = values[None, None]
            layer.arrays[name], layer.sources[name] = values, source
        layers[target] = layer
    rng = np.random.default_rng(0)
    for b in range(held + 1, num_blocks + 1):
        for target, shape in _new_block(b, network, config).items():
            layers[target] = Layer(
                None,
                {
                    "kernel": rng.standard_normal(shape).astype("float32"),
                    "bias": np.zeros(shape[-1], "float32"),
                },
                dict.fromkeys(("kernel", "bias"), f"block {b}, new"),
            )
    return layers


def _new_block(
    block: int, network: str, config: Mapping[str, Any]
) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the kernels of a block that is not there yet."""

    def filters(b: int) -> int:
        return max(1, min(config["channel_base"] >> b, config["max_channels"]))

    size, own, before = (
        config["kernel_size"],
        filters(block),
        filters(block - 1),
    )
    convs, picture = ((before, own), (own, own)), (1, 1, own, 2)
    if network == "discriminator":
        convs, picture = ((own, own), (own, before)), (1, 1, 2, own)
    return {
        f"block_{block}_conv_0": (size, size, *convs[0]),
        f"block_{block}_conv_1": (size, size, *convs[1]),
        f"block_{block}_picture": picture,
    }
