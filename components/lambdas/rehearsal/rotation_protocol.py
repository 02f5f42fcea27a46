"""See `rotation/protocol.py`, whose text `build.py` places here in the archive."""

from ..rotation.protocol import *  # noqa: F403, TID252
