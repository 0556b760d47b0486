"""One engine on one workload in a child process; it runs a round on request, so rounds interleave.

Lines of JSON. Out, once: gradients, memory, versions, or why there are none. In: "round" or "end".
Out, after each: seconds a unit, or the peak of memory.
"""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("workload")
    parser.add_argument("--tree", default=str(ROOT), help="where fastgrad is imported from")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from benchmarks.workloads import WORKLOADS, Unsupported, measure

    sys.path.insert(0, options.tree)  # `benchmarks` is loaded already, and stays this tree's
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no line of ours

    def say(**facts):
        print(json.dumps(facts), file=out, flush=True)

    workload = WORKLOADS[options.workload]
    try:
        engine = importlib.import_module(f"benchmarks.engines.{options.engine}")
        case = engine.build(workload.name)
    except ImportError as error:
        return say(missing=f"{error}")
    except Unsupported as error:
        return say(unsupported=f"{error}")
    before = measure.memory_resident()
    measure.memory_reset()
    clock = measure.Clock(case, workload)
    gradients = clock.warm()
    say(
        label=engine.label,
        version=engine.version(),
        flags=getattr(engine, "flags", dict)(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gradients=gradients,
        first=clock.first,
        # What is replayed was recorded before: its growth says nothing about nodes.
        growth=0 if case.apart else max(0, measure.memory_peak() - before) if before else 0,
    )
    for line in sys.stdin:
        if line.strip() != "round":
            break
        say(**clock.round())
    return say(peak=measure.memory_peak())


if __name__ == "__main__":
    main()
