"""fit: the native training loop.

Oracle: the loop written out, `zero_grad`, `tape.backward`, `step`, bit for bit; for mini-batches,
that each epoch uses every sample once.
"""

import inspect
import math
import random
import sys
from functools import partial

import pytest
from helpers.optimizers import RULES, make, switched_on
from helpers.polls import at_each_poll, stop_at

import fastgrad as fg
from fastgrad import Value, functional, nn, optim
from fastgrad.errors import (
    FastgradOverflowError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    NonFiniteError,
    ShapeError,
    TapeError,
)


def problem(seed=3, n=37):
    rng = random.Random(seed)
    random.seed(seed)
    model = nn.MLP(2, [5, 1])

    def loss(x, y):
        return (1 - y * model(x)).relu() + 1e-3 * sum(p * p for p in model.parameters())

    tape = fg.record(loss, [0.0, 0.0], 1.0)
    xs = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(n)]
    ys = [1.0 if x[0] * x[1] > 0 else -1.0 for x in xs]
    return model, tape, xs, ys


def data_of(model):
    return [p.data for p in model.parameters()]


def by_hand(tape, optimizer, args, steps, reduce="mean", rate=None):
    losses = []
    for k in range(steps):
        if rate is not None:
            optimizer.lr = rate(k)
        optimizer.zero_grad()
        losses.append(tape.backward(*args, reduce=reduce))
        optimizer.step()
    return losses


