"""Benchmarks of the repository: fastgrad beside other libraries, against its promises, over time."""
