"""Linear layers and cells keep blocks of weights from call to call: whatever is edited counts.

Oracle: `functional.linear`, which keeps nothing, of the same Values.
"""

import copy
import pickle
import random

import numpy as np
import pytest

from fastgrad import Value, functional, nn, no_grad, record
from fastgrad.errors import ShapeError

F = functional

pytestmark = pytest.mark.usefixtures("sound_arena")


def row(n, seed=0):
    rng = random.Random(seed)
    return [Value(rng.uniform(-1, 1)) for _ in range(n)]


def outcome(call, values):
    """Return results and gradients of a call that gives a list of Values."""
    for value in values:
        value.grad = 0.0
    out = call()
    F.sum([v * v for v in out]).backward()
    return [v.data for v in out], [v.grad for v in values]


def same(model, x):
    values = [*model.parameters(), *x]
    expected = outcome(lambda: F.linear(x, model.weight, model.bias), values)
    assert outcome(lambda: model(x), values) == expected


def test_linear_gives_what_functional_linear_gives():
    model, x = nn.Linear(5, 3), row(5)
    for _ in range(3):
        same(model, x)
    (out,) = model([x])
    assert [v.data for v in out] == [v.data for v in model(x)]
    assert [v.data for v in model([0.5] * 5)] == [
        v.data for v in F.linear([0.5] * 5, model.weight, model.bias)
    ]


EDITS = {
    "data": lambda m: setattr(m.weight[1][2], "data", 9.0),
    "weight": lambda m: m.weight[1].__setitem__(2, Value(7.0)),
    "row": lambda m: m.weight.__setitem__(1, row(5, 4)),
    "rows": lambda m: setattr(m, "weight", [row(5, 6), row(5, 7), row(5, 8)]),
    "order": lambda m: m.weight.reverse(),
    "bias": lambda m: m.bias.__setitem__(0, Value(-4.0)),
    "biases": lambda m: setattr(m, "bias", row(3, 9)),
    "fewer": lambda m: (m.weight.pop(), m.bias.pop()),
    "more": lambda m: (m.weight.append(row(5, 2)), m.bias.append(Value(1.0))),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_weights_count_at_the_next_call(edit):
    model, x = nn.Linear(5, 3), row(5)
    model(x)
    EDITS[edit](model)
    same(model, x)
    same(model, x)


def test_what_is_no_plain_row_of_values_is_computed_all_the_same():
    class Loud(Value):
        pass

    x = row(2)
    model = nn.Linear(2, 2)
    model(x)
    model.weight[0][1] = 2.0
    assert [v.data for v in model(x)] == [v.data for v in F.linear(x, model.weight, model.bias)]
    model.weight[0][1] = Loud(3.0)
    assert [v.data for v in model(x)] == [v.data for v in F.linear(x, model.weight, model.bias)]
    model = nn.Linear(2, 2, bias=False)
    assert [v.data for v in model(x)] == [v.data for v in F.linear(x, model.weight)]
    model.weight = np.array(model.weight)
    assert [v.data for v in model(x)] == [v.data for v in F.linear(x, model.weight)]
    arrays = nn.Linear(2, 2)(np.array([1.0, 2.0]))
    assert isinstance(arrays, np.ndarray)


def test_lengths_that_do_not_fit_are_refused():
    model = nn.Linear(2, 2)
    model(row(2))
    for x in (row(3), [row(2), row(1)]):
        with pytest.raises(ShapeError, match="row 0 of weight of linear"):
            model(x)
    model.bias.pop()
    with pytest.raises(ShapeError, match="bias of linear"):
        model(row(2))
    model.weight[1].pop()
    with pytest.raises(ShapeError, match=r"row 1 of weight of linear|bias of linear"):
        model(row(2))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_have_blocks_of_their_own(copied):
    model, x = nn.Linear(3, 2), row(3)
    model(x)
    again = copied(model)
    same(again, x)
    again.weight = [row(3, 5), row(3, 6)]
    same(again, x)
    same(model, x)


def test_no_grad_gives_leaves():
    model, x = nn.Linear(3, 2), row(3)
    with no_grad():
        out = model(x)
    assert [v._prev for v in out] == [set(), set()]


def test_recorded_layer_has_its_parameters_and_no_others():
    model = nn.Linear(2, 2)
    model([1.0, 2.0])
    tape = record(lambda x: F.sum(model(x)), [0.1, 0.2], parameters=model.parameters())
    assert tape.parameters == model.parameters()
    assert tape([1.0, 2.0]) == F.sum(model([1.0, 2.0])).data


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cell_gives_the_bits_of_one_that_keeps_nothing(cell, monkeypatch):
    model, x = cell(3, 4), row(3)
    kept = [outcome(lambda: flat(model(x)), [*model.parameters(), *x]) for _ in range(2)]
    monkeypatch.setattr("fastgrad.nn.layers.call_kept_rows", lambda *_: None)
    assert [outcome(lambda: flat(model(x)), [*model.parameters(), *x])] * 2 == kept


def flat(states):
    return [v for h in states for v in h] if isinstance(states, tuple) else states
