"""What a gradient is of: `wrt`, and the gradient of each sample.

Oracles: the gradient by all arguments or all parameters, of which each way to name a part gives
that part, bit for bit; single samples for `reduce=None`, bit for bit.
"""

import warnings
from functools import partial

import pytest
from helpers.polls import at_each_poll, stop_at
from helpers.tally import tally
from helpers.tape_programs import Program, bits, np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import Value, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, FastgradWarning

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


@pytest.fixture
def model():
    """Return a tape of three arguments of different structure, and its two parameters."""
    a, b = Value(0.5), Value(-1.5)

    def function(w, x, c):
        return (w[0] * x["u"] + w[1] * x["v"][0] * a).tanh() * c + b * b * c

    return fg.record(function, [1.0, 2.0], {"u": 1.0, "v": [2.0]}, 3.0), a, b


SINGLE = [0.3, -0.7], {"u": 0.25, "v": [1.25]}, 2.0
BATCHES = {
    "single": SINGLE,
    "all": ([[0.3, -0.7], [1.0, 2.0], [0.1, 0.2]],
            {"u": [1.0, 2.0, 3.0], "v": [[4.0], [5.0], [6.0]]}, [1.0, -1.0, 0.5]),
    "data": ([0.3, -0.7], {"u": [1.0, 2.0, 3.0], "v": [[4.0], [5.0], [6.0]]}, 2.0),
}  # fmt: skip


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_way_to_say_wrt_gives_its_part_of_the_gradient(model, name, reduce, threads):
    tape, a, b = model
    args, options = BATCHES[name], {"reduce": reduce, "threads": threads}
    value, whole = tape.value_and_grad(*args, wrt="inputs", **options)
    again, params = tape.value_and_grad(*args, wrt="parameters", **options)
    assert value == again
    each = name != "single" and reduce is None
    ga, gb = ([row[i] for row in params] for i in (0, 1)) if each else params
    for wrt, expected in (
        ("w", whole[0]), ("x", whole[1]), ("c", whole[2]), (0, whole[0]), (2, whole[2]),
        (np.int64(1), whole[1]), (a, ga), (b, gb), ([a], (ga,)), ((b, a), (gb, ga)),
        (["c", 0, b], (whole[2], whole[0], gb)), ([], ()),
        (["parameters", "x"], (params, whole[1])), (["inputs"], (whole,)),
    ):  # fmt: skip
        for _ in range(2):  # once more, as it is found among those known
            assert tape.value_and_grad(*args, wrt=wrt, **options) == (value, expected)
        tally("wrt: ways, verbs, batches")


def test_gradient_of_arrays_by_name_is_an_array(model):
    tape, a, _ = model
    W, u, v = np.array([0.3, -0.7]), np.array([1.0, 2.0, 3.0]), np.array([[4.0], [5.0], [6.0]])
    _, gradient = tape.value_and_grad(W, {"u": u, "v": v}, 2.0, wrt="w")
    assert (type(gradient), gradient.shape) == (np.ndarray, (2,))
    _, (gradient, by_a) = tape.value_and_grad(W, {"u": u, "v": v}, 2.0, wrt=["w", a], reduce=None)
    assert (gradient.shape, by_a.shape) == ((3, 2), (3,))


@pytest.mark.parametrize(
    ("wrt", "error", "message"),
    [
        ("z", FastgradValueError, r'"parameters", "inputs", an argument \(w, x, c\) .*got \'z\''),
        (3, FastgradValueError, r"expected a position of 0 to 2 \(w, x, c\), got 3 \(wrt\)"),
        (-1, FastgradValueError, "expected a position of 0 to 2"),
        (None, FastgradTypeError, "an argument .*got NoneType"),
        (True, FastgradTypeError, "got bool True"),
        (1.0, FastgradTypeError, "got float 1.0"),
        ([["w"]], FastgradTypeError, "got list"),
        (["w", 0], FastgradValueError, "expected each thing once, got w twice"),
        (["inputs", "c"], FastgradValueError, "got c twice"),
        ({"w"}, FastgradTypeError, "got set"),
        (Value(9.0), FastgradValueError, r"one of tape.parameters, got Value"),
    ],
)
def test_wrt_that_names_nothing_says_what_there_is(model, wrt, error, message):
    tape, *_ = model
    for args in BATCHES.values():
        with pytest.raises(error, match=message):
            tape.value_and_grad(*args, wrt=wrt)


def test_argument_called_inputs_or_parameters_is_reached_by_position():
    with pytest.warns(FastgradWarning, match="argument 'inputs'.* by position, wrt=0") as caught:
        tape = fg.record(lambda inputs, y: inputs * y, 2.0, 3.0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert tape.value_and_grad(5.0, 7.0, wrt="inputs") == (35.0, (7.0, 5.0))
    assert tape.value_and_grad(5.0, 7.0, wrt=0) == (35.0, 7.0)
    with pytest.warns(FastgradWarning, match="argument 'parameters'.* by position, wrt=1"):
        fg.record(lambda x, parameters: x * parameters, 2.0, 3.0)


def test_only_what_leads_to_wrt_is_swept():
    tape = fg.record(lambda x, y: x * x + y.exp().exp(), 2.0, 3.0)
    # exp(exp(3e2)) has an infinite adjoint: a sweep through it would give nan where it meets 0.
    assert tape.value_and_grad(5.0, 300.0, wrt="x")[1] == 10.0
    assert tape.nbytes > 0


def test_known_wrt_are_few_and_by_identity():
    ws = [Value(float(i)) for i in range(40)]
    tape = fg.record(lambda x: sum(w * w * x for w in ws), 1.0)
    for _ in range(2):
        for i, w in enumerate(ws):
            assert tape.value_and_grad(3.0, wrt=[w])[1] == (6.0 * i,)
    assert tape.value_and_grad(3.0, wrt=ws)[1] == tuple(6.0 * i for i in range(40))
    assert tape.value_and_grad([3.0, 5.0], wrt=ws[1:3])[1] == (8.0, 16.0)


def columns_of(samples):
    return [list(column) for column in zip(*samples, strict=True)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 20))
