"""Which numbers to compute in."""

from __future__ import annotations

import warnings

import keras

PRECISIONS = ("auto", "mixed_float16", "mixed_bfloat16", "float32")


def has_gpu() -> bool:
    """Whether the backend sees an accelerator."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.cuda.is_available()


def default_jit_compile(
    run_eagerly: bool | None = False, *, gpu: bool = True
) -> bool:
    """Returns whether XLA compiles a model unless a user says otherwise.

    On a CPU it runs these networks several times slower than plain graphs of
    TensorFlow; JAX has no other way.

    Args:
        run_eagerly: What `compile` was told: then nothing is compiled.
        gpu: Whether TensorFlow compiles the model where there is a GPU.
    """
    if run_eagerly:
        return False
    backend = keras.backend.backend()
    return backend == "jax" or (gpu and backend == "tensorflow" and has_gpu())


def has_bfloat16_instructions() -> bool:
    """Whether the CPU multiplies bfloat16 (AVX512-BF16, AMX or Arm BF16).

    Read from `/proc/cpuinfo`; False where there is none.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read()
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def resolve_precision(precision: str = "auto") -> str:
    """Returns the Keras dtype policy for a precision.

    `"auto"` is mixed_float16 on a GPU, mixed_bfloat16 on a CPU that has
    bfloat16 instructions and runs TensorFlow, and float32 elsewhere.

    Args:
        precision: `"auto"`, `"mixed_float16"`, `"mixed_bfloat16"` or
            `"float32"`.

    Raises:
        ValueError: if it is none of these.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {PRECISIONS}. "
            f"Received: precision={precision!r}"
        )
    gpu = has_gpu()
    if precision == "auto":
        if gpu:
            return "mixed_float16"
        fast = has_bfloat16_instructions()
        tensorflow = keras.backend.backend() == "tensorflow"
        return "mixed_bfloat16" if fast and tensorflow else "float32"
    if precision == "mixed_float16" and not gpu:
        warnings.warn(
            "mixed_float16 on a CPU is many times slower than float32; "
            "use precision='auto'.",
            stacklevel=2,
        )
    return precision
