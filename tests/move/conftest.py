from tests.engine.conftest import emulator, stack

__all__ = ["emulator", "stack"]
