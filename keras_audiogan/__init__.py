"""Audio GANs for Keras 3."""
