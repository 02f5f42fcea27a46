"""Code that runs inside AWS Lambda, and how its archive is built. The program imports nothing of it."""
