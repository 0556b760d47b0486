"""fastgrad, recording: what it takes to record a long graph, building it included.

Replays of it are not timed.
"""

from benchmarks.engines.fastgrad import flags, version
from benchmarks.workloads import recorded

__all__ = ["build", "flags", "label", "version"]

label = "fastgrad, recording"


def build(workload):
    import fastgrad

    return recorded.recording_case(fastgrad, workload)
