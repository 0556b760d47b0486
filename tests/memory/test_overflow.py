"""Too many nodes, operand blocks or operands raise OverflowError.

Oracles: `arena_check`; data and gradients of what was alive before the ids ran out. Only builds
with narrow ids get there: `make test-narrow`, `make test-release-id16`.
"""

import contextlib
import copy
import gc

import pytest
from helpers.graphs import live_after_gc
from helpers.processes import python

from fastgrad import Value, arena_stats, custom
from fastgrad._native.graph import check
from fastgrad.engine import build_info
from fastgrad.nn import Layer, Neuron

INFO = build_info()
pytestmark = pytest.mark.skipif(INFO["id_bits"] == 32, reason="2**32 nodes are out of reach")
IDS = 1 << INFO["id_bits"]
CHECKED = IDS <= 1 << 8  # looking at each node is quick


@pytest.fixture(autouse=True)
def sound():
    before = live_after_gc()  # what earlier tests have left may take several collections
    yield
    assert live_after_gc() <= before
    assert check.arena_check() == []


def room():
    """Count the ids that are surely free: chunk 0 stands for none, others hold what is alive.

    Values of other test files may be alive, each perhaps in a chunk of its own.
    """
    stats = arena_stats()
    return IDS - (1 + stats["chunks"] - stats["free_chunks"]) * INFO["chunk_nodes"]


def until_overflow(make):
    """Make and hold results until the ids run out."""
    made = []

    def go_on():
        while len(made) <= IDS:
            made.append(make())

    with pytest.raises(OverflowError, match=r"expected at most .* alive at once"):
        go_on()
    return made


def usable():
    x = Value(3.0)
    y = x * x + 1
    y.backward()
    return (y.data, x.grad) == (10.0, 6.0)


def test_too_many_leaves_raise_overflow():
    free = room()
    made = until_overflow(lambda: Value(1.0))
    assert free <= len(made) < IDS
    assert len(set(map(id, made))) == len(made)
    made[7].data = 5.0
    assert [v.data for v in made].count(1.0) == len(made) - 1, "each has a slot of its own"
    del made[10:]
    assert usable()


def test_too_many_operations_raise_overflow():
    x = Value(2.0)
    free = room()
    values = [x]
    made = until_overflow(lambda: values.append(values[-1] + x) or values[-1])
    n = len(made)
    assert free <= n < IDS
    assert values[-1].data == 2.0 * (n + 1)
    values[-1].backward()
    assert x.grad == n + 1.0
    if CHECKED:
        assert check.arena_check() == []
    values.clear()
    made.clear()
    assert usable()


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x - 1,
        lambda x: 1 - x,
        lambda x: x / 3,
        lambda x: 3 / x,
        lambda x: -x,
        lambda x: x**2,
        lambda x: 2**x,
        lambda x: x.relu(),
        lambda x: x.leaky_relu(),
        lambda x: Value(1.0, (x,), "custom"),
        lambda x: x.detach(),
        lambda x: x.hypot(2.0),
        copy.copy,
    ],
)
def test_composite_that_overflows_leaves_no_nodes(operation):
    x = Value(2.0)
    made = until_overflow(lambda: operation(x))
    if CHECKED:
        assert check.arena_check() == []
    nodes = arena_stats()["live_nodes"]
    for _ in range(3):
        with pytest.raises(OverflowError):
            operation(x)
        assert arena_stats()["live_nodes"] == nodes, "what failed holds nothing"
    assert all(v.data == made[0].data for v in made)
    made.clear()
    assert usable()


