"""The generator: its grammar, its errors, and that what it writes is fresh.

Oracle: the texts themselves; a copy of the repository's generated files to make stale.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fastgrad import ops

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "ops"
if not (TOOLS / "generate.py").exists():
    pytest.skip("no source tree", allow_module_level=True)
sys.path.insert(0, str(TOOLS))

import expression  # noqa: E402
import generate  # noqa: E402

with_sources = pytest.mark.skipif(
    not (ROOT / "fastgrad" / "ops.py").exists(), reason="no source tree"
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a +", "no expression"),
        ("a ** 2", "got 'a \\*\\* 2'"),
        ("c", "expected variables a, b, y"),
        ("gamma(a)", "known function"),
        ("exp(a, b)", "exp expects 1 argument"),
        ("a < b < y", "comparisons of two"),
        ("a.real", "got 'a.real'"),
        ("'a'", "got \"'a'\""),
        ("True", "got 'True'"),
        ("__import__('os')", "known function"),
    ],
)
def test_texts_outside_the_grammar_are_refused(text, complaint):
    with pytest.raises(expression.ExpressionError, match=complaint):
        expression.parse(text)


def test_errors_name_the_row():
    row = ops.TABLE["tanh"]
    for wrong in (
        replace(row, partials=("1 - b",)),
        replace(row, forward="tanh(y)"),
        replace(row, partials=("1 + (a > 0)",)),
        replace(row, raises=(("a > 1", "nonsense", ""),)),
        replace(row, domain=()),
    ):
        with pytest.raises(expression.ExpressionError, match="'tanh'"):
            generate.check_row(wrong)


def test_numbers_and_rounding_survive_translation():
    assert expression.to_c(expression.parse("a - (b - 0.1) * 2")) == "a - ((b - 0.1) * 2.0)"
    assert expression.to_c(expression.parse("- -a")) == "-(-a)"
    assert expression.to_c(expression.parse("a if not b < inf else -1")) == (
        "!(b < HUGE_VAL) ? a : -1.0"
    )


@with_sources
def test_generated_files_are_fresh():
    assert generate.main(["--check"]) == 0


NEW_ROW = """
    Op("new_root", "cbrt(a)", ("1 / (3 * y * y)",), domain=(SMALL,), singular="a == 0",
       doc="Return the cube root of a."),
)  # fmt: skip
"""


@with_sources
def test_a_new_row_makes_every_output_stale_and_then_fresh(tmp_path, capsys):
    """Adding an operation takes one row, and `make ops`."""
    for name in generate.outputs():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(generate.ROOT / name, tmp_path / name)
    shutil.copy(generate.ROOT / "fastgrad" / "ops.py", tmp_path / "fastgrad" / "ops.py")
    root = ["--root", str(tmp_path)]
    assert generate.main(["--check", *root]) == 0

    table = tmp_path / "fastgrad" / "ops.py"
    text = table.read_text("utf-8").replace("\n)  # fmt: skip\n", NEW_ROW, 1)  # of the first table
    table.write_text(text, "utf-8")
    assert generate.main(["--check", *root]) == 1
    complaints = capsys.readouterr().err
    assert all(name in complaints for name in generate.outputs())

    assert generate.main(root) == 0
    assert generate.main(["--check", *root]) == 0
    texts = {name: (tmp_path / name).read_text("utf-8") for name in generate.outputs()}
    assert [name for name, text in texts.items() if "new_root" not in text.lower()] == []


def test_a_document_without_markers_is_refused():
    with pytest.raises(ValueError, match=r"page\.md: expected one line with"):
        generate.print_python.fill("no markers\n", "text", "page.md")


@with_sources
def test_generator_needs_no_built_package(tmp_path):
    script = [sys.executable, "-I", "-S", str(TOOLS / "generate.py"), "--check"]
    subprocess.run(script, cwd=tmp_path, check=True)
