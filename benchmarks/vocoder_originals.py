"""The original authors' side of `vocoder_speed.py`.

Runs under a Python that has PyTorch and the requirements of
kan-bayashi/ParallelWaveGAN, whose clone and those of jik876/hifi-gan, of
gemelo-ai/vocos and of NVIDIA/BigVGAN are given by path. Nothing of theirs is
in this repository: their modules are imported, their recipes and configs read,
and their own training step called. PyTorch exports their networks for
onnxruntime and OpenVINO.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import importlib.util
import json
import os
import pathlib
import resource
import sys
import time
import types
from typing import Any

import numpy as np
import torch
import yaml


def import_parallel_wavegan(clone: pathlib.Path) -> None:
    """Puts the clone in the path, for SciPy versions it does not know too."""
    import scipy.signal

    if not hasattr(scipy.signal, "kaiser"):
        scipy.signal.kaiser = scipy.signal.windows.kaiser
    sys.path.insert(0, str(clone))


def import_hifigan(clone: pathlib.Path) -> Any:
    """Returns the module `models` of jik876/hifi-gan."""
    modules = {}
    for name in ("utils", "models"):
        spec = importlib.util.spec_from_file_location(
            name, clone / f"{name}.py"
        )
        if spec is None or spec.loader is None:
            raise FileNotFoundError(clone / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = modules[name] = module
        spec.loader.exec_module(module)
    return modules["models"]


class ParallelWaveGAN:
    """A model of kan-bayashi's project at its recipe's size."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        import_parallel_wavegan(pathlib.Path(case["parallel_wavegan"]))
        import parallel_wavegan
        from parallel_wavegan import models

        path = pathlib.Path(case["parallel_wavegan"]) / (
            f"egs/ljspeech/voc1/conf/{case['recipe']}.yaml"
        )
        config = yaml.safe_load(path.read_text())
        config["version"] = parallel_wavegan.__version__
        kinds = ("generator", "discriminator")
        config.setdefault("generator_type", "ParallelWaveGANGenerator")
        config.setdefault("discriminator_type", "ParallelWaveGANDiscriminator")
        torch.manual_seed(0)
        self.models = {
            kind: getattr(models, config[f"{kind}_type"])(
                **copy.deepcopy(config[f"{kind}_params"])
            )
            for kind in kinds
        }
        self.config = config
        torch.save(
            {
                "model": {k: m.state_dict() for k, m in self.models.items()},
                "steps": 1,
                "epochs": 1,
            },
            folder / "checkpoint-1steps.pkl",
        )
        (folder / "config.yml").write_text(yaml.safe_dump(config))
        bins = config["num_mels"]
        np.save(
            folder / "stats.npy",
            np.stack([np.zeros(bins), np.ones(bins)]).astype("float32"),
        )
        self.pqmf = None
        if config["generator_params"]["out_channels"] > 1:
            from parallel_wavegan.layers import PQMF

            self.pqmf = PQMF(
                subbands=config["generator_params"]["out_channels"],
                **config.get("pqmf_params", {}),
            )
        self.noisy = hasattr(self.models["generator"], "upsample_factor")
        self.trainer: Any = None

    def prepare_inference(self) -> None:
        """Removes weight norm, as the original's decoding does."""
        generator = self.models["generator"].eval()
        generator.remove_weight_norm()
        generator.pqmf = self.pqmf

    def exportable(self) -> torch.nn.Module:
        """The network as `inference` runs it, without what it pads."""
        generator = self.models["generator"]
        if self.noisy:
            return generator
        parts = [generator.melgan]
        if self.pqmf is not None:
            parts.append(_Synthesis(self.pqmf))
        return torch.nn.Sequential(*parts)

    def arrays(self, mel: np.ndarray, noise: np.ndarray) -> list[np.ndarray]:
        """What the exported network takes."""
        mel = mel.T[None]
        if not self.noisy:
            return [mel]
        window = self.models["generator"].aux_context_window
        sides = [(0, 0), (0, 0), (window, window)]
        return [noise.T[None], np.pad(mel, sides, "edge")]

    def sound(self, made: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of what the exported network made."""
        return made[0].T

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of mels `(frames, bins)`."""
        with torch.no_grad():
            given = {"x": noise} if self.noisy else {}
            sound = self.models["generator"].inference(c=mel, **given)
        return sound.numpy()

    def prepare_training(self) -> None:
        """Makes the project's trainer without its files and bars."""
        from parallel_wavegan import losses
        from parallel_wavegan.bin.train import Trainer

        config = self.config
        config.setdefault("use_stft_loss", True)
        for name in ("subband_stft_loss", "mel_loss", "feat_match_loss"):
            config.setdefault(f"use_{name}", False)
        config["discriminator_train_start_steps"] = 0
        criterion: dict[str, Any] = {
            "gen_adv": losses.GeneratorAdversarialLoss(
                **config.get("generator_adv_loss_params", {})
            ),
            "dis_adv": losses.DiscriminatorAdversarialLoss(
                **config.get("discriminator_adv_loss_params", {})
            ),
            "mse": torch.nn.MSELoss(),
        }
        if config["use_stft_loss"]:
            criterion["stft"] = losses.MultiResolutionSTFTLoss(
                **config["stft_loss_params"]
            )
        if config["use_subband_stft_loss"]:
            criterion["sub_stft"] = losses.MultiResolutionSTFTLoss(
                **config["subband_stft_loss_params"]
            )
        if config["use_feat_match_loss"]:
            criterion["feat_match"] = losses.FeatureMatchLoss(
                **config.get("feat_match_loss_params", {})
            )
        if config["use_mel_loss"]:
            criterion["mel"] = losses.MelSpectrogramLoss(
                **config["mel_loss_params"]
            )
        if self.pqmf is not None:
            criterion["pqmf"] = self.pqmf
        optimizers = {
            kind: torch.optim.Adam(model.parameters(), lr=1e-6)
            for kind, model in self.models.items()
        }
        schedulers = {
            kind: torch.optim.lr_scheduler.StepLR(optimizer, 10**6)
            for kind, optimizer in optimizers.items()
        }
        trainer = Trainer.__new__(Trainer)
        trainer.__dict__.update(
            steps=10**6,
            model=self.models,
            criterion=criterion,
            optimizer=optimizers,
            scheduler=schedulers,
            config={**config, "train_max_steps": 10**9},
            device=torch.device("cpu"),
            finish_train=False,
            is_vq=False,
            use_duration_prediction=False,
            total_train_loss=collections.defaultdict(float),
            tqdm=types.SimpleNamespace(update=lambda n: None),
        )
        self.trainer = trainer

    def train(self, audio: np.ndarray, mel: np.ndarray) -> None:
        """One step on sound `(batch, time, 1)` and its mels."""
        y = torch.from_numpy(audio).transpose(1, 2).contiguous()
        c = torch.from_numpy(mel).transpose(1, 2).contiguous()
        if self.noisy:
            window = self.config["generator_params"]["aux_context_window"]
            c = torch.nn.functional.pad(c, (window, window), "replicate")
            x = (torch.randn_like(y), c)
        else:
            x = (c,)
        self.trainer._train_step((x, y))


class _Synthesis(torch.nn.Module):
    """The bands' filters as a layer."""

    def __init__(self, pqmf: Any) -> None:
        super().__init__()
        self.pqmf = pqmf

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        return self.pqmf.synthesis(bands)


class HiFiGAN:
    """The generator of jik876's project at a published size."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        clone = pathlib.Path(case["hifi_gan"])
        models = import_hifigan(clone)
        config = json.loads((clone / f"{case['recipe']}.json").read_text())
        torch.manual_seed(0)
        self.generator = models.Generator(types.SimpleNamespace(**config))
        torch.save(
            {"generator": self.generator.state_dict()}, folder / "g_00000001"
        )
        (folder / "config.json").write_text(json.dumps(config))

    def prepare_inference(self) -> None:
        """Removes weight norm, as the original's inference does."""
        self.generator.eval()
        with contextlib.redirect_stdout(sys.stderr):
            self.generator.remove_weight_norm()

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of mels `(frames, bins)`."""
        del noise
        with torch.no_grad():
            sound = self.generator(torch.from_numpy(mel.T[None]))
        return sound[0].numpy().T

    def exportable(self) -> torch.nn.Module:
        """The whole network."""
        return self.generator

    def arrays(self, mel: np.ndarray, noise: np.ndarray) -> list[np.ndarray]:
        """What the exported network takes."""
        del noise
        return [np.ascontiguousarray(mel.T[None])]

    def sound(self, made: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of what the exported network made."""
        return made[0].T


class BigVGAN(HiFiGAN):
    """The generator of NVIDIA's project at a published size."""

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        clone = pathlib.Path(case["bigvgan"])
        sys.path.insert(0, str(clone))
        import bigvgan

        path = clone / "configs" / f"{case['recipe']}.json"
        config = bigvgan.load_hparams_from_json(path)
        (folder / "config.json").write_text(json.dumps(config))
        torch.manual_seed(0)
        self.generator = bigvgan.BigVGAN(config)
        torch.save(
            {"generator": self.generator.state_dict()},
            folder / "bigvgan_generator.pt",
        )


class Vocos(HiFiGAN):
    """The backbone and the head of gemelo-ai's project at a published size.

    Their front end, and a head that is not of this model, need torchaudio,
    and are left out.
    """

    def __init__(self, case: dict[str, Any], folder: pathlib.Path) -> None:
        clone = pathlib.Path(case["vocos"])
        package = types.ModuleType("vocos")
        package.__path__ = [str(clone / "vocos")]
        scales: Any = types.ModuleType("torchaudio.functional.functional")
        scales._hz_to_mel = scales._mel_to_hz = None
        sys.modules |= {"vocos": package, scales.__name__: scales}
        for name in ("torchaudio", "torchaudio.functional"):
            sys.modules[name] = types.ModuleType(name)
        path = clone / "configs" / f"{case['recipe']}.yaml"
        options = yaml.safe_load(path.read_text())["model"]["init_args"]
        parts = {
            name: options[name]
            for name in ("feature_extractor", "backbone", "head")
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(parts))
        torch.manual_seed(0)
        made = {}
        for name in ("backbone", "head"):
            module, _, kind = parts[name]["class_path"].rpartition(".")
            make = getattr(importlib.import_module(module), kind)
            made[name] = make(**parts[name]["init_args"])
        self.generator = torch.nn.ModuleDict(made)
        torch.save(self.generator.state_dict(), folder / "pytorch_model.bin")

    def prepare_inference(self) -> None:
        """Nothing but the mode: there is no weight norm."""
        self.generator.eval()

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of mels `(frames, bins)`."""
        del noise
        with torch.no_grad():
            frames = self.generator["backbone"](torch.from_numpy(mel.T[None]))
            return self.generator["head"](frames).numpy().T

    def exportable(self) -> torch.nn.Module:
        """The network up to its spectra: no more can be exported."""
        out = self.generator["head"].out
        self.generator["head"].out = torch.nn.Identity()
        return torch.nn.Sequential(self.generator["backbone"], out)

    def sound(self, made: np.ndarray) -> np.ndarray:
        """Sound of the spectra, by the original's head in PyTorch."""
        with torch.no_grad():
            return self.generator["head"](torch.from_numpy(made)).numpy().T


class Exported:
    """A project's network in ONNX, written by PyTorch, run by an engine."""

    def __init__(
        self, model: Any, case: dict[str, Any], folder: pathlib.Path
    ) -> None:
        self.model = model
        self.path = folder / f"{case['side']}.onnx"
        self.engine, _, self.precision = case["engine"].partition("-")
        self.threads = case["threads"]
        self.run: Any = None

    def prepare_inference(self) -> None:
        """Removes weight norm, as the original's inference does."""
        self.model.prepare_inference()

    def load(self, arrays: list[np.ndarray]) -> None:
        """Exports the network with a free length, and has it loaded."""
        names = [f"input_{i}" for i in range(len(arrays))]
        torch.onnx.export(
            self.model.exportable(),
            tuple(map(torch.from_numpy, arrays)),
            self.path,
            input_names=names,
            output_names=["made"],
            dynamic_axes={
                **{name: {2: f"{name}_time"} for name in names},
                "made": {1: "made_1", 2: "made_2"},
            },
            opset_version=17,
            dynamo=False,
        )
        if self.engine == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = self.threads
            session = onnxruntime.InferenceSession(
                self.path, options, providers=["CPUExecutionProvider"]
            )
            self.run = lambda given: session.run(
                None, dict(zip(names, given, strict=True))
            )[0]
            return
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(self.path),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision else "f32",
                "INFERENCE_NUM_THREADS": self.threads,
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        request = compiled.create_infer_request()
        self.run = lambda given: request.infer(
            dict(zip(names, given, strict=True))
        )[compiled.outputs[0]]

    def vocode(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Sound `(time, 1)` of mels `(frames, bins)`."""
        arrays = self.model.arrays(mel, noise)
        if self.run is None:
            self.load(arrays)
        return self.model.sound(self.run(arrays))


PROJECTS = {"bigvgan": BigVGAN, "config": HiFiGAN, "vocos": Vocos}


def main() -> None:
    """Reads a job a line, answers with seconds and peak memory in MiB."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    case = json.loads(sys.argv[1])
    folder = pathlib.Path(case["folder"])
    torch.set_num_threads(case["threads"])
    project = PROJECTS.get(case["recipe"].split("_")[0], ParallelWaveGAN)
    model: Any = project(case, folder)
    if case["engine"]:
        model = Exported(model, case, folder)
    print(json.dumps([0.0, 0.0]), file=answers)
    prepared = None
    for line in sys.stdin:
        job = line.strip()
        data = np.load(folder / "inputs.npz")
        if prepared != job:
            if job == "vocode":
                model.prepare_inference()
            else:
                model.prepare_training()
            prepared = job
        began = time.perf_counter()
        if job == "vocode":
            sound = model.vocode(data["mel"], data["noise"])
        else:
            model.train(data["clips"], data["clip_mels"])
        seconds = time.perf_counter() - began
        if job == "vocode":
            np.save(folder / f"{case['side']}.npy", sound)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([seconds, peak]), file=answers)


if __name__ == "__main__":
    main()
