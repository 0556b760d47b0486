"""How much faster a batch is on two threads than on one, and the spread of that: JSON.

Run as a process of its own. A call on one thread, a call on two, in turn: a machine that others
share changes within milliseconds, so each ratio is of neighbours.
"""

import json
import sys
from statistics import quantiles
from time import perf_counter

from benchmarks.workloads import recorded

PAIRS = 3_000
THREADS = 2


def main():
    import fastgrad

    cases = (recorded.tape_case(fastgrad, "moons-batch", threads=n) for n in (1, THREADS))
    one, two = (case.forward for case in cases)
    ratios = []
    for _ in range(PAIRS):
        start = perf_counter()
        one()
        middle = perf_counter()
        two()
        ratios.append((middle - start) / (perf_counter() - middle))
    low, median, high = quantiles(ratios, n=4)
    json.dump({"low": low, "median": median, "high": high}, sys.stdout)


if __name__ == "__main__":
    main()
