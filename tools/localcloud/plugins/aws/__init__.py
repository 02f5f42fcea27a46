"""The stand-in for the official aws plugin."""
