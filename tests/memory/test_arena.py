"""Nodes live exactly as long as they are needed, and leave a sound arena.

Oracles: the number of live nodes; `arena_check`, which recomputes every count from scratch. Random
programs are in test_state_machine.py.
"""

import copy
import gc
import random
import weakref

import pytest
from helpers.graphs import live, live_after_gc, node_count

from fastgrad import Value, arena_stats
from fastgrad._native.graph import check
from fastgrad.engine import build_info

arena_check = check.arena_check
INFO = build_info()
NARROW = INFO["id_bits"] < 32
LONG = 20 if INFO["id_bits"] == 8 else 150  # a chain that narrow ids can name


class Special(Value):
    """A subclass with state of its own."""


# Lifetimes ----------------------------------------------------------------------------------------


@pytest.fixture
def baseline():
    """Count the nodes that other tests have left."""
    return live_after_gc()


def test_node_lives_while_held_or_used(baseline):
    a, b = Value(2.0), Value(3.0)
    c = a * b
    assert live() == baseline + 3
    d = c + a
    del c
    assert live() == baseline + 4, "d uses it"
    del a, b
    assert live() == baseline + 4
    del d
    assert live() == baseline


def test_leaf_of_a_number_lives_as_long_as_its_operation(baseline):
    a = Value(2.0)
    y = a - 1
    assert live() == baseline + 3
    y = None
    assert y is None
    assert live() == baseline + 1


def test_results_are_freed_without_the_collector(baseline):
    gc.disable()
    try:
        for _ in range(20):
            x = Value(1.5)
            y = (x * x + 3).tanh() / 2
            y.backward()
            y.label = "attributes do no harm"
            del x, y
        assert live() == baseline
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_failed_operations_leave_no_nodes(baseline):
    values = [Special(0.0)]
    for wrong in (
        lambda a: a**-1, lambda a: 1 / a, lambda a: a.log(), lambda a: a + "1", lambda a: a * None,
        lambda a: a / "1", lambda a: a**"1", lambda a: a - [], lambda a: Value(1, (a, 2)),
    ):  # fmt: skip
        with pytest.raises((ZeroDivisionError, ValueError, TypeError)):
            wrong(values[0])
        assert arena_check() == []
        assert live() == baseline + 1
    values.clear()
    assert live() == baseline, "a subclass's handle is not kept by an operation that failed"


@pytest.mark.wide
@pytest.mark.parametrize("kept", [0, 300])
def test_scattered_graph_is_freed_except_held_nodes(baseline, kept):
    rng = random.Random(1)
    x = Value(1.0)
    columns = [x * (0.5 + i / 6000) for i in range(3000)]
    for _ in range(10_000):
        i, j = rng.randrange(3000), rng.randrange(3000)
        columns[i] = (columns[i] + columns[j] * 0.25).tanh()
    y = sum(columns)
    held, expected = columns[:kept], [v.data for v in columns[:kept]]
    del columns
    assert arena_check() == []
    del y
    assert arena_check() == []
    assert [v.data for v in held] == expected
    for v in held:
        v.backward()
    assert held == [] or x.grad > 0.0
    del held, x
    if kept:
        del v
    assert live() == baseline


def test_held_leaf_keeps_no_operation_alive(baseline):
    kept = []
    for _ in range(50):
        x = Value(1.0)
        y = x * 2 + 1
        kept.append(y.detach())
    del x, y
    assert live() == baseline + 50


def square(x):
    out = Value(x.data * x.data, (x,), "square")

    def step():
        x.grad += 2 * x.data * out.grad

    out._backward = step
    return out


def test_custom_node_cycle_is_collected_only_when_unused(baseline):
    x = Value(3.0)
    out = square(x)
    gone = weakref.ref(out)
    y = out + 1
    del out
    gc.collect()
    assert gone() is not None, "a graph needs it"
    y.backward()
    assert x.grad == 6.0
    del y
    gc.collect()
    assert gone() is None
    del x
    assert live() == baseline


def test_custom_node_chain_is_freed_by_one_collection(baseline):
    x = Value(1.0)
    y = x
    for _ in range(LONG):
        y = square(y)
    del y
    gc.collect()
    assert live() == baseline + 1
    y = x
    for _ in range(LONG):
        y = square(y)
    y = y + 1
    y.backward()
    del y
    assert live() == baseline + 1, "its root is no cycle, so it needs no collection at all"


def test_attributes_and_weak_references_outlive_the_handle(baseline):
    a = Value(2.0)
    c = a * 3
    c.label, c.list = "c", [1]
    watched = weakref.ref(c)
    d = c + 1
    identity = id(c)
    del c
    assert watched() is not None
    assert (watched().label, watched().list) == ("c", [1])
    assert id(watched()) == identity
    assert watched() in d._prev
    del d
    assert watched() is None
    del a
    assert live() == baseline


