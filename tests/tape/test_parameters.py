"""Parameters of a tape: their order, those that are named and those that are not used.

Oracles: the same function recorded without naming any; the order that was given.
"""

import pytest
from helpers.polls import at_each_poll
from helpers.tape_programs import Program, bits

import fastgrad as fg
from fastgrad import Value, nn, optim
from fastgrad.errors import FastgradTypeError, FastgradValueError, TapeError

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
