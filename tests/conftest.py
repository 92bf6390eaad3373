"""Settings that must stand before any test imports Keras or the Hub client."""

import atexit
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
if os.environ["KERAS_BACKEND"] == "jax":
    # Tiny networks: compiling them takes longer than running them.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 "
        "--xla_llvm_disable_expensive_passes=true",
    )

# A script that starts the tests in the background has Ctrl-C ignored, and so
# would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test may reach the real Hub: its address is one that refuses at once, and
# its cache and tokens are not the user's.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="keras-audiogan-hf-")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.pop("HF_TOKEN", None)
os.environ.pop("HF_HUB_OFFLINE", None)


@pytest.fixture
def in_a_new_folder(monkeypatch, tmp_path):
    """What a user of the command line has: a folder, and no debugging."""
    monkeypatch.delenv("AUDIOGAN_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
