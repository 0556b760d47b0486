"""Every row of the table has the stored bits: at every SIMD level, eager, one sample and many.

Oracle: a sha256 for each row, of values and partials at the fixed arguments of `helpers.bits`. They
were the same from gcc and clang, for x86-64 at each level and for aarch64 (tools/checks/bits.py).
"""

import json
import os
from pathlib import Path

import pytest
from helpers.processes import python
from helpers.tally import tally

from fastgrad import functional, ops, record
from fastgrad.tape import SIMD

np = pytest.importorskip("numpy")

from helpers.bits import PARAMETERS, hashed, operands  # noqa: E402

STORED = Path(__file__).with_name("bits.json")
LEVELS = ("baseline", "avx2", "avx512")


def taped(row):
    """Return the tapes of a row, one for each parameter that it may have."""
    function = getattr(functional, row.variant_of or row.name)
    example = [1.5 if row.name == "acosh" else 0.5] * row.arity
    if row.name == "round":
        return [record(lambda a: function(a, 2), *example)]
    if row.parameter:
        return [record(lambda a, k=k: function(a, k), *example) for k in PARAMETERS]
    return [record(lambda *xs: function(*xs), *example)]


def of_batches(row):
    """Return values and partials of all arguments, in batches."""
    found = []
    for tape in taped(row):
        values, partials = tape.value_and_grad(*operands(row), wrt="inputs", reduce=None)
        found += [np.asarray(values), *map(np.asarray, partials)]
    return found


def hashes():
    return {row.name: hashed(of_batches(row)) for row in ops.native()}


def test_every_row_has_the_stored_bits():
    assert hashes() == json.loads(STORED.read_text("utf-8"))
    tally("wrong bits: rows hashed", len(ops.native()))


@pytest.mark.parametrize("level", [level for level in LEVELS if level != SIMD])
def test_every_simd_level_has_the_stored_bits(level, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    tests = Path(__file__).resolve().parents[1]
    program = (
        f"import sys, json\nsys.path[:0] = {[str(tests), str(Path(__file__).parent)]!r}\n"
        "import test_bits\nprint(json.dumps(test_bits.hashes()))"
    )
    process = python("-c", program, cwd=os.getcwd())
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    assert json.loads(process.stdout) == json.loads(STORED.read_text("utf-8"))


@pytest.mark.parametrize("row", ops.native(), ids=[row.name for row in ops.native()])
def test_eager_and_single_samples_have_the_bits_of_batches(row):
    columns = operands(row)
    chosen = np.random.default_rng(1).permutation(len(columns[0]))[:150]
    chosen = np.concatenate([chosen, np.arange(len(columns[0]))[-40:]])
    for tape, place in zip(taped(row), range(99), strict=False):
        values, partials = tape.value_and_grad(*columns, wrt="inputs", reduce=None)
        for i in chosen.tolist():
            point = [float(column[i]) for column in columns]
            y, slopes = tape.value_and_grad(*point, wrt="inputs")
            batch = [values[i], *(partial[i] for partial in partials)]
            assert np.array_equal([y, *slopes], batch, equal_nan=True), point
            parameter = [2] if row.name == "round" else [PARAMETERS[place]] if row.parameter else []
            function = getattr(functional, row.variant_of or row.name)
            try:
                eager = function(*point, *parameter)
            except (ArithmeticError, ValueError):
                continue
            assert np.array_equal([eager], [values[i]], equal_nan=True), point


if __name__ == "__main__":
    STORED.write_text(json.dumps(hashes(), indent=1) + "\n", "utf-8", newline="\n")
