"""Public names of a package that import their module when first used."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Makes `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: The package's `__name__`.
        modules: Public name -> the module of the package that holds it; of
            a package beside it with a dot first, such as `.audio.levels`.
    """

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        module = importlib.import_module(f".{modules[name]}", package)
        return getattr(module, name)

    return __getattr__, lambda: sorted(modules), list(modules)
