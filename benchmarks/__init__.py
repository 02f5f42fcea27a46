"""What operations on secrets cost, measured on the local cloud: see docs/benchmarks.md."""
