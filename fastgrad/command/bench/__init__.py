"""Benchmarks: what is computed, how it is timed, and the table of `python -m fastgrad bench`.

The repository's benchmarks/ load this package under another name, to run one code on several builds
and libraries.
"""
