"""fit over several tapes: samples of unlike lengths, one optimizer.

Oracle: the loop written out over `value_and_grad` of each tape, bit for bit, and fit over one tape.
"""

import math
import random
import sys

import pytest
from helpers.optimizers import RULES, make, switched_on
from helpers.polls import at_each_poll, stop_at

import fastgrad as fg
from fastgrad import Value, optim
from fastgrad._native.train.fit import Loop
from fastgrad.errors import (
    FastgradIndexError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    NonFiniteError,
    ShapeError,
    TapeError,
)

WEIGHTS = [0.5, -1.25, 0.3, 0.75, 0.1]


def loss_of(weights):
    def loss(xs, y):
        total = weights[-1] * 1.0
        for w, x in zip(weights, xs, strict=False):
            total = (total * x + w).tanh()
        return (total - y) ** 2

    return loss


class Problem:
    """A recurrence over 1 to 4 numbers, and samples of all lengths."""

    def __init__(self, n=23, **options):
        self.weights = [Value(w) for w in WEIGHTS]
        rng = random.Random(5)
        lengths = [rng.randrange(1, 5) for _ in range(n)]
        self.samples = [([rng.gauss(0, 1) for _ in range(k)], rng.gauss(0, 1)) for k in lengths]
        options = {"parameters": self.weights, **options}
        self.tapes = fg.record_each(loss_of(self.weights), self.samples, **options)

    def data(self):
        return [w.data for w in self.weights]

    def fit(self, optimizer, steps, tapes=None, **options):
        tapes = self.tapes if tapes is None else tapes
        return fg.fit(tapes, self.samples, optimizer=optimizer, steps=steps, **options)

    def by_hand(self, optimizer, batches, reduce="sum"):
        """Train on batches, each a list of numbers of samples, and give the losses."""
        losses = []
        for batch in batches:
            parts = {}
            for number in batch:
                tape = self.tapes.tape_of(*self.samples[number])
                parts.setdefault(id(tape), (tape, []))[1].append(self.samples[number])
            loss, gradients = 0.0, []
            for tape, samples in parts.values():
                args = samples[0] if len(samples) == 1 else map(list, zip(*samples, strict=True))
                value, gradient = tape.value_and_grad(*args, reduce="sum")
                gradients.append(dict(zip(map(id, tape.parameters), gradient, strict=True)))
                loss += value
            scale = 1.0 / len(batch) if reduce == "mean" else 1.0
            for w in self.weights:
                parts = [gradient.get(id(w), 0.0) for gradient in gradients]
                w.grad = parts[0] if len(parts) == 1 else 0.0
                for part in parts if len(parts) > 1 else ():
                    w.grad += part
                w.grad *= scale
            optimizer.step()
            losses.append(loss * scale)
        return losses

    def in_order(self, size, steps):
        """Give the mini-batches of a run that does not shuffle."""
        n = len(self.samples)
        epoch = [list(range(at, min(at + size, n))) for at in range(0, n, size)]
        return [epoch[step % len(epoch)] for step in range(steps)]


@pytest.mark.parametrize("hyper_of", [lambda _: {}, switched_on], ids=["defaults", "all"])
@pytest.mark.parametrize("rule", RULES)
def test_fit_of_one_sample_a_step_equals_the_written_loop(rule, hyper_of):
    hyper = {**hyper_of(rule), "lr": 0.02}
    ours, other = Problem(), Problem()
    losses = ours.fit(make(rule, ours.weights, hyper), 50, batch_size=1, shuffle=False)
    optimizer = make(rule, other.weights, hyper)
    assert losses == other.by_hand(optimizer, other.in_order(1, 50))
    assert ours.data() == other.data()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 22, 23, 100])
@pytest.mark.parametrize("order", ["same", "reversed", "groups"])
def test_mini_batches_of_unlike_lengths_equal_the_written_loop(size, order):
    """Of sums: the bits are those of each tape's own sum, added in the order of first samples."""
    runs = []
    for problem in (Problem(), Problem()):
        ws = problem.weights
        parameters = {
            "same": ws,
            "reversed": ws[::-1],
            "groups": [{"params": ws[3:]}, {"params": ws[:3], "lr": 0.01}],
        }[order]
        optimizer = optim.Adam(parameters, lr=0.02)
        if not runs:
            losses = problem.fit(optimizer, 40, batch_size=size, shuffle=False, reduce="sum")
        else:
            losses = problem.by_hand(optimizer, problem.in_order(size, 40))
        runs.append((losses, problem.data(), repr(optimizer.state_dict())))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("size", [3, None])
