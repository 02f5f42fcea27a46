"""The error that a scheduled rehearsal ends with."""


class RehearsalError(Exception):
    """A rotation would fail, or could not be rehearsed; the message says which. It has no value."""
