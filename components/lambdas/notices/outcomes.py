"""See `rehearsal/outcomes.py`, whose text `build.py` places here in the archive."""

from ..rehearsal.outcomes import *  # noqa: F403, TID252
