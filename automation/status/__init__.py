"""Whether a stack's secrets are filled, rotate and are as declared; asked of AWS without reading a value."""

from automation.status.asked import status, status_of
from automation.status.errors import CannotAskError
from automation.status.model import Status

__all__ = ["CannotAskError", "Status", "status", "status_of"]
