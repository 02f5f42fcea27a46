"""Compare current settings in AWS with Pulumi's state and the stack file: metadata, never a value."""

from operations.report.live.comparison import Comparison, compare
from operations.report.live.model import Snapshot, parse

__all__ = ["Comparison", "Snapshot", "compare", "parse"]
