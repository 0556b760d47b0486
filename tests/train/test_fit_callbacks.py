"""fit among callbacks: what a schedule or a signal handler does to data and optimizer counts.

Oracle: the loop written out, in which the same is done at the same moment, bit for bit.
"""

import copy
import functools
import random
import threading
from array import array

import pytest
from helpers.polls import at_each_poll

import fastgrad as fg
from fastgrad import Value, nn, optim
from fastgrad._native.tape.bind import Shape
from fastgrad._native.train.fit import Loop
from fastgrad.errors import (
    FastgradRuntimeError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    ShapeError,
)

pytestmark = pytest.mark.usefixtures("sound_arena")


class Weight(Value):
    """A parameter of a subclass that leaves `data` alone."""

    __slots__ = ()


class Watched(Value):
    """A parameter that goes through an attribute of its own."""

    @property
    def data(self):
        return super().data

    @data.setter
    def data(self, number):
        Value.data.__set__(self, number)


class Problem:
    """A model, its tape, data, and an optimizer of all parameters but the last two."""

    def __init__(self, rule=optim.Adam, kind=Value, n=9, length=0, **hyper):
        rng = random.Random(5)
        random.seed(5)
        model = nn.MLP(2, [3, 1])
        for layer in model.layers:
            for neuron in layer.neurons:
                neuron.w = [kind(w.data) for w in neuron.w]
        self.parameters = model.parameters()

        def loss(x, y):
            return (
                functools.reduce(lambda out, _: (out * 0.9).tanh(), range(length), model(x) - y)
                ** 2
            )

        self.tape = fg.record(loss, [0.0, 0.0], 1.0)
        self.args = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(n)], [1.0] * n
        self.optimizer = rule(self.parameters[:-2], **{"lr": 0.05, **hyper})

    def step(self):
        self.optimizer.zero_grad()
        loss = self.tape.backward(*self.args)
        self.optimizer.step()
        return loss

    def state(self):
        return [p.data for p in self.parameters], self.optimizer.state_dict()


def set_data(p):
    for i, v in enumerate(p.parameters):
        v.data = 0.1 * i - 0.3


def make_a_step(p):
    for v in p.parameters:
        v.grad = 1.0
    p.optimizer.step()
    p.optimizer.zero_grad()


def save(p):
    p.saved = [v.data for v in p.parameters], copy.deepcopy(p.optimizer.state_dict())


def load(p):
    for v, data in zip(p.parameters, p.saved[0], strict=True):
        v.data = data
    p.optimizer.load_state_dict(p.saved[1])


def load_data_only(p):
    p.optimizer.load_state_dict(p.saved[1])


def change_hyper(p):
    p.optimizer.param_groups[0].update(betas=(0.5, 0.6), eps=1e-3)


def change_momentum(p):
    p.optimizer.param_groups[0]["momentum"] = 0.9


def replace_group(p):
    p.optimizer.param_groups[0] = {**p.optimizer.param_groups[0], "weight_decay": 0.1}


def add_group(p):
    p.optimizer.add_param_group({"params": p.parameters[-2:], "weight_decay": 0.2})


def train_inside(p):
    fg.fit(p.tape, *p.args, optimizer=p.optimizer, steps=3)


def train_inside_by_hand(p):
    for _ in range(3):
        p.step()


def train_another(p):
    other = optim.SGD(p.parameters, lr=0.01)
    fg.fit(p.tape, *p.args, optimizer=other, steps=2)


def set_grads(p):
    for v in p.parameters:
        v.grad = 7.0


ACTIONS = {
    "data": {4: set_data},
    "a step": {4: make_a_step, 6: make_a_step},
    "load_state_dict": {3: save, 7: load},
    "load_state_dict alone": {3: save, 7: load_data_only},
    "hyper-parameters": {4: change_hyper},
    "another dict": {4: replace_group},
    "add_param_group": {4: add_group, 6: set_data},
    "fit": {4: train_inside},
    "fit of another optimizer": {4: train_another},
    "grads": {4: set_grads},
    "all": {2: save, 3: set_data, 5: train_inside, 6: make_a_step, 8: load, 9: add_group},
}


