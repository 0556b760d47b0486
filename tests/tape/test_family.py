"""Families: tapes of one function by the shapes of its arguments.

Oracle: the tape that `record` makes for one shape, bit for bit, and the function itself.
"""

import copy
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    ShapeError,
    TapeError,
)

WEIGHTS = [0.5, -1.25, 2.0, 0.75]


def polynomial(weights):
    def loss(xs, y):
        total = 0.0
        for w, x in zip(weights, xs, strict=False):
            total = total * x + w.tanh()
        return (total - y) ** 2

    return loss


def family(lengths=(2, 4, 3), **options):
    weights = [Value(w) for w in WEIGHTS]
    examples = [([0.5] * n, 1.0) for n in lengths]
    return weights, fg.record_each(polynomial(weights), examples, **options)


def test_function_is_recorded_once_for_each_shape():
    calls = []

    def loss(xs):
        calls.append(len(xs))
        return sum(xs) * w

    w = Value(2.0)
    tapes = fg.record_each(loss, [[1.0], [1.0, 2.0], [3.0], [4.0, 5.0], [1.0] * 4])
    assert calls == [1, 2, 4]
    assert list(tapes) == [((1,),), ((2,),), ((4,),)]
    assert (len(tapes), tapes.name, tapes.parameters) == (3, "loss", [w])
    assert repr(tapes) == "<3 tapes of loss, 1 parameters>"
    assert repr(fg.TapeFamily([tapes[((1,),)]])) == "<1 tape of loss, 1 parameters>"


@pytest.mark.parametrize("lengths", [(2, 4, 3), (4, 1), (1, 2, 3, 4)])
def test_tapes_of_a_family_have_the_same_parameters_in_one_order(lengths):
    """Those that a longer example is the first to use come last, for the shorter ones too."""
    weights, tapes = family(lengths)
    assert tapes.parameters == weights[: max(lengths)]
    for tape in tapes.values():
        assert list(tape.parameters) == tapes.parameters


def test_given_parameters_come_first_used_or_not():
    unused = Value(7.0)
    weights = [Value(w) for w in WEIGHTS]
    given = [unused, weights[1]]
    tapes = fg.record_each(polynomial(weights), [([0.5] * 3, 1.0)], parameters=iter(given))
    assert tapes.parameters == [unused, weights[1], weights[0], weights[2]]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_calls_have_the_bits_of_the_tape_of_their_shape(n):
    weights, tapes = family()
    tape = fg.record(polynomial(weights), [0.5] * n, 1.0, parameters=weights)
    xs, y = [0.3, -0.7, 0.25, 1.5][:n], 0.5
    assert tapes(xs, y) == tape(xs, y) == polynomial(weights)(list(map(Value, xs)), y).data
    assert tapes.value_and_grad(xs, y) == tape.value_and_grad(xs, y)
    assert tapes.value_and_grad(xs, y, wrt="xs") == tape.value_and_grad(xs, y, wrt="xs")
    assert tapes.jvp((xs, y), (xs, 1.0)) == tape.jvp((xs, y), (xs, 1.0))
    assert tapes.check(xs, y) is None
    assert "inf" in str(tapes.check([*xs[:-1], float("inf")], y))
    tapes.backward(xs, y)
    assert [p.grad for p in weights] == tape.value_and_grad(xs, y)[1]


@pytest.mark.parametrize("array", [list, np.array])
def test_batch_of_one_shape_goes_to_its_tape(array):
    weights, tapes = family()
    tape = fg.record(polynomial(weights), [0.5] * 3, 1.0, parameters=weights)
    xs, ys = array([[0.5, 1.0, 2.0], [0.25, -1.0, 0.125]]), array([1.0, -1.0])
    assert list(tapes(xs, ys)) == list(tape(xs, ys))
    assert list(tapes(xs, 1.0)) == list(tape(xs, 1.0)), "the second argument is shared"
    assert tapes.backward(xs, ys, reduce="sum", threads=2) == tape.backward(xs, ys, reduce="sum")