def test_mean_of_a_mini_batch_is_over_all_its_samples(size):
    ours, other = Problem(), Problem()
    losses = ours.fit(optim.SGD(ours.weights, lr=0.1), 30, batch_size=size, shuffle=False)
    batches = other.in_order(size or len(other.samples), 30)
    expected = other.by_hand(optim.SGD(other.weights, lr=0.1), batches, "mean")
    assert losses == pytest.approx(expected, rel=1e-12)
    assert ours.data() == pytest.approx(other.data(), rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, None])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_family_of_one_shape_has_the_bits_of_its_tape(size, reduce):
    """Shuffled: the same seed draws the same samples."""
    rng = random.Random(7)
    samples = [([rng.gauss(0, 1), rng.gauss(0, 1)], rng.gauss(0, 1)) for _ in range(11)]
    runs = []
    for several in (True, False):
        weights = [Value(w) for w in WEIGHTS]
        tapes = fg.record_each(loss_of(weights), samples, parameters=weights)
        data = [samples] if several else [list(part) for part in zip(*samples, strict=True)]
        (tape,) = tapes.values()
        losses = fg.fit(
            tapes if several else tape, *data, optimizer=optim.Adam(weights, lr=0.05), steps=25,
            batch_size=size, seed=9, reduce=reduce,
        )  # fmt: skip
        runs.append((losses, [w.data for w in weights]))
    assert runs[0] == runs[1]


def test_mini_batches_of_one_sample_have_the_bits_of_backward():
    """Of one tape, too."""
    weights = [Value(w) for w in WEIGHTS]
    tape = fg.record(loss_of(weights), [0.5, 0.5], 1.0)
    xs, ys = [[0.5, 1.0], [-0.25, 2.0], [1.5, 0.125]], [1.0, -1.0, 0.5]
    optimizer = optim.SGD(tape.parameters, lr=0.1)
    losses = fg.fit(tape, xs, ys, optimizer=optimizer, steps=7, batch_size=1, shuffle=False)
    data = [w.data for w in weights]
    for w, first in zip(weights, WEIGHTS, strict=True):
        w.data = first
    for step, loss in enumerate(losses):
        optimizer.zero_grad()
        assert tape.backward(xs[step % 3], ys[step % 3]) == loss
        optimizer.step()
    assert [w.data for w in weights] == data


def test_each_epoch_uses_each_sample_once_in_a_new_order():
    w = Value(0.0)
    samples = [[2.0**i] + [0.0] * (i % 3) for i in range(13)]
    tapes = fg.record_each(lambda xs: 0 * w + xs[0], samples)
    losses = fg.fit(tapes, samples, optimizer=optim.SGD([w]), steps=15, batch_size=3, reduce="sum")
    epochs = [losses[i : i + 5] for i in (0, 5, 10)]
    for epoch in epochs:
        assert sum(map(int, epoch)) == 2**13 - 1
        assert [int(loss).bit_count() for loss in epoch] == [3, 3, 3, 3, 1]
    assert len(set(map(tuple, epochs))) == 3


@pytest.mark.parametrize("tapes_of", [list, tuple, dict, lambda tapes: tapes])
def test_tapes_in_a_list_or_a_dict_are_trained_as_a_family(tapes_of):
    ours, other = Problem(), Problem()
    tapes = other.tapes if tapes_of is dict else list(other.tapes.values())
    losses = other.fit(
        optim.Adam(other.weights), 20, dict(enumerate(tapes.values())) if tapes_of is dict else
        tapes_of(tapes), batch_size=4,
    )  # fmt: skip
    assert losses == ours.fit(optim.Adam(ours.weights), 20, batch_size=4)
    assert ours.data() == other.data()


