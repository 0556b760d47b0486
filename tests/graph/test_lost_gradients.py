"""What drops a gradient warns at the program's line; what prints, compares or says `data` does not.

Oracle: PyTorch warns of float(t) of a tensor that requires a gradient, not of t.item().
"""

import array
import cmath
import colorsys
import inspect
import logging
import math
import random
import statistics
import struct
import threading
import warnings

import matplotlib as mpl
import numpy as np
import pytest
import scipy
from helpers.processes import python

from fastgrad import Value, functional, no_grad, record
from fastgrad.command import demo
from fastgrad.errors import FastgradWarning, GradientLostWarning, TapeError


def computed():
    return Value(0.5) * 3


def assign_entry(v):
    np.zeros(2)[0] = v


def assign_slice(v):
    np.zeros((2, 2))[:, 1] = [v, v]


def add_in_place(v):
    a = np.zeros(2)
    a += [float(v)] * 2


LOSING = {
    "float": float,
    "complex": complex,
    "math.exp": math.exp,
    "math.floor": math.floor,
    "math.isnan": math.isnan,
    "math.fsum": lambda v: math.fsum([v]),
    "math.hypot": lambda v: math.hypot(v, 1.0),
    "cmath.exp": cmath.exp,
    "statistics.fmean": lambda v: statistics.fmean([v]),
    "array": lambda v: array.array("d", [v]),
    "struct": lambda v: struct.pack("d", v),
    "Value": Value,
    "data": lambda v: setattr(Value(1.0), "data", v),
    "asarray": lambda v: np.asarray([v], float),
    "array of float": lambda v: np.array([[v, v]], dtype=np.float32),
    "astype": lambda v: np.array([v]).astype(float),
    "float64": np.float64,
    "full": lambda v: np.full(3, v, float),
    "fromiter": lambda v: np.fromiter([v], float),
    "entry": assign_entry,
    "slice": assign_slice,
    "fill": lambda v: np.zeros(2).fill(v),
    "in place": add_in_place,
    "interp": lambda v: np.interp(v, [0.0, 1.0], [0.0, 1.0]),
    "gradient": lambda v: np.gradient(np.array([v, v * 2, v])),
    "weights": lambda v: random.choices([1, 2], cum_weights=[v, v]),
    "choice": lambda v: np.random.default_rng(1).choice(2, p=[v - 0.5, v - 1.5]),
}  # fmt: skip


def caught(run, *arguments):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run(*arguments)
    return found


@pytest.mark.parametrize("name", LOSING)
def test_a_number_taken_from_a_computed_value_warns_at_the_line(name):
    found = caught(LOSING[name], computed())
    lost = [w for w in found if w.category is GradientLostWarning]
    assert lost
    for warning in lost:
        assert warning.filename == __file__
        line = inspect.getsource(inspect.getmodule(computed)).splitlines()[warning.lineno - 1]
        assert name not in ("entry", "slice", "interp") or "np." in line
        for remedy in ("v.data", "functional.exp(v)", "dtype=object"):
            assert remedy in str(warning.message)


def test_the_number_is_what_it_was():
    with pytest.warns(GradientLostWarning, match=r"^float\(\)"):
        assert float(computed()) == 1.5
    with pytest.warns(GradientLostWarning):
        assert math.exp(computed()) == math.exp(1.5)


@pytest.mark.parametrize(
    "run",
    [
        lambda v: v.data,
        lambda v: v.item(),
        lambda v: v.detach(),
        lambda v: f"{v:.2f} {v} {v!r}",
        lambda v: format(v, ".3f"),
        lambda v: "{:.3f} {}".format(v, v),  # noqa: UP032
        lambda v: "%.3f" % v,  # noqa: UP031
        lambda v: "%.3f %s" % (v, v),  # noqa: UP031
        lambda v: b"%f" % v,
        lambda v: repr(v) + str(v),
        lambda v: print(v),
        lambda v: logging.getLogger("lost").error("%.2f", v),
        lambda v: (v < 1, v >= 2.0, v < v + 1, max([v, v * 2]), sorted([v, v - 1])),
        lambda v: bool(v),
        lambda v: float(functional.lt(v, 1.0)),
        lambda v: float(Value(2.0)),
        lambda v: float(v.detach()),
        lambda v: no_grad()(float)(v),
        lambda v: float(no_grad()(lambda: v * 2)()),
        lambda v: np.array([v, v]) * 2,
    ],
)
def test_what_loses_nothing_or_prints_is_silent(run, capsys):
    assert caught(run, computed()) == []


def test_format_by_an_operator_in_place_is_silent():
    def run():
        text = "%.1f"
        text %= computed()
        return text

    assert caught(run) == []
    assert run() == "1.5"


def test_python_shows_the_warning_once_for_each_line():
    def run():
        for _ in range(3):
            float(v)
        float(v)

    v = computed()
    globals().pop("__warningregistry__", None)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        run()
    assert len(found) == 2
    assert found[0].lineno < found[1].lineno


@pytest.mark.parametrize("name", ["float", "asarray", "entry", "astype", "interp", "math.exp"])
def test_as_an_error_it_comes_out_where_the_number_was_taken(name):
    v = computed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(GradientLostWarning):
            LOSING[name](v)
    v.backward()
    assert v.grad == 1.0


def test_a_program_that_prints_floats_is_told_its_own_line(tmp_path):
    script = tmp_path / "own.py"
    script.write_text(
        "import numpy as np\nfrom fastgrad import Value\n"
        "v = Value(2.0) * 3\nnp.interp(v, [0, 9], [0, 9])\nprint('%.1f' % v)\n"
    )
    process = python("-W", "default", str(script), cwd=tmp_path)
    assert process.stdout == "6.0\n"
    assert f"{script}:4: GradientLostWarning: float()" in process.stderr
    assert process.stderr.count("GradientLostWarning") == 1


def losing(file):
    """Return a call of code that stands in a file, and takes a number."""
    code = compile("float(v)", file, "exec")
    return lambda: exec(code, {"v": computed()})


@pytest.mark.parametrize("module", [functional, np.lib, scipy, mpl, statistics, colorsys])
def test_code_that_is_handed_numbers_is_not_the_program(module):
    assert [w.filename for w in caught(losing(module.__file__))] == [__file__]


@pytest.mark.parametrize("file", ["<string>", demo.__file__, "/numpyro/a.py", "/fastgrad_me.py"])
def test_code_of_other_files_is_the_program(file):
    assert [w.filename for w in caught(losing(file))] == [file]


def test_two_lines_of_the_program_that_call_one_library_function_are_two_places():
    def program(v):
        colorsys.hsv_to_rgb(v, 0.5, 0.5)
        colorsys.hsv_to_rgb(v, 0.5, 0.5)

    first = inspect.getsourcelines(program)[1] + 1
    assert {w.lineno for w in caught(program, computed())} == {first, first + 1}


def test_code_without_a_program_around_it_is_warned_of_at_its_outermost_line():
    thread = threading.Thread(target=losing(np.__file__))
    found = caught(lambda: (thread.start(), thread.join()))
    assert [w.category for w in found] == [GradientLostWarning]


def test_while_recording_the_recording_alone_reports():
    with pytest.warns(FastgradWarning) as found:
        record(lambda x: x * float(x * 2), 1.0)
    assert [w.category for w in found] == [FastgradWarning]
    with pytest.raises(TapeError):
        record(lambda x: x * (x * 2).item(), 1.0, strict=True)
    with pytest.raises(TapeError):
        record(lambda x: x * x.item(), 1.0, strict=True)
