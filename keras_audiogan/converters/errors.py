"""The errors of the converters."""


class ConversionError(ValueError):
    """A checkpoint cannot be read, or is not one that converts.

    The message names the file, and the tensor where there is one.
    """


class MissingPackageError(ConversionError):
    """Reading such files needs a package that is not installed."""
