"""Bytes a node, with and without a live handle, and whether memory stays flat: JSON, or null.

Run as a process of its own.
"""

import json
import sys

from benchmarks.workloads import measure

NODES = 1_000_000


def main():
    from fastgrad import Value

    if not measure.memory_resident():  # the system does not tell
        print("null")
        return
    x, a = Value(1.0), Value(0.999999)
    (x * a).backward()  # whatever is allocated once
    facts = {}

    before = measure.memory_resident()
    y = x
    for _ in range(NODES):
        y = y * a
    facts["node"] = (measure.memory_resident() - before) / NODES

    kept = [None] * NODES  # its own memory is not counted
    for i in range(NODES):
        kept[i] = i % 256
    before = measure.memory_resident()
    z = x
    for i in range(NODES):
        kept[i] = z = z * a
    facts["held"] = (measure.memory_resident() - before) / NODES
    del y, z
    kept.clear()

    def churn(rounds):
        for _ in range(rounds):
            z = x
            for _ in range(100_000):
                z = z * a
            z.backward()

    churn(20)
    before = measure.memory_resident()
    churn(300)
    facts["drift"] = (measure.memory_resident() - before) / 1e6
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
