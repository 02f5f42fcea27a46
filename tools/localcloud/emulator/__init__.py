"""AWS on a laptop: moto in one process, with a Secrets Manager of our own that follows AWS's rules."""
