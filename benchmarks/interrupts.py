"""The longest time that Ctrl-C waits for native code: `python -m benchmarks.interrupts [NODES]`.

Not for Windows: needs setitimer.

Each loop is interrupted at 20 offsets; the time is that from the timer's end to the exception, with
all that was begun cleaned up. The promise is 100 ms; the tests count polls instead.
Processor time, which a busy machine does not stretch; its timer ticks every 4 ms or so.
"""

import copy
import random
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import process_time

from fastgrad import Value, load_tape, record
from fastgrad.nn import Layer

OFFSETS = 20


def chain(n, x):
    y = x
    for _ in range(n):
        y = y + x
    return y


def scattered(n, x):
    """Make a graph whose operands lie all over memory."""
    rng = random.Random(1)
    found = [x] * 100_000
    for _ in range(n):
        i = int(rng.random() * 100_000)
        found[i] = found[i] + found[int(rng.random() * 100_000)] * 0.5
    return sum(found)


def neurons(n, x):
    """Make neurons of 4,096 inputs, with n inputs in all."""
    layer = Layer(4096, 16)
    xs = [x] * 4096
    return sum(sum(layer(xs)) for _ in range(n // 65_536 + 1))


def latencies(action):
    """Interrupt an action at offsets spread over its length; give seconds, and its whole length."""
    start = process_time()
    kept = [action()]
    whole = process_time() - start
    found = []
    for i in range(OFFSETS):
        kept.clear()  # outside the time: freeing what is finished is an action of its own
        offset = whole * (i + 0.5) / OFFSETS
        start = process_time()
        signal.setitimer(signal.ITIMER_PROF, offset)
        try:
            while True:
                kept.append(action())
        except KeyboardInterrupt:
            found.append(process_time() - start - offset)
    return found, whole


def show(label, action):
    found, whole = latencies(action)
    worst, middle = max(found), sorted(found)[OFFSETS // 2]
    print(f"{label:30} {whole * 1e3:8.1f} {worst * 1e3:8.1f} {middle * 1e3:8.1f}")


def show_tape(make, n):
    """Interrupt what makes a tape of a graph that is there already, and what a file is made of."""
    x = Value(1.0)  # held, so a parameter: nothing folds
    root = make(n, x)
    show(f"{make.__name__} to a tape", partial(record, lambda: root))
    with tempfile.TemporaryDirectory() as folder:
        tape, path = record(lambda: root), Path(folder, "tape")
        tape.save(path)
        show(f"{make.__name__} tape saved", partial(tape.save, path))
        show(f"{make.__name__} tape loaded", partial(load_tape, path))


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    print(f"{n:,} nodes; {OFFSETS} interruptions each; ms")
    print(f"{'':30} {'whole':>8} {'worst':>8} {'median':>8}")
    for make in (chain, scattered, neurons):
        root = make(n, Value(1.0))
        for name, action in {
            "backward": root.backward,
            "zero_grad": partial(root.zero_grad, graph=True),
            "deepcopy": partial(copy.deepcopy, root),
        }.items():
            show(f"{make.__name__} {name}", action)
        start = process_time()
        del root, action
        label = f"{make.__name__} freed"  # nothing can stop that
        print(f"{label:30} {(process_time() - start) * 1e3:8.1f}")
    for make in (chain, scattered, neurons):
        show_tape(make, n)


if __name__ == "__main__":
    main()
