"""Times of our own parts, for regressions: `make bench-micro`.

Layer: benchmarks.  May import: fastgrad, pytest-benchmark, workloads.  Ids come from the table.
"""

import random

import pytest

from benchmarks.workloads import Case, Library, eager_case, gpt
from fastgrad import Value, functional, ops, optim
from fastgrad.nn import MLP, Layer, Neuron

SHAPES = ("chain-1e4", "dag-1e4", "dense-1e4")
LIBRARY = Library("fastgrad", Value, MLP)
TIMES = 1_000  # operations in a round: calling through the fixture costs as much as one of them


def inside(row):
    """Return an operand for each place, within the row's domain and far from its ends."""
    rng = random.Random(row.name)
    return [rng.uniform(max(low, -1.5), min(high, 1.5)) for low, high in row.domain]


@pytest.mark.parametrize("name", ops.names())
def test_operation(benchmark, name):
    """An operation with its handle, made and dropped."""
    row = ops.TABLE[name]
    function = functional.__dict__[row.variant_of or name]
    data = [abs(x) + 0.1 if row.raises else x for x in inside(row)]
    data = [min(x, 0.9) if row.domain[i] == (-1.0, 1.0) else x for i, x in enumerate(data)]
    operands = [Value(x) for x in data[: row.arity]] + data[row.arity :]

    def run():
        for _ in range(TIMES):
            function(*operands)

    benchmark.extra_info["operations"] = TIMES
    benchmark(run)


@pytest.mark.parametrize("name", [row.name for row in ops.native()])
def test_operation_backward(benchmark, name):
    """A sweep over one operation."""
    row = ops.TABLE[name]
    function = functional.__dict__[row.variant_of or name]
    data = [abs(x) + 0.1 if row.raises else x for x in inside(row)]
    data = [min(x, 0.9) if row.domain[i] == (-1.0, 1.0) else x for i, x in enumerate(data)]
    result = function(*[Value(x) for x in data[: row.arity]], *data[row.arity :])

    def run():
        for _ in range(TIMES):
            result.backward()

    benchmark.extra_info["operations"] = TIMES
    benchmark(run)


@pytest.mark.parametrize("shape", SHAPES)
def test_sweep(benchmark, shape):
    """The reverse sweep, again and again over one graph."""
    case: Case = eager_case(LIBRARY, shape)
    root = case.forward()
    benchmark(root.backward)


@pytest.mark.parametrize("shape", SHAPES)
def test_build(benchmark, shape):
    """Building a graph, with the freeing of the one before."""
    benchmark(eager_case(LIBRARY, shape).forward)


@pytest.mark.parametrize("shape", SHAPES)
def test_free(benchmark, shape):
    """Dropping the root of a graph."""
    forward = eager_case(LIBRARY, shape).forward
    kept = []

    benchmark.pedantic(kept.clear, setup=lambda: kept.append(forward()), rounds=200)


def test_sweep_of_fused_neurons(benchmark):
    model = MLP(16, [64, 64, 1])
    root = model([Value(0.1) for _ in range(16)])
    benchmark(root.backward)


@pytest.mark.parametrize("inputs", ["values", "floats"])
@pytest.mark.parametrize("make", [Neuron, lambda n: Layer(n, 16), lambda n: MLP(n, [16, 16, 1])],
                         ids=["neuron", "layer", "mlp"])  # fmt: skip
def test_call(benchmark, make, inputs):
    model = make(16)
    x = [0.1 * i for i in range(16)]
    benchmark(model, list(map(Value, x)) if inputs == "values" else x)


@pytest.mark.parametrize("method", ["parameters", "zero_grad"])
def test_model(benchmark, method):
    """What every training step does to a whole model, here of 8,385 parameters."""
    model = MLP(64, [64, 64, 1])
    assert len(model.parameters()) == 8_385
    benchmark(getattr(model, method))


def test_leaf(benchmark):
    """Leaves, made and dropped."""

    def run():
        for _ in range(TIMES):
            Value(1.0)

    benchmark.extra_info["operations"] = TIMES
    benchmark(run)


def test_kept_leaves(benchmark):
    """A list of leaves, made and dropped: the free list of slots."""
    numbers = [1.0] * TIMES
    benchmark(lambda: list(map(Value, numbers)))


@pytest.mark.parametrize("attribute", ["data", "grad", "_prev", "_op"])
def test_read(benchmark, attribute):
    v = Value(2.0) * 3.0

    def run():
        for _ in range(TIMES):
            getattr(v, attribute)

    benchmark(run)


def test_update(benchmark):
    """What an optimiser written in Python does."""
    parameters = [Value(1.0) for _ in range(TIMES)]

    def run():
        for p in parameters:
            p.data -= 0.1 * p.grad
            p.grad = 0.0

    benchmark(run)


class Foreign:
    def __init__(self, data):
        self.data, self.grad = data, 1.0


@pytest.mark.parametrize("make", [Value, Foreign], ids=["native", "generic"])
@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_optimizer_step(benchmark, rule, make):
    """A step over the parameters of MLP(64, [64, 64, 1])."""
    parameters = [make(0.001 * i) for i in range(8_385)]
    for p in parameters:
        p.grad = 1.0
    benchmark.extra_info["parameters"] = len(parameters)
    benchmark(rule(parameters, lr=1e-6).step)


def test_gpt_name(benchmark):
    model = gpt.GPT(Value)
    benchmark(lambda: model.loss(gpt.NAMES[0]).backward())
