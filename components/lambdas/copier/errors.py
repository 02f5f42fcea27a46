"""See `writer/errors.py`, whose text `build.py` places here in the archive."""

from ..writer.errors import *  # noqa: F403, TID252