@pytest.mark.parametrize("size", [1, 3, None])
def test_tapes_of_unlike_parameters_share_an_optimizer(size):
    """A parameter that no tape of the mini-batch has gets a gradient of 0."""
    runs = []
    for by_hand in (False, True):
        problem = Problem()
        function = loss_of(problem.weights)
        problem.tapes = fg.TapeFamily(
            fg.record(function, [0.5] * n, 1.0, parameters=[problem.weights[n - 1]])
            for n in (3, 1, 4, 2)
        )
        assert list(problem.tapes.parameters) != list(problem.tapes[((1,), ())].parameters)
        optimizer = optim.Adam(problem.weights, lr=0.02)
        if by_hand:
            batches = problem.in_order(size or len(problem.samples), 40)
            losses = problem.by_hand(optimizer, batches)
        else:
            losses = problem.fit(optimizer, 40, batch_size=size, shuffle=False, reduce="sum")
        runs.append((losses, problem.data()))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("size", [1, 4, None])
@pytest.mark.parametrize("cuts", [[5], [1, 2, 3], [6, 12]])
def test_run_in_parts_over_a_family_equals_the_whole_run(size, cuts):
    ours, other = Problem(), Problem()
    whole = ours.fit(optim.Adam(ours.weights), 20, batch_size=size, seed=3)
    optimizer, begin, losses = optim.Adam(other.weights), 0, []
    for end in [*cuts, 20]:
        losses += other.fit(optimizer, end - begin, start=begin, batch_size=size, seed=3)
        begin = end
    assert (losses, other.data()) == (whole, ours.data())


def test_any_number_of_threads_gives_the_same_bits_over_a_family():
    runs = []
    for threads in (1, 2, 3):
        problem = Problem(n=600)
        losses = problem.fit(optim.SGD(problem.weights, lr=0.1), 5, threads=threads)
        runs.append((losses, problem.data()))
    assert runs[0] == runs[1] == runs[2]


def test_callback_and_schedule_see_and_set_parameters_of_a_family():
    ours, other = Problem(), Problem()
    seen = []

    def callback(done, losses):
        seen.append((done, ours.data()))
        if done == 6:
            ours.weights[0].data = 0.125
        return done == 9

    losses = ours.fit(
        optim.SGD(ours.weights), 20, batch_size=2, shuffle=False, reduce="sum", callback=callback,
        every=3, schedule=lambda step: 0.1 / (step + 1),
    )  # fmt: skip
    optimizer, expected = optim.SGD(other.weights), []
    for step, batch in enumerate(other.in_order(2, 9)):
        if step == 6:
            other.weights[0].data = 0.125
        optimizer.lr = 0.1 / (step + 1)
        expected += other.by_hand(optimizer, [batch])
        if step in (2, 5, 8):
            assert (step + 1, other.data()) in seen
    assert (losses, ours.data()) == (expected, other.data())


@pytest.mark.parametrize("number", [1, 2, 5, 40])
def test_interrupted_fit_over_a_family_ends_between_two_steps(number):
    ours, other = Problem(), Problem()
    adam = optim.Adam(ours.weights)
    with pytest.raises(KeyboardInterrupt) as raised:
        at_each_poll(
            lambda: ours.fit(adam, 10**8, batch_size=3, shuffle=False, reduce="sum"),
            stop_at(number),
        )
    made = int(adam.state_dict()["state"][0]["step"])
    assert len(raised.value.history) == made if hasattr(raised.value, "history") else not made
    other_adam = optim.Adam(other.weights)
    other.by_hand(other_adam, other.in_order(3, made))
    assert (ours.data(), adam.state_dict()) == (other.data(), other_adam.state_dict())


def test_handlers_see_the_parameters_of_the_steps_made():
    """At each poll of a run: those after some number of whole steps, never older ones."""
    ours, other = Problem(), Problem()
    states, seen = [other.data()], []
    optimizer = optim.SGD(other.weights, lr=0.05)
    for batch in other.in_order(3, 40):
        other.by_hand(optimizer, [batch])
        states.append(other.data())
    at_each_poll(
        lambda: ours.fit(
            optim.SGD(ours.weights, lr=0.05), 40, batch_size=3, shuffle=False, reduce="sum"
        ),
        lambda _: seen.append(states.index(ours.data())),
    )
    assert seen == sorted(seen)
    assert ours.data() == states[-1]


