"""Programs that show how to use this project; each has a README section of its own."""