def test_composite_that_overflows_at_any_slot_leaves_no_nodes():
    """Leaves fit here and there; of operations, fewer fit than some composites push."""
    x = Value(2.0)
    neuron = Neuron(1, activation="leaky_relu")
    total = Neuron(2, nonlin=False)([x, x])
    assert total._prev, "has its hidden nodes: a copy that fails would leave those that it makes"
    operations = [
        lambda x: neuron([x]), lambda x: copy.copy(total),
        lambda x: x - x, lambda x: x - 1, lambda x: 1 - x, lambda x: x / x, lambda x: -x,
        lambda x: x + 1, lambda x: x**2, lambda x: 2**x, lambda x: x.leaky_relu(),
    ]  # fmt: skip
    few = min(INFO["chunk_nodes"], 8)
    for operation in operations:
        for taken in range(few):
            held = [x + x for _ in range(taken)]
            leaves = until_overflow(lambda: Value(1.0))
            for i in range(4):  # one in a chunk, so that none dies
                del leaves[i * 2 * INFO["chunk_nodes"]]
            with contextlib.suppress(OverflowError):
                while len(held) < IDS:
                    nodes = arena_stats()["live_nodes"]
                    held.append(operation(x))
            assert arena_stats()["live_nodes"] == nodes, "what failed holds nothing"
            if CHECKED:
                assert check.arena_check() == []
            del held, leaves
    assert usable()


def pair(a, b):
    return a + b


PAIR = custom("pair")(pair).partials(lambda a, b, y: (1.0, 1.0))
ONE_LEAF = {  # operations that make a leaf, of x, a neuron, and the sum and the output of another
    "1 - x": lambda x, n, y: 1 - x,
    "x - y": lambda x, n, y: x - y,
    "1 / x": lambda x, n, y: 1 / x,
    "x / 3": lambda x, n, y: x / 3,
    "x ** 2": lambda x, n, y: x**2,
    "leaky_relu": lambda x, n, y: x.leaky_relu(),
    "activation": lambda x, n, y: n([x]),
    "number": lambda x, n, y: n([1.0]),
    "custom": lambda x, n, y: PAIR(x, 2.0),
    "look inside": lambda x, n, y: y._prev,
    "deepcopy": lambda x, n, y: copy.deepcopy(y),
}
NO_LEAF = {
    "x + x": lambda x, n, y: x + x,
    "relu": lambda x, n, y: x.relu(),
    "custom node": lambda x, n, y: Value(1.0, (x,)),
    "custom of Values": lambda x, n, y: PAIR(x, x),
}


KINDS = [("leaves", name) for name in ONE_LEAF]
KINDS += [("operations", name) for name in [*ONE_LEAF, *NO_LEAF]]


@pytest.mark.parametrize(("full", "name"), KINDS)
def test_room_for_leaves_or_operations_only_raises_overflow(full, name):
    """There is a slot for an operation and none for its leaf, or the other way round."""
    x = Value(2.0)
    neuron = Neuron(1, activation="leaky_relu")
    y = Neuron(1, nonlin=False)([3.0])
    neuron([x])
    spare = [Value(0.0) for _ in range(4 * INFO["chunk_nodes"])]
    free = room()
    anchor = x * x
    while room() == free:
        anchor = anchor * x  # until it has opened a chunk, all but empty
    made = until_overflow((lambda: Value(0.0)) if full == "leaves" else (lambda: x + x))
    if full == "operations":
        del spare[::2]  # not all: an empty chunk would do for operations too
    nodes = arena_stats()["live_nodes"]
    with pytest.raises(OverflowError):
        {**ONE_LEAF, **NO_LEAF}[name](x, neuron, y)
    assert arena_stats()["live_nodes"] == nodes, "what failed holds nothing"
    made.clear()
    assert usable()


