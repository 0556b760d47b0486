"""Memory stays flat in repeated programs, and a node takes the promised bytes.

Oracles: the operating system's count of resident pages, in a process of its own; `arena_stats`.
"""

import sys

import pytest
from helpers.graphs import node_count
from helpers.memory_programs import PRELUDE
from helpers.processes import python
from helpers.tally import tally

from fastgrad.engine import build_info

INFO = build_info()
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm"),
    pytest.mark.skipif(
        not INFO["variant"].startswith(("release", "quick", "debug")),
        reason="instruments take memory too",
    ),
    pytest.mark.wide,
]
NODES = node_count(3_000_000)

LOOPS = {  # name: nodes made in a round, source of the round
    "training": (60_000, """
def round():
    loss = x
    for _ in range(29_000):
        loss = loss * w + b
    loss = loss * loss
    w.zero_grad(graph=True)
    loss.backward()
    w.data -= 1e-9 * w.grad
"""),
    "network": (30_000, """
random.seed(1)
model = MLP(4, [16, 16, 1])
def round():
    total = 0
    for i in range(150):
        y = model([i * 0.001, x, 2, w])
        total = total + (1 - y).relu()
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= 1e-9 * p.grad
"""),
    "inference": (60_000, """
random.seed(1)
model = MLP(4, [16, 16, 1])
def round():
    y = x
    for _ in range(15_000):
        y = (y * w + b).relu()
    for i in range(100):
        model([i, 1, 2, 3])
"""),
    "inspection": (30_000, """
random.seed(1)
model = MLP(4, [8, 1])
def round():
    for i in range(100):
        y = model([i, x, w, b])
        stack = [y]
        while stack:
            stack += stack.pop()._prev
        y.backward()
        y.backward()
"""),
    "exceptions": (60_000, """
def round():
    y = x
    try:
        for i in range(20_000):
            y = y * w + b
        y = y + Value(0.0).log()
    except ValueError:
        pass
    def step():
        raise Stop
    middle = Value(1.0, (y,))
    middle._backward = step
    z = middle
    for i in range(20_000):
        z = z + b
    try:
        z.backward()
    except Stop:
        pass
    try:
        (z + 1) * "no"
    except TypeError:
        pass
"""),
    "shared": (30_000, """
tail = x
def round():  # the head of each graph shares a chunk with the tail of the one before
    global tail
    head = x * w
    for _ in range(15_000):
        head = head * w + b
    tail = head
"""),
    "custom": (6_000, """
def round():
    for _ in range(60):
        y = x
        for _ in range(50):
            y = square(y)
        (y + 1).backward()
"""),
    "kept": (60_000, """
kept = [x.detach() for _ in range(1_000)]
turn = 0
def round():  # the last thousand results are held, as a list of losses holds them
    global turn
    for _ in range(20):
        y = x
        for _ in range(1_500):
            y = y * w + b
        kept[turn % len(kept)] = y.detach()
        turn += 1
"""),
    "quiet": (60_000, """
def round():
    with no_grad():
        y = x
        for _ in range(30_000):
            y = y * w + b
"""),
}  # fmt: skip

FLAT = """
before = live()
for _ in range(3 + ROUNDS // 20):
    round()
start = resident()
most = start
for _ in range(ROUNDS):
    round()
    most = max(most, resident())
print(most - start, resident() - start)
tail = None
gc.collect()
print(live() - before)
"""


def flat(name, nodes, path):
    made, loop = LOOPS[name]
    rounds = f"ROUNDS = {max(nodes // made, 5)}\n"
    process = python("-c", PRELUDE + loop + rounds + FLAT, cwd=path)
    assert process.stderr == ""
    most, last, left = map(int, process.stdout.split())
    assert last <= 1 << 20, f"{last} bytes more after {nodes} nodes"
    assert most <= 2 << 20, "nor did it grow and shrink"
    assert left <= 1 if name == "custom" else left == 0
    tally(f"leak: nodes made and dropped, {name}", nodes)


@pytest.mark.parametrize("name", LOOPS)
def test_memory_of_a_repeated_program_stays_flat(name, tmp_path):
    flat(name, NODES // 10 if name == "custom" else NODES, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("name", LOOPS)
def test_memory_stays_flat_over_a_hundred_million_nodes(name, tmp_path):
    flat(name, 100_000_000, tmp_path)


KEPT = """
import array
kept = [None] * 200_000
def round(i):
    y = x
    for _ in range(10):
        y = y * w + b
    kept[i] = y.detach()
for i in range(1000):
    round(i)
start = resident()
for i in range(1000, len(kept)):
    round(i)
print((resident() - start) / (len(kept) - 1000), live())
"""


@pytest.mark.skipif(INFO["chunk_nodes"] < 1024, reason="small chunks have large heads")
def test_kept_results_cost_only_themselves(tmp_path):
    process = python("-c", PRELUDE + KEPT, cwd=tmp_path)
    assert process.stderr == ""
    each, live = process.stdout.split()
    assert float(each) <= 96 * 1.05
    assert int(live) == 200_003


# Bytes a node -------------------------------------------------------------------------------------

COST = """
n = 400_000
start, bytes, nodes = resident(), arena_stats()["bytes"], live()
y = x
for _ in range(n // 2):
    y = y * w + b
made = live() - nodes
print((resident() - start) / made, (arena_stats()["bytes"] - bytes) / made)
kept = [None] * n
start, bytes, nodes = resident(), arena_stats()["bytes"], live()
for i in range(n):
    kept[i] = x * w
made = live() - nodes
print((resident() - start) / made, (arena_stats()["bytes"] - bytes) / made)
top = resident()
y = kept = None
print(live())
"""


def test_bytes_per_node_are_within_the_promise_by_size():
    assert INFO["node_bytes"] <= 40
    assert INFO["node_bytes"] + INFO["handle_bytes"] <= 96


@pytest.mark.skipif(INFO["chunk_nodes"] < 1024, reason="small chunks have large heads")
def test_bytes_per_node_are_within_the_promise_by_measurement(tmp_path):
    process = python("-c", PRELUDE + COST, cwd=tmp_path)
    assert process.stderr == ""
    bare, bare_told, held, held_told, left = map(float, process.stdout.split())
    slack = 1.03  # what the interpreter itself may take meanwhile; the chunks' heads
    assert bare <= 40 * slack
    assert bare_told <= 40 * slack
    assert held <= 96 * slack
    assert held_told <= 96 * slack
    assert left == 3


DROP = """
n = 2_000_000
start = resident()
kept = [x * w for _ in range(n)]
top = resident()
kept = None
print(top - start, resident() - start)
assert arena_check() == [], "what statistics count has gone back too"
"""


def test_memory_of_dropped_handles_returns_to_the_system(tmp_path):
    process = python("-c", PRELUDE + DROP, cwd=tmp_path)
    assert process.stderr == ""
    top, left = map(int, process.stdout.split())
    assert top > 150 << 20
    assert left < 0.6 * top, "what is kept warm is no more than what was alive half-way"
