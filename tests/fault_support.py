"""Want of room on a disk, for every user: no rights are needed."""

import contextlib
import resource


@contextlib.contextmanager
def largest_file(num_bytes):
    """No file may become larger: what every user may ask of the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
