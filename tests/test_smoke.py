"""Twenty cases, under two seconds, run before all others: one for each layer and what users meet.

Oracles: closed forms, and micrograd's README example. Where one of these fails, the failures of the
other files say little more.
"""

import copy
import json
import math
import pickle
import random

import pytest
from helpers.processes import run, write

import fastgrad as fg
from fastgrad import MLP, Value, functional, optim
from fastgrad.command import cli
from fastgrad.nn import Neuron


def test_value_holds_a_number():
    assert (Value(2.5).data, Value(2.5).grad) == (2.5, 0.0)
    assert repr(Value(2.5)) == "Value(data=2.5, grad=0.0)"


def test_operators_compute():
    a, b = Value(3.0), Value(-2.0)
    assert [v.data for v in (a + b, a - b, a * b, a / b, a**2, -a, 1 - a, 6 / a)] == [
        1.0, 5.0, -6.0, -1.5, 9.0, -3.0, -2.0, 2.0,
    ]  # fmt: skip


def test_backward_follows_the_chain_rule():
    x, y = Value(3.0), Value(4.0)
    (x * y + x**2).backward()
    assert (x.grad, y.grad) == (10.0, 3.0)


def test_backward_computes_the_example_of_micrograd_s_readme():
    a, b = Value(-4.0), Value(2.0)
    c, d = a + b, a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert [f"{x:.4f}" for x in (g.data, a.grad, b.grad)] == ["24.7041", "138.8338", "645.5773"]


def test_functions_agree_with_math():
    assert functional.tanh(0.5) == pytest.approx(math.tanh(0.5), rel=1e-15)
    x = Value(0.5)
    x.exp().backward()
    assert x.grad == pytest.approx(math.exp(0.5), rel=1e-15)


def test_where_takes_one_side():
    x = Value(2.0)
    fg.where(x > 1, x * 3, x * 5).backward()
    assert x.grad == 3.0


def test_graph_is_shown():
    a, b = Value(1.0), Value(2.0)
    c = a + b
    assert (c._op, c._prev) == ("+", {a, b})


def test_python_backward_step_runs_in_order():
    x = Value(3.0)
    y = Value(9.0, (x,))

    def step():
        x.grad += 2 * x.data * y.grad

    y._backward = step
    (y * 2).backward()
    assert x.grad == 12.0


def test_no_grad_records_nothing():
    x = Value(1.0)
    with fg.no_grad():
        assert (x * 2)._prev == set()


def test_deep_graph_is_swept_and_freed():
    x = Value(1.0)
    y = x
    for _ in range(200):
        y = y + x
    y.backward()
    assert x.grad == 201.0


def test_copies_are_independent():
    x = Value(2.0)
    twin = copy.deepcopy(x * 3)
    twin.backward()
    assert (twin.data, x.grad) == (6.0, 0.0)
    assert pickle.loads(pickle.dumps(x)).data == 2.0


def test_errors_are_those_of_floats():
    with pytest.raises(ZeroDivisionError):
        Value(1.0) / 0.0
    with pytest.raises(TypeError):
        Value("1")


def test_neuron_is_a_weighted_sum():
    neuron = Neuron(2, nonlin=False)
    neuron.w, neuron.b = [Value(2.0), Value(3.0)], Value(1.0)
    out = neuron([4.0, 5.0])
    out.backward()
    assert (out.data, [p.grad for p in neuron.parameters()]) == (24.0, [4.0, 5.0, 1.0])


def test_training_lowers_the_loss():
    random.seed(1)
    model = MLP(2, [3, 1])
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        loss = sum((model(x) - y) ** 2 for x, y in [([0.0, 1.0], 1.0), ([1.0, 0.0], -1.0)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < losses[0] / 2


@pytest.fixture
def line():
    """The parameter and the tape of x * w + 1."""
    w = Value(3.0)
    return w, fg.record(lambda x: x * w + 1, 1.0)


def test_tape_replays(line):
    w, tape = line
    assert tape(2.0) == 7.0
    assert tape.value_and_grad(2.0) == (7.0, [2.0])
    tape.backward(2.0)
    assert w.grad == 2.0


def test_tape_replays_a_batch(line):
    _, tape = line
    assert tape([1.0, 2.0, 3.0]) == [4.0, 7.0, 10.0]
    assert tape.value_and_grad([1.0, 2.0, 3.0]) == (7.0, [2.0])  # means
    assert tape([1.0, 2.0, 3.0], threads=2) == [4.0, 7.0, 10.0]


def test_fit_finds_a_parameter(line):
    w, _ = line
    tape = fg.record(lambda x, y: (x * w - y) ** 2, 1.0, 1.0)
    fg.fit(tape, [1.0, 2.0], [2.0, 4.0], optimizer=optim.SGD([w], lr=0.1), steps=100)
    assert w.data == pytest.approx(2.0, abs=1e-6)


def test_tape_file_comes_back(line, file):
    line[1].save(file)
    assert fg.load_tape(file)(2.0) == 7.0


def test_info_command_shows_the_version(capsys):
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fastgrad"] == fg.__version__


def test_program_for_micrograd_runs_unchanged(tmp_path):
    program = (
        "from micrograd.engine import Value; x = Value(3.0); (x * x).backward(); print(x.grad)"
    )
    process = run(write(tmp_path / "program.py", program), cwd=tmp_path)
    assert (process.stdout, process.stderr) == ("6.0\n", "")


@pytest.fixture(autouse=True)
def sound(sound_arena):
    """After each of them the arena keeps all its invariants."""
