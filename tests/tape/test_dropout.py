"""Dropout on tapes: drawn at each call, for each sample, in every mode.

Oracles: Philox in plain Python; a tape of the same function whose masks are arguments; the eager
engine from the same state of the generator.
"""

import copy
import math
import os
import pickle
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.custom_operations import swish
from helpers.dropouts import Model, masks, seeded
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, manual_seed, nn, optim, record
from fastgrad._native.tape.replay import use_groups
from fastgrad._random import default_generator
from fastgrad.errors import FastgradTypeError, FastgradWarning, NonFiniteError, TapeError

F = functional
LEVELS = ("baseline", "avx2", "avx512")
W = [Value(0.7), Value(-0.4), Value(1.3), Value(0.25)]


def network(drop, x, y):
    """Compute a loss with dropouts of odd and even numbers, one inside the other."""
    hidden = [F.tanh(w * a + w) for w in W for a in x]
    hidden = drop(hidden, 0.4)
    again = drop([hidden[0] * hidden[3], hidden[1] + x[0], F.exp(hidden[2])], 0.25)
    return (F.sum(again) + F.sum(hidden) - y) ** 2 + drop([W[3] * x[1]], 0.9)[0]


def model():
    return Model(network, [0.5, -1.0], 0.3, parameters=W)


def data(n, seed=1):
    rng = random.Random(seed)
    return [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(n)], [
        rng.uniform(-1, 1) for _ in range(n)
    ]


# -- which numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", ["always", "never", "auto"])
def test_one_sample_draws_what_philox_gives_in_every_mode(groups):
    m = model()
    before = use_groups(groups)
    try:
        for seed in range(20):
            x, y = [0.3 + seed, -0.7], 1.5
            generator = seeded(m.tape, seed, 5)
            factors = m.masks(seed, 5)
            assert m.tape(x, y) == m.with_masks(x, y, factors)
            assert generator.state == (seed, 8)
            seeded(m.tape, seed, 5)
            assert m.tape.value_and_grad(x, y) == m.with_masks.value_and_grad(x, y, factors)
            seeded(m.tape, seed, 5)
            both = m.with_masks.value_and_grad(x, y, factors, wrt=[0, 1])
            assert m.tape.value_and_grad(x, y, wrt="inputs") == both
            seeded(m.tape, seed, 5)
            along = ([1.0, 2.0], 0.5)
            assert m.tape.jvp((x, y), along) == m.with_masks.jvp(
                (x, y, factors), (*along, m.alike(0.0))
            )
            tally("random numbers: samples of tapes with dropout")
    finally:
        use_groups(before)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 333, 1030])
@pytest.mark.parametrize("threads", [1, 3])
def test_batch_draws_by_the_number_of_the_sample(n, threads):
    m = model()
    x, y = data(n)
    factors = m.masks(3, 2**33, n)
    seeded(m.tape, 3, 2**33)
    assert m.tape(x, y, threads=threads) == m.with_masks(x, y, factors)
    for wrt, given in (("parameters", "parameters"), ("inputs", [0, 1]), (0, 0)):
        for reduce in ("mean", "sum", None):
            seeded(m.tape, 3, 2**33)
            got = m.tape.value_and_grad(x, y, wrt=wrt, reduce=reduce, threads=threads)
            expected = m.with_masks.value_and_grad(x, y, factors, wrt=given, reduce=reduce)
            assert got == expected
    seeded(m.tape, 3, 2**33)
    got = m.tape.jvp((x, y), ([1.0, 2.0], 0.5), threads=threads)
    none = m.alike(0.0)
    assert got == m.with_masks.jvp((x, y, factors), ([1.0, 2.0], 0.5, none))


def test_batch_of_tangents_at_one_sample_has_one_mask():
    m = model()
    seeded(m.tape, 4)
    got = m.tape.jvp(([0.5, 0.25], 1.0), ([[1.0, 0.0], [0.0, 1.0]], 0.0))
    args = ([0.5, 0.25], 1.0, m.masks(4, 0))
    none = m.alike(0.0)
    expected = m.with_masks.jvp(args, ([[1.0, 0.0], [0.0, 1.0]], 0.0, none))
    assert got == expected


