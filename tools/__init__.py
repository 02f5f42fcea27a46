"""Tools for developers: the local cloud and the benchmarks."""
