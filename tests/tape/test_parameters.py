"""Parameters of a tape: their order, those that are named and those that are not used.

Oracles: the same function recorded without naming any; the order that was given.
"""

import threading
import warnings
from types import SimpleNamespace

import pytest
from helpers.polls import at_each_poll
from helpers.tape_programs import Program, bits

import fastgrad as fg
from fastgrad import Value, nn, optim
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    NonFiniteError,
    TapeError,
)

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def test_parameters_named_keep_their_order_and_unused_ones_have_no_gradient():
    a, b, unused, c = Value(2.0), Value(3.0), Value(5.0), Value(7.0)
    tape = fg.record(lambda x: a * x * b + c * x, 1.0, parameters=[b, unused, a])
    assert [p is q for p, q in zip(tape.parameters, [b, unused, a, c], strict=True)] == [True] * 4
    assert tape(2.0) == 26.0
    assert tape.value_and_grad(2.0) == (26.0, [4.0, 0.0, 6.0, 2.0])
    assert tape.value_and_grad(2.0, wrt=unused) == (26.0, 0.0)
    each = [[4.0, 0.0, 6.0, 2.0], [2.0, 0.0, 3.0, 1.0]]
    assert tape.value_and_grad([2.0, 1.0], reduce=None)[1] == each
    assert tape.jvp((2.0,), [1.0, 9.0, 0.0, 0.0], wrt="parameters") == (26.0, 4.0)
    assert tape.stats()["parameters"] == 4
    tape.backward([2.0, 1.0], reduce="sum")
    assert [p.grad for p in (b, unused, a, c)] == [6.0, 0.0, 9.0, 3.0]


def test_gradient_of_named_parameters_is_in_the_order_of_the_model():
    model = nn.MLP(3, [4, 2])
    example = [0.1, 0.2, 0.3]
    tape = fg.record(lambda x: sum(model(x)), example, parameters=model.parameters())
    assert all(p is q for p, q in zip(tape.parameters, model.parameters(), strict=True))
    plain = fg.record(lambda x: sum(model(x)), example)
    value, gradient = plain.value_and_grad([1.0, -2.0, 0.5])
    by = dict(zip(map(id, plain.parameters), gradient, strict=True))
    expected = value, [by[id(p)] for p in model.parameters()]
    assert tape.value_and_grad([1.0, -2.0, 0.5]) == expected


def test_random_programs_have_the_same_bits_with_named_parameters():
    for seed in range(60):
        program = Program(seed, 20)
        named = [*reversed(program.parameters), Value(1.5)]
        tapes = [
            fg.record(program.first, *program.example, parameters=names) for names in ((), named)
        ]
        sample = program.sample()
        (value, plain), (again, gradient) = (tape.value_and_grad(*sample) for tape in tapes)
        assert bits([value]) == bits([again])
        by = dict(zip(map(id, tapes[0].parameters), plain, strict=True))
        assert bits(gradient) == bits([by.get(id(p), 0.0) for p in named])
        assert len(tapes[1].parameters) == len(named)


def test_file_keeps_unused_parameters(tmp_path):
    a, unused = Value(2.0), Value(5.0)
    tape = fg.record(lambda x: a * x, 1.0, parameters=[unused, a])
    tape.save(tmp_path / "t.tape")
    loaded = fg.load_tape(tmp_path / "t.tape")
    assert [p.data for p in loaded.parameters] == [5.0, 2.0]
    assert loaded.value_and_grad(3.0) == (6.0, [0.0, 3.0])
    loaded.save(tmp_path / "u.tape")
    assert (tmp_path / "t.tape").read_bytes() == (tmp_path / "u.tape").read_bytes()


def test_fit_leaves_unused_parameters_where_they_are():
    w, unused = Value(0.0), Value(5.0)
    tape = fg.record(lambda x, y: (w * x - y) ** 2, 1.0, 1.0, parameters=[unused, w])
    fg.fit(tape, [1.0, 2.0], [3.0, 6.0], optimizer=optim.SGD([w, unused], lr=0.1), steps=50)
    assert (w.data, unused.data) == (pytest.approx(3.0), 5.0)


class Mine(Value):
    pass


def test_parameters_of_a_subclass_are_named_and_reached():
    w = Mine(2.0)
    tape = fg.record(lambda x: x * 3, 1.0, parameters=iter([w]))
    assert tape.value_and_grad(2.0, wrt=[w]) == (6.0, (0.0,))
    assert fg.record(lambda x: x * w, 1.0).value_and_grad(2.0, wrt=w) == (4.0, 2.0)


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        (lambda w: [w, 1.0], FastgradTypeError, "expected Values, got float 1.0 .parameters of"),
        (lambda w: [w, w], FastgradValueError, "each Value once, got .*data=2.0.* twice"),
        (lambda w: [w * 2], FastgradTypeError, "leaves, made of numbers, got .* result of an op"),
    ],
)
def test_parameters_that_cannot_be_are_refused(named, error, message):
    w = Value(2.0)
    with pytest.raises(error, match=message):
        fg.record(lambda x: x * w, 1.0, parameters=named(w))
    with pytest.raises(TypeError):
        fg.record(lambda x: x * w, 1.0, parameters=5)


def test_parameter_with_a_backward_step_of_its_own_is_refused():
    w = Value(2.0)
    w._backward = lambda: None
    with pytest.raises(TapeError, match="backward step in Python"):
        fg.record(lambda x: x * 2, 1.0, parameters=[w])


def test_naming_many_parameters_polls_signals():
    ws = [Value(1.0) for _ in range(200_000)]
    polls, tape = at_each_poll(lambda: fg.record(lambda x: x * ws[0], 1.0, parameters=ws))
    assert polls >= 3
    assert len(tape.parameters) == 200_000


