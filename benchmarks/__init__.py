"""Benchmarks of the repository: fastgrad beside others, against its promises, over time."""
