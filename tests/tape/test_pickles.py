"""Pickles and copies of tapes and custom operations, here and in other processes.

Oracle: the tape or operation that was pickled, and Python's rules for functions.
"""

import contextlib
import copy
import pickle
import random
import sys
import types

import cloudpickle
import pytest
from helpers.custom_operations import swish
from helpers.processes import python
from helpers.tally import tally
from helpers.tape_files import random_tape, same

import fastgrad as fg
from fastgrad import Value, custom, record
from fastgrad._native.graph import engine
from fastgrad.errors import FastgradError, FastgradTypeError, FileFormatError, ShapeError
from fastgrad.tape import loads_tape

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def half_of(x):
    return x / 2


def always_half(x):
    return 0.5


def slope_of_half(x, y):
    return 0.5


half = custom("half")(half_of).partials(slope_of_half)


class Operations:
    @custom("cube")
    def cube(x):
        return x**3

    @cube.partials
    def cube_slope(x, y):
        return 3 * x * x


def used(operation, at=2.0):
    x = Value(at)
    y = operation(x)
    y.backward()
    return y.data, x.grad


def travelled(thing, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(thing, protocol))


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


# -- tapes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickled_tape_is_that_of_its_file(protocol, tmp_path):
    model = fg.MLP(2, [4, 1])
    tape = record(lambda x, y: (model(x) - y) ** 2, [0.0, 0.0], 0.0)
    again = travelled(tape, protocol)
    tape.save(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    X = [[0.5, -1.0], [2.0, 0.25]]
    assert again.value_and_grad(X, [1.0, 2.0]) == tape.value_and_grad(X, [1.0, 2.0])
    assert not {*map(id, again.parameters)} & {*map(id, tape.parameters)}
    assert (again.name, again.names, again.places) == (tape.name, tape.names, tape.places)


@pytest.mark.parametrize("duplicate", [travelled, copy.deepcopy])
def test_model_and_tape_that_travel_together_stay_together(duplicate):
    model = fg.MLP(2, [3, 1])
    tape = record(model, [0.0, 0.0])
    one, two = duplicate((model, tape))
    assert {*map(id, one.parameters())} == {*map(id, two.parameters)}
    assert two([1.0, 2.0]) == tape([1.0, 2.0])
    assert two.parameters[0] is not tape.parameters[0]
    two.parameters[0].data += 1.0
    assert tape([1.0, 2.0]) == model([1.0, 2.0]).data


def test_copied_tape_has_the_same_parameters_and_is_another_tape():
    w = Value(3.0)
    w.grad = 5.0
    tape = record(lambda x: w * x, 1.0)
    tape.note = ["attribute"]
    again = copy.copy(tape)
    assert again is not tape
    assert again.parameters[0] is w
    assert again.note is tape.note
    assert (w.data, w.grad, again(2.0)) == (3.0, 5.0, 6.0)
    w.data = 4.0
    assert again(2.0) == 8.0


def test_deep_copied_tape_is_independent():
    w = Value(3.0)
    tape = record(lambda x: w * x, 1.0)
    tape.note = ["attribute"]
    again = copy.deepcopy(tape)
    w.data = 4.0
    assert (again(2.0), again.note, again.note is tape.note) == (6.0, ["attribute"], False)


def test_pickled_tape_keeps_gradients_and_attributes():
    w = Value(3.0)
    tape = record(lambda x: w * x, 1.0)
    tape.backward(2.0)
    tape.note = "attribute"
    again = travelled(tape)
    assert (again.parameters[0].grad, again.note) == (2.0, "attribute")


def test_tape_in_a_cycle_with_its_parameter_is_pickled():
    w = Value(3.0)
    w.tape = record(lambda x: w * x, 1.0)
    again = travelled(w)
    assert again.tape.parameters[0] is again
    assert again.tape(2.0) == 6.0


def test_tape_with_keys_that_no_file_can_hold_is_refused_as_by_save():
    tape = record(lambda d: d[1, 2] * 2, {(1, 2): 1.0})
    with pytest.raises(FastgradTypeError, match="expected keys"):
        pickle.dumps(tape)


def test_loads_tape_refuses_what_is_no_tape_of_these_parameters():
    function, (data, parameters) = record(lambda x: Value(2.0) * x, 1.0).__reduce__()
    assert function is loads_tape
    assert parameters == []
    assert loads_tape(data)(3.0) == 6.0
    with pytest.raises(FastgradTypeError, match="expected bytes, got str"):
        loads_tape("tape")
    with pytest.raises(ShapeError, match="expected 0 different Values"):
        loads_tape(data, [Value(1.0)])
    w = Value(2.0)
    _, (data, _) = record(lambda x: w * x, 1.0).__reduce__()
    for wrong in (w * 2, 2.0, None):
        with pytest.raises(FastgradTypeError, match="expected Values that are leaves"):
            loads_tape(data, [wrong])


def test_damaged_bytes_of_a_pickled_tape_are_refused():
    w = Value(2.0)
    data = pickle.dumps(record(lambda x: (w * x).tanh() + x, 1.0))
    _, (file, parameters) = pickle.loads(data).__reduce__()
    rng = random.Random(5)
    for _ in range(300):
        at = rng.randrange(len(file))
        damaged = file[:at] + bytes([file[at] ^ (1 << rng.randrange(8))]) + file[at + 1 :]
        with contextlib.suppress(FileFormatError):  # a bit of a name may change
            loads_tape(damaged, parameters)
    with pytest.raises(FileFormatError, match="of the bytes of a tape"):
        loads_tape(file[:-1], parameters)
    for at in range(0, len(file), 7):
        with pytest.raises(FileFormatError):
            loads_tape(file[:at], parameters)


def test_thousand_random_tapes_are_the_same_when_pickled():
    rng = random.Random(17)
    for _ in range(1000):
        tape = random_tape([rng.randrange(2**40) for _ in range(rng.randint(1, 30))])
        again = travelled(tape)
        same(tape, again)
        assert again.dumps() == tape.dumps()
    tally("pickles: random tapes", 1000)


@pytest.mark.parametrize("module", [pickle, cloudpickle, copy])
def test_model_tape_and_optimizer_duplicated_together_go_on_as_they_were(module):
    random.seed(4)
    model = fg.MLP(2, [4, 1])
    tape = record(lambda x, y: (model(x) - y) ** 2, [0.0, 0.0], 0.0)
    optimizer = fg.optim.Adam(model.parameters(), lr=0.05)
    data = [[0.5, -1.0], [2.0, 0.25]], [1.0, 2.0]
    fg.fit(tape, *data, optimizer=optimizer, steps=3)
    parts = model, tape, optimizer
    again = copy.deepcopy(parts) if module is copy else module.loads(module.dumps(parts))
    assert [*map(id, again[1].parameters)] == [*map(id, again[0].parameters())]
    histories = [fg.fit(t, *data, optimizer=o, steps=5) for _, t, o in (again, parts)]
    assert histories[0] == histories[1]
    assert [p.data for p in again[0].parameters()] == [p.data for p in model.parameters()]


# -- custom operations -----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("operation", [swish, Operations.cube], ids=["swish", "cube"])
def test_pickled_operation_is_the_one_that_its_name_gives(operation, protocol):
    assert travelled(operation, protocol) is operation
    assert used(operation) == used(travelled(operation, protocol))


def test_operation_of_functions_with_names_of_their_own_is_made_of_them():
    again = travelled(half)
    assert again is not half
    assert (again.name, again.forward, again.derivative) == ("half", half_of, slope_of_half)
    assert used(again) == (1.0, 0.5)
    assert half_of.__qualname__ == "half_of"


def test_operation_without_partials_is_pickled_without():
    again = travelled(custom("bare")(always_half))
    assert again(3.0) == 0.5
    with pytest.raises(FastgradTypeError, match="expected partials"):
        again(Value(3.0))


def test_operation_of_local_functions_is_refused_as_they_are():
    operation = custom("local")(lambda x: x)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(operation)
    again = cloudpickle.loads(cloudpickle.dumps(operation))
    assert (again.name, again(2.0)) == ("local", 2.0)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copied_operation_is_independent(duplicate):
    again = duplicate(swish)
    expected = used(swish)
    assert again is not swish
    assert used(again) == expected
    again.partials(slope_of_half)
    assert used(again) == (expected[0], 0.5)
    assert used(swish) == expected
    bare = duplicate(custom("bare")(always_half))
    with pytest.raises(FastgradTypeError, match="expected partials"):
        bare(Value(3.0))
    pair = copy.deepcopy([swish, swish])
    assert pair[0] is pair[1]


def test_pickle_of_a_changed_copy_holds_its_own_partials():
    again = copy.copy(swish)
    again.partials(slope_of_half)
    last = travelled(again)
    assert used(last) == (used(swish)[0], 0.5)
    assert travelled(swish) is swish


def test_redefined_operation_does_not_stand_for_the_old_one():
    module = types.ModuleType("redefined")
    sys.modules["redefined"] = module

    def define(slope):
        def forward(x):
            return slope * x

        forward.__module__, forward.__qualname__ = "redefined", "twice"
        module.twice = custom("twice")(forward).partials(slope_of_half)
        return module.twice

    try:
        old = define(2.0)
        new = define(3.0)
        assert travelled(new) is new
        with pytest.raises(pickle.PicklingError):
            pickle.dumps(old)
        assert cloudpickle.loads(cloudpickle.dumps(old))(1.0) == 2.0
    finally:
        del sys.modules["redefined"]


def test_no_number_of_an_operation_is_believed():
    for wrong in (0, 10**6, -1, None, "swish", object()):
        with pytest.raises(TypeError):
            engine.apply_custom(wrong, (Value(1.0),), 1.0)
        with pytest.raises(TypeError):
            engine.register_custom(wrong)
    with pytest.raises(AttributeError):
        swish.number = 10**6
    assert b"number" not in pickle.dumps(swish)
    unfinished = fg.operations.CustomOperation.__new__(fg.operations.CustomOperation)
    assert unfinished.number == 0
    x = Value(2.0)
    y = engine.apply_custom(copy.copy(swish), (x,), swish(2.0))  # registered by its first use
    y.backward()
    assert (y.data, x.grad) == used(swish)


def test_damaged_pickles_of_operations_raise():
    rebuild, (name, forward, derivative) = swish.__reduce__()
    for wrong in ((5, forward, derivative), (name, 5, derivative), (name, forward, 5)):
        with pytest.raises(FastgradTypeError):
            rebuild(*wrong)
    rebuild, (module, names) = swish.__reduce_ex__(2)
    assert rebuild(module, names) is swish
    with pytest.raises(FastgradTypeError, match="a custom operation, got <function half_of"):
        rebuild(__name__, ["half_of"])
    with pytest.raises(AttributeError):
        rebuild(__name__, ["nothing"])


def damaged(rng, thing):
    """Return a copy of what a pickle holds, one part of it replaced."""
    odd = (None, -1, 0, 2**63, 0.5, "x", b"", (), [], {}, [None], swish, Value(1.0), object)
    if isinstance(thing, bytes) and thing and rng.random() < 0.7:
        flipped = bytearray(thing)
        for _ in range(rng.randint(1, 3)):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped[: rng.choice([None, rng.randrange(len(flipped) + 1)])])
    if isinstance(thing, dict) and thing and rng.random() < 0.7:
        key = rng.choice([*thing])
        return {**thing, key: damaged(rng, thing[key])}
    if isinstance(thing, list | tuple) and thing and rng.random() < 0.7:
        i = rng.randrange(len(thing))
        return type(thing)([*thing[:i], damaged(rng, thing[i]), *thing[i + 1 :]])
    return rng.choice(odd)


