"""Networks beside micrograd's, value by value; activations, wrong arguments, copies.

Oracle: PyPI's micrograd 0.1.0, and graphs of plain Values for what micrograd lacks.
"""

import copy
import gc
import pickle
import random

import pytest
from helpers.graphs import all_nodes
from helpers.reference import agree, both, count, description, grads

from fastgrad import nn, no_grad
from fastgrad.engine import Value, arena_stats, build_info
from fastgrad.errors import FastgradError

np = pytest.importorskip("numpy")
pytestmark = pytest.mark.usefixtures("sound_arena")


# -- construction ---------------------------------------------------------------------------------

SHAPES = [
    (1, [1]),
    (2, [3, 1]),
    pytest.param(2, [16, 16, 1], marks=pytest.mark.wide),
    (3, [4]),
    (3, [4, 4]),
    (5, [1, 1]),
    (1, [2, 3, 4]),
]


@pytest.mark.parametrize(("nin", "nouts"), SHAPES, ids=str)
def test_models_have_the_initial_weights_of_micrograd(nin, nouts):
    def program(library, V):
        model = library.MLP(nin, nouts)
        weights = [(float(p.data), float(p.grad)) for p in model.parameters()]
        return (
            repr(model),
            weights,
            random.getstate(),
            [len(layer.neurons) for layer in model.layers],
        )

    ours, theirs = both(program)
    assert ours == theirs


def test_reprs_equal_micrograd():
    ours, theirs = both(
        lambda library, V: [
            repr(library.Neuron(3)),
            repr(library.Neuron(3, nonlin=False)),
            repr(library.Layer(2, 2)),
            str(library.Layer(2, 1, nonlin=False)),
            str(library.MLP(2, [2, 1])),
        ]
    )
    assert ours == theirs
    assert (
        ours[-1] == "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(2)]]"
    )


def test_modules_have_the_documented_attributes():
    n = nn.Neuron(2, False)
    assert (len(n.w), n.b.data, n.nonlin, n.parameters()) == (2, 0.0, False, [*n.w, n.b])
    model = nn.MLP(2, [3, 1])
    assert [neuron.nonlin for layer in model.layers for neuron in layer.neurons] == [True] * 3 + [
        False
    ]
    assert all(type(p) is Value for p in model.parameters())
    assert len(model.parameters()) == 3 * 3 + 4
    assert isinstance(model, nn.Module)
    assert isinstance(n, nn.Module)
    assert nn.Module().parameters() == []
    model.name = n.name = "x"
    assert vars(model)["name"] == vars(n)["name"] == "x"


# -- evaluation -----------------------------------------------------------------------------------

INPUTS = {
    "floats": lambda V, n: [0.5 * i - 0.75 for i in range(n)],
    "ints": lambda V, n: list(range(n)),
    "a tuple": lambda V, n: tuple(0.25 * i for i in range(n)),
    "Values": lambda V, n: [V(0.5 * i - 0.75) for i in range(n)],
    "results": lambda V, n: [V(0.5 * i) * 2 - 0.7 for i in range(n)],
    "one Value": lambda V, n: [V(0.375)] * n,
    "mixed": lambda V, n: [(0.5, V(-1.5), np.float64(2.5), 1)[i % 4] for i in range(n)],
    "NumPy's scalars": lambda V, n: list(np.linspace(-1, 1, n)),
    "an array": lambda V, n: np.linspace(-1, 1, n),
    "integers of NumPy": lambda V, n: np.arange(n),
    "an array of Values": lambda V, n: np.array([V(0.5 * i - 0.75) for i in range(n)]),
    "too many": lambda V, n: [0.5 * i - 0.75 for i in range(n + 3)],
    "too few": lambda V, n: [0.5 * i + 0.25 for i in range(n - 1)],
    "none": lambda V, n: [],
    "booleans": lambda V, n: [True, False] * n,
}
EVERY_INPUT = pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS.keys())