STRUCTURES = {
    "numbers": (lambda x: x * 2, 3.0, [3.0, 4.0]),
    "dict": (
        lambda d: sum(d["a"]) + d["b"],
        {"a": [1.0, 2.0], "b": 5.0},
        {"a": [[1.0, 2.0], [2.0, 2.0]], "b": [5.0, 6.0]},
    ),
    "lists of unlike lengths": (
        lambda rows: sum(sum(row) for row in rows),
        [[1.0, 2.0], [3.0]],
        [[[1.0, 2.0], [3.0, 3.0]], [[3.0], [1.0]]],
    ),
    "array": (lambda x: (x * x).sum(), np.ones((2, 3)), np.ones((4, 2, 3))),
    "number of NumPy": (lambda x: x * 2, np.float64(3.0), np.array([3.0, 4.0])),
    "nothing": (lambda x: Value(2.0) * 1 + sum(x), [], [[], []]),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_arguments_of_any_structure_find_their_tape(name):
    function, example, batch = STRUCTURES[name]
    tapes = fg.record_each(function, [example])
    tape = fg.record(function, example)
    assert tapes(example) == tape(example)
    assert list(tapes(batch)) == list(tape(batch))


def test_shapes_of_a_part_tell_tapes_apart():
    tapes = fg.record_each(
        lambda d: sum(sum(row) for row in d["rows"]) + 0 * d["n"],
        [{"rows": [[1.0], [2.0, 3.0]], "n": 1}, {"rows": [[1.0, 2.0], [3.0]], "n": 1}],
    )
    assert list(tapes) == [
        ((("rows", ((1,), (2,))), ("n", ())),),
        ((("rows", ((2,), (1,))), ("n", ())),),
    ]
    assert tapes({"rows": [[5.0], [1.0, 1.0]], "n": 0}) == 7.0


@pytest.mark.parametrize(
    "given",
    [([1.0],), ([1.0], 1.0, 1.0), ([[1.0], [1.0, 2.0]], [1.0, 2.0]), ("ab", 1.0), (None, 1)],
)
def test_arguments_of_other_shapes_are_refused(given):
    _, tapes = family()
    for call in (tapes, tapes.backward, tapes.value_and_grad, tapes.check, tapes.tape_of):
        with pytest.raises(ShapeError, match=r"expected shapes \(2,\), \(\) or \(4,\), \(\) or "):
            call(*given)


def test_message_lists_few_shapes():
    tapes = fg.record_each(sum, [[1.0] * n for n in range(1, 12)])
    with pytest.raises(ShapeError, match=r"or \(8,\) and 3 more, got \(12,\) .*; give record_each"):
        tapes([1.0] * 12)


def test_jvp_of_no_tuple_is_refused():
    _, tapes = family()
    with pytest.raises(FastgradTypeError, match=r"a tuple.*args of jvp"):
        tapes.jvp([0.5, 0.5], [1.0, 1.0])


def test_odd_examples_and_tapes_are_refused():
    tape = fg.record(lambda x: x * 2, 1.0)
    for call, error, words in (
        (lambda: fg.record_each(sum, []), FastgradValueError, "at least one example"),
        (lambda: fg.record_each(sum, 3), FastgradTypeError, "a list of examples"),
        (lambda: fg.record_each(sum, [[1.0]], parameters=3), FastgradTypeError, "list of Values"),
        (lambda: fg.record_each(3, [[1.0]]), FastgradTypeError, "a function"),
        (lambda: fg.TapeFamily([]), FastgradValueError, "at least one tape"),
        (lambda: fg.TapeFamily(tape), FastgradTypeError, "tapes"),
        (lambda: fg.TapeFamily([tape, 3]), FastgradTypeError, "a tape, got int"),
        (lambda: fg.TapeFamily([tape, tape]), FastgradValueError, r"two for \(\)"),
        (lambda: fg.TapeFamily([fg.Tape.__new__(fg.Tape)]), FastgradTypeError, "recorded tape"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_decisions_are_strict_or_told_at_the_users_line():
    def frozen(xs):
        return sum(xs) if xs[0] > 0 else xs[0] * 2

    with pytest.raises(TapeError):
        fg.record_each(frozen, [[1.0], [1.0, 2.0]], strict=True)
    with pytest.warns(FastgradWarning, match="keeps what came out") as caught:
        fg.record_each(frozen, [[1.0], [1.0, 2.0]])
    assert {w.filename for w in caught} == {__file__}
    with pytest.warns(FastgradWarning, match="argument 'inputs'") as caught:
        fg.record_each(lambda inputs: sum(inputs), [[1.0]])
    assert {w.filename for w in caught} == {__file__}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copy_of_a_family_shares_parameters_as_the_family_does(copied):
    weights, tapes = family()
    other = copied(tapes)
    assert list(other) == list(tapes)
    assert [p.data for p in other.parameters] == WEIGHTS
    assert not {*map(id, other.parameters)} & {*map(id, weights)}
    for tape in other.values():
        assert list(tape.parameters) == other.parameters