def test_backward_adds_the_gradient_of_what_it_has_drawn():
    m = model()
    x, y = data(50)
    for p in W:
        p.grad = 0.0
    seeded(m.tape, 8)
    value = m.tape.backward(x, y)
    expected = m.with_masks.value_and_grad(x, y, m.masks(8, 0, 50))
    assert (value, [p.grad for p in W]) == (expected[0], expected[1])


def test_part_of_a_batch_draws_what_it_does_in_the_whole():
    m = model()
    x, y = data(100)
    seeded(m.tape, 2, 7)
    whole = m.tape(x, y)
    parts = []
    for begin, end in ((0, 13), (13, 64), (64, 100)):
        seeded(m.tape, 2, 7, first_sample=begin)
        parts += m.tape(x[begin:end], y[begin:end])
    assert parts == whole
    seeded(m.tape, 2, 7, first_sample=99)
    assert m.tape(x[99], y[99]) == whole[99]


def test_groups_of_a_batch_draw_what_it_does_in_one_call():
    m = model()
    x, y = data(700)
    seeded(m.tape, 3, 1)
    value = m.tape.value_and_grad(x, y)
    generator = seeded(m.tape, 3, 1)
    starts = m.tape.group_starts(x[:1], y[:1], of=700)
    assert len(starts) > 3
    parts = [
        m.tape.partial_sums(x[a:b], y[a:b], groups=range(i, i + 1), of=700)
        for i, (a, b) in enumerate(pairwise(starts))
    ]
    assert generator.state == (3, 1)
    assert m.tape.finish(parts, of=700) == value
    assert generator.state == (3, 4)


def check_level(n):
    """Compare batches with masks as arguments, on this process's kernels; return how many."""
    m = Model(lambda drop, x: F.sum(drop([x[0] * i for i in range(7)], 0.3)), [1.0])
    for size in range(1, n):
        seeded(m.tape, size)
        x = [[1.0 + s] for s in range(size)]
        assert m.tape(x) == m.with_masks(x, m.masks(size, 0, size))
    return n