def act(problem, k, actions, by_hand):
    action = actions.get(k)
    if by_hand and action is train_inside:
        action = train_inside_by_hand
    if action:
        action(problem)


@pytest.mark.parametrize("kind", [Value, Weight, Watched])
@pytest.mark.parametrize("name", ACTIONS)
def test_schedule_that_changes_anything_is_honoured(name, kind):
    def schedule(k, problem, by_hand):
        act(problem, k, ACTIONS[name], by_hand)
        return 0.05 - 0.001 * k

    mine, other = Problem(kind=kind), Problem(kind=kind)
    losses = fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=12,
                    schedule=lambda k: schedule(k, mine, False))  # fmt: skip
    expected = []
    for k in range(12):
        other.optimizer.lr = schedule(k, other, True)
        expected.append(other.step())
    assert losses == expected
    assert mine.state() == other.state()


def test_schedule_may_turn_on_state_that_was_not_asked_for():
    def schedule(k, problem):
        if k == 3:
            change_momentum(problem)
        return 0.05

    mine, other = Problem(optim.SGD), Problem(optim.SGD)
    fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=6,
           schedule=lambda k: schedule(k, mine))  # fmt: skip
    for k in range(6):
        other.optimizer.lr = schedule(k, other)
        other.step()
    assert mine.state() == other.state()


def test_schedule_sees_data_and_state_of_the_steps_before():
    mine, other = Problem(), Problem()
    seen = []

    def schedule(k):
        seen.append(copy.deepcopy(mine.state()))
        return 0.05

    fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=5, schedule=schedule)
    for k in range(5):
        assert seen[k] == other.state()
        other.step()


def test_fit_goes_on_from_a_loaded_state():
    mine, other = Problem(), Problem()
    run = [fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=5)]
    save(mine)
    fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=7)
    load(mine)
    run.append(fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=4))
    assert run[0] + run[1] == [other.step() for _ in range(9)]
    assert mine.state() == other.state()


@pytest.mark.parametrize("kind", [Value, Weight, Watched])
@pytest.mark.parametrize("name", [name for name in ACTIONS if name != "all"])
def test_handler_between_two_steps_is_honoured(name, kind):
    """Of a single sample: its steps are too short for a poll, which comes between two of them."""
    steps = 600
    done = []

    def single(problem):
        problem.args = [0.5, -0.5], 1.0
        return problem

    mine, other = (single(Problem(kind=kind, length=500)) for _ in "ab")
    actions = list(ACTIONS[name].values())

    def handler(number):
        if 2 <= number < 2 + len(actions):
            done.append(int(mine.optimizer.state_dict()["state"][0]["step"]))
            before = mine.state()
            for _ in range(done[-1] - other_steps(other)):
                other.step()
            assert before == other.state(), "what it sees is of the steps made"
            act(mine, 0, {0: actions[number - 2]}, False)
            act(other, 0, {0: actions[number - 2]}, True)

    def other_steps(problem):
        return int(problem.optimizer.state_dict()["state"].get(0, {"step": 0})["step"])

    def run():
        return fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=steps)

    polls, losses = at_each_poll(run, handler)
    assert polls >= 4
    assert len(done) == len(actions)
    assert len(losses) == steps
    while other_steps(other) < other_steps(mine):
        other.step()
    assert mine.state() == other.state()


def in_one_step(visit, steps=1, w=None):
    """Train on so many samples that a step polls; the gradient of w is -2 for w of any value.

    They are a power of two, so that the sum of their shares is exact.
    """
    w = w or Value(1.0)
    tape = fg.record(lambda x: w * x, 1.0)
    optimizer = optim.SGD([w], lr=0.5)
    fit = lambda: fg.fit(tape, array("d", [-2.0]) * (1 << 19), optimizer=optimizer, steps=steps)  # noqa: E731
    polls, losses = at_each_poll(fit, lambda number: visit(number, w, optimizer))
    assert polls > 1
    return losses, w, optimizer


@pytest.mark.parametrize("w", [Value, Weight, Watched])
def test_handler_within_a_step_is_honoured_before_its_update(w):
    def visit(number, w, optimizer):
        if number == 1:
            w.data = 10.0
        assert w.data in (10.0, 11.0)

    losses, w, _ = in_one_step(visit, w=w(1.0))
    assert (losses, w.data) == ([-2.0], 11.0)


