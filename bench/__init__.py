"""Benchmarks: each prints its ceiling, measured in the same run, and a ratio."""