# Writes to data -----------------------------------------------------------------------------------


class Doubled(Value):
    """A Value whose `data` is another number than its node has."""

    @property
    def data(self):
        return 2 * Value.data.__get__(self)

    @data.setter
    def data(self, number):
        Value.data.__set__(self, number / 2)


def step(w, rule=optim.SGD):
    w.grad = 1.0
    rule([w], lr=0.5).step()


def step_beside_another(w):
    """The optimizer goes through attributes: one of its parameters is no Value."""
    w.grad = 1.0
    optim.SGD([w, SimpleNamespace(data=1.0, grad=1.0)], lr=0.5).step()


def fit_another_tape(w):
    fg.fit(fg.record(lambda: w * 3), optimizer=optim.SGD([w], lr=0.5), steps=2)


def load_another_tape(w, tmp_path):
    other = Value(9.0)
    fg.record(lambda x: x * other, 1.0).save(tmp_path / "tape")
    fg.load_tape(tmp_path / "tape", parameters=[w])


def write_in_a_thread(w):
    thread = threading.Thread(target=setattr, args=(w, "data", 11.0))
    thread.start()
    thread.join()


def add_in_place(w):
    w.data += 1


WRITES = {
    "data": lambda w: setattr(w, "data", 5.0),
    "data of an int": lambda w: setattr(w, "data", 5),
    "augmented": add_in_place,
    "descriptor": lambda w: Value.data.__set__(w, 5.0),
    "Value.__setattr__": lambda w: Value.__setattr__(w, "data", 5.0),
    "__init__": lambda w: w.__init__(5.0),
    "__setstate__": lambda w: w.__setstate__((5.0, 0.0, {})),
    "optimizer": step,
    "Adam": lambda w: step(w, optim.Adam),
    "optimizer beside another": step_beside_another,
    "fit": fit_another_tape,
    "thread": write_in_a_thread,
    "load_tape": load_another_tape,
}


@pytest.mark.parametrize("kind", [Value, Doubled])
@pytest.mark.parametrize("way", WRITES)
def test_data_written_in_any_way_is_read_by_the_next_call(way, kind, tmp_path):
    w, unused = kind(2.0), Value(1.0)
    tape = fg.record(lambda x: x * w, 1.0, parameters=[unused, w])
    number = Value.data.__get__
    for _ in range(2):
        assert (tape(3.0), tape([3.0, 4.0])) == (3 * number(w), [3 * number(w), 4 * number(w)])
    before = number(w)
    WRITES[way](w, tmp_path) if way == "load_tape" else WRITES[way](w)
    assert number(w) != before
    assert tape(3.0) == tape.backward(3.0) == tape.value_and_grad(3.0)[0] == 3 * number(w)
    assert tape([3.0, 4.0]) == [3 * number(w), 4 * number(w)]
    assert tape.jvp((3.0,), (1.0,)) == (3 * number(w), number(w))


def test_call_inside_a_call_reads_what_has_been_written_meanwhile():
    w, inner = Value(2.0), []

    @fg.custom("sets")
    def sets(x):
        if not inner:
            inner.append(None)
            if w.data != 10.0:
                w.data = 10.0
            inner[0] = tape(1.0)
        return x

    sets.partials(lambda x, y: 1.0)
    inner.append(None)
    tape = fg.record(lambda x: sets(x) * w, 1.0)
    assert tape(1.0) == 2.0
    inner.clear()
    assert tape(1.0) == 2.0  # its parameters were read before
    assert (inner, tape(1.0)) == ([10.0], 10.0)
    for _ in range(2):
        assert tape.jvp((1.0,), [7.0], wrt="parameters") == (10.0, 7.0)
        inner.clear()
        assert tape(1.0) == 10.0
        assert inner == [10.0]


def test_frames_of_tangents_and_of_fit_are_read_anew():
    w = Value(2.0)
    tape = fg.record(lambda x: (x * w - 1) ** 2, 1.0)
    loss = lambda x: (x * w.data - 1) ** 2  # noqa: E731
    assert tape(3.0) == 25.0
    for _ in range(3):
        assert tape.jvp((3.0,), [7.0], wrt="parameters") == (25.0, 210.0)
        assert (tape(3.0), tape([3.0, 1.0])) == (25.0, [25.0, 1.0])
    fg.fit(tape, 1.0, optimizer=optim.SGD([w], lr=0.1), steps=3)
    assert w.data != 2.0
    assert (tape(3.0), tape(0.5)) == (loss(3.0), loss(0.5))
    with pytest.raises(NonFiniteError):
        fg.fit(tape, [1.0, 1e200], optimizer=optim.SGD([w], lr=0.1), steps=3, batch_size=1)
    assert (tape(3.0), tape(0.5)) == (loss(3.0), loss(0.5))


def test_fit_finds_parameters_in_any_order_among_others():
    ws = [Value(0.1 * i) for i in range(200)]
    others = [Value(1.0) for _ in range(50)]
    tape = fg.record(lambda x: (sum(w * x for w in ws) - 1) ** 2, 1.0, parameters=ws)
    results = []
    for order in (ws, ws[::-1], [*others, *ws[100:], *ws[:100]], [*ws[::2], *others, *ws[1::2]]):
        for i, w in enumerate(ws):
            w.data = 0.1 * i
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastgradWarning)
            fg.fit(tape, [0.5, -1.0], optimizer=optim.SGD(order, lr=1e-3), steps=3)
        results.append([w.data for w in ws])
    assert results[1:] == results[:1] * 3
    assert {other.data for other in others} == {1.0}
