"""`run` on notebooks and on standard input.

Oracle: the cells' own text, run by `python`; what IPython shows of the last expression of a cell.
"""

import json

import pytest
from helpers.processes import LECTURE, assert_refused, python, run, write


def notebook(path, *cells, **extra):
    """Write a notebook of code cells; a cell that is a tuple has another type."""
    found = []
    for cell in cells:
        kind, text = cell if isinstance(cell, tuple) else ("code", cell)
        found.append({"cell_type": kind, "source": text.splitlines(keepends=True)})
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, **extra}), "utf-8")


def test_cells_run_in_their_order_in_one_namespace(tmp_path):
    cells = ["from micrograd.engine import Value\nx = Value(3.0)", ("markdown", "# no code")]
    cells += ["y = x * x\ny.backward()", "print(x.grad, __name__)"]
    notebook(tmp_path / "a.ipynb", *cells)
    process = run("a.ipynb", cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "6.0 __main__\n", "")


def test_expression_at_the_end_of_a_cell_is_shown(tmp_path):
    notebook(tmp_path / "a.ipynb", "1 + 1", "2 + 2;", "None", "x = 3\nx", "")
    assert run("a.ipynb", cwd=tmp_path).stdout == "2\n3\n"


def test_arguments_and_folder_are_those_of_a_script(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "near.py", "name = 'near'")
    notebook(tmp_path / "sub" / "a.ipynb", "import sys, near\nprint(sys.argv[1:], near.name)")
    assert run("sub/a.ipynb", "x", "-y", cwd=tmp_path).stdout == "['x', '-y'] near\n"


@pytest.mark.parametrize(
    ("cell", "skipped"),
    [
        ("%matplotlib inline\nprint(1)", "%matplotlib inline"),
        ("print(1)\n!pip install x", "!pip install x"),
        ("if True:\n    %load_ext y\nprint(1)", "%load_ext y"),
        ("files = !ls\nprint(1)", "files = !ls"),
        ("print?\nprint(1)", "print?"),
    ],
)
def test_lines_of_ipython_are_skipped_with_a_note(tmp_path, cell, skipped):
    notebook(tmp_path / "a.ipynb", cell)
    process = run("a.ipynb", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (0, "1\n")
    assert process.stderr.startswith("fastgrad: note: a.ipynb[cell 1]:")
    assert process.stderr.endswith(f"skipped, no Python: {skipped}\n")


def test_cells_of_another_language_are_skipped(tmp_path):
    notebook(tmp_path / "a.ipynb", "%%bash\nrm -rf /nowhere", "%%time\nprint(1)")
    process = run("a.ipynb", cwd=tmp_path)
    assert process.stdout == "1\n"
    assert "a.ipynb[cell 1]:1: cell skipped" in process.stderr


def test_text_resembling_a_magic_is_kept(tmp_path):
    notebook(tmp_path / "a.ipynb", 'text = """\n%d\n!x\n"""\nprint(text)')
    assert run("a.ipynb", cwd=tmp_path).stdout == "\n%d\n!x\n\n"


def test_traceback_names_the_cell_and_shows_its_line(tmp_path):
    notebook(tmp_path / "a.ipynb", "x = 0", "def f():\n    return 1 / x", "f()")
    process = run("a.ipynb", cwd=tmp_path)
    assert process.returncode == 1
    assert 'a.ipynb[cell 2]", line 2, in f\n    return 1 / x' in process.stderr
    assert 'a.ipynb[cell 3]", line 1, in <module>\n    f()' in process.stderr
    assert "fastgrad" not in process.stderr


def test_exception_hook_set_by_the_program_is_kept(tmp_path):
    notebook(tmp_path / "a.ipynb", "1 / 0")
    code = (
        "import sys\nfrom fastgrad.command.cli import main\n"
        "sys.excepthook = lambda *error: print('seen')\nsys.exit(main(['run', 'a.ipynb']))"
    )
    process = python("-c", code, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (1, "seen\n", "")


def test_class_in_a_cell_is_replaced(tmp_path):
    head, program = LECTURE.split("class Holder:")
    notebook(tmp_path / "a.ipynb", head, "class Holder:" + program)
    write(tmp_path / "a.py", LECTURE)
    ours = run("--replace-class", "Value", "a.ipynb", cwd=tmp_path)
    theirs = python("a.py", cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (0, theirs.stdout)
    assert "(a.ipynb[cell 1]:" in ours.stderr


def test_engine_defined_in_a_cell_is_reported(tmp_path):
    notebook(tmp_path / "a.ipynb", LECTURE.split("class Holder:")[0])
    assert "--replace-class Value runs it" in run("a.ipynb", cwd=tmp_path).stderr


def test_notebook_of_format_3_runs(tmp_path):
    cell = {"cell_type": "code", "input": ["print(1)"], "language": "python"}
    book = {"worksheets": [{"cells": [cell]}], "metadata": {}, "nbformat": 3}
    (tmp_path / "a.ipynb").write_text(json.dumps(book), "utf-8")
    assert run("a.ipynb", cwd=tmp_path).stdout == "1\n"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "a notebook, JSON with cells"),
        ('{"cells": 1}', "a notebook, JSON with cells"),
        ('{"cells": [{"cell_type": "code"}]}', "KeyError"),
        ('{"cells": [], "metadata": {"language_info": {"name": "julia"}}}', "one in julia"),
    ],
)
def test_file_that_is_no_notebook_is_refused(tmp_path, text, got):
    (tmp_path / "a.ipynb").write_text(text, "utf-8")
    assert_refused(run("a.ipynb", cwd=tmp_path), got, "a.ipynb")


@pytest.mark.parametrize("text", ["import sys\nprint(sys.argv, __name__)\n", "1 / 0\n", "a = (\n"])
def test_program_on_standard_input_runs_as_under_python(tmp_path, text):
    ours = run("-", "x", "-y", cwd=tmp_path, stdin=text)
    theirs = python("-", "x", "-y", cwd=tmp_path, stdin=text)
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    assert ours.stderr.splitlines()[-1:] == theirs.stderr.splitlines()[-1:]


def test_class_on_standard_input_is_replaced(tmp_path):
    ours = run("--replace-class", "Value", "-", cwd=tmp_path, stdin=LECTURE)
    theirs = python("-", cwd=tmp_path, stdin=LECTURE)
    assert (ours.returncode, ours.stdout) == (0, theirs.stdout)
    assert "class Value (<stdin>:" in ours.stderr
