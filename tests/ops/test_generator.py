"""The generator: its grammar, its errors, and whether its output is up to date.

Oracle: the texts themselves; a copy of the repository's generated files to make stale.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fastgrad import ops, rules

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
def test_expression_outside_the_grammar_is_refused(text, complaint):
    with pytest.raises(expression.ExpressionError, match=complaint):
        expression.parse(text)


def test_error_of_a_wrong_row_names_the_row():
    row = ops.TABLE["tanh"]
    for wrong in (
        replace(row, partials=("1 - b",)),
        replace(row, forward="tanh(y)"),
        replace(row, partials=("1 + (a > 0)",)),
        replace(row, raises=(("a > 1", "nonsense", ""),)),
        replace(row, domain=()),
        replace(row, partials=("pentagamma(a)",)),  # the last of the chain has no derivative
    ):
        with pytest.raises(expression.ExpressionError, match="'tanh'"):
            generate.check_row(wrong)


def test_translation_to_c_keeps_numbers_and_rounding():
    assert expression.to_c(expression.parse("a - (b - 0.1) * 2")) == "a - ((b - 0.1) * 2.0)"
    assert expression.to_c(expression.parse("- -a")) == "-(-a)"
    assert expression.to_c(expression.parse("a if not b < inf else -1")) == (
        "!(b < HUGE_VAL) ? a : -1.0"
    )


@with_sources
def test_generated_files_are_up_to_date():
    assert generate.main(["--check"]) == 0


NEW_OPERATION = """
    Op("new_root", "cbrt(a)", ("1 / (3 * y * y)",), domain=(SMALL,), singular="a == 0",
       doc="Return the cube root of a."),
)  # fmt: skip
"""


NEW_OPTIMIZER = """
    _ADAM._replace(name="new_root"),
)  # fmt: skip

TABLE"""
NEW = {
    "ops": ("\n)  # fmt: skip\n", NEW_OPERATION, generate.outputs_of_operations),
    "rules": ("\n)  # fmt: skip\n\nTABLE", NEW_OPTIMIZER, generate.outputs_of_optimizers),
}


@with_sources
@pytest.mark.parametrize("table", NEW)
def test_new_row_makes_outputs_stale_until_regenerated(table, tmp_path, capsys):
    """Adding an operation or an optimizer takes one row, and `make ops`."""
    end, row, outputs = NEW[table]
    for name in generate.outputs():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(generate.ROOT / name, tmp_path / name)
    for name in NEW:
        shutil.copy(generate.ROOT / "fastgrad" / f"{name}.py", tmp_path / "fastgrad")
    root = ["--root", str(tmp_path)]
    assert generate.main(["--check", *root]) == 0

    path = tmp_path / "fastgrad" / f"{table}.py"
    path.write_text(path.read_text("utf-8").replace(end, row, 1), "utf-8")  # of the first table
    assert generate.main(["--check", *root]) == 1
    complaints = capsys.readouterr().err
    assert all(name in complaints for name in outputs())

    assert generate.main(root) == 0
    assert generate.main(["--check", *root]) == 0
    texts = {name: (tmp_path / name).read_text("utf-8") for name in outputs()}
    assert [name for name, text in texts.items() if "new_root" not in text.lower()] == []


ADAM = rules.TABLE["Adam"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"each": "data = data +"}, "no text of statements"),
        ({"each": "data = gradient"}, "expected variables"),
        ({"each": "if grad > 0:\n    data = 0"}, "expected variables"),
        ({"each": "if amsgrad:\n    g = 1\ndata = g"}, "expected variables"),
        ({"each": "data = max_exp_avg_sq"}, "not `if amsgrad`"),
        ({"each": "lr = grad"}, "a name that is free"),
        ({"each": "data += grad"}, "assignments and ifs"),
        ({"once": "if amsgrad:\n    a = 1"}, "`once` is assignments"),
        ({"once": "a = grad"}, "expected variables"),
        ({"state": (rules.State("lr"),)}, "names that differ"),
        ({"hyper": ADAM.hyper[1:]}, "lr first"),
        ({"hyper": (rules.Hyper("lr", 0.1, ""),)}, "expected 2 bounds"),
        ({"base": "SGD"}, "hyper-parameters of its base SGD"),
        ({"state": (*ADAM.state, rules.State("sum", initial="start"))}, "expected variables"),
    ],
)
def test_a_wrong_row_of_an_optimizer_is_refused(change, complaint):
    with pytest.raises(expression.ExpressionError, match=f"optimizer 'Adam': .*{complaint}"):
        generate.print_rules.check_row(ADAM._replace(**change), rules.TABLE)


def test_document_without_markers_is_refused():
    with pytest.raises(ValueError, match=r"page\.md: expected one line with"):
        generate.print_python.fill("no markers\n", "text", "page.md")


@with_sources
def test_generator_runs_without_a_built_package(tmp_path):
    script = [sys.executable, "-I", "-S", str(TOOLS / "generate.py"), "--check"]
    subprocess.run(script, cwd=tmp_path, check=True)
