"""Constructor arguments of models: declared once, recorded by a decorator.

A model's signature is put together from its own constructor, those of its
base classes, and the arguments of its generator's network, so that none of
them is written down twice. What a model was built with stands in `arguments`;
`get_config` and the model's networks follow from it.
"""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_audiogan.training import distribution

# Arguments of a Keras layer, no part of what a model is.
_OF_KERAS = ("dtype", "name")


class RecordedArguments:
    """Mixin of models whose constructor arguments `record_arguments` keeps.

    Attributes:
        arguments: name -> value of every constructor argument, defaults
            included, fit for JSON.
        generator_class: network whose arguments are the model's as well.
        derived_arguments: arguments of that network that the model works
            out by itself, and does not take.
        default_arguments: defaults that differ from the declared ones.
        leading_arguments: those that may be given first, without a name.
    """

    arguments: Mapping[str, Any]
    generator_class: type | None = None
    derived_arguments: tuple[str, ...] = ()
    default_arguments: Mapping[str, Any] = types.MappingProxyType({})

    leading_arguments: tuple[str, ...] = ()

    @classmethod
    def normalized_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns arguments under today's names, in one form.

        Architectures override it where an argument has several forms or an
        older name.
        """
        return dict(arguments)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON.

        `dtype` is among them where it is not float32.
        """
        config = plain(self.arguments)
        policy = self.dtype_policy.name  # type: ignore[attr-defined]
        return config if policy == "float32" else {**config, "dtype": policy}

    def change_arguments(self, **changed: Any) -> None:
        """Records other values of arguments that matter in use alone.

        What was compiled of `call` is made anew.
        """
        _record(self, {**self.arguments, **changed})
        distribution.forget_predictions(self)

    def save_to_preset(self, path: str | Path, **kwargs: Any) -> None:
        """Writes a preset folder; see `keras_audiogan.presets.save_preset`."""
        from keras_audiogan.presets.writer import save_preset

        save_preset(self, path, **kwargs)

    def export(
        self,
        filepath: str | Path,
        format: str | None = None,
        verbose: bool = False,
        *,
        with_mel: bool = False,
    ) -> Any:
        """Writes the model for other programs, and compares it with itself.

        Args:
            filepath: `.onnx`, `.tflite`, or a new folder (SavedModel).
            format: `"onnx"`, `"litert"` or `"tf_saved_model"`, where the
                path's ending does not say it.
            verbose: whether to print what is being done.
            with_mel: whether a vocoder takes sound in place of mels.

        Returns:
            An `Export`; see `keras_audiogan.exporting.export_model`, for
            what it raises as well.
        """
        from keras_audiogan.exporting import export_model

        return export_model(
            self, filepath, format, with_mel, print if verbose else None
        )


def record_arguments(cls: Any) -> None:
    """Lets a class record its constructor's arguments.

    Args:
        cls: a `RecordedArguments` model. It gets a signature that names all
            of its arguments, and a constructor that accepts no others.
    """
    signature = _signature(cls)
    own = cls.__dict__.get("__init__")

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if "arguments" not in self.__dict__:
            kwargs = cls.normalized_arguments(kwargs)
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                hints = [
                    did_you_mean(name, signature.parameters)
                    for name in kwargs
                    if name not in signature.parameters
                ]
                raise TypeError(
                    ".".join([f"{cls.__name__}: {error}", *filter(None, hints)])
                ) from None
            bound.apply_defaults()
            args, kwargs = (), cls.normalized_arguments(bound.arguments)
            recorded = plain(
                {k: v for k, v in kwargs.items() if k not in _OF_KERAS}
            )
            _record(self, recorded)
        if own is None:
            super(cls, self).__init__(*args, **kwargs)
        else:
            own(self, *args, **kwargs)

    # No `__wrapped__`: Keras compares the signatures of both.
    __init__.__doc__ = own.__doc__ if own is not None else None
    cls.__init__ = __init__
    cls.__signature__ = signature


def _record(model: Any, arguments: dict[str, Any]) -> None:
    # Not through Keras, which would track a dict's contents.
    object.__setattr__(model, "arguments", types.MappingProxyType(arguments))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a question for the known name that is nearest, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean `{near[0]}`?" if near else ""


def plain(value: Any) -> Any:
    """Returns a copy of a value in JSON's own types."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value


def check_option(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Checks an option that is one of some words.

    Raises:
        ValueError: if it is not; the message lists them.
    """
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {known}. Received: {name}={value!r}"
        )


def network_arguments(network_class: Any) -> dict[str, inspect.Parameter]:
    """Returns the arguments that a network takes, without Keras's own."""
    parameters = inspect.signature(network_class.__init__).parameters
    return {
        name: each
        for name, each in list(parameters.items())[1:]
        if name not in _OF_KERAS
    }


def _signature(cls: Any) -> inspect.Signature:
    found: dict[str, inspect.Parameter] = {}
    for each in cls.__mro__:
        if "__signature__" in each.__dict__:
            for name, parameter in each.__signature__.parameters.items():
                found.setdefault(name, parameter)
            break
        init = each.__dict__.get("__init__")
        if init is None or each is object:
            continue
        own = list(inspect.signature(init).parameters.values())[1:]
        for parameter in own:
            if parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            ):
                found.setdefault(parameter.name, parameter)
        if not any(p.kind == p.VAR_KEYWORD for p in own) or "dtype" in found:
            break
    if cls.generator_class is not None:
        for name, each in network_arguments(cls.generator_class).items():
            if name not in cls.derived_arguments:
                found.setdefault(name, each)
    defaults: dict[str, Any] = {}
    for each in reversed(cls.__mro__):
        defaults |= each.__dict__.get("default_arguments", {})
    first = [found.pop(name) for name in cls.leading_arguments]
    # Keras's own come last.
    last = [found.pop(name) for name in _OF_KERAS if name in found]
    return inspect.Signature(
        [
            p.replace(
                kind=p.POSITIONAL_OR_KEYWORD,
                default=defaults.get(p.name, p.default),
            )
            for p in (*first, *found.values(), *last)
        ]
    )
