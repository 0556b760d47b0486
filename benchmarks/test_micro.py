"""Micro-benchmarks of fastgrad's parts, for regressions: `make bench-micro`.

Ids come from the table.
"""

import copy
import random

import pytest

import fastgrad
from benchmarks.workloads import Case, Library, eager_case, gpt, recorded, workloads
from fastgrad import Value, functional, ops, optim, rules
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
def test_sweep_of_a_graph(benchmark, shape):
    """The reverse sweep, again and again over one graph."""
    case: Case = eager_case(LIBRARY, shape)
    root = case.forward()
    benchmark(root.backward)


@pytest.mark.parametrize("shape", SHAPES)
def test_build_of_a_graph(benchmark, shape):
    """Building a graph, with the freeing of the one before."""
    benchmark(eager_case(LIBRARY, shape).forward)


@pytest.mark.parametrize("shape", [*SHAPES, "dag-1e6"])
def test_free_of_a_graph(benchmark, shape):
    """Dropping the root of a graph."""
    forward = eager_case(LIBRARY, shape).forward
    kept = []
    rounds = 10 if shape.endswith("1e6") else 200
    benchmark.pedantic(kept.clear, setup=lambda: kept.append(forward()), rounds=rounds)


@pytest.mark.parametrize("shape", SHAPES)
def test_deepcopy_of_a_graph(benchmark, shape):
    """Copying a graph, with the freeing of the copy before."""
    benchmark(copy.deepcopy, eager_case(LIBRARY, shape).forward())


def test_deepcopy_of_a_model(benchmark):
    benchmark(copy.deepcopy, MLP(16, [64, 64, 1]))


def test_sweep_of_fused_neurons(benchmark):
    model = MLP(16, [64, 64, 1])
    root = model([Value(0.1) for _ in range(16)])
    benchmark(root.backward)


@pytest.mark.parametrize("inputs", ["values", "floats"])
@pytest.mark.parametrize("make", [Neuron, lambda n: Layer(n, 16), lambda n: MLP(n, [16, 16, 1])],
                         ids=["neuron", "layer", "mlp"])  # fmt: skip
def test_call_of_a_network(benchmark, make, inputs):
    model = make(16)
    x = [0.1 * i for i in range(16)]
    benchmark(model, list(map(Value, x)) if inputs == "values" else x)


@pytest.mark.parametrize("method", ["parameters", "zero_grad"])
def test_method_of_a_model(benchmark, method):
    """What every training step does to a whole model, here of 8,385 parameters."""
    model = MLP(64, [64, 64, 1])
    assert len(model.parameters()) == 8_385
    benchmark(getattr(model, method))


def test_leaf_made_and_dropped(benchmark):
    """Leaves, made and dropped."""

    def run():
        for _ in range(TIMES):
            Value(1.0)

    benchmark.extra_info["operations"] = TIMES
    benchmark(run)


def test_list_of_leaves_made_and_dropped(benchmark):
    """A list of leaves, made and dropped: the free list of slots."""
    numbers = [1.0] * TIMES
    benchmark(lambda: list(map(Value, numbers)))


@pytest.mark.parametrize("attribute", ["data", "grad", "_prev", "_op"])
def test_read_of_an_attribute(benchmark, attribute):
    v = Value(2.0) * 3.0

    def run():
        for _ in range(TIMES):
            getattr(v, attribute)

    benchmark(run)


def test_update_written_in_python(benchmark):
    """What an optimizer written in Python does."""
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
@pytest.mark.parametrize("rule", [getattr(optim, name) for name in rules.names()])
def test_optimizer_step(benchmark, rule, make):
    """A step over the parameters of MLP(64, [64, 64, 1])."""
    parameters = [make(0.001 * i) for i in range(8_385)]
    for p in parameters:
        p.grad = 1.0
    benchmark.extra_info["parameters"] = len(parameters)
    benchmark(rule(parameters, lr=1e-6).step)


def test_gpt_on_one_name(benchmark):
    model = gpt.GPT(Value)
    benchmark(lambda: model.loss(gpt.NAMES[0]).backward())


# -- tapes


@pytest.mark.parametrize("shape", SHAPES)
def test_record_of_a_graph(benchmark, shape):
    """Recording 10,000 operations, building them included: test_build_of_a_graph is that alone."""
    benchmark.extra_info["operations"] = 10_000
    benchmark(recorded.recording_case(fastgrad, shape).forward)


@pytest.mark.parametrize("part", ["forward", "both"])
@pytest.mark.parametrize("shape", SHAPES)
def test_replay_of_one_sample(benchmark, shape, part):
    """One sample, alone and with its gradient."""
    case = recorded.tape_case(fastgrad, shape)
    benchmark.extra_info["operations"] = 10_000
    benchmark(case.apart if part == "forward" else case.forward)


@pytest.fixture
def moons():
    """Return a tape of the demo's loss, an optimizer, and points."""
    numpy = pytest.importorskip("numpy")
    random.seed(1)
    model = MLP(2, [16, 16, 1])
    tape = fastgrad.record(lambda x, y: workloads.sample_loss(model, x, y), [0.0, 0.0], 1.0)
    rng = numpy.random.default_rng(1)

    def points(n):
        X = rng.uniform(-1, 1, (n, 2))
        return X, numpy.where(X[:, 0] > X[:, 1], 1.0, -1.0)

    return tape, optim.SGD(model.parameters(), lr=1e-3), points


@pytest.mark.parametrize("n", [1, 100, 10_000])
@pytest.mark.parametrize("method", ["__call__", "backward", "value_and_grad"])
def test_replay_of_a_batch(benchmark, moons, method, n):
    """A batch through MLP(2, [16, 16, 1]): its losses, or their mean and its gradient."""
    tape, _, points = moons
    benchmark(getattr(tape, method), *points(n))


@pytest.mark.parametrize("threads", [1, 2])
def test_replay_of_a_batch_on_threads(benchmark, moons, threads):
    tape, _, points = moons
    X, y = points(10_000)
    benchmark(lambda: tape.backward(X, y, threads=threads))


def test_per_sample_gradients(benchmark, moons):
    """reduce=None: a gradient for each sample."""
    tape, _, points = moons
    X, y = points(1_000)
    benchmark(lambda: tape.value_and_grad(X, y, reduce=None))


@pytest.mark.parametrize("options", [{}, {"batch_size": 32}, {"schedule": [1e-3] * 1_000}],
                         ids=["full", "batches of 32", "schedule"])  # fmt: skip
def test_fit_of_1000_steps(benchmark, moons, options):
    """1,000 steps on 100 points."""
    tape, optimizer, points = moons
    X, y = points(100)
    benchmark.extra_info["steps"] = 1_000
    benchmark(lambda: fastgrad.fit(tape, X, y, optimizer=optimizer, steps=1_000, **options))


@pytest.mark.parametrize("workload", ["expression", "expression-batch", "lecture", "gpt"])
def test_workload_on_a_tape(benchmark, workload):
    """Whole workloads on tapes: a hundred calls, a batch of 10,000, 20 steps, 5 steps."""
    benchmark(recorded.tape_case(fastgrad, workload).forward)
