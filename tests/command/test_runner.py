"""`python -m fastgrad run`: unedited programs, under every condition that `python script.py` meets.

Oracle: `python script.py` itself. A program that does not touch micrograd cannot tell the
difference: output, traceback and exit status are the same, byte for byte.
"""

import json
import os
import re
import signal

import pytest
from helpers.processes import FACTS, ROOT, assert_refused, outcome, python, run, write


@pytest.mark.parametrize("script", ["facts.py", os.path.join("sub", "facts.py")])
def test_script_sees_the_same_environment_as_under_python(tmp_path, script):
    (tmp_path / "sub").mkdir()
    write(tmp_path / script, FACTS)
    words = [script, "a b", "-h", "--replace-class", "Value", "-m", "x", "--", "--json"]
    ours = run(*words, cwd=tmp_path, stdin="hello")
    theirs = python(*words, cwd=tmp_path, stdin="hello")
    assert outcome(ours) == outcome(theirs)
    assert json.loads(ours.stdout)["argv"] == words


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege there")
def test_symlinked_script_imports_from_its_real_folder(tmp_path):
    (tmp_path / "real").mkdir()
    write(tmp_path / "real" / "facts.py", FACTS)
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "facts.py")
    assert outcome(run("link.py", cwd=tmp_path)) == outcome(python("link.py", cwd=tmp_path))


@pytest.mark.parametrize("module", ["pack", "pack.part", "pack.inner", "single"])
def test_module_sees_the_same_environment_as_under_python_m(tmp_path, module):
    for folder in ("pack", "pack/inner"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "__init__.py", "")
        write(tmp_path / folder / "__main__.py", FACTS)
    write(tmp_path / "pack" / "part.py", FACTS)
    write(tmp_path / "single.py", FACTS)
    ours = run("-m", module, "-v", "x", cwd=tmp_path, stdin="hello")
    assert outcome(ours) == outcome(python("-m", module, "-v", "x", cwd=tmp_path, stdin="hello"))
    assert outcome(ours) == outcome(run(f"-m{module}", "-v", "x", cwd=tmp_path, stdin="hello"))
    assert json.loads(ours.stdout)["argv"][1:] == ["-v", "x"]


