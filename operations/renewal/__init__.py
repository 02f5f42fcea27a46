"""Renew secrets and restart their readers: shared by `compromised` and `rotate`."""
