"""Converts checkpoints of the original Vocos (PyTorch).

Source: https://github.com/gemelo-ai/vocos, whose models on the Hub are
`pytorch_model.bin` beside `config.yaml`. Those on mels convert; those on
Encodec's codes have no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_audiogan.audio.spectra import mel_filter_bank
from keras_audiogan.audio.windows import get_window
from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.config_files import Options, read_yaml
from keras_audiogan.converters.network_weights import NetworkWeights
from keras_audiogan.converters.parts import Parts
from keras_audiogan.converters.torch_files import (
    Layer,
    StateDict,
    read_torch_file,
)
from keras_audiogan.converters.torch_vocoders import Files, VocoderConverter

_CHECKPOINT, _CONFIG = "pytorch_model.bin", "config.yaml"
_PARTS = ("feature_extractor", "backbone", "head")
_SLICE_LENGTH = 16384
_LOG_FLOOR = 1e-7
_PADDINGS = ("center", "same")
# PyTorch computes filters and windows in float32.
_TOLERANCE = 1e-3


def _choose_files(
    names: Sequence[str], name: str | None
) -> Mapping[str, str] | None:
    name = name or checkpoint_names.first_of(names, _CHECKPOINT)
    if name in (None, _CONFIG) or not {name, _CONFIG} <= set(names):
        return None
    return {"checkpoint": str(name), "config": _CONFIG}


def _objection(files: Files) -> str | None:
    options = read_yaml(files["config"])
    missing = [part for part in _PARTS if part not in options]
    if missing:
        return f"{options.path} has no `{missing[0]}`."
    return None


def _read(files: Files, has_discriminator: bool) -> Parts:
    del has_discriminator
    options = read_yaml(files["config"])
    features = _arguments(
        options, "feature_extractor", "MelSpectrogramFeatures"
    )
    backbone = _arguments(options, "backbone", "VocosBackbone")
    head = _arguments(options, "head", "ISTFTHead")
    num_bins = features.count("n_mels", 100)
    fft_length = features.integer("n_fft", 1024)
    mel = {
        "sampling_rate": features.integer("sample_rate", 24000),
        "num_mel_bins": num_bins,
        "fft_length": fft_length,
        "frame_step": features.integer("hop_length", 256),
        "window_length": features.optional("win_length", features.integer),
        "min_frequency": features.optional("f_min", features.number) or 0.0,
        "max_frequency": features.optional("f_max", features.number),
        "mel_scale": features.choice("mel_scale", ["htk", "slaney"], "htk"),
        "mel_norm": features.choice("norm", [None, "slaney"], None),
        "log_base": "e",
        "floor": _LOG_FLOOR,
        "padding": features.choice("padding", _PADDINGS, "center"),
    }
    if backbone.integer("input_channels") != num_bins:
        raise backbone.error("input_channels", f"{num_bins}, as `n_mels` is")
    dim = backbone.count("dim")
    num_layers = backbone.count("num_layers")
    scale = backbone.optional("layer_scale_init_value", backbone.number)
    backbone.choice("adanorm_num_embeddings", [None], None)
    if head.integer("dim") != dim:
        raise head.error("dim", f"{dim}, as the backbone's is")
    if head.integer("hop_length") != mel["frame_step"]:
        raise head.error("hop_length", "that of the features")
    config = {
        "mel": mel,
        "slice_length": _SLICE_LENGTH,
        "dim": dim,
        "intermediate_dim": backbone.count("intermediate_dim"),
        "num_layers": num_layers,
        "layer_scale": scale or None,
        "head_fft_length": head.integer("n_fft"),
        "head_padding": head.choice("padding", _PADDINGS, "same"),
    }
    for part in (features, backbone, head):
        part.check_all_read()
    path = files["checkpoint"]
    state = StateDict(path, read_torch_file(path))
    generator = _generator(state, num_layers)
    _check_buffers(state, config)
    state.check_all_read()
    return Parts(path, "vocos", config, generator)


def _arguments(options: Options, name: str, wanted: str) -> Options:
    """Returns the arguments of a part, which must be of one class."""
    part = options.options(name)
    class_path = part.text("class_path")
    if class_path.rpartition(".")[2] != wanted:
        raise part.error("class_path", f"a {wanted}, which alone converts")
    arguments = part.options("init_args", {})
    part.check_all_read()
    return arguments


def _generator(state: StateDict, num_layers: int) -> NetworkWeights:
    layers = {
        "embed": state.layer("backbone.embed", "conv1d", True),
        "norm": _norm(state, "backbone.norm"),
        "final_norm": _norm(state, "backbone.final_layer_norm"),
        "head/out": state.layer("head.out", "linear", True),
    }
    for i in range(num_layers):
        name = f"backbone.convnext.{i}"
        taps = state.layer(f"{name}.dwconv", "conv1d", True)
        kernel = taps.arrays["kernel"]
        if kernel.shape[1] != 1:
            raise state.error(
                taps.sources["kernel"],
                "should have filters of one channel. "
                f"Received: {kernel.shape[1]} channels",
            )
        layers[f"block_{i}"] = Layer(
            None,
            {
                **taps.arrays,
                "kernel": kernel[:, 0],
                "gamma": state.read(f"{name}.gamma", 1),
            },
            {**taps.sources, "gamma": f"{name}.gamma"},
        )
        layers[f"block_{i}/norm"] = _norm(state, f"{name}.norm")
        for ours, theirs in (("expand", "pwconv1"), ("contract", "pwconv2")):
            layers[f"block_{i}/{ours}"] = state.layer(
                f"{name}.{theirs}", "linear", True
            )
    return NetworkWeights(state.path, layers)


def _norm(state: StateDict, name: str) -> Layer:
    sources = {"gamma": f"{name}.weight", "beta": f"{name}.bias"}
    arrays = {ours: state.read(theirs, 1) for ours, theirs in sources.items()}
    return Layer(None, arrays, sources)


def _check_buffers(state: StateDict, config: Mapping[str, Any]) -> None:
    """Compares windows and filters, where the file has them, with ours."""
    mel, fft_length = config["mel"], config["head_fft_length"]
    mel_spec = "feature_extractor.mel_spec"
    window_length = mel["window_length"] or mel["fft_length"]

    def filters() -> np.ndarray:
        return mel_filter_bank(
            mel["num_mel_bins"],
            mel["fft_length"],
            mel["sampling_rate"],
            mel["min_frequency"],
            mel["max_frequency"],
            mel["mel_scale"],
            mel["mel_norm"],
        )

    for name, expected in (
        ("head.istft.window", lambda: get_window("hann", fft_length)),
        (
            f"{mel_spec}.spectrogram.window",
            lambda: get_window("hann", window_length),
        ),
        (f"{mel_spec}.mel_scale.fb", filters),
    ):
        if name not in state:
            continue
        held, ours = state.read(name), expected()
        scale = np.abs(ours).max()
        if (
            held.shape != ours.shape
            or np.abs(held - ours).max() > _TOLERANCE * scale
        ):
            raise state.error(
                name,
                "is another than the options describe. Received: shape "
                f"{held.shape}, expected: {ours.shape}",
            )


converter = VocoderConverter(
    project="the original Vocos",
    expected="pytorch_model.bin with config.yaml beside it",
    choose_files=_choose_files,
    objection=_objection,
    read=_read,
)
convert_vocos = converter.convert
