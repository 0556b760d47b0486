"""The planted faults match the sources, and plant.py tells caught from survived.

Oracles: the sources themselves; what pytest printed in runs that failed, crashed, hung and passed.
`make faults` does the planting; it takes minutes, so nothing here compiles anything.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("resource")  # Linux and macOS plant faults; their limits on memory are its own
if not (ROOT / "tools" / "faults" / "plant.py").exists() or not (ROOT / "src").is_dir():
    pytest.skip("no source tree", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools" / "faults"))

import plant  # noqa: E402

ORDER, FAULTS = plant.load()
SWEEP = "src/fastgrad/_native/graph/sweep.pyx"


def test_every_fault_matches_the_sources_once():
    assert plant.main(["--check"]) == 0
    assert len(FAULTS) >= 50


def test_every_native_module_has_a_fault():
    modules = {path.stem for path in (ROOT / "src").rglob("*.pyx")}
    planted = {Path(fault.file).stem for fault in FAULTS}
    assert modules - planted <= {"check", "functional"}, "tests' own module; generated code"


def write_data(path, **row):
    lines = [f"{key} = {json.dumps(value)}" for key, value in row.items()]
    path.mkdir()
    (path / "some.toml").write_text("\n".join(["[[fault]]", *lines]), "utf-8")
    return ["--data", str(path), "--check"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"old": "no such text"}, "found it 0 times"),
        ({"old": "cdef"}, f"expected its old text once in {SWEEP}, found it"),
        ({"old": " "}, "expected its old text once"),
        ({"file": "src/gone.pyx"}, "found it 0 times"),
        ({"new": "sweep.pending = 1\n    node_at(root).mark"}, "expected a change"),
        ({"first": ["test_gone.py::test_it"]}, "test_gone.py: no such test file"),
    ],
)
def test_fault_that_matches_no_source_is_refused(changes, complaint, tmp_path, capsys):
    row = {
        "name": "planted", "file": SWEEP, "why": "a test",
        "old": "sweep.pending = 1\n    node_at(root).mark", "new": "node_at(root).mark",
    }  # fmt: skip
    assert plant.main(write_data(tmp_path / "good", **row)) == 0
    assert plant.main(write_data(tmp_path / "bad", **{**row, **changes})) == 2
    assert complaint in capsys.readouterr().err


def test_unknown_and_repeated_fault_names_are_refused(capsys):
    assert plant.main(["--check", "--only", "nonsense"]) == 2
    assert "nonsense: no such fault" in capsys.readouterr().err
    assert plant.complaints([FAULTS[0], FAULTS[0]], [], ROOT) == [
        f"{FAULTS[0].name}: the name of two faults"
    ]


def test_planting_changes_the_quoted_text_only(tmp_path):
    fault = replace(FAULTS[0], file="a/b.pyx", old="y += x\n", new="y = x\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.pyx").write_text("before\ny += x\nafter\n", "utf-8")
    plant.plant(tmp_path, fault)
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
def test_verdict_tells_caught_from_survived(status, output, expected):
    assert plant.verdict(status, output) == expected


def test_verdict_of_a_run_without_tests_raises():
    with pytest.raises(RuntimeError, match="pytest ended with 5"):
        plant.verdict(5, "collected 0 items")