@pytest.mark.parametrize("hyper_of", [lambda _: {}, switched_on], ids=["defaults", "all"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_fit_of_a_full_batch_equals_the_written_loop(rule, hyper_of, reduce):
    hyper = {**hyper_of(rule), "lr": 0.02}
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    expected = by_hand(other_tape, make(rule, other.parameters(), hyper), (xs, ys), 30, reduce)
    losses = fg.fit(
        tape, xs, ys, optimizer=make(rule, model.parameters(), hyper), steps=30, reduce=reduce
    )
    assert losses == expected
    assert data_of(model) == data_of(other)


def test_fit_of_one_sample_converges():
    w = Value(0.0)
    tape = fg.record(lambda x: (w * x - 6.0) ** 2, 2.0)
    losses = fg.fit(tape, 2.0, optimizer=optim.SGD([w], lr=0.1), steps=40)
    assert losses[0] == 36.0
    assert w.data == pytest.approx(3.0)


def test_fit_continues_from_the_optimizer_state():
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    adam, other_adam = optim.Adam(model.parameters()), optim.Adam(other.parameters())
    expected = by_hand(other_tape, other_adam, (xs, ys), 20)
    first = fg.fit(tape, xs, ys, optimizer=adam, steps=7)
    second = by_hand(tape, adam, (xs, ys), 6)
    third = fg.fit(tape, xs, ys, optimizer=adam, steps=7)
    assert first + second + third == expected
    assert adam.state_dict() == other_adam.state_dict()


def test_fit_result_is_independent_of_parameter_order():
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    by_hand(other_tape, optim.SGD(other.parameters(), lr=0.05), (xs, ys), 10)
    params = model.parameters()
    extra = Value(7.0)
    groups = [{"params": params[5:][::-1]}, {"params": [extra, *params[:5]]}]
    with pytest.warns(
        FastgradWarning, match="1 of the optimizer's 22 parameters are not on the tape"
    ):
        fg.fit(tape, xs, ys, optimizer=optim.SGD(groups, lr=0.05), steps=10)
    assert data_of(model) == data_of(other)
    assert extra.data == 7.0, "no part of the tape: its gradient is 0"


def test_fit_keeps_parameters_missing_from_the_optimizer():
    model, tape, xs, ys = problem()
    before = data_of(model)
    fg.fit(tape, xs, ys, optimizer=optim.SGD(model.parameters()[:3], lr=0.1), steps=5)
    assert data_of(model)[3:] == before[3:]
    assert data_of(model)[:3] != before[:3]


def test_fit_leaves_grad_unchanged():
    model, tape, xs, ys = problem()
    model.parameters()[0].grad = 5.0
    fg.fit(tape, xs, ys, optimizer=optim.SGD(model.parameters()), steps=5)
    assert [p.grad for p in model.parameters()] == [5.0] + [0.0] * (len(model.parameters()) - 1)


@pytest.mark.parametrize("batch_size", [1, 5, 8, 36, 37, 100])
def test_mini_batches_use_each_sample_once_an_epoch(batch_size):
    n = 37
    w = Value(0.0)
    tape = fg.record(lambda x: 0 * w + x, 1.0)
    samples = [float(2**i) for i in range(n)]
    steps = 3 * math.ceil(n / batch_size)
    losses = fg.fit(
        tape, samples, optimizer=optim.SGD([w]), steps=steps, batch_size=batch_size, reduce="sum"
    )
    each = steps // 3
    epochs = [losses[i * each : (i + 1) * each] for i in range(3)]
    for epoch in epochs:
        assert sum(map(int, epoch)) == 2**n - 1
        counts = [int(loss).bit_count() for loss in epoch]
        assert counts[:-1] == [batch_size] * (each - 1)
        assert sum(counts) == n
    if 1 < batch_size < n:
        assert len({tuple(epoch) for epoch in epochs}) == 3, "a new order each time"


def test_fit_with_equal_seeds_gives_equal_runs():
    runs = []
    for seed in (1, 1, 2):
        model, tape, xs, ys = problem()
        losses = fg.fit(
            tape,
            xs,
            ys,
            optimizer=optim.Adam(model.parameters()),
            steps=50,
            batch_size=8,
            seed=seed,
        )
        runs.append((losses, data_of(model)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_shuffling_is_uniform():
    """Each sample comes first about as often as any other: 7 samples, 7,000 epochs, 6 sigma."""
    w = Value(0.0)
    tape = fg.record(lambda x: 0 * w + x, 1.0)
    losses = fg.fit(
        tape, [float(i) for i in range(7)], optimizer=optim.SGD([w]), steps=49_000, batch_size=1
    )
    for place in range(7):
        counts = [losses[place::7].count(float(i)) for i in range(7)]
        assert all(abs(count - 1000) < 180 for count in counts), counts


def test_shared_arguments_are_used_by_every_mini_batch():
    w = Value(1.0)
    tape = fg.record(lambda x, k: w * x * k[0] + k[1], 1.0, [1.0, 2.0])
    losses = fg.fit(tape, [1.0, 2.0, 3.0], [2.0, 10.0], optimizer=optim.SGD([w], lr=0.0), steps=3,
                    batch_size=1)  # fmt: skip
    assert sorted(losses) == [12.0, 14.0, 16.0]


def test_schedule_may_be_a_list_a_tuple_or_a_function():
    rates = [0.1 - 0.002 * k for k in range(30)]
    runs = []
    for schedule in (rates, lambda k: rates[k], tuple(rates)):
        model, tape, xs, ys = problem()
        optimizer = optim.SGD(model.parameters())
        runs.append(fg.fit(tape, xs, ys, optimizer=optimizer, steps=30, schedule=schedule))
        assert optimizer.lr == rates[-1]
    other, other_tape, xs, ys = problem()
    expected = by_hand(
        other_tape, optim.SGD(other.parameters()), (xs, ys), 30, rate=rates.__getitem__
    )
    assert runs == [expected] * 3
    model, tape, xs, ys = problem()
    optimizer = optim.SGD(model.parameters())
    fg.fit(tape, xs, ys, optimizer=optimizer, steps=3, schedule=0.25)
    assert optimizer.lr == 0.25


def test_fit_gives_the_same_bits_on_any_thread_count():
    runs = []
    for threads in (1, 2, 3):
        model, tape, xs, ys = problem(n=2000)
        losses = fg.fit(
            tape, xs, ys, optimizer=optim.SGD(model.parameters(), lr=0.1), steps=5, threads=threads
        )
        runs.append((losses, data_of(model)))
    assert runs[0] == runs[1] == runs[2]


def test_non_finite_loss_stops_fit_before_its_update():
    w = Value(1.0)
    tape = fg.record(lambda x: (w * x) ** 2, 1.0)
    with pytest.raises(NonFiniteError, match="expected a finite loss, got inf") as raised:
        fg.fit(tape, 1.0, optimizer=optim.SGD([w], lr=1e30), steps=100)
    history = raised.value.history
    assert 1 <= len(history) < 100
    assert all(math.isfinite(loss) for loss in history)
    assert f"step {len(history)} of fit" in str(raised.value)
    assert not math.isfinite(tape(1.0)), "the parameter that gave it is still there"


def state_of(optimizer):
    return repr(optimizer.state_dict())


def steep(w):
    """Return a loss that is finite at 1, with an infinite gradient, and its line; 0 is harmless."""

    def loss(x):
        angle = w * x * 1e200
        return angle.sin() * 1e150 + w * 0.5

    return loss, inspect.getsourcelines(loss)[1] + 1


@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam], ids=lambda rule: rule.__name__)
def test_non_finite_gradient_stops_fit_before_its_update(rule):
    w = Value(1.0)
    loss, line = steep(w)
    tape = fg.record(loss, 0.0)
    optimizer = rule([w], lr=0.01)
    fg.fit(tape, [0.0] * 4, optimizer=optimizer, steps=3)
    before, state = w.data, state_of(optimizer)
    with pytest.raises(
        NonFiniteError, match="expected a finite gradient, got nan or inf"
    ) as raised:
        fg.fit(tape, [0.0, 0.0, 0.0, 1.0], optimizer=optimizer, steps=1)
    assert (w.data, state_of(optimizer)) == (before, state)
    assert "step 0 of fit: mul(" in str(raised.value)
    assert f"inf in its derivative in sample 3, recorded at {__file__}:{line}" in str(raised.value)


def test_stopped_fit_names_sample_step_and_line_of_a_mini_batch():
    w = Value(1.0)
    loss, line = steep(w)
    tape = fg.record(loss, 1.0)
    xs = [0.0] * 40
    xs[23] = 1.0
    sgd = optim.SGD([w], lr=1e-3)
    with pytest.raises(NonFiniteError) as raised:
        fg.fit(tape, xs, optimizer=sgd, steps=100, batch_size=8, seed=3)
    done = len(raised.value.history)
    assert f"step {done} of fit: mul(" in str(raised.value)
    assert "inf in its derivative in sample 23" in str(raised.value)
    assert f":{line} in steep" in str(raised.value)
    again = Value(1.0)
    loss, _ = steep(again)
    fg.fit(
        fg.record(loss, 1.0), [0.0] * 40, optimizer=optim.SGD([again], lr=1e-3),
        steps=done, batch_size=8, seed=3,
    )  # fmt: skip
    assert w.data == pytest.approx(again.data, rel=1e-12)


def test_stopped_fit_of_one_sample_and_of_a_nan_loss_names_the_operation():
    w = Value(1.0)
    tape = fg.record(lambda x: (w * x).log(), 1.0)
    with pytest.raises(NonFiniteError, match=r"got nan \(step 0 of fit: log\(-1.0\) = nan, rec"):
        fg.fit(tape, -1.0, optimizer=optim.SGD([w], lr=0.1), steps=5)
    assert w.data == 1.0
    with pytest.raises(
        NonFiniteError, match=r"got -inf \(step 0 of fit: log\(0.0\) = -inf in sample 1"
    ):
        fg.fit(tape, [1.0, 0.0], optimizer=optim.SGD([w], lr=0.1), steps=5)
    assert w.data == 1.0


def test_stopped_fit_of_a_sum_that_is_too_large_names_no_operation():
    w = Value(1.0)
    tape = fg.record(lambda x: w * x, 1.0)
    with pytest.raises(NonFiniteError, match=r"got inf \(step 0 of fit\)"):
        fg.fit(tape, [1e308] * 4, optimizer=optim.SGD([w], lr=0.1), reduce="sum")


def test_large_finite_gradients_whose_sum_is_infinite_do_not_stop_fit():
    w, v = Value(1e-300), Value(1e-300)
    tape = fg.record(lambda x: w * x + v * x, 1.0)
    fg.fit(tape, [1e308], optimizer=optim.SGD([w, v], lr=1e-308), steps=1)
    assert w.data == v.data == pytest.approx(-1.0)


def test_masked_infinities_do_not_stop_fit():
    w = Value(2.0)
    tape = fg.record(lambda x: fg.where(functional.gt(x, 0.0), (w / x).log(), w * 3.0), 1.0)
    fg.fit(tape, [0.0, -1.0], optimizer=optim.SGD([w], lr=0.1), steps=1)
    assert w.data == pytest.approx(1.7)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_interrupted_fit_keeps_parameters_and_state_consistent(number):
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    adam = optim.Adam(model.parameters())
    fit = partial(fg.fit, tape, xs, ys, optimizer=adam, steps=10**9 // 8)
    with pytest.raises(KeyboardInterrupt):
        at_each_poll(fit, stop_at(number))
    made = int(adam.state_dict()["state"][0]["step"])
    assert 0 < made < 10_000
    other_adam = optim.Adam(other.parameters())
    by_hand(other_tape, other_adam, (xs, ys), made)
    assert data_of(model) == data_of(other)
    assert adam.state_dict() == other_adam.state_dict()


def test_exception_of_the_schedule_keeps_the_steps_done():
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()

    def schedule(k):
        if k == 4:
            raise RuntimeError("enough")
        return 0.05

    with pytest.raises(RuntimeError, match="enough"):
        fg.fit(tape, xs, ys, optimizer=optim.SGD(model.parameters()), steps=10, schedule=schedule)
    by_hand(other_tape, optim.SGD(other.parameters(), lr=0.05), (xs, ys), 4)
    assert data_of(model) == data_of(other)


def test_parameters_of_a_subclass_are_trained():
    class Weight(Value):
        __slots__ = ()

    w = Weight(0.0)
    tape = fg.record(lambda x: (w * x - 6.0) ** 2, 2.0)
    fg.fit(tape, 2.0, optimizer=optim.SGD([w], lr=0.1), steps=40)
    assert w.data == pytest.approx(3.0)


def test_fit_of_no_steps_changes_nothing():
    model, tape, xs, ys = problem()
    before = data_of(model)
    assert fg.fit(tape, xs, ys, optimizer=optim.SGD(model.parameters()), steps=0) == []
    assert data_of(model) == before


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress_is_shown_with_and_without_tqdm(capsys, monkeypatch, with_tqdm):
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    losses = fg.fit(tape, xs, ys, optimizer=optim.SGD(model.parameters()), steps=250, progress=True)
    assert losses == by_hand(other_tape, optim.SGD(other.parameters()), (xs, ys), 250)
    shown = capsys.readouterr().err
    assert "250" in shown
    assert "loss" in shown


WRONG = {
    "steps": ([1.0], {"steps": -1}, FastgradValueError, "at least 0, got -1"),
    "half a step": ([1.0], {"steps": 1.5}, FastgradValueError, "steps of fit"),
    "batch size": ([[1.0]], {"batch_size": 0}, FastgradValueError, "at least 1, got 0"),
    "no steps": ([1.0], {"steps": None}, FastgradTypeError, "at least 0, got None .steps of fit"),
    "half a seed": ([1.0], {"seed": 1.5}, FastgradValueError, "got 1.5 .seed of fit"),
    "negative seed": ([1.0], {"seed": -5}, OverflowError, "got -5 .seed of fit"),
    "large seed": ([1.0], {"seed": 1 << 64}, FastgradOverflowError, "18446744073709551615"),
    "threads": ([[1.0]], {"threads": 0}, FastgradValueError, "threads of fit"),
    "reduce": ([1.0], {"reduce": "max"}, FastgradValueError, '"mean" or "sum"'),
    "rates": ([1.0], {"steps": 3, "schedule": [0.1]}, FastgradValueError, "3 learning rates"),
    "shape": ([[[1.0]]], {}, ShapeError, "x"),
    "arguments": ([], {}, TypeError, "as recorded"),
    "no optimizer": ([1.0], {"optimizer": 3}, FastgradTypeError, "optimizer of fastgrad.optim"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_raise_and_change_nothing(name):
    w = Value(2.0)
    tape = fg.record(lambda x: w * x, 1.0)
    optimizer = optim.SGD([w])
    args, options, error, match = WRONG[name]
    with pytest.raises(error, match=match):
        fg.fit(tape, *args, **{"optimizer": optimizer, **options})
    assert (w.data, w.grad) == (2.0, 0.0)
    assert fg.fit(tape, 1.0, optimizer=optimizer, steps=1) == [2.0]


def test_fit_of_something_that_is_no_tape_is_refused():
    with pytest.raises(FastgradTypeError, match="expected a tape, or several, got"):
        fg.fit(len, 1.0, optimizer=optim.SGD([Value(1.0)]))


def test_fit_of_a_structured_result_is_refused():
    w = Value(1.0)
    tape = fg.record(lambda x: [w * x, x], 1.0)
    with pytest.raises(TapeError, match="expected a function that returns one Value"):
        fg.fit(tape, 1.0, optimizer=optim.SGD([w]))


def test_arrays_of_any_layout_give_the_same_losses():
    np = pytest.importorskip("numpy")
    model, tape, xs, ys = problem()
    other, other_tape, _, _ = problem()
    expected = fg.fit(
        other_tape, xs, ys, optimizer=optim.SGD(other.parameters()), steps=9, batch_size=10
    )
    X, Y = np.asfortranarray(xs), np.array(ys + ys)[::2]
    Y[:] = ys
    assert (
        fg.fit(tape, X, Y, optimizer=optim.SGD(model.parameters()), steps=9, batch_size=10)
        == expected
    )
