"""The real Hub client, imported anew so that it reads a test's settings."""

import contextlib
import importlib
import sys

import pytest


@contextlib.contextmanager
def fresh_client(**environment):
    """A client that reads these settings: it does so when it is imported."""
    names = [n for n in sys.modules if n.split(".")[0] == "huggingface_hub"]
    modules = {name: sys.modules.pop(name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = importlib.import_module("huggingface_hub")
        try:
            yield
        finally:
            client.close_session()
            for name in list(sys.modules):
                if name.split(".")[0] == "huggingface_hub":
                    del sys.modules[name]
            sys.modules.update(modules)
