"""Groups of a batch run apart: whatever the split, the bits of one call.

Oracle: value_and_grad of the whole batch.
"""

import itertools
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.tally import tally
from helpers.tape_files import random_tape

import fastgrad as fg
from fastgrad import MLP, Value, custom, functional, record
from fastgrad._native.tape import parts
from fastgrad.errors import (
    FastgradIndexError,
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
    TapeError,
)

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


NO_DRAWS = (0, 0, 0, 0)


def network(seed=3):
    """Return a tape with a regulariser, whose reverse runs once a call, and a shared argument."""
    random.seed(seed)
    model = MLP(2, [5, 3, 1])
    return record(
        lambda x, y, k: (model(x) - y) ** 2 + k * sum(p * p for p in model.parameters()),
        [0.0, 0.0], 0.0, 1e-3,
    )  # fmt: skip


def drawn(n, seed=0):
    rng = random.Random(seed)
    return [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(n)], [rng.random() for _ in range(n)]


def split(rng, n):
    """Return cuts of n groups, among them the first and the last."""
    return [0, *sorted(rng.sample(range(1, n), rng.randint(0, min(n - 1, 8)))), n]


def bits(result):
    value, gradient = result
    gradient = gradient if isinstance(gradient, list | tuple) else [gradient]
    return struct.pack(f"{1 + len(gradient)}d", value, *gradient)


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1000, 5000])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_groups_run_apart_have_the_bits_of_one_call(n, reduce):
    tape, (x, y) = network(), drawn(n)
    rng = random.Random(n)
    for wrt in ("parameters", "k", tape.parameters[2], ["k", tape.parameters[0]]):
        whole = tape.value_and_grad(x, y, 0.01, reduce=reduce, wrt=wrt)
        starts = tape.group_starts(x[:1], y[:1], 0.01, of=n, wrt=wrt)
        assert starts[0] == 0
        assert starts[-1] == n
        for _ in range(3):
            cuts = split(rng, len(starts) - 1)
            rows = [
                tape.partial_sums(
                    x[starts[i] : starts[j]], y[starts[i] : starts[j]], 0.01, groups=range(i, j),
                    of=n, reduce=reduce, wrt=wrt, threads=rng.choice([1, 2]),
                )
                for i, j in itertools.pairwise(cuts)
            ]  # fmt: skip
            got = tape.finish(rows, x[:1], y[:1], 0.01, of=n, reduce=reduce, wrt=wrt)
            assert got == whole
    tally("parts: splits of batches", 12)


def test_rows_that_are_added_up_in_parts_have_the_bits_of_one_call():
    w = Value(0.3)
    tape = record(lambda x: (w * x).tanh() + w, 0.0)
    rng = random.Random(4)
    for n in (1, 3, 700, 4000, 20_001):
        x = [rng.gauss(0, 2) for _ in range(n)]
        whole = tape.value_and_grad(x)
        starts = tape.group_starts(x[:1], of=n)
        for _ in range(20):
            cuts, made = split(rng, len(starts) - 1), []
            for i, j in itertools.pairwise(cuts):
                part, added = x[starts[i] : starts[j]], rng.random() < 0.8
                data = parts.state_of(tape)
                rows, width, arrays = parts.sums(
                    tape, (part,), i, j, n, True, "parameters", 1, data, added
                )
                assert not arrays
                least = 1 if added else j - i
                assert least <= len(rows) // (8 * width) <= (2 * 13 if added else j - i)
                made.append((i, j, rows, added))
            rng.shuffle(made)
            got = parts.finish(tape, (x[:1],), made, n, True, "parameters", None, False)
            assert bits(got) == bits(whole)
    tally("parts: splits with rows added up", 100)