def test_handler_within_a_step_may_change_the_rate():
    def visit(number, w, optimizer):
        optimizer.lr = 2.0

    assert in_one_step(visit)[1].data == 5.0


def test_handler_within_a_step_may_load_a_state():
    saved = optim.SGD([Value(1.0)], lr=0.25, momentum=0.5)
    saved.step()

    def visit(number, w, optimizer):
        if number == 1:
            optimizer.load_state_dict(saved.state_dict())

    _, w, optimizer = in_one_step(visit)
    assert w.data == 1.5
    assert optimizer.state_dict()["state"][0]["momentum_buffer"] == -2.0


def test_handler_within_a_step_may_make_one_and_train():
    def visit(number, w, optimizer):
        if number == 1:
            w.grad = -4.0
            optimizer.step()
            fg.fit(fg.record(lambda x: w * x, 1.0), -2.0, optimizer=optimizer, steps=3)

    _, w, _ = in_one_step(visit)
    assert w.data == 1.0 + 0.5 * 4 + 3 * 0.5 * 2 + 0.5 * 2


def test_parameter_set_by_a_handler_that_raises_stays_set():
    def visit(number, w, optimizer):
        w.data = 40.0
        raise KeyboardInterrupt

    for steps in (1, 3):
        w = Value(1.0)
        with pytest.raises(KeyboardInterrupt):
            in_one_step(visit, steps, w)
        assert w.data == 40.0
    problem = Problem()
    problem.args = [0.5, -0.5], 1.0

    def raising(number):
        set_data(problem)
        raise LookupError

    with pytest.raises(LookupError):
        at_each_poll(lambda: fg.fit(problem.tape, *problem.args, optimizer=problem.optimizer,
                                    steps=100_000), raising)  # fmt: skip
    found = problem.state()[0]
    set_data(problem)
    assert found == problem.state()[0]


def test_exception_of_a_parameters_setter_leaves_the_others_written():
    class Stubborn(Value):
        asleep = True

        @property
        def data(self):
            return super().data

        @data.setter
        def data(self, number):
            if not self.asleep:
                raise LookupError("stubborn")
            Value.data.__set__(self, number)

    v, w = Stubborn(1.0), Value(1.0)
    tape = fg.record(lambda x: v * x + w * x, 1.0)
    optimizer = optim.SGD([v, w], lr=0.5)
    v.asleep = False
    with pytest.raises(LookupError, match="stubborn"):
        fg.fit(tape, 1.0, optimizer=optimizer, steps=2)
    assert (v.data, w.data) == (1.0, 0.0)
    v.asleep = True
    assert fg.fit(tape, 1.0, optimizer=optimizer, steps=1) == [1.0]


def edit_list(p):
    p.optimizer.param_groups[0]["params"].append(Value(1.0))


def swap(p):
    params = p.optimizer.param_groups[0]["params"]
    params[0], params[1] = params[1], params[0]


def drop_group(p):
    p.optimizer.param_groups.clear()


def forget_rate(p):
    del p.optimizer.param_groups[0]["betas"]


def assign_parameters(p):
    p.tape.parameters[0] = Value(3.0)


