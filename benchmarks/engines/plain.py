"""A class Value in plain Python, written for speed: the reference of every gradient.

Layer: benchmarks.  May import: workloads.
"""

import platform

from benchmarks.workloads import Library, eager_case, plain

label = "a Python class"
version = platform.python_version


def build(workload):
    return eager_case(Library(label, plain.Value, plain.MLP), workload)