@EVERY_INPUT
@pytest.mark.parametrize(("nin", "nouts"), SHAPES, ids=str)
def test_outputs_and_gradients_equal_micrograd(nin, nouts, inputs):
    def program(library, V):
        model = library.MLP(nin, nouts)
        for p in model.parameters():  # biases too
            p.data += 0.01
        if 1 in nouts[:-1]:  # micrograd cannot feed a bare output to the next layer
            model.layers = model.layers[:1]
        x = inputs(V, nin)
        out = model(x)
        outs = out if isinstance(out, list) else [out]
        sum(o * (i + 1) for i, o in enumerate(outs)).backward()
        xs = [v for v in x if isinstance(v, V)]
        data = type(out) is list, [float(o.data) for o in outs], [o._op for o in outs]
        return data, grads([*model.parameters(), *xs, *outs])

    agree(program)


@EVERY_INPUT
@pytest.mark.parametrize("nonlin", [True, False])
def test_layer_graphs_equal_micrograd(inputs, nonlin):
    def program(library, V):
        layer = library.Layer(3, 2, nonlin=nonlin)
        first, second = layer(inputs(V, 3))
        y = first * second
        before = description(y), description(y), count(y)
        y.backward()
        return (before, count(y)), grads_in(description(y))

    agree(program)


def grads_in(shown):
    """List the grads of a picture."""
    _, _, grad, operands = shown
    return [grad, *(g for operand in operands for g in grads_in(operand))]


def test_model_graphs_equal_micrograd():
    def program(library, V):
        model = library.MLP(3, [4, 4, 2])
        x = [V(0.5), 2.0, V(-1.0)]
        once, twice = model(x), model(x)
        return count(*once), count(*once, *twice), [description(o) for o in once]

    ours, theirs = both(program)
    assert ours == theirs


def test_iterator_as_input_is_read_once_for_all_neurons():
    # A difference: micrograd's second neuron finds a generator exhausted.
    model = nn.Layer(2, 3)
    xs = [0.5, -1.5]
    assert [o.data for o in model(iter(xs))] == [o.data for o in model(xs)]
    assert nn.Neuron(2, nonlin=False)(x for x in xs).data != 0.0
    ours, theirs = both(lambda library, V: library.Neuron(2, nonlin=False)(iter(xs)).data)
    assert ours == theirs


def test_single_output_feeds_the_next_layer():
    # A difference: micrograd raises TypeError, zip() of a Value.
    model = nn.MLP(2, [1, 3])
    outs = model([1.0, 2.0])
    inner = model.layers[0]([1.0, 2.0])
    assert [o.data for o in outs] == [n([inner]).data for n in model.layers[1].neurons]


@pytest.mark.wide
def test_training_steps_equal_micrograd():
    """Train for a few steps with what the demo does: losses, regularisation, decay."""

    def program(library, V):
        model = library.MLP(2, [4, 4, 1])
        rng = random.Random(3)
        X = [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(6)]
        losses = []
        for step in range(4):
            scores = [model(list(map(V, x))) for x in X]
            hinge = [
                (1 + -(1 if x[0] > x[1] else -1) * s).relu() for x, s in zip(X, scores, strict=True)
            ]
            loss = sum(hinge) * (1.0 / len(hinge)) + 1e-4 * sum(p * p for p in model.parameters())
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= (1.0 - 0.2 * step) * p.grad
            losses.append(loss.data)
        return None, losses + grads(model.parameters())

    agree(program)


def test_zero_grad_of_a_model_clears_parameters_only():
    model = nn.MLP(2, [2, 1], activation="tanh")
    x = Value(1.0)
    y = model([x, x])
    y.backward()
    assert x.grad != 0.0
    model.zero_grad()
    assert set(grads(model.parameters())) == {0.0}
    assert x.grad != 0.0
    assert y.grad == 1.0


# -- what micrograd lacks -------------------------------------------------------------------------

