"""fastgrad, recorded: two threads on a batch.

Recording is not timed.
"""

from benchmarks.engines.fastgrad import flags, version
from benchmarks.workloads import Unsupported, recorded

__all__ = ["build", "flags", "label", "version"]

label = "fastgrad, tape, 2 threads"


def build(workload):
    import fastgrad

    if not workload.endswith("-batch"):
        raise Unsupported("too little work to share")
    return recorded.tape_case(fastgrad, workload, threads=2)