def test_random_programs_in_parts_have_the_bits_of_one_call():
    rng = random.Random(8)
    for _ in range(60):
        codes = [rng.randrange(2**40) for _ in range(rng.randint(5, 25))]
        tape = random_tape(codes)
        n = rng.randint(1, 3000)
        x = np.random.default_rng(rng.randrange(99)).normal(size=(n, 3))
        args = (x[:, 0], x[:, 1], 0.5)
        try:
            value, gradient = tape.value_and_grad(*args)
        except FastgradIndexError:
            continue
        starts = tape.group_starts(*args, of=n)
        cuts = split(rng, len(starts) - 1)
        rows = [
            tape.partial_sums(
                *(a[starts[i] : starts[j]] for a in args[:2]), 0.5, groups=range(i, j), of=n
            )
            for i, j in itertools.pairwise(cuts)
        ]
        got, slope = tape.finish(np.concatenate(rows), *args, of=n)
        assert np.array_equal([value, *gradient], [got, *slope], equal_nan=True)
    tally("parts: random programs", 60)


def test_parts_use_the_parameters_that_they_are_given():
    w = Value(2.0)
    tape = record(lambda x: (w * x) ** 2, 1.0)
    rows, _, _ = parts.sums(
        tape, ([1.0],), 0, 1, 1, True, "parameters", 1, (struct.pack("d", 3.0), NO_DRAWS), True
    )
    made = [(0, 1, rows, True)]
    three = struct.pack("d", 3.0), NO_DRAWS
    got = parts.finish(tape, ([9.0],), made, 1, True, "parameters", three, False)
    assert (got, tape(1.0), tape([1.0])) == ((9.0, [6.0]), 4.0, [4.0])
    assert parts.call(tape, ([1.0],), 0, 1, three) == [9.0]
    assert parts.call_each(tape, ([1.0],), 0, "parameters", 1, three) == ([9.0], [[6.0]])
    assert tape([1.0]) == [4.0]
    with pytest.raises(ShapeError, match="expected 8 bytes, got 3"):
        parts.call(tape, ([1.0],), 0, 1, (b"abc", NO_DRAWS))
    assert (w.data, w.grad) == (2.0, 0.0)
    assert parts.finish(tape, ([9.0],), made, 1, True, "parameters", three, True) == 9.0
    assert w.grad == 6.0


def test_arrays_of_partial_sums_are_arrays_and_lists_lists():
    tape = record(lambda x: fg.functional.exp(x[0]) * Value(2.0), np.zeros(1))
    x = np.linspace(0, 1, 500).reshape(-1, 1)
    rows = tape.partial_sums(x, groups=range(2), of=500)
    assert isinstance(rows, np.ndarray)
    assert rows.shape[0] == 2
    assert tape.finish(rows, of=500)[0] == tape.value_and_grad(x)[0]
    lists = tape.partial_sums(x.tolist(), groups=range(2), of=500)
    assert lists == rows.tolist()
    assert type(lists) is list
    assert tape.finish([lists[:1], lists[1:]], of=500)[0] == tape.value_and_grad(x)[0]


def test_finish_without_arguments_knows_structures():
    tape = record(
        lambda d: d["a"][0] * d["b"][1][0] + d["a"][1], {"a": [1.0, 2.0], "b": (3.0, [4.0])}
    )
    batch = {"a": [[1.0, 2.0]] * 3, "b": ([3.0] * 3, [[4.0]] * 3)}
    rows = tape.partial_sums(batch, groups=range(1), of=3)
    assert tape.finish(rows, of=3)[0] == tape.value_and_grad(batch)[0]


def test_indices_out_of_range_in_a_part_name_the_sample_of_the_whole():
    tape = record(lambda i: functional.exp(fg.take([Value(1.0), Value(2.0)], i)), 0.0)
    n = 5000
    index = [0.0] * n
    index[3777] = 2.0
    starts = tape.group_starts(index[:1], of=n)
    with pytest.raises(FastgradIndexError) as whole:
        tape.value_and_grad(index)
    last = next(j for j, start in enumerate(starts) if start > 3777)
    part = index[starts[last - 1] : starts[last]]
    with pytest.raises(FastgradIndexError, match=r"sample 3777\)") as caught:
        tape.partial_sums(part, groups=range(last - 1, last), of=n)
    assert str(caught.value) == str(whole.value)
    part[0] = "text"
    with pytest.raises(FastgradTypeError):
        tape.partial_sums(part, groups=range(last - 1, last), of=n)