ACTIVATIONS = ["relu", "tanh", "sigmoid", "gelu", "softplus", "leaky_relu", "linear"]


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_equal_explicit_operations(activation, output):
    model = nn.MLP(2, [3, 2], activation=activation, output_activation=output)
    x = [Value(0.5), Value(-1.25)]
    outs = model(x)
    (outs[0] + outs[1] * 2).backward()
    got = [o.data for o in outs], grads([*model.parameters(), *x])

    def apply(name, v):
        return v if name == "linear" else getattr(v, name)()

    for v in (*model.parameters(), *x):
        v.grad = 0.0
    ys = x
    for layer, name in zip(model.layers, (activation, output), strict=True):
        ys = [
            apply(name, sum((w * y for w, y in zip(n.w, ys, strict=True)), n.b))
            for n in layer.neurons
        ]
    (ys[0] + ys[1] * 2).backward()
    assert got[0] == [y.data for y in ys]
    assert got[1] == pytest.approx(grads([*model.parameters(), *x]), rel=1e-14, abs=1e-16)
    assert [description(o)[:2] for o in outs] == [description(y)[:2] for y in ys]
    assert [count(o) for o in outs] == [count(y) for y in ys]


def test_neuron_activation_can_be_set_and_shown():
    n = nn.Neuron(2, activation="tanh")
    assert (repr(n), n.activation, n.nonlin) == ("TanhNeuron(2)", "tanh", True)
    assert n([1.0, 2.0])._op == "tanh"
    n.activation = "sigmoid"
    assert n([1.0, 2.0])._op == "sigmoid"
    n.nonlin = False
    assert (repr(n), n([1.0, 2.0])._op) == ("LinearNeuron(2)", "+")
    assert repr(nn.Layer(2, 1, activation="gelu")) == "Layer of [GELUNeuron(2)]"
    assert repr(nn.Neuron(1, nonlin=False, activation="tanh")) == "LinearNeuron(1)"


@pytest.mark.parametrize("name", ["swish", "", None, 5, "RELU"])
def test_unknown_activation_is_refused(name):
    with pytest.raises(ValueError, match=r"expected .*relu.*, got .*activation of Neuron"):
        nn.Neuron(2, activation=name)
    with pytest.raises(ValueError, match=r"expected .*relu.*, got .*activation of MLP"):
        nn.MLP(2, [1], activation=name)
    with pytest.raises(ValueError, match=r"expected .*relu.*, got .*output_activation of MLP"):
        nn.MLP(2, [1], output_activation=name)
    n = nn.Neuron(2)
    with pytest.raises(ValueError, match="got"):
        n.activation = name
    assert n.activation == "relu"


SIZES = {
    "no input": lambda: nn.MLP(0, [1]),
    "no layer": lambda: nn.MLP(2, []),
    "an empty layer": lambda: nn.MLP(2, [3, 0]),
    "negative": lambda: nn.Layer(-1, 2),
    "a float": lambda: nn.Neuron(2.0),
    "a text": lambda: nn.MLP("2", [1]),
    "a number of layers": lambda: nn.MLP(2, 3),
    "a text of layers": lambda: nn.MLP(2, "31"),
    "None": lambda: nn.Layer(2, None),
}


@pytest.mark.parametrize("make", SIZES.values(), ids=SIZES.keys())
def test_invalid_layer_sizes_are_refused(make):
    # A difference: micrograd makes empty networks, whose outputs depend on nothing.
    random.seed(1)
    state = random.getstate()
    with pytest.raises(FastgradError, match=r"expected .*, got .*(nin|nout)"):
        make()
    assert random.getstate() == state


def test_layer_sizes_may_be_any_sequence():
    random.seed(1)
    first = [p.data for p in nn.MLP(2, (3, 1)).parameters()]
    random.seed(1)
    assert [p.data for p in nn.MLP(np.int64(2), np.array([3, 1])).parameters()] == first


@pytest.mark.parametrize("wrong", ["ab", [None, 1.0], [1.0, "a"], [1.0, [2.0]], [1.0, 1j]])
def test_inputs_that_are_no_numbers_are_refused(wrong):
    for model in (nn.Neuron(2), nn.Layer(2, 2), nn.MLP(2, [2, 1])):
        before = arena_stats()["live_nodes"]
        with pytest.raises(TypeError, match="expected a Value or a number") as caught:
            model(wrong)
        del caught
        assert arena_stats()["live_nodes"] == before
    for wrong in (None, 5, 1.5):
        with pytest.raises(TypeError):
            nn.Neuron(2)(wrong)


