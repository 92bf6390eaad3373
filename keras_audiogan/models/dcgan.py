"""DCGAN on pictures of sound.

Source: Radford, Metz and Chintala, "Unsupervised Representation Learning with
Deep Convolutional Generative Adversarial Networks", ICLR 2016
(arXiv:1511.06434), on the spectrograms of SpecGAN (arXiv:1802.04208).
"""

from __future__ import annotations

from keras_audiogan.models.registry import register_architecture
from keras_audiogan.models.specgan import SpecGAN


@register_architecture("dcgan")
class DCGAN(SpecGAN):
    """Radford's network: batch norm, 5 x 5 kernels, stride 2, from N(0, 0.02).

    Its loss is `"dcgan"`, with Adam at 2e-4 and beta_1 of 0.5. The paper's
    pictures of 64 x 64 with 1,024 channels at first are `dim=128` here; for
    128 x 128 one more block makes `dim=64` of that.

    Example:

    ```python
    gan = keras_audiogan.models.DCGAN(**LogSpectrogram().fit(audio))
    gan.compile()
    gan.fit(audio, batch_size=128, epochs=100)
    clips = gan.sample(8, seed=0)  # (8, 16384, 1)
    ```

    Args: those of `SpecGANGenerator` and of `SpectralGAN`.
    """

    default_arguments = {"batch_norm": True, "initial_std": 0.02}
    default_loss = "dcgan"
