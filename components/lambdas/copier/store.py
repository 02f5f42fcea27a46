"""See `writer/store.py`, whose text `build.py` places here in the archive."""

from ..writer.store import *  # noqa: F403, TID252
