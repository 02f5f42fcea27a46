"""Make an earlier version of a secret current again, without reading a value."""

from operations.rollback.history import Secret, Version, history
from operations.rollback.move import Refusal, Rollback, plan, roll_back

__all__ = ["Refusal", "Rollback", "Secret", "Version", "history", "plan", "roll_back"]
