"""See `common/aws_errors.py`, whose text `build.py` places here in the archive."""

from ..common.aws_errors import *  # noqa: F403, TID252