def steep(w):
    return lambda xs: (w * xs[0] * 1e200).sin() * 1e150 + w * 0.5 + 0 * sum(xs)


@pytest.mark.parametrize("size", [1, 3, None])
def test_non_finite_gradient_of_a_family_names_the_sample_and_changes_nothing(size):
    w = Value(1.0)
    samples = [[0.0] * (1 + i % 3) for i in range(9)]
    tapes = fg.record_each(steep(w), samples)
    optimizer = optim.Adam([w], lr=1e-3)
    fg.fit(tapes, samples, optimizer=optimizer, steps=2)
    samples[7] = [1.0, 0.0]
    before = None

    def note(done, _):
        nonlocal before
        before = w.data, repr(optimizer.state_dict())

    with pytest.raises(NonFiniteError, match="inf in its derivative in sample 7") as raised:
        fg.fit(
            tapes, samples, optimizer=optimizer, steps=20, batch_size=size, shuffle=False,
            callback=note,
        )  # fmt: skip
    done = {1: 7, 3: 2, None: 0}[size]
    assert len(raised.value.history) == done
    assert f"step {done} of fit: mul(" in str(raised.value)
    assert before is None or (w.data, repr(optimizer.state_dict())) == before


def test_non_finite_error_lists_the_decisions_of_the_tapes():
    w = Value(1.0)
    with pytest.warns(FastgradWarning):
        tapes = fg.record_each(
            lambda xs: (w * xs[0]).log() if xs[0] > 0 else w * 2, [[1.0], [1.0, 2.0]]
        )
    with pytest.raises(NonFiniteError, match=r"keeps what came out|decision|frozen"):
        fg.fit(tapes, [[0.0], [1.0, 1.0]], optimizer=optim.SGD([w]), steps=1)


@pytest.mark.parametrize("size", [1, 2, None])
def test_bad_index_in_a_family_names_the_sample(size):
    table = [Value(1.0), Value(2.0)]
    tapes = fg.record_each(lambda i, xs: fg.take(table, i) * sum(xs), [(0, [1.0]), (0, [1.0] * 2)])
    samples = [(0, [1.0]), (1, [1.0, 2.0]), (0, [1.0]), (0, [2.0]), (5, [1.0, 1.0])]
    with pytest.raises(FastgradIndexError, match=r"-2 to 1, got 5 .*sample 4"):
        fg.fit(tapes, samples, optimizer=optim.SGD(table), steps=9, batch_size=size, shuffle=False)


def test_custom_operation_in_a_family_sees_parameters_and_is_named_with_its_sample():
    w = Value(1.0)
    seen = []

    @fg.custom("watched")
    def watched(x):
        seen.append(w.data)
        if x > 20:
            raise ValueError("too large")
        return 2 * x

    watched.partials(lambda x, y: 2.0)
    tapes = fg.record_each(lambda xs: watched(w * sum(xs)), [[1.0], [1.0, 2.0]])
    for size, samples in ((1, 4), (2, 2)):
        del seen[:]
        w.data = 1.0
        optimizer = optim.SGD([w], lr=0.01)
        data = [[1.0], [1.0, 2.0], [1.0], [100.0, 0.0]]
        with pytest.raises(ValueError, match="too large") as raised:
            fg.fit(tapes, data, optimizer=optimizer, steps=9, batch_size=size, shuffle=False)
        assert "sample 3" in raised.value.__notes__[0]
        assert len(dict.fromkeys(seen)) == samples
        assert seen[-1] == w.data


def test_parameters_are_reported_to_a_recording_as_read():
    w = Value(1.0)
    tapes = fg.record_each(lambda xs: w * sum(xs), [[1.0], [1.0, 2.0]])

    def trained(x):
        fg.fit(tapes, [[1.0], [1.0, 2.0]], optimizer=optim.SGD([w], lr=0.0), steps=1)
        return x * w

    with pytest.warns(FastgradWarning):
        decisions = fg.record(trained, 1.0).decisions
    assert "tape" in [decision.what for decision in decisions]


