"""Benchmarks: what is computed, how it is timed, and the table of `python -m fastgrad bench`.

Layer: command line.  May import: nothing here; only `table` knows fastgrad.  The repository's
benchmarks/ load this package under another name, to run one code on several builds and libraries.
"""