def test_gradient_of_each_sample_has_the_bits_of_the_sample_alone(seed, length, n):
    program = Program(seed, length)
    tape = fg.record(program.first, *program.example)
    samples = [program.sample() for _ in range(n)]
    alone = {
        wrt: [tape.value_and_grad(*s, wrt=wrt) for s in samples] for wrt in ("inputs", "parameters")
    }
    for threads in (1, 2):
        for wrt, expected in alone.items():
            values, grads = tape.value_and_grad(
                *columns_of(samples), wrt=wrt, reduce=None, threads=threads
            )
            rows = columns_of(grads) if wrt == "inputs" else grads
            assert bits(values) == bits([value for value, _ in expected])
            for row, (_, gradient) in zip(rows, expected, strict=True):
                assert bits(row) == bits(gradient)
    shared = [column if i else column[0] for i, column in enumerate(columns_of(samples))]
    if len(shared) > 1:
        _, grads = tape.value_and_grad(*shared, wrt=[0], reduce=None)
        for s in range(n):
            sample = [x if i == 0 else x[s] for i, x in enumerate(shared)]
            assert bits([grads[0][s]]) == bits(tape.value_and_grad(*sample, wrt=[0])[1])
    tally("gradients of each sample: random programs, by inputs and parameters")


NETWORKS = {
    "layers": lambda model, x: model(x)[0],
    "inputs used beside": lambda model, x: (x[0] * x[1]).exp() + model(x)[0] * x[0] + x[1] * x[1],
    "inputs used between": lambda model, x: sum(
        neuron(x) * xi.tanh() for neuron, xi in zip(model.layers[0].neurons, x, strict=False)
    ),
    "two layers of the same inputs": lambda model, x: sum(
        a(x) * b(x[::-1]) for a, b in zip(*(2 * [model.layers[0].neurons]), strict=True)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("n", [1, 7, 300, 1030])
def test_networks_give_each_sample_the_bits_of_the_sample_alone(name, n):
    model = nn.MLP(3, [5, 4, 2], activation="tanh")
    tape = fg.record(lambda x: NETWORKS[name](model, x), [0.1, 0.2, 0.3])
    X = np.random.default_rng(n).uniform(-2, 2, (n, 3))
    for wrt in ("x", "parameters", ["x", model.parameters()[4]]):
        values, grads = tape.value_and_grad(X, wrt=wrt, reduce=None, threads=2)
        for s in range(0, n, 1 + n // 40):
            value, gradient = tape.value_and_grad(X[s], wrt=wrt)
            if isinstance(wrt, list):
                assert bits([grads[1][s]]) == bits([gradient[1]])
                row, gradient = grads[0][s], gradient[0]
            else:
                row = grads[s]
            assert bits([values[s]]) == bits([value])
            assert bits(row) == bits(gradient)
    assert tape.stats()["layers"] >= 1


def test_gradient_of_each_sample_of_a_constant_is_zero():
    w = Value(2.0)
    tape = fg.record(lambda x, y: y * w, 1.0, 2.0)
    assert tape.value_and_grad([1.0, 2.0], 3.0, wrt="x", reduce=None) == ([6.0, 6.0], [0.0, 0.0])
    assert tape.value_and_grad([1.0, 2.0], 3.0, reduce=None) == ([6.0, 6.0], [[3.0], [3.0]])
    assert tape.value_and_grad([1.0, 2.0], 3.0, wrt=["y", w], reduce=None)[1] == (
        [2.0] * 2,
        [3.0] * 2,
    )


def test_signal_in_a_gradient_of_each_sample_changes_nothing():
    w = Value(0.5)
    tape = fg.record(lambda x, y: (x * w).tanh() * y, 1.0, 2.0)
    X, y = np.linspace(-1, 1, 100_000), np.ones(100_000)
    before = tape.value_and_grad(X, y, reduce=None)[1]
    w.grad = 3.0
    for wrt in ("inputs", "parameters"):
        action = partial(tape.value_and_grad, X, y, wrt=wrt, reduce=None)
        polls, _ = at_each_poll(action)
        assert polls >= 2
        for last in range(1, polls + 1):
            with pytest.raises(KeyboardInterrupt):
                at_each_poll(action, stop_at(last))
    assert (w.data, w.grad) == (0.5, 3.0)
    assert tape.value_and_grad(X, y, reduce=None)[1].tobytes() == before.tobytes()


def test_ordinary_argument_names_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fg.record(lambda input, parameter: input * parameter, 1.0, 2.0)