def test_subclass_instances_survive_inside_a_graph(baseline):
    s = Special(2.0)
    s.state = "mine"
    y = s * 3
    del s
    (found,) = [p for p in y._prev if isinstance(p, Special)]
    assert found.state == "mine"
    twin = copy.deepcopy(y)
    del y, found
    (found,) = [p for p in twin._prev if isinstance(p, Special)]
    assert found.state == "mine", "so do their copies"
    del twin, found
    assert live() == baseline


@pytest.mark.wide
@pytest.mark.parametrize("how", ["attribute", "closure"])
def test_long_chains_of_objects_are_freed_without_recursion(baseline, how):
    x = Value(0.0)
    for _ in range(100_000):
        y = Value(1.0, (x,) if how == "closure" else ())
        if how == "closure":
            y._backward = lambda x=x: None
        else:
            y.before = x
        x = y
    del y
    del x
    assert live() == baseline


# Chunks -------------------------------------------------------------------------------------------


def test_chunks_shared_by_graphs_are_reused(baseline):
    """Let the tail of one graph and the head of the next share a chunk, over many chunks."""
    size = min(3 * INFO["chunk_nodes"] // 2 + 1, 10_000)
    in_use = arena_stats()["chunks"] - arena_stats()["free_chunks"]
    a = Value(1.0)
    most = 0
    y = a
    for _ in range(40):
        head = a * a
        y = head
        for _ in range(size):
            y = y + a
        most = max(most, arena_stats()["chunks"] - arena_stats()["free_chunks"])
    del head, y, a
    assert live() == baseline
    assert most <= in_use + 2 * size // INFO["chunk_nodes"] + 4, "two graphs' worth, never all"


@pytest.mark.parametrize("make", [lambda a: a + a, lambda a: a.detach()], ids=["sums", "leaves"])
def test_chunks_freed_in_any_order_are_reused(baseline, make):
    """Kill whole chunks, then make as many again in their places: every list stays in order."""
    n = INFO["chunk_nodes"]
    a = Value(1.0)
    parts = [[make(a) for _ in range(n)] for _ in range(7)]
    order = random.Random(3)
    for _ in range(3):
        places = list(range(len(parts)))
        order.shuffle(places)
        for place in places[:5]:
            parts[place] = None
            assert arena_check() == []
        for place in places[:5]:
            parts[place] = [make(a) for _ in range(n)]
        assert arena_check() == []
        (sum(parts[0][:3]) + a).backward()
    del parts, a
    assert live() == baseline
    assert arena_check() == []


def test_nodes_freed_at_every_chunk_offset_leave_a_sound_arena(baseline):
    """Free up to each offset in a chunk, also exactly at its end, where the open chunk closes."""
    n = INFO["chunk_nodes"]
    offsets = range(3 * n) if n <= 64 else [*range(n - 2, n + 3), 2 * n - 1, 2 * n, 2 * n + 1]
    a = Value(1.0)
    for extra in offsets:
        anchor = a + a
        values = [a * a for _ in range(extra)]
        if n <= 64:
            assert arena_check() == []
        values.clear()
        assert arena_check() == [], extra
        (anchor * 2).backward()
    assert a.grad == 4.0 * len(offsets)
    del anchor, a
    assert live() == baseline


@pytest.mark.slow
@pytest.mark.wide
def test_sweep_skips_dead_nodes(baseline):
    """Their operands may lie in chunks whose memory has been given back long ago."""
    x = Value(1.0)
    far = [x * x for _ in range(3_000_000)]
    between = []
    y = x * 1.0
    for i in range(40_000):
        y = y + x
        between += [x * far[i] for _ in range(4)]
    chunks = arena_stats()["chunks"]
    del between, far
    assert arena_stats()["chunks"] < chunks
    y.backward()
    assert x.grad == 40_001.0


def test_leaf_slots_are_reused_in_any_order(baseline):
    shuffled = random.Random(5)
    n = 20 * INFO["chunk_nodes"] if INFO["chunk_nodes"] <= 8 else 3 * INFO["chunk_nodes"]
    n = min(n, 100) if NARROW else n
    values = [Value(i) for i in range(n)]
    chunks = arena_stats()["chunks"]
    for _ in range(5):
        shuffled.shuffle(values)
        del values[n // 4 :]
        values += [Value(i) for i in range(n - n // 4)]
        assert live() == baseline + n
        assert arena_stats()["chunks"] <= chunks + 2, "freed slots are taken before new chunks"
    assert arena_check() == []


@pytest.mark.wide
def test_million_kept_results_hold_only_themselves(baseline):
    x = Value(2.0)
    kept = []
    for i in range(node_count(1_000_000)):
        y = x * i + 1
        kept.append(y.detach())
    del y
    assert live() == baseline + len(kept) + 1
    del kept, x
    assert live() == baseline