def test_numbers_that_cannot_be_read_in_a_part_name_the_sample_of_the_whole():
    tape = network()
    x, y = drawn(600)
    y[300] = None
    starts = tape.group_starts(x[:1], y[:1], 0.0, of=600)
    args = x[starts[1] :], y[starts[1] :], 0.0
    with pytest.raises(FastgradTypeError, match="sample 300"):
        parts.sums(
            tape, args, 1, len(starts) - 1, 600, True, "parameters", 1, None, True, starts[1]
        )


def test_what_is_no_part_is_refused():
    tape, (x, y) = network(), drawn(600)
    n = len(tape.group_starts(x, y, 0.0, of=600)) - 1
    rows = tape.partial_sums(x, y, 0.0, groups=range(n), of=600)
    good = [(0, n, struct.pack(f"{n * len(rows[0])}d", *(x for row in rows for x in row)), False)]

    def finish(made):
        return parts.finish(tape, (x[:1], y[:1], 0.0), made, 600, True, "parameters", None, False)

    assert finish(good) == tape.value_and_grad(x, y, 0.0)
    for wrong in (
        [], [(1, n, good[0][2], False)], good * 2, [(0, n, good[0][2][:-8], False)],
        [(0, n - 1, good[0][2], False)], [(0, n + 1, good[0][2], False)], [(0, n, b"", False)],
        [(0, 1, good[0][2][: 8 * len(rows[0])], False)],
    ):  # fmt: skip
        with pytest.raises(ShapeError):
            finish(wrong)
    for wrong in (None, "rows", [None], [["a"]], 3.0, {}):
        with pytest.raises((FastgradTypeError, ShapeError), match="expected"):
            tape.finish(wrong, x[:1], y[:1], 0.0, of=600)
    with pytest.raises(ShapeError, match="expected an argument with a batch axis"):
        tape.group_starts(x[0], y[0], 0.0, of=600)
    for groups in (range(0), range(2, n + 2), range(-1, 2), range(10**20)):
        with pytest.raises((FastgradValueError, OverflowError)):
            tape.partial_sums(x, y, 0.0, groups=groups, of=600)
    with pytest.raises(FastgradTypeError, match="a range of numbers of groups"):
        tape.partial_sums(x, y, 0.0, groups=range(0, 3, 2), of=600)
    for of in (0, -1, 2**70):
        with pytest.raises((FastgradValueError, OverflowError)):
            tape.group_starts(x, y, 0.0, of=of)
    for reduce in (None, "max", 3):
        with pytest.raises(FastgradValueError, match='"mean" or "sum"'):
            tape.finish(rows, x, y, 0.0, of=600, reduce=reduce)
    with pytest.raises(FastgradValueError, match="what all samples share"):
        tape.finish(rows, x, y, 0.0, of=600, wrt="y")


def test_tapes_that_call_python_have_no_parts():
    @custom("slow")
    def slow(x):
        return x

    slow.partials(lambda x, y: 1.0)
    tape = record(lambda x: slow(x * Value(2.0)), 1.0)
    with pytest.raises(TapeError, match="the custom operation 'slow'"):
        tape.partial_sums([1.0], groups=range(1), of=1)


def test_gradient_with_zeros_and_infinities_follows_the_rule_in_parts():
    w = Value(0.0)
    tape = record(lambda x: (w * x).exp() + w * 0.5, 1.0)
    x = [1.0] * 1000
    x[700] = float("inf")
    starts = tape.group_starts(x[:1], of=1000)
    rows = [
        tape.partial_sums(x[a:b], groups=range(i, i + 1), of=1000)
        for i, (a, b) in enumerate(itertools.pairwise(starts))
    ]
    assert repr(tape.finish(rows, of=1000)) == repr(tape.value_and_grad(x))


def test_parts_of_all_levels_of_simd_have_the_same_rows():
    here = Path(__file__).resolve().parent
    program = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
        "import test_parts as t\n"
        "tape, (x, y) = t.network(), t.drawn(768)\n"
        "print(repr(tape.partial_sums(x, y, 0.01, groups=range(12), of=768)))"
    )
    found = {level: _printed(program, level) for level in _levels()}
    assert len(set(found.values())) == 1


def _levels():
    return ["baseline", fg.tape.SIMD]


def _printed(program, level):
    import os
    import subprocess
    import sys

    from helpers.processes import ROOT

    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "FASTGRAD_SIMD": level, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout
