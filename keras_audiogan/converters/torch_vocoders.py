"""Converts PyTorch checkpoints of vocoders: what all projects share."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from keras_audiogan.converters import checkpoint_names
from keras_audiogan.converters.errors import (
    ConversionError,
    MissingPackageError,
)
from keras_audiogan.converters.parts import Parts, build

if TYPE_CHECKING:
    from keras_audiogan.models import Vocoder

# Role (`"checkpoint"`, `"config"`, `"discriminator"`, ...) -> its file.
Files = Mapping[str, pathlib.Path]


@dataclasses.dataclass(frozen=True)
class VocoderConverter:
    """Converts one project's checkpoints.

    Attributes:
        project: its name, for messages.
        expected: the files that make up a checkpoint of it, for messages.
        choose_files: the names of a folder's files, and one of them or None
            for the newest -> the files that make up that checkpoint, by
            role; None if there is none.
        objection: files by role -> why they are not the project's, although
            they have the right names; None if they are.
        read: files by role, and whether the discriminator is wanted, too ->
            the parts. `slice_length` may be no whole number of frames, and
            the sampling rate stands under `mel`.
        networks: files by role -> names, the networks' among them.
        states_rate: whether a checkpoint states its sampling rate.
    """

    project: str
    expected: str
    choose_files: checkpoint_names.Chooser
    objection: Callable[[Files], str | None]
    read: Callable[[Files, bool], Parts]
    networks: Callable[[Files], Iterable[str]] = lambda files: [
        "generator",
        *files,
    ]
    states_rate: bool = True

    def find(self, source: str | pathlib.Path) -> Files:
        """Returns the files of the checkpoint that `source` means, by role."""
        found = checkpoint_names.locate(source, self.choose_files)
        if found is None:
            raise ConversionError(
                f"Found no checkpoint of {self.project}: expected "
                f"{self.expected}. Received: {str(source)!r}"
            )
        return found

    def check(self, source: str | pathlib.Path) -> str | None:
        """Says why `source` is no such checkpoint; None if it is one."""
        try:
            return self.objection(self.find(source))
        except MissingPackageError:
            raise
        except ConversionError as error:
            return str(error)

    def list_networks(self, source: str | pathlib.Path) -> list[str]:
        """Returns which networks a checkpoint holds, by stems of a preset."""
        held = set(self.networks(self.find(source)))
        return sorted({"generator", "discriminator"} & held)

    def read_parts(
        self,
        source: str | pathlib.Path,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        weights: Iterable[str] | None = None,
    ) -> Parts:
        """Reads and checks a checkpoint; no Keras is imported.

        Arguments and errors are those of `convert`.
        """
        files = self.find(source)
        wanted = weights is None or "discriminator" in set(weights)
        parts = self.read(files, wanted)
        config, mel = parts.config, parts.config["mel"]
        if sampling_rate is not None and not self.states_rate:
            mel["sampling_rate"] = sampling_rate
        elif sampling_rate not in (None, mel["sampling_rate"]):
            raise ConversionError(
                f"{files['config']} was trained at {mel['sampling_rate']} Hz, "
                "and its mel features are those of that rate. Received: "
                f"sampling_rate={sampling_rate}"
            )
        config["sampling_rate"] = mel["sampling_rate"]
        step = mel["frame_step"]
        whole_frames = max(1, config["slice_length"] // step) * step
        config["slice_length"] = slice_length or whole_frames
        discriminator = config.pop("discriminator", None)
        if discriminator is not None:
            config["discriminators"] = [discriminator]
        return parts

    def convert(
        self,
        source: str | pathlib.Path,
        *,
        sampling_rate: int | None = None,
        slice_length: int | None = None,
        weights: Iterable[str] | None = None,
        dtype: Any = None,
    ) -> Vocoder:
        """Converts a checkpoint of a vocoder, with its discriminator.

        Weight norm is kept where the file has it.

        Args:
            source: the folder, one that holds it, or the generator's file; of
                several checkpoints in a folder the newest.
            sampling_rate: None, or the checkpoint's own rate in Hz. The
                original MelGAN has 22050 in its code: None takes that, and
                any other will do.
            slice_length: samples in a training slice. None takes what the
                checkpoint's options state, else its authors' default.
            weights: networks to load, e.g. `["generator"]`; None for all.
            dtype: dtype policy; Keras's global policy if None.

        Returns:
            A `ParallelWaveGAN`, `MelGAN`, `MultiBandMelGAN`, `HiFiGAN`,
            `BigVGAN` or `Vocos`.

        Raises:
            MissingPackageError: if PyTorch is absent or too old.
            ConversionError: if files are missing or damaged, ask for code to
                be run, or hold something else.
        """
        parts = self.read_parts(source, sampling_rate, slice_length, weights)
        # The originals take a file's level as it is in use.
        parts.config["level"] = "keep"
        return build(parts, dtype)
