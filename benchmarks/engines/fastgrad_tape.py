"""fastgrad, recorded: the loop in Python, one call of the tape for each step.

Recording is not timed.
"""

from benchmarks.engines.fastgrad import flags, version
from benchmarks.workloads import recorded

__all__ = ["build", "flags", "label", "version"]

label = "fastgrad, tape"


def build(workload):
    import fastgrad

    return recorded.tape_case(fastgrad, workload)