def test_model_under_no_grad_records_nothing():
    model = nn.MLP(2, [3, 3, 1])
    x = [Value(0.5), -1.25]
    recorded = model(x)
    before = arena_stats()["live_nodes"]
    with no_grad():
        out = model(x)
        outs = model.layers[0](x)
        one = model.layers[0].neurons[0](x)
    assert arena_stats()["live_nodes"] == before + 5
    assert (out.data, out._prev, one.data) == (recorded.data, set(), outs[0].data)
    assert [v._prev for v in (one, *outs)] == [set()] * 4
    out.backward()
    assert set(grads(model.parameters())) == {0.0}


@pytest.mark.wide
def test_weights_across_a_chunk_boundary_get_their_gradients():
    """Neighbours by their number are none in memory where a chunk ends."""
    size = 7
    count = max(20, 3 * build_info()["chunk_nodes"] // size)
    leaves = [Value(i * 0.001) for i in range(count * size)]
    x = [Value(float(i)) for i in range(size - 1)]
    layer = nn.Layer(size - 1, count, nonlin=False)
    for i, neuron in enumerate(layer.neurons):
        *neuron.w, neuron.b = leaves[i * size : (i + 1) * size]
    out = layer(x)
    for i, y in enumerate(out):
        *w, expected = (leaf.data for leaf in leaves[i * size : (i + 1) * size])
        for wi, xi in zip(w, x, strict=True):
            expected += wi * xi.data
        assert y.data == expected
    sum(out).backward()
    assert grads(leaves) == [*range(size - 1), 1.0] * count


def test_model_calls_leave_no_nodes_and_no_garbage():
    model = nn.MLP(2, [4, 4, 1])
    x = [Value(0.5), -1.25]
    model(x).backward()
    while gc.collect():
        pass
    gc.disable()
    try:
        before = arena_stats()
        for i in range(30):
            y = model(x)
            if i % 3:
                y.backward()
            if i % 2:
                count(y)
            del y
        assert gc.collect() == 0
        after = arena_stats()
        assert [after[k] for k in ("live_nodes", "blocks")] == [
            before[k] for k in ("live_nodes", "blocks")
        ]
    finally:
        gc.enable()


# -- copies ---------------------------------------------------------------------------------------


def pickled(model):
    return pickle.loads(pickle.dumps(model))


class Own(nn.Neuron):
    def __init__(self, nin, name):
        super().__init__(nin)
        self.name = name


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_copied_model_is_equal_and_independent(copied, used):
    model = nn.MLP(2, [3, 2], activation="tanh")
    model.layers[0].neurons[0] = Own(2, "own")
    model.layers[0].neurons[1].w[0].label = "w"
    model.extra = {"weights": model.parameters()}
    x = [0.5, -1.25]
    if used:
        model(x)[0].backward()
    other = copied(model)
    assert repr(other) == repr(model)
    assert [o.data for o in other(x)] == [o.data for o in model(x)]
    assert grads(other.parameters()) == grads(model.parameters())
    assert not set(other.parameters()) & set(model.parameters())
    assert other.extra["weights"] == other.parameters() or used is None
    assert other.layers[0].neurons[0].name == "own"
    assert other.layers[0].neurons[1].w[0].label == "w"
    before = [p.data for p in model.parameters()]
    for p in other.parameters():
        p.data += 1.0
    assert [p.data for p in model.parameters()] == before
    other.zero_grad()
    other(x)[0].backward()
    assert set(grads(other.parameters())) != {0.0}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copied_neuron_is_equal(copied):
    n = nn.Neuron(2, nonlin=False, activation="gelu")
    n.name = "n"
    m = copied(n)
    assert (repr(m), m.name, m.nonlin, m([1.0, 2.0]).data) == (
        repr(n),
        "n",
        False,
        n([1.0, 2.0]).data,
    )
    assert (m.w[0] is n.w[0]) == (copied is copy.copy)
    m.nonlin = True
    assert m([1.0, 2.0])._op == "gelu"
    assert n.nonlin is False


EXPANSIONS = {
    "new": lambda y: y,
    "seen": lambda y: (y._prev, y)[1],
    "swept": lambda y: (y.backward(), y)[1],
    "swept, then seen": lambda y: (y.backward(), y._prev, y)[2],
    "seen, then swept": lambda y: (y._prev, y.backward(), y)[2],
    "swept twice": lambda y: (y.backward(), y.backward(), y)[2],
    "used inside": lambda y: y * 2 + next(p for p in y._prev if p._op == "*") * 3,
    "older than a use of its inside": lambda y: sum(y._prev, y * 2).tanh(),
    "an inside alone": lambda y: next(p for p in y._prev if p._op == "*") * 3,
}


@pytest.mark.parametrize("expand", EXPANSIONS.values(), ids=EXPANSIONS.keys())
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_deepcopy_of_a_graph_has_the_same_hidden_nodes(inputs, expand):
    """What is drawn of the copy, and each further backward(), is as with the original."""
    x = Value(0.5)
    layer = nn.Layer(inputs, 2, nonlin=False)
    first, second = layer([x, -1.25, x * x][:inputs])
    y = expand(first) + second * first
    z = copy.deepcopy(y)
    for _ in range(3):
        assert not all_nodes(y) & all_nodes(z)
        assert (description(z), count(z)) == (description(y), count(y))
        y.backward()
        z.backward()


@pytest.mark.parametrize("expand", EXPANSIONS.values(), ids=EXPANSIONS.keys())
def test_copy_of_a_neuron_output_shares_its_operands(expand):
    y = expand(nn.Neuron(2, nonlin=False)([Value(0.5), -1.25]))
    z = copy.copy(y)
    assert (z._prev, z._op, z.data, z.grad) == (y._prev, y._op, y.data, y.grad)
    w = z * 1
    del y, z
    w.backward()
    assert all(v.grad for v in all_nodes(w))


# -- the inside of a neuron's sum ----------------------------------------------------------------


def test_grad_of_a_neuron_sum_may_be_set_after_a_sweep():
    def program(library, V):
        x = V(0.5)
        y = library.Neuron(2, nonlin=False)([x, -1.25])
        y.backward()
        y.grad = 5.0
        return description(y), grads([x])

    agree(program)


def test_zero_grad_of_a_hidden_node_clears_its_operands():
    x = Value(0.5)
    y = nn.Neuron(2, nonlin=False)([x, x])
    product, other = y._prev  # hidden nodes of y as long as it lives
    for v in (product, other):
        (v * 2).backward()
        assert {n.grad == 0.0 for n in all_nodes(v)} == {False}
        v.zero_grad(graph=True)
        assert {n.grad for n in all_nodes(v)} == {0.0}
    assert y.grad == 0.0


class Block(nn.Module):
    def __init__(self):
        self.name = "no parameter"
        self.scale = Value(2.0)
        self.layers = [nn.Layer(2, 2), {"head": nn.Neuron(2), "shift": (Value(1.0), 3)}]
        self.again = self.layers[0]
        self.computed = self.scale * 2
        self.outer = self


def test_module_parameters_are_found_in_attributes():
    block = Block()
    layer, rest = block.layers
    expected = [block.scale, *layer.parameters(), *rest["head"].parameters(), rest["shift"][0]]
    found = block.parameters()
    assert [id(p) for p in found] == [id(p) for p in expected]
    for p in found:
        p.grad = 1.0
    block.zero_grad()
    assert {p.grad for p in found} == {0.0}


def test_module_parameters_are_found_in_arrays_of_objects():
    np = pytest.importorskip("numpy")
    module = nn.Module()
    module.w, module.x = np.array([[Value(1.0), Value(2.0)], [Value(3.0), None]]), np.ones(3)
    assert [p.data for p in module.parameters()] == [1.0, 2.0, 3.0]


def test_module_parameters_go_through_modules_that_hold_each_other():
    first, second = nn.Module(), nn.Module()
    first.other, second.other, second.w = second, first, Value(1.0)
    assert first.parameters() == second.parameters() == [second.w]


def test_module_parameters_are_those_of_a_subclass_that_overrides_them():
    class Half(nn.Module):
        def __init__(self):
            self.all = [Value(1.0), Value(2.0)]

        def parameters(self):
            return self.all[:1]

    outer = nn.Module()
    outer.inner = Half()
    assert outer.parameters() == outer.inner.all[:1]
