"""The stand-in for the official random plugin."""
