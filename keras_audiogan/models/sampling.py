"""Sampling by Keras models; see `keras_audiogan.serving.sampling`."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_audiogan.serving import sampling
from keras_audiogan.training import distribution


class Sampling(sampling.Sampling):
    """Sampling methods of `AudioGAN`."""

    def _run(self, inputs: Any) -> np.ndarray:
        return np.asarray(distribution.predict(self, inputs), "float32")
