"""The status of a stack's secrets: compare its stack file with AWS, without reading a value."""

from operations.status.actual_readers import ReaderQuery
from operations.status.errors import QueryError
from operations.status.model import Status
from operations.status.query import status, status_of

__all__ = ["QueryError", "ReaderQuery", "Status", "status", "status_of"]
