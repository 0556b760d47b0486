"""Counts of cases that the suite has tried, by hazard; conftest.py prints the table."""

from collections import Counter

TRIED = Counter()


def tally(hazard, cases=1):
    """Count cases that a test has tried: random graphs, allocations that failed, nodes made."""
    TRIED[hazard] += cases
