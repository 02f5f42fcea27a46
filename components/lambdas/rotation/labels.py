"""See `common/labels.py`, whose text `build.py` places here in the archive."""

from ..common.labels import *  # noqa: F403, TID252
