"""fastgrad, recorded: the loop native, one call of fit for all steps.

Recording is not timed.
"""

from benchmarks.engines.fastgrad import flags, version
from benchmarks.workloads import recorded

__all__ = ["build", "flags", "label", "version"]

label = "fastgrad, fit"


def build(workload):
    import fastgrad

    return recorded.fit_case(fastgrad, workload)