class Rebuilt:
    """Something that a pickle rebuilds as it is told."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def test_damaged_parts_of_pickles_are_refused_by_name():
    rng = random.Random(12)
    w = Value(2.0)
    plain = record(lambda x: [w * x[0], x[1].exp()], [1.0, 2.0])
    calling = record(lambda x: swish(w * x), 1.0)
    plain.note = "kept"
    raised = []
    for _ in range(600):
        thing = rng.choice([plain, calling, half])
        rebuild, arguments, *state = thing.__reduce__()
        arguments = damaged(rng, arguments)
        if not isinstance(arguments, tuple):
            continue
        try:
            made = travelled(Rebuilt(rebuild, arguments, *state))
            str(made)
            made([1.0, 2.0] if thing is plain else 1.0)
        except (FastgradError, TypeError, AttributeError, pickle.PicklingError) as error:
            raised.append(error)
    own = [str(error) for error in raised if isinstance(error, FastgradError)]
    assert len(own) > 200
    assert all(text.startswith("expected ") for text in own), own
    assert all(map(str, raised)), "an empty message"
    tally("pickles: parts damaged at random", 600)


# -- other processes -------------------------------------------------------------------------------

PROGRAM = """
import math
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import loky

import fastgrad as fg
from fastgrad import Value, custom, record


