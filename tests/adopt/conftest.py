from tests.engine.conftest import emulator, shop, stack

__all__ = ["emulator", "shop", "stack"]
