"""The same fixtures and settings as the product's tests."""

from tests.conftest import server

__all__ = ["server"]
