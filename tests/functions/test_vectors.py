"""The loops over samples hold vector instructions where a function has a text for them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fastgrad import ops

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "src" / "fastgrad" / "_native" / "functions" / "functions.h"
OBJECTS = sorted((ROOT / "build" / "release").glob("temp.*x86_64*/src/**/kernels/*.o"))
if not OBJECTS or not shutil.which("objdump"):
    pytest.skip("no objects of an x86-64 release build, or no objdump", allow_module_level=True)

LISTED = re.findall(r"#define FG_EACH_TEXT.*\(X\)((?:.*\\\n)*.*)", HEADER.read_text("utf-8"))
TEXTS = set(re.findall(r"\bX\((\w+)\)", " ".join(LISTED)))
# gcc 12 makes no vectors of 128 bits of these two.
SCALAR = {("baseline", "pow"), ("baseline", "pow_number")}
PACKED = re.compile(r"\bv?(?:mul|add|sub|div)pd\b")
CALL = re.compile(r"\bcall\b")


def loops(path, names):
    """Return the instructions of each of these functions in an object."""
    found = {}
    for name in names:
        command = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", str(path)]
        found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return found


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.stem)
def test_loops_of_functions_that_have_a_text_are_vectors(path):
    rows = [row for row in ops.native() if row.forward.split("(")[0] in TEXTS]
    assert {row.name for row in rows} >= {"exp", "log", "tanh", "gelu", "logaddexp"}
    names = [row.name for row in rows if (path.stem, row.name) not in SCALAR]
    for name, text in loops(path, [f"{name}_forward" for name in names]).items():
        assert len(PACKED.findall(text)) >= 10, f"{name} of {path.name}: scalar instructions only"
        assert not CALL.search(text), f"{name} of {path.name} calls a function"


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.stem)
def test_loops_of_powers_of_one_exponent_are_vectors(path):
    texts = loops(path, ["power_row", "pow_number_forward_broadcast"]).values()
    assert sum(len(PACKED.findall(text)) for text in texts) >= 100