REFUSED = {
    "a longer list": (edit_list, FastgradRuntimeError, "the parameters that the group was made"),
    "another order": (swap, FastgradRuntimeError, "param_groups.; use add_param_group"),
    "no group": (drop_group, FastgradRuntimeError, "expected 1 parameter groups, got 0"),
    "no betas": (forget_rate, FastgradValueError, "expected 'betas' in every parameter group"),
    "the tape's list": (assign_parameters, FastgradTypeError, "parameters of a tape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_schedule_that_edits_what_cannot_change_is_refused(name):
    action, error, match = REFUSED[name]

    def schedule(k):
        if k == 3:
            action(mine)
        return 0.05

    mine, other = Problem(), Problem()
    with pytest.raises(error, match=match):
        fg.fit(mine.tape, *mine.args, optimizer=mine.optimizer, steps=9, schedule=schedule)
    for _ in range(3):
        other.step()
    assert [v.data for v in mine.parameters] == other.state()[0]
    if action is drop_group:
        with pytest.raises(FastgradRuntimeError, match="expected 1 parameter groups, got 0"):
            mine.optimizer.state_dict()


RATES = {
    "None": (
        lambda k: None,
        FastgradTypeError,
        "a number, got NoneType None .what schedule of fit",
    ),
    "text": (lambda k: "0.1", FastgradTypeError, "got str '0.1' .what schedule of fit gives for"),
    "negative": (
        lambda k: -1.0,
        FastgradValueError,
        "got -1.0 .what schedule of fit gives for step",
    ),
    "nan": (lambda k: float("nan"), FastgradValueError, "got nan .what schedule of fit gives"),
    "infinite": ([0.1, float("inf")] * 9, FastgradValueError, "got inf .*gives for step 1"),
    "constant": (-0.5, FastgradValueError, "got -0.5 .what schedule of fit"),
    "too few": ([0.1], FastgradValueError, "expected 9 learning rates, got 1 .schedule of fit"),
    "dict": ({0: 0.1}, FastgradTypeError, "a sequence of them, .* got dict .*schedule of fit"),
    "string": ("0.1", FastgradTypeError, "got str '0.1' .schedule of fit"),
    "generator": ((0.1 for _ in "a"), FastgradTypeError, "got generator .*schedule of fit"),
    "set": ({0.1}, FastgradTypeError, "got set {0.1} .schedule of fit"),
    "object": (object(), FastgradTypeError, "got object .*schedule of fit"),
    "complex": (1j, FastgradTypeError, "got complex 1j .schedule of fit"),
}


@pytest.mark.parametrize("name", RATES)
def test_rates_that_are_none_are_refused_by_name(name):
    schedule, error, match = RATES[name]
    problem = Problem()
    with pytest.raises(error, match=match):
        fg.fit(problem.tape, *problem.args, optimizer=problem.optimizer, steps=9, schedule=schedule)
    assert problem.optimizer.lr in (0.05, 0.1)


def test_rates_may_be_arrays_of_numpy():
    numpy = pytest.importorskip("numpy")
    runs = []
    for schedule in (0.25, numpy.array(0.25), numpy.float32(0.25), numpy.full(9, 0.25)):
        problem = Problem()
        fg.fit(problem.tape, *problem.args, optimizer=problem.optimizer, steps=9, schedule=schedule)
        runs.append(problem.state()[0])
    assert runs == [runs[0]] * 4


# -- parameters that the optimizer and the tape share ----------------------------------------------


def test_optimizer_of_other_parameters_is_refused():
    w, other = Value(1.0), Value(2.0)
    tape = fg.record(lambda x: w * x, 1.0)
    optimizer = optim.SGD([other, Value(3.0)])
    with pytest.raises(FastgradValueError, match=r"none of its 1 among the 2 of the optimizer .*; "
                       "make the optimizer of tape.parameters"):  # fmt: skip
        fg.fit(tape, 1.0, optimizer=optimizer, steps=0)
    empty = fg.record(lambda x: x * 2.0, 1.0)
    with pytest.raises(FastgradValueError, match="none of its 0 among"):
        fg.fit(empty, 1.0, optimizer=optim.SGD(tape.parameters))
    assert (w.data, other.data) == (1.0, 2.0)


def test_optimizer_of_some_other_parameters_is_warned_of():
    w, others = Value(1.0), [Value(2.0), Value(3.0)]
    tape = fg.record(lambda x: w * x, 1.0)
    with pytest.warns(FastgradWarning, match="^2 of the optimizer's 3 parameters") as caught:
        fg.fit(tape, 1.0, optimizer=optim.SGD([w, *others], lr=0.5), steps=1)
    assert caught[0].filename == __file__
    assert (w.data, [v.data for v in others]) == (0.5, [2.0, 3.0])


def test_optimizer_of_fewer_parameters_trains_those_in_silence():
    v, w = Value(1.0), Value(2.0)
    tape = fg.record(lambda x: v * x + w * x, 1.0)
    fg.fit(tape, 1.0, optimizer=optim.SGD([w], lr=0.5), steps=1)
    assert (v.data, w.data) == (1.0, 1.5)


def test_optimizer_in_use_by_another_thread_is_refused():
    """At a poll of that thread, in which no signal handler could run, the main one goes on."""
    w = Value(0.0)
    tape = fg.record(lambda x: w * x, 1.0)
    optimizer = optim.SGD([w], lr=1e-3)
    at_poll, tried = threading.Event(), threading.Event()

    def visit(number):
        at_poll.set()
        tried.wait()

    def train():
        at_each_poll(lambda: fg.fit(tape, [1.0] * 1000, optimizer=optimizer, steps=500), visit)

    thread = threading.Thread(target=train)
    thread.start()
    at_poll.wait()
    try:
        for call in (optimizer.step, lambda: fg.fit(tape, 1.0, optimizer=optimizer, steps=1)):
            with pytest.raises(FastgradRuntimeError, match="one step of an optimizer at a time"):
                call()
    finally:
        tried.set()
        thread.join()
    optimizer.step()
    assert w.data == pytest.approx(-0.5)


def test_closed_loop_is_refused_and_gives_its_frame_once():
    w = Value(1.0)
    tape = fg.record(lambda x: w * x, 1.0)
    loop = Loop((tape,), (1.0,), optim.SGD([w]).updaters, 3, None, 0, True, 1)
    bytes_of_one = None
    for _ in range(3):
        loop.close()
        bytes_of_one = bytes_of_one or tape.nbytes
        assert tape.nbytes == bytes_of_one
    with pytest.raises(FastgradRuntimeError, match="a loop that is open"):
        loop.advance(1)
    with pytest.raises(FastgradTypeError, match="a new loop"):
        loop.__init__((tape,), (1.0,), optim.SGD([w]).updaters, 3, None, 0, True, 1)
    for source, error in ((list, FastgradValueError), (lambda: [None], FastgradTypeError)):
        with pytest.raises(error, match="Updater"):
            Loop((tape,), (1.0,), source, 3, None, 0, True, 1)
    for steps, batch_size, threads in ((-1, None, 1), (1, 0, 1), (1, None, 0)):
        with pytest.raises(FastgradValueError, match="steps of at least 0"):
            Loop((tape,), (1.0,), optim.SGD([w]).updaters, steps, batch_size, 0, True, threads)


SPECS = {
    "too few": ([Shape((), 0, "x")], Shape((), 0, "y"), ShapeError),
    "too many": ([Shape((3,), 0, "x")], Shape((), 0, "y"), ShapeError),
    "beyond": ([Shape((), 0, "x"), Shape((), 9, "z")], Shape((), 0, "y"), FastgradTypeError),
    "result": ([Shape((2,), 0, "x")], Shape((2,), 0, "y"), ShapeError),
    "nothing": ([Shape((2,), 0, "x")], None, FastgradTypeError),
    "no structure": ([(set, None, [], "x")], Shape((), 0, "y"), FastgradTypeError),
    "keys": ([(dict, [], [Shape((2,), 0, "x")], "x")], Shape((), 0, "y"), FastgradTypeError),
}


@pytest.mark.parametrize("name", SPECS)
def test_tape_of_shapes_that_do_not_fit_is_refused(name):
    arguments, result, error = SPECS[name]
    inputs = [Value(1.0), Value(2.0)]
    with pytest.raises(error, match="structure"):
        fg.Tape(inputs, [inputs[0] * inputs[1]], arguments, result, "f", ["x"])


def test_tape_of_a_structure_that_holds_itself_is_refused():
    inside = []
    inside.append((list, None, inside, "x"))
    v = Value(1.0)
    with pytest.raises(FastgradTypeError, match="structure of a tape"):
        fg.Tape([v], [v * 2], inside, Shape((), 0, "y"), "f", ["x"])
    for inputs, outputs in (([None], [v]), ([v], [None])):
        with pytest.raises(FastgradTypeError, match="inputs and outputs of a tape"):
            fg.Tape(inputs, outputs, [Shape((), 0, "x")], Shape((), 0, "y"), "f", ["x"])
    for shape, start in (((-1,), 0), ((), -1), (None, 0)):
        with pytest.raises(ShapeError, match="at least 0"):
            Shape(shape, start, "x")
    with pytest.raises(FastgradTypeError, match="a new Shape"):
        Shape((), 0, "x").__init__((), 0, "x")
