"""The planted faults fit the sources, and the script that plants them tells caught from survived.

Layer: tests.  May import: tools/plant_faults.py, pytest.

Oracles: the sources themselves; what pytest printed in runs that failed, crashed, hung and passed.
`make faults` does the planting; it takes minutes, so nothing here compiles anything.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("resource")  # Linux and macOS plant faults; their limits on memory are its own
if not (ROOT / "tools" / "plant_faults.py").exists() or not (ROOT / "src").is_dir():
    pytest.skip("no source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools"))

import plant_faults  # noqa: E402

ORDER, FAULTS = plant_faults.load()


def test_every_fault_fits_the_sources_once():
    assert plant_faults.main(["--check"]) == 0
    assert len(FAULTS) >= 50


def test_faults_are_spread_over_the_native_modules():
    stems = {path.stem for path in (ROOT / "src" / "fastgrad").glob("_*.pyx")}
    planted = {Path(fault.file).stem for fault in FAULTS}
    assert stems - planted <= {"_check", "_functional"}, "tests' own module; generated code"


def write_data(path, **row):
    lines = [f"{key} = {json.dumps(value)}" for key, value in row.items()]
    path.write_text("\n".join(["order = []", "[[fault]]", *lines]), "utf-8")
    return ["--data", str(path), "--check"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"old": "no such text"}, "found it 0 times"),
        ({"old": "cdef"}, "expected its old text once in src/fastgrad/_sweep.pyx, found it"),
        ({"old": " "}, "expected its old text once"),
        ({"file": "src/fastgrad/_gone.pyx"}, "found it 0 times"),
        ({"new": "sweep.pending = 1\n    node_at(root).mark"}, "expected a change"),
        ({"first": ["test_gone.py::test_it"]}, "test_gone.py: no such test file"),
    ],
)
def test_stale_data_is_refused(changes, complaint, tmp_path, capsys):
    row = {
        "name": "planted", "file": "src/fastgrad/_sweep.pyx", "why": "a test",
        "old": "sweep.pending = 1\n    node_at(root).mark", "new": "node_at(root).mark",
    }  # fmt: skip
    assert plant_faults.main(write_data(tmp_path / "good.toml", **row)) == 0
    assert plant_faults.main(write_data(tmp_path / "bad.toml", **{**row, **changes})) == 2
    assert complaint in capsys.readouterr().err


def test_unknown_and_repeated_names_are_refused(capsys):
    assert plant_faults.main(["--check", "--only", "nonsense"]) == 2
    assert "nonsense: no such fault" in capsys.readouterr().err
    assert plant_faults.complaints([FAULTS[0], FAULTS[0]], [], ROOT) == [
        f"{FAULTS[0].name}: the name of two faults"
    ]


def test_planting_changes_that_one_place(tmp_path):
    fault = replace(FAULTS[0], file="a/b.pyx", old="y += x\n", new="y = x\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.pyx").write_text("before\ny += x\nafter\n", "utf-8")
    plant_faults.plant(tmp_path, fault)
    assert (tmp_path / "a" / "b.pyx").read_text("utf-8") == "before\ny = x\nafter\n"


PASSED = "tests/test_a.py::test_one PASSED      [ 50%]\n"


@pytest.mark.parametrize(
    ("status", "output", "expected"),
    [
        (0, PASSED, None),
        (
            1,
            f"{PASSED}FAILED tests/test_a.py::test_two[a b] - assert 1 == 2\n",
            "tests/test_a.py::test_two[a b]",
        ),
        (1, f"{PASSED}ERROR tests/test_a.py::test_one - left over\n", "tests/test_a.py::test_one"),
        (
            -11,
            f"{PASSED}tests/test_a.py::test_two Fatal Python error: Segmentation fault\n\n  File",
            "SIGSEGV in tests/test_a.py::test_two",
        ),
        (
            None,
            f"{PASSED}tests/test_a.py::test_b[64 KiB] ",
            "hang in tests/test_a.py::test_b[64 KiB]",
        ),
        (2, f"{PASSED}!!!!! KeyboardInterrupt !!!!!\n", "interrupt in tests/test_a.py::test_one"),
        (-6, "", "SIGABRT in the start"),
        (4, "ImportError while loading conftest '/tests/conftest.py'.\n", "import fastgrad"),
    ],
)
def test_verdicts(status, output, expected):
    assert plant_faults.verdict(status, output) == expected


def test_a_run_that_tested_nothing_is_an_error():
    with pytest.raises(RuntimeError, match="pytest ended with 5"):
        plant_faults.verdict(5, "collected 0 items")