def test_too_many_neuron_outputs_raise_overflow():
    neuron, layer = Neuron(3), Layer(2, 2)
    x = Value(1.0)
    made = until_overflow(lambda: [neuron([x, 2, 3]), layer([1, x])])
    assert all(m[0].data == made[0][0].data for m in made)
    made[-1][0].backward()
    del made[: len(made) // 2]
    made[-1][0].backward()
    made.clear()
    assert usable()


def test_expansion_of_a_neuron_without_room_raises_overflow():
    neuron = Neuron(3, nonlin=False)
    x = Value(1.0)
    y = neuron([x, x, x])
    made = until_overflow(lambda: Value(0.0))
    made += until_overflow(lambda: x + x)
    with pytest.raises(OverflowError):
        y._prev  # noqa: B018
    y.backward()
    grad = x.grad
    with pytest.raises(OverflowError):
        y.backward()  # a second one needs the nodes inside
    if CHECKED:
        assert check.arena_check() == []
    made.clear()
    y.zero_grad(graph=True)
    y.backward()
    assert x.grad == grad
    assert len(y._prev) == 2


def test_deepcopy_without_room_raises_overflow():
    x = Value(1.0)
    y = x
    for _ in range(min(room() // 3, 200)):
        y = y + x
    made = until_overflow(lambda: Value(0.0))
    del made[-3:]
    nodes = arena_stats()["live_nodes"]
    with pytest.raises(OverflowError):
        copy.deepcopy(y)
    gc.collect()
    assert arena_stats()["live_nodes"] == nodes
    made.clear()
    twin = copy.deepcopy(y)
    twin.backward()
    assert (twin.data, x.grad) == (y.data, 0.0)


def test_too_many_operand_blocks_raise_overflow():
    """Blocks of operands have a limit of their own, which freed blocks count against no more."""
    x, y = Value(1.0), Value(2.0)
    for _ in range(3):
        made = until_overflow(lambda: Value(3.0, (x, y)))
        made[-1]._backward = lambda: None
        made[-1].backward()
        made.clear()
    assert usable()


def test_too_many_kept_operand_blocks_raise_overflow():
    """Neurons that share their parameters take a block each and no node."""
    w, b, x = Value(2.0), Value(0.5), Value(3.0)

    def make():
        neuron = Neuron(1)
        neuron.w, neuron.b = [w], b
        assert neuron([x]).data == 6.5
        return neuron

    neurons = until_overflow(make)
    assert IDS // 2 < len(neurons) < IDS
    assert check.arena_check() == [] or not CHECKED
    neurons[0]([x]).backward()
    assert (w.grad, b.grad, x.grad) == (3.0, 1.0, 2.0)
    neurons.clear()
    assert usable()


CUSTOM = """
import sys
from fastgrad import Value, custom
x, made = Value(3.0), 0
for i in range(int(sys.argv[1])):
    operation = custom(f"times {i}")(lambda a, i=i: a * i)
    operation.partials(lambda a, y, i=i: i)
    try:
        y = operation(x)
    except OverflowError:
        continue
    made += 1
    assert (y._op, y.data) == (f"times {i}", 3.0 * i), y
    x.grad = 0.0
    y.backward()
    assert x.grad == i
print(made)
"""


def test_too_many_custom_operations_raise_overflow(tmp_path):
    """They are never forgotten, so a process of its own defines them."""
    process = python("-c", CUSTOM, IDS + 20, cwd=tmp_path)
    assert process.stderr == ""
    assert IDS - 2 <= int(process.stdout) <= IDS


def test_expansion_of_a_neuron_that_is_too_wide_raises_overflow():
    n = IDS // 2
    neuron = Neuron(1, nonlin=False)
    neuron.w = [neuron.w[0]] * n
    x = Value(1.0)
    y = neuron([x] * n)
    with pytest.raises(OverflowError, match=f"at most {n - 1} inputs, got {n}"):
        y._prev  # noqa: B018
    y.backward()
    assert x.grad == pytest.approx(n * neuron.w[0].data)


def test_operands_filling_the_arena_are_accepted():
    values = until_overflow(lambda: Value(1.0))
    del values[-2 * INFO["chunk_nodes"] :]
    out = Value(1.0, values)
    assert len(out._prev) == len(values)
    (out * 2).backward()
    assert out.grad == 2.0
    del out
    values.clear()
    assert usable()