@pytest.mark.parametrize("level", LEVELS)
def test_every_simd_level_draws_the_same(level, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    process = python("-c", "import test_dropout as t\nprint(t.check_level(40))", cwd=tmp_path)
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    assert int(process.stdout) == 40


def test_infinite_partials_are_swept_again_with_the_same_masks():
    """sqrt has an infinite slope at 0, which a factor of 0 takes away: nan by plain products."""
    m = Model(lambda drop, x: F.sum([F.sqrt(a) for a in drop([x * x, x, x + 1], 0.5)]), 0.5)
    x = [0.1 * i for i in range(200)]
    seeded(m.tape, 1)
    got = m.tape.value_and_grad(x, wrt="inputs", reduce=None)
    expected = m.with_masks.value_and_grad(x, m.masks(1, 0, 200), wrt=0, reduce=None)
    assert repr(got[0]) == repr(expected[0])
    assert repr(got[1][0]) == repr(expected[1])


def test_mask_of_an_even_chance_is_fair():
    tape = record(lambda x: F.sum(F.dropout([x] * 10, 0.5)), 1.0)
    seeded(tape, 11)
    found = tape([1.0] * 2000)
    assert abs(sum(found) / 2 / 20_000 - 0.5) < 0.02  # six standard deviations
    rows = record(lambda x: F.dropout([x] * 30, 0.5), 1.0)([1.0] * 2000)
    assert len(set(map(tuple, rows))) == 2000


# -- eager and tape --------------------------------------------------------------------------------


def eager(x, y):
    return network(F.dropout, [Value(v) for v in x], Value(y))


def test_one_sample_has_the_eager_masks_from_the_same_state():
    tape = record(lambda x, y: network(F.dropout, x, y), [0.5, -1.0], 0.3, parameters=W)
    for seed in range(30):
        for p in W:
            p.grad = 0.0
        manual_seed(seed)
        loss = eager([0.2, 0.9], 0.1)
        state = default_generator.state
        loss.backward()
        manual_seed(seed)
        assert tape.value_and_grad([0.2, 0.9], 0.1) == (loss.data, [p.grad for p in W])
        assert default_generator.state == state == (seed, 3)


def test_call_with_values_has_a_graph_with_the_eager_masks():
    tape = record(lambda x, y: network(F.dropout, x, y), [0.5, -1.0], 0.3, parameters=W)
    manual_seed(5)
    expected = eager([0.2, 0.9], 0.1)
    manual_seed(5)
    x = [Value(0.2), Value(0.9)]
    out = tape(x, 0.1)
    assert out.data == expected.data
    for p in W:
        p.grad = 0.0
    out.backward()
    gradient = [v.grad for v in (*x, *W)]
    manual_seed(5)
    value, (of_x, of_w) = tape.value_and_grad([0.2, 0.9], 0.1, wrt=["x", "parameters"])
    assert (value, [*of_x, *of_w]) == (out.data, gradient)


def test_dropout_of_all_and_of_nothing_count_as_calls():
    m = Model(lambda drop, x: F.sum(drop([x], 1.0) + drop([], 0.5) + drop([x * 3], 0.5)), 1.0)
    for call in range(12):
        generator = seeded(m.tape, 0, call)
        assert m.tape(2.0) == m.with_masks(2.0, m.masks(0, call)) in (0.0, 12.0)
        assert generator.state == (0, call + 3)


def test_module_of_dropout_trains_on_a_tape():
    manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
    tape = record(lambda x: net(x)[0], [0.0, 0.0])
    assert len({tape([1.0, 2.0]) for _ in range(20)}) > 10
    net.eval()
    still = record(lambda x: net(x)[0], [0.0, 0.0])
    assert still.stats()["drawn"] == 0
    assert still([1.0, 2.0]) == tape.eval()([1.0, 2.0])


# -- recording -------------------------------------------------------------------------------------


def test_recording_draws_nothing_and_drops_nothing():
    state = default_generator.state
    seen = []

    def function(x):
        row = F.dropout([x, x * 2], 0.5)
        seen.extend(type(v) for v in row)
        return row[0] + row[1]

    tape = record(function, 1.0, check_at=[2.0, (3.0,)])
    assert default_generator.state == state
    assert set(seen) <= {Value, float}
    assert tape.training
    assert tape.decisions == []
    assert record(lambda x: F.dropout([x * 0.0 + 1, 2.0], 0.5)[1], 1.0).stats()["drawn"] == 2


def test_error_in_a_recording_leaves_dropout_eager():
    with pytest.raises(ZeroDivisionError):
        record(lambda x: F.dropout([x / 0.0], 0.5)[0], 1.0)
    assert set(F.dropout([1.0] * 50, 0.5)) == {0.0, 2.0}


def test_tape_called_inside_a_recording_is_drawn_by_the_outer_one():
    inner = record(lambda x: F.sum(F.dropout([x, x * x], 0.5)), 1.0)
    outer = record(lambda x: inner(x) + F.dropout([inner(x + 1)], 0.3)[0], 1.0)
    assert outer.stats()["drawn"] == 5
    assert outer.decisions == []
    for seed in range(10):
        manual_seed(seed)
        got = outer(0.5)
        manual_seed(seed)
        assert (inner(Value(0.5)) + F.dropout([inner(Value(1.5))], 0.3)[0]).data == got
    inner.eval()
    assert record(lambda x: inner(x), 1.0).stats()["drawn"] == 0


def test_numbers_that_a_tape_draws_inside_a_recording_are_a_decision():
    inner = record(lambda x: F.dropout([x], 0.5)[0], 1.0)
    with pytest.warns(FastgradWarning, match="numbers that a tape drew for its dropouts"):
        tape = record(lambda x: x * inner(3.0), 1.0)
    assert [d.what for d in tape.decisions] == ["dropout"]
    with pytest.raises(TapeError, match="call it with Values"):
        record(lambda x: x * inner(3.0), 1.0, strict=True)
    inner.eval()
    assert record(lambda x: x * inner(3.0), 1.0, strict=True)(2.0) == 6.0


def test_two_threads_record_with_dropouts_of_their_own():
    import threading

    found = []

    def work(n):
        tape = record(lambda x: F.sum(F.dropout([x] * n, 0.5)), 1.0)
        found.append((n, tape.stats()["drawn"]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(n, n) for n in range(1, 9)]


def test_custom_operation_beside_dropout_runs_sample_by_sample():
    m = Model(lambda drop, x: F.sum([swish(a) for a in drop([x, x + 1, x * x], 0.5)]), 1.0)
    x = [0.5 * i for i in range(20)]
    seeded(m.tape, 6)
    factors = m.masks(6, 0, 20)
    assert m.tape(x) == m.with_masks(x, factors)
    seeded(m.tape, 6)
    got = m.tape.value_and_grad(x, wrt=0, reduce=None)
    assert got == m.with_masks.value_and_grad(x, factors, wrt=0, reduce=None)
    m.tape.eval()
    ones = m.alike(1.0)
    assert m.tape(x) == m.with_masks(x, ones)


# -- training and evaluation -----------------------------------------------------------------------


def test_tape_out_of_training_drops_and_draws_nothing():
    m = model()
    x, y = data(20)
    generator = seeded(m.tape, 1)
    ones = m.alike(1.0)
    assert m.tape.train(False) is m.tape
    assert not m.tape.training
    assert m.tape(x, y) == m.with_masks(x, y, ones)
    assert m.tape(x[0], y[0]) == m.with_masks(x[0], y[0], ones)
    assert m.tape.value_and_grad(x, y) == m.with_masks.value_and_grad(x, y, ones)
    assert generator.state == (1, 0)
    m.tape.train()
    assert m.tape(x, y) == m.with_masks(x, y, m.masks(1, 0, 20))
    with pytest.raises(FastgradTypeError, match="generator of a tape"):
        m.tape.generator = 5
    with pytest.raises(FastgradTypeError, match="mode of train"):
        m.tape.train("yes")


def test_calls_draw_anew_and_seed_repeats_them():
    tape = record(lambda x: F.dropout([x] * 16, 0.5), 1.0)
    manual_seed(1)
    first = [tape(1.0) for _ in range(5)]
    assert len(set(map(tuple, first))) == 5
    manual_seed(1)
    assert [tape(1.0) for _ in range(5)] == first


def test_index_out_of_range_behind_dropout_is_named():
    tape = record(lambda x, i: fg.take(F.dropout([x, x, x], 0.5), i), 1.0, 0)
    with pytest.raises(IndexError, match=r"got 3 .*sample 2"):
        tape([1.0] * 4, [0, 1, 3, 0])
    odd = record(lambda x: fg.take([x, x * 2], F.dropout([x], 0.5)[0]), 0.0)
    seeded(odd, 3)
    hits = [s for s in range(20) if seeded(odd, 3, 0, s) and odd.generator and _fails(odd)]
    seeded(odd, 3)
    with pytest.raises(IndexError, match=f"got 2 .*sample {hits[0]}"):
        odd([1.0] * 20)


def _fails(tape):
    try:
        tape(1.0)
    except IndexError:
        return True
    return False


def test_check_looks_at_what_the_next_call_draws():
    tape = record(lambda x: F.log(F.dropout([x], 0.5)[0]), 1.0)
    generator = seeded(tape, 0)
    seen = set()
    for call in range(20):
        found = tape.check([1.0, 2.0, 3.0])
        assert generator.state == (0, call)
        result = tape([1.0, 2.0, 3.0])
        bad = [s for s, y in enumerate(result) if y == -float("inf")]
        assert (found.sample if found else None) == (bad[0] if bad else None)
        seen.add(found is None)
        generator.state = (0, call)
        if bad:
            with pytest.raises(NonFiniteError, match=f"sample {bad[0]}"):
                tape([1.0, 2.0, 3.0], check=True)
            assert generator.state == (0, call)
        generator.state = (0, call + 1)
    assert seen == {True, False}


def test_tape_with_decisions_names_the_sample_that_its_masks_made_infinite():
    with pytest.warns(FastgradWarning):
        tape = record(lambda x: F.log(F.dropout([x if x > 0 else 1.0], 0.5)[0]), 1.0)
    for call in range(10):
        generator = seeded(tape, 0, call)
        tape.decisions, kept = [], tape.decisions
        bad = [s for s, y in enumerate(tape([1.0, 2.0, 3.0])) if y == -float("inf")]
        tape.decisions = kept
        generator.state = (0, call)
        if not bad:
            assert tape([1.0, 2.0, 3.0])
            continue
        with pytest.raises(NonFiniteError, match=f"sample {bad[0]}"):
            tape([1.0, 2.0, 3.0])
        for run in (
            lambda: tape.jvp(([1.0, 2.0, 3.0],), (1.0,)),
            lambda: tape.value_and_grad([1.0, 2.0, 3.0]),
            lambda: tape.backward([1.0, 2.0, 3.0]),
        ):
            generator.state = (0, call)
            with pytest.raises(NonFiniteError, match=f"sample {bad[0]}"):
                run()


# -- what is shown, and what travels ---------------------------------------------------------------


def test_printed_tape_shows_its_dropouts():
    tape = model().tape
    text = str(tape)
    assert repr(tape).endswith("12 factors drawn>")
    assert "  dropout0: 8 factors, 0 with probability 0.4\n" in text
    assert "  dropout2: 1 factors, 0 with probability 0.9\n" in text
    assert "dropout0[3]" in text
    assert [name for name, _ in tape.inputs] == ["argument0", "argument1"]
    assert (tape.stats()["inputs"], tape.stats()["drawn"]) == (3, 12)
    assert "drawn" not in repr(record(lambda x: x * 2, 1.0))


@pytest.mark.parametrize(
    "travel",
    [
        lambda tape, file: (tape.save(file), fg.load_tape(file))[1],
        lambda tape, _: pickle.loads(pickle.dumps(tape)),
        lambda tape, _: copy.deepcopy(tape),
        lambda tape, _: copy.copy(tape),
    ],
    ids=["file", "pickle", "deepcopy", "copy"],
)
def test_tape_draws_the_same_where_it_has_travelled(travel, tmp_path):
    tape = model().tape
    again = travel(tape, tmp_path / "a.tape")
    x, y = data(30)
    manual_seed(4)
    expected = tape(x, y)
    manual_seed(4)
    assert again(x, y) == expected
    assert str(again) == str(tape)
    assert again.training
    tape.eval()
    again = travel(tape, tmp_path / "a.tape")
    assert not again.training
    assert again(x, y) == tape(x, y)


def test_pickled_generator_of_a_tape_goes_on_from_its_state():
    tape = model().tape
    seeded(tape, 9, 4, 2)
    again = pickle.loads(pickle.dumps(tape))
    assert again([0.5, 1.0], 2.0) == tape([0.5, 1.0], 2.0)


# -- fit -------------------------------------------------------------------------------------------


def start():
    for p, number in zip(W, (0.7, -0.4, 1.3, 0.25), strict=True):
        p.data = number
    return optim.Adam(W, lr=0.01)


def fitted(tape, *args, parts=(12,), **how):
    optimizer, losses, made = start(), [], 0
    for steps in parts:
        losses += fg.fit(tape, *args, optimizer=optimizer, steps=steps, start=made, **how)
        made += steps
    return losses, [p.data for p in W]


@pytest.mark.parametrize("batch_size", [None, 1, 17, 64])
def test_fit_with_dropout_is_the_same_in_parts_and_on_threads(batch_size):
    tape = model().tape
    x, y = data(100)
    state = default_generator.state
    whole = fitted(tape, x, y, batch_size=batch_size, seed=3)
    assert fitted(tape, x, y, batch_size=batch_size, seed=3, parts=(1, 7, 4), threads=3) == whole
    assert fitted(tape, x, y, batch_size=batch_size, seed=4) != whole
    assert default_generator.state == state
    start()


def test_fit_draws_by_its_seed_and_the_step():
    m = model()
    x, y = data(25)
    key = splitmix(~5 & (2**64 - 1))
    losses = fg.fit(m.tape, x, y, optimizer=optim.SGD(W, lr=0.0), steps=4, start=2, seed=5)
    for step, loss in enumerate(losses, 2):
        factors = m.masks(key, 3 * step, 25)
        assert loss == m.with_masks.value_and_grad(x, y, factors)[0]
    one = fg.fit(m.tape, x[0], y[0], optimizer=optim.SGD(W, lr=0.0), steps=3, seed=5)
    assert one == [m.with_masks(x[0], y[0], m.masks(key, 3 * step)) for step in range(3)]


def splitmix(state):
    state = (state + 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


def test_fit_out_of_training_drops_nothing():
    m = model()
    x, y = data(25)
    m.tape.eval()
    losses = fg.fit(m.tape, x, y, optimizer=optim.SGD(W, lr=0.0), steps=3)
    ones = m.alike(1.0)
    assert set(losses) == {m.with_masks.value_and_grad(x, y, ones)[0]}


@pytest.mark.parametrize("batch_size", [None, 1, 3, 8])
def test_fit_of_a_family_draws_other_numbers_for_each_sample(batch_size):
    w = Value(1.0)
    family = fg.record_each(
        lambda row: F.sum(F.dropout([w * v for v in row], 0.5)), [[1.0] * n for n in (1, 2, 3)],
        parameters=[w],
    )  # fmt: skip
    rows = [[1.0 + n + i for n in range(1 + i % 3)] for i in range(12)]

    def run(parts):
        made, losses = 0, []
        for steps in parts:
            losses += fg.fit(
                family, rows, optimizer=optim.SGD([w], lr=0.0), steps=steps, start=made, seed=2,
                batch_size=batch_size,
            )  # fmt: skip
            made += steps
        return losses

    assert run([9]) == run([2, 7])
    assert family.eval() is family
    assert run([9]) == run([9])
    assert family([3.0]) == 3.0
    assert all(tape.training for tape in family.train().values())
    assert len(set(run([24]))) > 5
    if batch_size is None:
        key, drawn, expected = splitmix(~2 % 2**64), 0, 0.0
        for length in (1, 2, 3):  # tape by tape, in the order of the data
            for row in (r for r in rows if len(r) == length):
                ((*factors,),) = masks([(0.5, length)], key, 0, drawn)
                expected += sum(f * v for f, v in zip(factors, row, strict=True))
                drawn += 1
        assert run([1])[0] == pytest.approx(expected / 12, rel=1e-14)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_fit_that_masks_stop_names_the_sample(batch_size):
    w = Value(1.0)
    tape = record(lambda x: F.log(F.dropout([w * x], 0.01)[0]), 1.0, parameters=[w])
    optimizer, x = optim.SGD([w], lr=0.0), [1.0 + s for s in range(16)]
    dropped = (
        (step, sample)
        for step in range(1000)
        for sample in range(batch_size or 16)
        if masks([(0.01, 1)], splitmix(2**64 - 1), step, sample) == [[0.0]]
    )
    step, sample = next(dropped)
    with pytest.raises(NonFiniteError, match=rf"step {step} of fit: log\(0.0\)") as caught:
        fg.fit(tape, x, optimizer=optimizer, steps=1000, batch_size=batch_size)
    assert len(caught.value.history) == step > 0
    named = int(re.search(r"in sample (\d+)", str(caught.value))[1])
    if batch_size is None:
        assert named == sample
    one = fg.fit(tape, 2.0, optimizer=optimizer, steps=5, seed=3)
    assert one == [math.log(2.0 / 0.99)] * 5
