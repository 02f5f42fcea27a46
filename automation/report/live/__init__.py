"""What AWS has now, next to Pulumi's state and the stack file: metadata, never a value."""

from automation.report.live.comparing import Sides, compare
from automation.report.live.model import Snapshot, parse

__all__ = ["Sides", "Snapshot", "compare", "parse"]
