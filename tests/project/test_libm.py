"""No native module computes with the machine's mathematical library: it rounds as it likes.

Oracle: the symbols that the modules import, and a list of what IEEE 754 and C99 leave no choice in.
"""

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastgrad

NATIVE = Path(fastgrad.__file__).parent / "_native"
# One right answer each: roots, whole numbers, remainders, signs, the larger of two, powers of two.
EXACT = "sqrt fabs floor ceil rint nearbyint trunc round fmin fmax fmod copysign ldexp frexp"
# The rest of math.h's names, and of its kin for other widths.
OTHERS = """
acos acosh asin asinh atan atan2 atanh cbrt cos cosh drem erf erfc exp exp10 exp2 expm1 fdim fma
gamma hypot ilogb j0 j1 jn lgamma lgamma_r log log10 log1p log2 logb modf nextafter pow pow10
remainder remquo scalb scalbn significand sin sincos sinh tan tanh tgamma y0 y1 yn
"""
EXACT, OTHERS = set(EXACT.split()), set(OTHERS.split())
OTHERS |= {f"{name}{width}" for name in OTHERS | EXACT for width in "fl"}
OTHERS |= {f"__{name}_finite" for name in OTHERS}


def imported(path):
    """Return the names that a shared library wants of others, without their versions."""
    shown = subprocess.run(
        ["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"\bU (\w+)", shown.stdout))


def test_no_native_module_imports_a_function_that_libraries_round_differently():
    if shutil.which("nm") is None:
        pytest.skip("no nm here: install binutils")
    modules = sorted(NATIVE.rglob("*.so"))
    if not modules:
        pytest.skip("no ELF modules here")
    wanted = {path.stem.split(".")[0]: imported(path) & OTHERS for path in modules}
    assert {name: found for name, found in wanted.items() if found} == {}
    assert any(imported(path) for path in modules), "nm shows what is imported"


def test_names_of_the_mathematical_library_are_all_listed():
    names = {name for name in dir(math) if not name.startswith("_")}
    of_python = (
        "comb dist e factorial fsum gcd inf isclose isfinite isinf isnan isqrt lcm nan perm pi"
    )
    of_python += " prod degrees radians tau ulp sumprod fabs gamma"
    assert names - set(of_python.split()) <= OTHERS | EXACT
