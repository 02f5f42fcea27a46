"""AWS on a laptop: the engine, an emulator and stand-in plugins. It imports nothing of the product."""
