"""Requests of the writer, as it reads them."""

from components.lambdas.writer import request


def writing(event: object) -> request.Request:
    """Return a request to write values."""
    found = request.read(event)
    assert isinstance(found, request.Request)
    return found
