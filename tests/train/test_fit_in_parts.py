"""fit in parts: callbacks between steps, runs that go on where others ended, the order of batches.

Oracle: one uninterrupted call of fit, and the loop written out, bit for bit.
"""

import pytest
from helpers.polls import at_each_poll, stop_at

import fastgrad as fg
from fastgrad import Value, optim
from fastgrad.errors import FastgradTypeError, FastgradValueError, NonFiniteError

XS = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 3.0]
YS = [1.0, 0.0, 2.0, -1.0, 0.5, 1.5, -2.0]


class Run:
    """A small problem, and what fit leaves of it."""

    def __init__(self):
        self.w, self.b = Value(0.1), Value(-0.2)
        self.tape = fg.record(lambda x, y: (self.w * x + self.b - y) ** 2, 1.0, 1.0)
        self.optimizer = optim.Adam([self.w, self.b], lr=0.1)
        self.losses = []

    def fit(self, steps, **options):
        options = {"batch_size": 3, "seed": 4, **options}
        losses = fg.fit(self.tape, XS, YS, optimizer=self.optimizer, steps=steps, **options)
        self.losses += losses
        return losses

    def state(self):
        return self.w.data, self.b.data, self.losses, self.optimizer.state_dict()


def uninterrupted(steps, **options):
    run = Run()
    run.fit(steps, **options)
    return run.state()


@pytest.mark.parametrize("cuts", [[5], [3], [1, 2, 3, 4], [7, 11]])
@pytest.mark.parametrize("batch_size", [3, 7, None])
def test_run_in_parts_equals_the_whole_run(cuts, batch_size):
    """Epochs have three batches of at most three: cuts lie within them and between them."""
    run, begin = Run(), 0
    for end in [*cuts, 13]:
        run.fit(end - begin, start=begin, batch_size=batch_size)
        begin = end
    assert run.state() == uninterrupted(13, batch_size=batch_size)


@pytest.mark.parametrize("schedule", [lambda k: 0.1 / (k + 1), [0.1 / (k + 1) for k in range(13)]])
def test_schedule_counts_from_step_0_of_a_run_in_parts(schedule):
    run = Run()
    run.fit(6, schedule=schedule)
    run.fit(7, schedule=schedule, start=6)
    assert run.state() == uninterrupted(13, schedule=schedule)


def test_schedule_that_ends_before_the_last_step_of_a_part_is_refused():
    with pytest.raises(FastgradValueError, match="expected 9 learning rates, got 5"):
        Run().fit(4, start=5, schedule=[0.1] * 5)


def test_batches_without_shuffling_are_in_the_order_of_the_data():
    run, other = Run(), Run()
    losses = run.fit(4, shuffle=False)
    for i in (0, 3, 6, 0):
        other.optimizer.zero_grad()
        other.losses.append(other.tape.backward(XS[i : i + 3], YS[i : i + 3]))
        other.optimizer.step()
    assert losses == pytest.approx(other.losses, rel=1e-12)
    assert losses != uninterrupted(4)[2]


# Callbacks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "every", "expected"),
    [
        (0, 1, [1, 2, 3, 4, 5, 6, 7]),
        (0, 3, [3, 6, 7]),
        (2, 3, [3, 6, 9]),
        (0, 100, [7]),
        (99, 100, [100, 106]),
    ],
)
def test_callback_hears_of_each_step_once(start, every, expected):
    calls = []
    run = Run()

    def note(step, losses):
        calls.append((step, losses))

    losses = run.fit(7, start=start, every=every, callback=note)
    assert [step for step, _ in calls] == expected
    assert [loss for _, part in calls for loss in part] == losses
    assert [len(part) for _, part in calls] == [
        b - a for a, b in zip([start, *expected], expected, strict=False)
    ]


def test_callback_changes_no_bit():
    for options in ({"every": 2}, {"every": 2, "progress": True}, {"schedule": 0.1}):
        run = Run()
        run.fit(9, callback=lambda *_: None, **options)
        assert run.state() == uninterrupted(9)


def test_callback_that_returns_true_ends_the_loop():
    run = Run()
    assert len(run.fit(9, every=4, callback=lambda step, losses: step == 4)) == 4
    assert run.state() == uninterrupted(4)


def test_callback_may_set_data_and_learning_rate():
    def change(step, losses):
        run.w.data, run.optimizer.lr = 0.5, 0.01

    run, other = Run(), Run()
    run.fit(4, every=2, callback=change)
    for start in (0, 2):
        other.fit(2, start=start)
        other.w.data, other.optimizer.lr = 0.5, 0.01
    assert run.state() == other.state()


def test_callback_that_raises_ends_the_loop_between_two_steps():
    def refuse(step, losses):
        raise LookupError(step)

    run = Run()
    with pytest.raises(LookupError, match="6"):
        run.fit(9, every=6, callback=refuse)
    assert (run.w.data, run.b.data) == uninterrupted(6)[:2]


def test_keyboard_interrupt_has_the_losses_of_the_steps_made():
    run = Run()
    with pytest.raises(KeyboardInterrupt) as caught:
        at_each_poll(lambda: run.fit(10**6), stop_at(5))
    losses = caught.value.history
    assert 0 < len(losses) < 10**6
    w, b, whole, state = uninterrupted(len(losses))
    assert (run.w.data, run.b.data, losses, run.optimizer.state_dict()) == (w, b, whole, state)


def test_non_finite_error_counts_steps_from_step_0():
    w = Value(2.0)
    tape = fg.record(lambda: (w * 1.0) ** 2)
    with pytest.raises(NonFiniteError, match=r"step 1\d+ of fit"):
        fg.fit(tape, optimizer=optim.SGD([w], lr=1e30), steps=100, start=10)


@pytest.mark.parametrize(
    ("options", "error", "fragment"),
    [
        ({"start": -1}, FastgradValueError, "an integer of at least 0, got -1 (start of fit)"),
        ({"start": None}, FastgradTypeError, "an integer of at least 0, got None (start of fit)"),
        ({"every": 0}, FastgradValueError, "an integer of at least 1, got 0 (every of fit)"),
        ({"callback": 3}, FastgradTypeError, "a function of the number of steps and the losses"),
    ],
)
def test_options_of_no_use_are_refused(options, error, fragment):
    with pytest.raises(error) as caught:
        Run().fit(3, **options)
    assert fragment in str(caught.value)