def test_odd_data_for_a_family_are_refused():
    problem = Problem()
    before = problem.data()
    sgd = optim.SGD(problem.weights)
    good = problem.samples[0]
    for data, error, words in (
        ([[]], FastgradValueError, "at least one sample"),
        ([3], FastgradTypeError, "a list of samples"),
        ([[good], [1.0]], FastgradTypeError, "one list of samples, got 2 arguments"),
        ([], FastgradTypeError, "one list of samples, got 0 arguments"),
        ([[good, ([1.0] * 9, 1.0)]], ShapeError, r"got \(9,\), \(\) \(sample 1 of fit\)"),
        ([[good, (good[0], [1.0, 2.0])]], ShapeError, "sample 1 of fit"),
        ([[good, ([1.0, "a"], 1.0)]], FastgradTypeError, "numbers.*xs, sample 1"),
        ([[good, ([1.0, Value(2.0)], 1.0)]], FastgradTypeError, "numbers.*xs, sample 1"),
        ([[good, ([1.0], None)]], ShapeError, "a number, got NoneType None .y, sample 1"),
    ):
        with pytest.raises(error, match=words):
            fg.fit(problem.tapes, *data, optimizer=sgd, steps=1)
    other = fg.record(lambda x: [x, x], 1.0)
    with pytest.raises(TapeError, match="one Value"):
        fg.fit([other], [1.0], optimizer=sgd, steps=1)
    with pytest.raises(FastgradValueError, match=r"none of its 5 among the 1 of the optimizer"):
        fg.fit(problem.tapes, problem.samples, optimizer=optim.SGD([Value(1.0)]), steps=1)
    extra = optim.SGD([*problem.weights, Value(1.0)], lr=0.0)
    with pytest.warns(FastgradWarning, match="1 of the .*6 parameters are not on the tapes"):
        fg.fit(problem.tapes, problem.samples, optimizer=extra, steps=1)
    assert problem.data() == before


def test_loop_of_odd_tapes_and_numbers_is_refused():
    problem = Problem()
    source = optim.SGD(problem.weights).updaters
    tapes = tuple(problem.tapes.values())[:2]
    sample = [([0.5], 1.0)]
    one = (problem.tapes[((1,), ())],)
    for given, data, chosen, error in (
        ((), [], None, FastgradTypeError),
        ((3,), [], None, FastgradTypeError),
        (one, None, None, TypeError),
        (one, sample, [0, 0], FastgradValueError),
        (one, sample, [1], FastgradIndexError),
        (one, sample, [-1], OverflowError),
        (tapes, sample, [0], (FastgradValueError, ShapeError)),
        (one, [([[0.5]], 1.0)], [0], ShapeError),
        (one, [None], [0], TypeError),
    ):
        with pytest.raises(error):
            Loop(given, data, source, 1, None, 0, True, 1, True, chosen)
    Loop.__new__(Loop).close()
    assert Loop.__new__(Loop).found() is None


def test_samples_are_read_once():
    """What the caller does to a sample afterwards changes nothing."""
    ours, other = Problem(), Problem()

    def spoil(done, _):
        for xs, _y in ours.samples:
            xs[0] = math.nan

    losses = ours.fit(optim.SGD(ours.weights), 30, batch_size=3, callback=spoil)
    assert losses == other.fit(optim.SGD(other.weights), 30, batch_size=3)


@pytest.mark.parametrize("size", [1, 3])
def test_frames_of_a_family_are_given_back_and_read_parameters_anew(size):
    problem = Problem()
    problem.fit(optim.SGD(problem.weights, lr=0.1), 30, batch_size=size)
    sizes = [tape.nbytes for tape in problem.tapes.values()]
    for _ in range(3):
        problem.fit(optim.SGD(problem.weights, lr=0.1), 30, batch_size=size)
    assert [tape.nbytes for tape in problem.tapes.values()] == sizes
    fresh = fg.record_each(loss_of(problem.weights), problem.samples, parameters=problem.weights)
    for sample in problem.samples:
        assert problem.tapes(*sample) == fresh(*sample)


def test_references_to_tapes_and_samples_are_given_back():
    problem = Problem()
    sample = problem.samples[0][0]
    tape = next(iter(problem.tapes.values()))
    counts = sys.getrefcount(sample), sys.getrefcount(tape)
    problem.fit(optim.SGD(problem.weights), 10, batch_size=3)
    assert (sys.getrefcount(sample), sys.getrefcount(tape)) == counts