@pytest.mark.parametrize("flag", ["-P", "-I"])
def test_safe_path_flag_adds_no_folder_to_sys_path(tmp_path, flag):
    write(tmp_path / "facts.py", FACTS)
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); sys.argv[0] = 'fastgrad';"
        "from fastgrad.command.cli import main; sys.exit(main(['run', 'facts.py']))"
    )
    ours = python(flag, "-c", code, cwd=tmp_path)
    theirs = python(flag, "facts.py", cwd=tmp_path)
    assert json.loads(ours.stdout) == json.loads(theirs.stdout)


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "import sys; sys.exit(3)",
        "raise SystemExit('good-bye')",
        "import os; os._exit(4)",
        "def f():\n    return 1 / 0\n\nf()",
        "try:\n    {}['x']\nexcept KeyError as e:\n    raise ValueError('chained') from e",
        "raise KeyboardInterrupt",
        "import sys\nsys.excepthook = lambda *e: print('hook', e[0], e[2].tb_lineno)\n1 / 0",
        "import atexit; atexit.register(print, 'bye'); 1 / 0",
        (
            "import threading\n"  # the thread outlives the script, and still finds it
            "main = threading.main_thread()\n"
            "def f(): main.join(); print(__import__('__main__').f is f)\n"
            "threading.Thread(target=f).start()"
        ),
        "a = (\n",
        "def f():\n  a\n b\n",
        "from no_such_module import x",
        "import broken",
        "class FastgradError(Exception): pass\nraise FastgradError",
        "def f(x: 1 + 1): pass\nprint(f.__annotations__)",  # no __future__ import leaks in
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
        "import warnings; warnings.warn('careful')",
    ],
)
def test_script_output_traceback_and_status_equal_python(tmp_path, body):
    write(tmp_path / "script.py", body)
    write(tmp_path / "broken.py", "x = 1\nraise RuntimeError('on import')\n")
    ours = run("script.py", cwd=tmp_path)
    assert outcome(ours) == outcome(python("script.py", cwd=tmp_path))


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("raise ValueError('on import')", "ValueError: on import"),
        ("from os import no_such_name", "ImportError: cannot import name 'no_such_name' from 'os'"),
    ],
)
def test_module_traceback_starts_in_the_program(tmp_path, body, last):
    (tmp_path / "pack").mkdir()
    init = write(tmp_path / "pack" / "__init__.py", body)
    write(tmp_path / "pack" / "part.py", "")
    process = run("-m", "pack.part", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (1, "")
    assert re.findall('File "(.*)"', process.stderr) == [str(init)]
    assert process.stderr.splitlines()[-1].startswith(last)


def test_script_source_encodings_are_honoured(tmp_path):
    text = (
        "# -*- coding: latin-1 -*-\nprint('\xe9t\xe9', 'caf\xe9'.encode('utf-8'))\n1 / 0 # \xe9\n"
    )
    (tmp_path / "latin.py").write_bytes(text.encode("latin-1"))
    (tmp_path / "bom.py").write_bytes("\ufeffprint('\xe9t\xe9')\r\n".encode())
    for script in ("latin.py", "bom.py"):
        ours = run(script, cwd=tmp_path)
        assert outcome(ours) == outcome(python(script, cwd=tmp_path))
        assert "\xe9t\xe9" in ours.stdout


def test_unknown_encoding_is_a_syntax_error_naming_the_file(tmp_path):
    write(tmp_path / "script.py", "# coding: no-such-codec\n")
    process = run("script.py", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (1, "")
    assert "script.py" in process.stderr
    assert process.stderr.endswith("no-such-codec\n")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_the_process_by_sigint(tmp_path):
    script = """\
    import os, signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and & have it ignored
    os.kill(os.getpid(), signal.SIGINT)
    """
    write(tmp_path / "script.py", script)
    process = run("script.py", cwd=tmp_path)
    assert process.returncode == -signal.SIGINT
    assert process.stderr.count("KeyboardInterrupt") == 1


USES_MICROGRAD = """
    import micrograd
    import micrograd.engine, micrograd.nn
    from micrograd import engine, nn
    from micrograd.engine import Value
    from micrograd.nn import MLP
    import fastgrad.engine, helper

    assert Value is fastgrad.engine.Value is micrograd.engine.Value is engine.Value is helper.Value
    assert MLP is fastgrad.nn.MLP is micrograd.nn.MLP is nn.MLP
    a, b = Value(-4.0), Value(2.0)
    c = a * b + b**3
    c.backward()
    print(c.data == 0, a.grad == 2, b.grad == 8)
"""


def test_unedited_micrograd_program_runs_on_fastgrad(tmp_path):
    write(tmp_path / "script.py", USES_MICROGRAD)
    write(tmp_path / "helper.py", "from micrograd.engine import Value\n")
    assert outcome(run("script.py", cwd=tmp_path)) == (0, "True True True\n", "")
    assert outcome(run("-m", "script", cwd=tmp_path)) == (0, "True True True\n", "")


def test_micrograd_folder_beside_the_script_is_not_imported(tmp_path):
    (tmp_path / "micrograd").mkdir()
    write(tmp_path / "micrograd" / "__init__.py", "1 / 0\n")
    write(tmp_path / "micrograd" / "train.py", USES_MICROGRAD)
    write(tmp_path / "helper.py", "from micrograd.engine import Value\n")
    assert outcome(run("-m", "micrograd.train", cwd=tmp_path)) == (0, "True True True\n", "")


def test_path_that_is_no_script_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    assert_refused(run("nosuch.py", cwd=tmp_path), "'nosuch.py', which does not exist", "-m")
    assert_refused(run("folder", cwd=tmp_path), "the directory 'folder'")
    assert_refused(run(cwd=tmp_path), "got neither", "--help")
    assert_refused(run("-m", cwd=tmp_path), "got nothing")
    assert_refused(run("--", "nosuch.py", cwd=tmp_path), "'nosuch.py'")


@pytest.mark.skipif(os.name == "nt", reason="Windows words it otherwise")
def test_script_that_cannot_be_read_is_refused(tmp_path):
    name = "x" * 300 + ".py"  # longer than file systems take; root would read any mode
    assert_refused(run(name, cwd=tmp_path), "name too long")


@pytest.mark.parametrize(
    "name", ["nosuch", "nosuch.part", "pack", "pack.nosuch", "space", "sys", ".pack", "pack.mod.x"]
)
def test_name_that_is_no_module_is_refused(tmp_path, name):
    (tmp_path / "pack").mkdir()
    (tmp_path / "space").mkdir()  # a namespace package, without __main__
    write(tmp_path / "pack" / "__init__.py", "")
    write(tmp_path / "pack" / "mod.py", "")
    assert_refused(run("-m", name, cwd=tmp_path), "(-m)")
