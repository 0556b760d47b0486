"""Tapes as C, and compiled: the bits of replay, readable texts, a cache that nobody else writes to.

Oracles: the tape itself, to the bit, value and gradient; a compiler that warns.
"""

import copy
import ctypes
import math
import os
import random
import re
import shlex
import shutil
import stat
import subprocess
import sys
import warnings
from array import array
from pathlib import Path

import pytest

import fastgrad as fg
from fastgrad import Value, functional, nn, ops
from fastgrad.c_source import build, order, statements, text
from fastgrad.command.bench.workloads import rosenbrock, rosenbrock_point
from fastgrad.errors import FastgradTypeError, FastgradValueError, TapeError

CC = shlex.split(os.environ.get("CC") or "cc")
needs_compiler = pytest.mark.skipif(
    shutil.which(CC[0]) is None or sys.platform != "linux", reason="no C compiler"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    return folder


def bits(numbers):
    """Return numbers, in lists and tuples or one, as bytes; of nan there is one."""
    if isinstance(numbers, (list, tuple)):
        return b"".join(map(bits, numbers))
    found = [numbers] if isinstance(numbers, float) else numbers
    return array("d", [math.nan if math.isnan(x) else x for x in found]).tobytes()


def expect_same(tape, quick, *args):
    assert bits(quick(*args)) == bits(tape(*args))
    if statements.program_of(tape).adjoints:
        for wrt in ("inputs", "parameters"):
            expected = tape.value_and_grad(*args, wrt=wrt)
            assert bits(quick.value_and_grad(*args, wrt=wrt)) == bits(expected)


def program(rng, size):
    """Return a function of eight numbers that uses `size` random rows of the table."""
    rows = [row for row in ops.rows() if not row.composite and row.name != "round"]
    picks = [(rng.choice(rows), rng.random(), rng.random()) for _ in range(size)]

    def function(xs):
        values = list(xs)
        for row, first, second in picks:
            a, b = values[int(first * len(values))], values[int(second * len(values))]
            call = getattr(functional, row.variant_of or row.name)
            try:
                values.append(
                    call(a, b) if row.arity == 2 else call(a, 2.0) if row.parameter else call(a)
                )
            except (ArithmeticError, ValueError):
                continue
        return sum(values[-20:])

    return function


def recorded(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fg.record(function, *args)


@needs_compiler
@pytest.mark.parametrize("size", [3, 60, 200])
def test_random_programs_have_the_bits_of_replay(size, cache):
    rng = random.Random(size)
    for _ in range(2):
        point = [rng.uniform(-2, 2) for _ in range(8)]
        tape = recorded(program(rng, size), point)
        quick = fg.compiled(tape, cache=cache)
        for _ in range(5):
            expect_same(tape, quick, point)
            point = [rng.uniform(-3, 3) for _ in range(8)]


@needs_compiler
def test_every_row_has_the_bits_of_replay(cache):
    rows = [row for row in ops.rows() if not row.composite]
    rng = random.Random(3)

    def total(points):
        """Use each row once, so that the gradient is the rows' slopes."""
        found = 0.0
        for row, point in zip(rows, points, strict=True):
            call = getattr(functional, row.variant_of or row.name)
            found = found + call(*point, *([2.0] if row.parameter else []))
        return found

    def points(at):
        return [[at(low, high) for low, high in row.domain[: row.arity]] for row in rows]

    tape = recorded(total, points(lambda low, high: (low + high) / 2))
    quick = fg.compiled(tape, cache=cache)
    for _ in range(50):
        expect_same(tape, quick, points(rng.uniform))


@needs_compiler
def test_networks_are_loops_with_the_bits_of_replay(cache, monkeypatch):
    random.seed(1)
    model = nn.MLP(3, [8, 8, 1], activation="tanh")
    tape = fg.record(lambda x, y: (model(x) - y) ** 2, [0.1, 0.2, 0.3], 1.0)
    quick = fg.compiled(tape, cache=cache)
    expect_same(tape, quick, [0.3, -0.2, 0.5], 0.5)
    assert quick.parameters[0] is tape.parameters[0]
    before = quick([0.1, 0.2, 0.3], 1.0)
    for p in model.parameters():
        p.data *= 0.5
    assert quick([0.1, 0.2, 0.3], 1.0) == tape([0.1, 0.2, 0.3], 1.0) != before
    monkeypatch.setattr(text, "SMALL", 5)  # many functions
    expect_same(tape, fg.compiled(tape, cache=cache), [0.3, -0.2, 0.5], 0.5)


@needs_compiler
def test_constants_and_sums_that_are_only_partly_alike_have_the_bits_of_replay(cache):
    ps = [Value(0.1 * i - 0.3) for i in range(6)]

    def function(xs):
        ys = [x * (i + 0.5) for i, x in enumerate(xs)]
        return sum(p * y for p, y in zip(ps, [*ys[:5], ys[2]], strict=True))

    point = [0.1 * i for i in range(8)]
    tape = fg.record(function, point)
    expect_same(tape, fg.compiled(tape, cache=cache), point)
    code = text.source_for(tape, "sums", "sums.h", "to_c").code
    assert "static const double c[]" in code
    assert re.search(r"for \(int j = 0; j < 5; j\+\+\) sum \+= .*;\n *sum \+= ", code)


@needs_compiler
def test_long_chain_is_cut_into_functions_with_the_bits_of_replay(cache, monkeypatch):
    monkeypatch.setattr(text, "SMALL", 20)
    monkeypatch.setattr(build, "_LONG", 100)
    w = Value(0.999)

    def chain(x):
        y = x
        for i in range(120):
            y = (y * w + x).sin() if i % 3 else y * y - w
        return y

    tape = fg.record(chain, 0.5)
    expect_same(tape, fg.compiled(tape, cache=cache), 0.3)
    source = text.source_for(tape, "chain", "chain.h", "to_c")
    assert source.code.count("PART void") > 10


@needs_compiler
def test_zero_adjoint_contributes_nothing_where_a_partial_is_infinite(cache):
    tape = recorded(lambda x: functional.where(x > 0, x.sqrt(), 0.0) + x, 4.0)
    quick = fg.compiled(tape, cache=cache)
    assert quick.value_and_grad(0.0, wrt="inputs") == (0.0, (1.0,))
    expect_same(tape, quick, 0.0)


@needs_compiler
def test_derivative_tapes_have_the_bits_of_replay(cache):
    tape = fg.record(lambda x, y: x.tanh() * y.sigmoid() * (x * y).sin() + x**3 / y, 0.3, 0.7)
    for made in (tape.grad_tape(wrt="inputs"), tape.hessian_tape(wrt="x")):
        expect_same(made, fg.compiled(made, cache=cache), 0.2, -0.4)


@needs_compiler
def test_taken_entries_and_their_faults_are_those_of_replay(cache):
    table = [Value(float(i)) for i in range(6)]
    tape = fg.record(lambda i, x: fg.take(table, i) * x + fg.take([x, x * x], i % 2), 1, 0.5)
    quick = fg.compiled(tape, cache=cache)
    for i in (0, 3, 5, -1):
        expect_same(tape, quick, i, 0.7)
    with pytest.raises(IndexError) as expected:
        tape(6, 0.5)
    with pytest.raises(IndexError, match=re.escape(str(expected.value))):
        quick(6, 0.5)


@needs_compiler
def test_several_results_arrays_batches_and_fit_work_as_on_the_tape(cache):
    w = Value(0.5)
    tape = fg.record(lambda xs: {"s": [w * xs[0], xs[1]], "c": w}, [1.0, 2.0])
    quick = fg.compiled(tape, cache=cache)
    assert quick([3.0, 4.0]) == tape([3.0, 4.0]) == {"s": [1.5, 4.0], "c": 0.5}
    assert quick([[1.0, 2.0], [3.0, 4.0]])["s"] == tape([[1.0, 2.0], [3.0, 4.0]])["s"]
    loss = fg.record(lambda x: (w * x - 1) ** 2, 1.0)
    results = []
    for one in (loss, fg.compiled(loss, cache=cache)):
        w.data = 0.5
        fg.fit(one, 2.0, optimizer=fg.optim.SGD([w], lr=0.01), steps=5)
        results.append(w.data)
    assert results[0] == results[1]


@needs_compiler
def test_check_of_a_compiled_tape_sees_every_operation(cache):
    tape = fg.record(lambda x: (x - 1).log() * 2, 2.0)
    quick = fg.compiled(tape, cache=cache)
    assert str(quick.check(0.5)) == str(tape.check(0.5))
    assert quick.jvp((3.0,), (1.0,)) == tape.jvp((3.0,), (1.0,))


@needs_compiler
def test_result_that_is_not_finite_is_refused_where_decisions_are_frozen(cache):
    tape = recorded(lambda x: x.log() if x > 0 else x, 2.0)
    quick = fg.compiled(tape, cache=cache)
    assert quick(3.0) == tape(3.0)
    for one in (tape, quick):
        with pytest.raises(fg.errors.NonFiniteError):
            one(-1.0)


@needs_compiler
def test_to_c_compiles_without_a_warning_and_runs_alone(tmp_path):
    random.seed(2)
    model = nn.MLP(2, [4, 1], activation="gelu")
    tape = fg.record(lambda x: model(x).exp(), [0.5, 0.25])
    tape.to_c(tmp_path / "net.c", tmp_path / "include.h", name="forward")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "fastgrad_functions.h", "include.h", "net.c",
    ]  # fmt: skip
    words = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-O1",
        "-ffp-contract=off",
        "-shared",
        "-fPIC",
    ]
    library = tmp_path / "net.so"
    subprocess.run([*CC, *words, "-o", library, tmp_path / "net.c", "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    n = len(model.parameters())
    x, y, gx = (ctypes.c_double * 2)(0.5, 0.25), (ctypes.c_double * 1)(), (ctypes.c_double * 2)()
    gp, work = (ctypes.c_double * n)(), (ctypes.c_double * 1000)()
    p = (ctypes.c_double * n).in_dll(loaded, "forward_parameters")
    assert loaded.forward_gradient(x, p, y, gx, gp, work) == 0
    assert y[0] == tape([0.5, 0.25])
    assert list(gp) == tape.value_and_grad([0.5, 0.25])[1]
    assert list(gx) == tape.value_and_grad([0.5, 0.25], wrt="inputs")[1][0]


def test_rosenbrock_of_many_numbers_is_a_few_loops():
    tape = fg.record(rosenbrock, rosenbrock_point(300))
    source = text.source_for(tape, "rosenbrock", "rosenbrock.h", "to_c")
    assert source.code.count("\n") < 120
    assert "for (int i = 0; i < 299; i++)" in source.code
    assert not source.functions


def test_terms_that_differ_by_steps_are_one_loop():
    terms = [("{0} * {1}", (("x", 2 * k), ("p", 9 - k))) for k in range(5)]
    (one,) = order.sums_of(terms, lambda at: at)
    assert (one.count, one.steps, one.places) == (5, (2, -1), (("x", 0), ("p", 9)))
    assert len(order.sums_of(terms[:3], lambda at: at)) == 3


def test_names_of_a_program_end_no_comment(tmp_path):
    tape = fg.record(lambda x: x * 2, 1.0)
    tape.name, tape.names = "*/ int main(void){ /*\\\n", ["x*/\u202e"]
    tape.to_c(tmp_path / "a.c")
    for name in ("a.c", "a.h"):
        written = (tmp_path / name).read_text("utf-8")
        outside = re.sub(r"/\*.*?\*/", "", written, flags=re.DOTALL)
        assert written.isascii()
        assert "main" not in outside
        assert "\\" not in written


@pytest.mark.parametrize("name", ["", "1a", "a-b", "int", "main", "é", "a" * 64])
def test_name_that_c_has_not_is_refused(name, tmp_path):
    with pytest.raises(FastgradValueError, match="expected a name of C"):
        fg.record(lambda x: x * 2, 1.0).to_c(tmp_path / "a.c", name=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("header", ['a".h', "a\nb.h", "a\\b.h"])
def test_header_whose_name_would_end_its_include_is_refused(header, tmp_path):
    with pytest.raises(FastgradValueError, match="header of to_c"):
        fg.record(lambda x: x * 2, 1.0).to_c(tmp_path / "a.c", tmp_path / header)
    assert not list(tmp_path.iterdir())


def test_constants_of_every_kind_are_written_to_the_bit():
    assert [text.literal(x) for x in (0.1, -0.0, float("inf"), -float("inf"), float("nan"))] == [
        "0.1", "-0.0", "HUGE_VAL", "-HUGE_VAL", "NAN",
    ]  # fmt: skip


def test_tape_that_calls_python_or_draws_is_refused_by_name(tmp_path):
    doubled = fg.custom("doubled")(lambda x: 2 * x).partials(lambda x, y: 2.0)
    with pytest.raises(TapeError, match="custom operation 'doubled'"):
        fg.record(lambda x: doubled(x), 1.0).to_c(tmp_path / "a.c")
    with pytest.raises(TapeError, match="random numbers"):
        fg.record(lambda x: functional.dropout([x], 0.5)[0], 1.0).to_c(tmp_path / "a.c")


@needs_compiler
def test_cache_that_others_may_write_to_is_refused(tmp_path):
    tape = fg.record(lambda x: x * 3, 1.0)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(TapeError, match="others may write"):
        fg.compiled(tape, cache=shared)
    assert not list(shared.iterdir())


@needs_compiler
def test_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(TapeError, match="one of another user"):
        fg.compiled(fg.record(lambda x: x * 3, 1.0), cache=tmp_path / "new")


@needs_compiler
def test_default_cache_is_the_users_and_compiles_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tape = fg.record(lambda x: x * 7, 1.0)
    assert fg.compiled(tape)(2.0) == 14.0
    (made,) = (tmp_path / "fastgrad").iterdir()
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    monkeypatch.setattr(subprocess, "run", None)
    assert fg.compiled(tape)(3.0) == 21.0
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(TypeError):  # another cache, empty: subprocess.run is None
        fg.compiled(tape)
    assert (tmp_path / "home" / ".cache" / "fastgrad").is_dir()


@pytest.mark.parametrize("command", ["", "no-such-compiler -x"])
def test_missing_compiler_is_named(command, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", command or " ")
    with pytest.raises(TapeError, match="expected a C compiler"):
        fg.compiled(fg.record(lambda x: x * 3, 1.0), cache=tmp_path)


def test_failing_compiler_leaves_nothing_in_the_cache(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("CC", shlex.join([sys.executable, "-c", "raise SystemExit('no space')"]))
    with pytest.raises(TapeError, match="no space"):
        fg.compiled(fg.record(lambda x: x * 3, 1.0), cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_address_is_refused():
    from fastgrad._native.tape.replay import use_compiled

    tape = fg.record(lambda x: x * 3, 1.0)
    with pytest.raises(FastgradTypeError, match="address of a function"):
        use_compiled(tape, 0, 0, 0, None)
    assert copy.copy(tape)(2.0) == 6.0


def test_headers_are_found_in_an_installed_package(monkeypatch, tmp_path):
    (tmp_path / "fastgrad" / "_native" / "functions").mkdir(parents=True)
    monkeypatch.setattr(fg, "__file__", str(tmp_path / "fastgrad" / "__init__.py"))
    assert text._sources() == Path(tmp_path, "fastgrad", "_native").resolve()
    shutil.rmtree(tmp_path / "fastgrad")
    assert text._sources() == Path(tmp_path, "src", "fastgrad", "_native").resolve()