@custom("first")  # so that numbers differ between processes
def first(x):
    return -x


@first.partials
def first(x, y):
    return -1.0


@custom("swish")
def swish(x):
    return x / (1 + math.exp(-x))


@swish.partials
def swish(x, y):
    s = 1 / (1 + math.exp(-x))
    return s + y * (1 - s)


def use(operation):
    x = Value(2.0)
    first(x)
    y = operation(x)
    y.backward()
    return y.data, x.grad


def replay(tape, x):
    v = Value(x)
    tape(v).backward()
    return tape(x), tape.value_and_grad(x), v.grad


def step(model, tape):
    return tape.backward([1.0, 2.0]), [p.grad for p in model.parameters()]


if __name__ == "__main__":
    fg.optim.SGD([w := Value(3.0)], lr=0.1)
    tape = record(lambda x: (w * x).tanh(), 1.0)
    model = fg.MLP(2, [3, 1])
    both = record(model, [0.0, 0.0])
    swish(Value(1.0)), first(Value(1.0))
    wanted = use(swish), replay(tape, 0.5), step(model, both)
    model.zero_grad()
    w.grad = 0.0
    way = sys.argv[1]
    if way == "loky":
        pool = loky.get_reusable_executor(2)
    elif way == "pool":
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            got = pool.starmap(replay, [(tape, 0.5)] * 4)
            assert got == [wanted[1]] * 4
            got = pool.map(use, [swish] * 4)
            assert got == [wanted[0]] * 4
        sys.exit()
    else:
        pool = ProcessPoolExecutor(2, multiprocessing.get_context(way))
    with pool:
        for _ in range(2):
            assert pool.submit(use, swish).result() == wanted[0]
            assert pool.submit(replay, tape, 0.5).result() == wanted[1]
            assert pool.submit(step, model, both).result() == wanted[2]
    again = cloudpickle.loads(cloudpickle.dumps(swish))
    assert use(again) == wanted[0]
"""


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver", "loky", "pool"])
def test_tapes_and_operations_work_in_processes(way, tmp_path):
    """The operations are those of the program itself, as people write them."""
    (tmp_path / "program.py").write_text(PROGRAM)
    process = python("-W", "ignore::DeprecationWarning", "program.py", way, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
