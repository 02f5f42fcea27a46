"""Render what each platform needs to read secrets: plain data from a workload's contract, without a value."""
