"""The cost of operations on secrets, measured on the local cloud: see docs/benchmarks.md."""
