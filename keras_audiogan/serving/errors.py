"""Errors of engines."""


class EngineError(ValueError):
    """An engine cannot do what it was asked for, or did something else."""


class MissingEngineError(ImportError):
    """No runtime of engines is installed, or not the one asked for."""
