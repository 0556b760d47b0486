"""`run --replace-class`: programs that define `class Value` themselves, on fastgrad's.

Oracle: the same program with its own class, run by `python`.
"""

import re

import pytest
from helpers.processes import LECTURE, MICROGPT, assert_refused, python, run, write

from fastgrad import nn


@pytest.mark.parametrize("text", [LECTURE, MICROGPT], ids=["lecture", "microgpt"])
@pytest.mark.parametrize("as_module", [False, True], ids=["script", "module"])
def test_program_with_replaced_value_prints_the_same(tmp_path, text, as_module):
    write(tmp_path / "program.py", text)
    program = ["-m", "program"] if as_module else ["program.py"]
    ours = run("--replace-class", "Value", *program, cwd=tmp_path)
    theirs = python(*program, cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout) != (0, "")
    assert "replaced by fastgrad.engine.Value" in ours.stderr


def test_replacement_reports_what_was_replaced_and_lost(tmp_path):
    write(tmp_path / "lecture.py", LECTURE)
    lines = run("--replace-class=Value", "lecture.py", cwd=tmp_path).stderr.splitlines()
    first, second, third, lost = lines
    source = LECTURE.splitlines()
    start, end = map(int, re.fullmatch(r".*\(lecture\.py:(\d+)-(\d+)\).*", first).groups())
    assert first.endswith("replaced by fastgrad.engine.Value")
    assert source[start - 1] == "class Value:"
    assert source[end - 1].strip() == "self.data = data"
    assert f"lecture.py:{source.index('    @staticmethod') + 1}-" in second
    assert "class Value (lecture.py:" in third
    names = "Value.sparkle, Value.sparkles, Value.shine, Value.dull"
    assert lost.startswith(f"fastgrad: warning: fastgrad.engine.Value has no {names};")


def test_replacement_keeps_line_numbers_and_encoding(tmp_path):
    text = "# coding: latin-1\nclass Value:\n    '''\xe9'''\n\n1 / 0 # \xe9\n"
    (tmp_path / "script.py").write_bytes(text.encode("latin-1"))
    ours = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    theirs = python("script.py", cwd=tmp_path)
    assert ours.stderr.partition("\n")[2] == theirs.stderr


def test_replaced_network_classes_report_their_differences(tmp_path):
    write(
        tmp_path / "nets.py",
        """
        class Value: pass
        if True:
            class MLP:
                def __init__(self, sizes): pass
        match 1:
            case 1:
                class Layer: pass
        with open(__file__):
            class Neuron:
                def __eq__(self, other): return True
                __hash__ = None
        class Module: pass
        print(MLP.__module__, Layer.__module__, Neuron.__module__, Module.__module__)
        """,
    )
    names = ["Value", "MLP", "Layer", "Neuron"]
    options = [word for name in names for word in ("--replace-class", name)]
    process = run(*options, "nets.py", cwd=tmp_path)
    modules = [nn.MLP.__module__, nn.Layer.__module__, nn.Neuron.__module__, "__main__"]
    assert (process.returncode, process.stdout.split()) == (0, modules)
    assert process.stderr.count("replaced by") == 4
    assert process.stderr.count("ReLU in every layer but the last") == 3
    assert "fastgrad.nn.Neuron has no Neuron.__eq__;" in process.stderr


@pytest.mark.parametrize(
    "parameters",
    [
        "children=(), local_grads=()",
        "_children=(), _local_grads=()",
        "parents=(), derivs=()",
        "inputs=None, partials=None",
        "local_gradients=(), children=()",
        "grad=0.0, prev=(), child_grads=()",
    ],
)
def test_local_derivatives_passed_by_hand_reach_the_operands(tmp_path, parameters):
    names = [parameter.partition("=")[0] for parameter in parameters.split(", ")]
    meant = {"grad": "0.0"} | {
        name: "(x, x)" if name.strip("_") in ("children", "parents", "inputs", "prev") else "(2, 3)"
        for name in names
        if name != "grad"
    }
    write(
        tmp_path / "script.py",
        f"""
        class Value:
            def __init__(self, data, {parameters}): pass
        def by_place(x): return Value(0.5, {", ".join(meant[name] for name in names)})
        def by_name(x): return Value(0.5, {", ".join(f"{n}={meant[n]}" for n in names)})
        x = Value(1.0)
        (by_place(x) * 10).backward()
        print(x.grad, len(Value(2.0)._prev))
        (by_name(x) * 10).backward()
        print(x.grad)
        """,
    )
    process = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    assert (process.returncode, process.stdout.split()) == (0, ["50.0", "0", "100.0"])
    assert "passes" not in process.stderr


KEEPING = {
    "parents=(), derivs=(), *, name=None": """
                self.value, unused = float(value), 3
                self.parents, self.slopes = tuple(parents), derivs
                self.total = value + len(parents)
                self.parents: tuple = tuple(parents)
                self.slopes: tuple
                self.slopes = derivs or ()
                self.tag = name
    """,
    "*, parents=(), derivs=(), name=None": """
                self.value = value
                self.parents = set(parents)
                self.slopes = [] if derivs is None else list(derivs)
                self.tag = name
                own = derivs
    """,
}


@pytest.mark.parametrize("parameters", KEEPING)
def test_attributes_of_a_replaced_class_keep_their_names(tmp_path, parameters):
    body = KEEPING[parameters].strip()
    by_name = parameters.startswith("*")
    given = "parents=(x, x), derivs=(2, 3)" if by_name else "(x, x), (2, 3)"
    write(
        tmp_path / "script.py",
        f"""
        class Scalar:
            def __init__(self, value, {parameters}):
                {body}
        x = Scalar(1.0, name="x")
        y = Scalar(4.0, {given}, name="y")
        y.backward()
        y.value += 1
        print(y.value, x.grad, len(y.parents), y.slopes, x.tag, hasattr(y, "total"))
        """,
    )
    process = run("--replace-class", "Scalar=Value", "script.py", cwd=tmp_path)
    operands = "1" if by_name else "2"  # it was a set
    assert process.stderr.count("slopes is _local_grads") == 1
    assert process.stdout.split() == ["5.0", "5.0", operands, "(2.0,", "3.0)", "x", "False"]


def test_dataclass_gives_way_with_its_fields_as_parameters(tmp_path):
    write(
        tmp_path / "script.py",
        """
        from dataclasses import dataclass
        @dataclass(eq=False)
        class Var:
            number: float
            sources: tuple = ()
            partials: tuple = ()
            limit = 3
        x = Var(number=1.0)
        y = Var(4.0, (x,), partials=(5.0,))
        y.backward()
        print(x.grad, y.number, y.sources == (x,), y.partials)
        """,
    )
    process = run("--replace-class", "Var=Value", "script.py", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (0, "5.0 4.0 True (5.0,)\n")


def test_class_that_keeps_nothing_under_another_name_changes_no_attribute(tmp_path):
    write(
        tmp_path / "script.py",
        """
        class Value:
            def __init__(self, data, children=(), local_grads=()):
                self.data, self._children, self._local_grads = data, children, local_grads
        class Value: pass
        print(hasattr(Value, "children"))
        """,
    )
    process = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    assert process.stdout == "False\n"
    assert "attributes of" not in process.stderr


def test_backward_steps_passed_to_the_constructor_are_warned_of(tmp_path):
    write(
        tmp_path / "script.py",
        """
        class Value:
            def __init__(self, data, children=(), grad_fn=None, requires_grad=False): pass
        def sin(x): return Value(0.5, (x,), lambda g: g)
        def cos(x): return Value(0.5, (x,), grad_fn=None)
        def leaf(): return Value(0.5, requires_grad=True)
        """,
    )
    process = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    assert process.returncode == 0
    warned = re.findall(r"script.py:(\d+): passes (\w+), .*not take(.*)", process.stderr)
    without = ": this node will have no derivative"
    assert warned == [
        ("4", "grad_fn", without), ("5", "grad_fn", without), ("6", "requires_grad", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("class Other: pass\nclass Other: pass\n", "the classes Other in script.py ("),
        ("def f():\n    class Value: pass\n", "no classes in script.py ("),
        ("from micrograd.engine import Value\n", "imports its classes from micrograd"),
    ],
)
def test_missing_class_is_refused(tmp_path, text, got):
    write(tmp_path / "script.py", text)
    assert_refused(run("--replace-class", "Value", "script.py", cwd=tmp_path), "`class Value`", got)


def test_class_unknown_to_fastgrad_is_refused(tmp_path):
    write(tmp_path / "script.py", "class Tensor: pass\n")
    process = run("--replace-class", "Tensor", "script.py", cwd=tmp_path)
    assert_refused(process, "one of Value, Module, Neuron, Layer, MLP, got 'Tensor'")


def test_module_without_source_is_refused(tmp_path):
    import py_compile

    source = write(tmp_path / "bare.py", "class Value: pass\nprint(Value.__module__)\n")
    py_compile.compile(str(source), cfile=str(tmp_path / "bare.pyc"))
    source.unlink()
    assert run("-m", "bare", cwd=tmp_path).stdout == "__main__\n"
    assert_refused(run("--replace-class", "Value", "-m", "bare", cwd=tmp_path), "source code")


ENGINE = """
import math

class Other:
    pass

class Scalar:
    def __init__(self, value, label="", parents=(), *, op=""):
        self.data, self.grad, self.label = value, 0.0, label
        self._prev, self._op, self._backward = set(parents), op, lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data + other.data, "", (self, other), op="+")
        def step():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = step
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(value=other)
        out = Scalar(self.data * other.data, parents=(self, other), op="*")
        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = step
        return out

    def backward(self):
        order, seen = [], set()
        def visit(v):
            if v not in seen:
                seen.add(v)
                [visit(operand) for operand in v._prev]
                order.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()
"""

USER = """
import sys
{imports}

def sine(x):
    out = {name}(math.sin(x.data), "sine", (x,), op="sin")
    def step():
        x.grad += math.cos(x.data) * out.grad
    out._backward = step
    return out

x = {name}(value=0.5, label="x")
w = {name}(-1.5, "w")
y = sine(x * w + x) * w
y.backward()
print(y.data, x.grad, w.grad, x.label, w.label, isinstance(y, {name}))
print({name}.__module__, file=sys.stderr)
"""


def write_program(folder, layout):
    """Write a program whose engine is elsewhere; return how to run it."""
    if layout == "module":
        write(folder / "scalars.py", ENGINE)
        text = USER.format(imports="import math\nfrom scalars import Scalar", name="Scalar")
        write(folder / "train.py", text)
        return ["train.py"], "scalars"
    if layout == "attribute of a module":
        write(folder / "scalars.py", ENGINE)
        text = USER.format(imports="import math\nimport scalars", name="scalars.Scalar")
        write(folder / "train.py", text)
        return ["train.py"], "scalars"
    if layout == "namespace package":  # a folder without __init__.py
        (folder / "tools").mkdir()
        write(folder / "tools" / "scalars.py", ENGINE)
        text = USER.format(imports="import math\nfrom tools.scalars import Scalar", name="Scalar")
        write(folder / "train.py", text)
        return ["train.py"], "tools.scalars"
    (folder / "pack" / "core").mkdir(parents=True)
    write(folder / "pack" / "__init__.py", "")
    write(folder / "pack" / "core" / "__init__.py", "from .engine import Scalar\n")
    write(folder / "pack" / "core" / "engine.py", ENGINE)
    text = USER.format(imports="import math\nfrom .core import Scalar", name="Scalar")
    write(folder / "pack" / "__main__.py", text)
    return ["-m", "pack"], "pack.core.engine"


@pytest.mark.parametrize(
    "layout", ["module", "attribute of a module", "package", "namespace package"]
)
@pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
def test_class_of_another_module_is_replaced(tmp_path, layout, named):
    program, module = write_program(tmp_path, layout)
    option = f"{module}:Scalar=Value" if named else "Scalar=Value"
    ours = run("--replace-class", option, *program, cwd=tmp_path)
    theirs = python(*program, cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout) != (0, "")
    assert ours.stderr.splitlines()[-1] == "fastgrad.engine"
    assert "class Scalar (" in ours.stderr


@pytest.mark.parametrize("layout", ["module", "package"])
def test_run_says_that_a_program_has_an_engine_of_its_own(tmp_path, layout):
    program, module = write_program(tmp_path, layout)
    ours, theirs = run(*program, cwd=tmp_path), python(*program, cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    note, *rest = ours.stderr.splitlines(keepends=True)
    assert note.startswith("fastgrad: note: ")
    assert f"--replace-class {module}:Scalar=Value" in note
    assert "".join(rest) == theirs.stderr


def test_bytecode_of_the_original_module_is_not_used_or_written(tmp_path):
    program, _ = write_program(tmp_path, "module")
    before = python(*program, cwd=tmp_path)
    changed = run("--replace-class", "Scalar=Value", *program, cwd=tmp_path)
    after = python(*program, cwd=tmp_path)
    assert changed.stderr.splitlines()[-1] == "fastgrad.engine"
    assert (before.stdout, before.stderr) == (after.stdout, after.stderr)


def test_arguments_unknown_to_fastgrad_are_named(tmp_path):
    write(
        tmp_path / "script.py",
        """
        class Value:
            def __init__(self, data, requires_grad=True): pass
        v = Value(1.0)
        for unknown in ({"requires_grad": False}, {"depth": 1}):
            try:
                Value(1.0, **unknown)
            except TypeError as error:
                print(error)
        try:
            Value(1.0, requires_grad=False) + Value(1.0, depth=1)
        except TypeError as error:
            print(error)
        """,
    )
    process = run("--replace-class", "Value", "script.py", cwd=tmp_path)
    assert "got 'requires_grad' (keyword of Value)" in process.stdout
    assert "got 'depth' (keyword of Value)" in process.stdout
    assert "script.py:11: passes requires_grad, which fastgrad.engine.Value" in process.stderr


@pytest.mark.parametrize(
    ("option", "fragments"),
    [
        ("gone:Value", ["`class Value`", "no module 'gone' with source code", "gone:Value"]),
        ("scalars:Value", ["the classes Other, Scalar in scalars.py", "NAME=Value"]),
        ("Value", ["the classes Other, Scalar in train.py, scalars.py"]),
        ("Scalar", ["'Scalar'", "Scalar=Value"]),
        ("Scalar=Tensor", ["'Tensor'"]),
        ("a b", ["[MODULE:]NAME[=TARGET]", "'a b'"]),
    ],
)
def test_option_that_fits_no_class_is_refused(tmp_path, option, fragments):
    program, _ = write_program(tmp_path, "module")
    assert_refused(run("--replace-class", option, *program, cwd=tmp_path), *fragments)


def test_modules_outside_the_folder_of_the_program_are_left_alone(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "program").mkdir()
    write(tmp_path / "library" / "scalars.py", ENGINE)
    folder = str(tmp_path / "library")
    imports = f"import math\nsys.path.append({folder!r})\nfrom scalars import Scalar"
    write(tmp_path / "program" / "train.py", USER.format(imports=imports, name="Scalar"))
    process = run("train.py", cwd=tmp_path / "program")
    assert (process.returncode, process.stderr) == (0, "scalars\n")


def test_named_module_outside_the_program_folder_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "library").mkdir()
    (tmp_path / "program").mkdir()
    write(tmp_path / "library" / "scalars.py", ENGINE)
    text = USER.format(imports="import math\nfrom scalars import Scalar", name="Scalar")
    write(tmp_path / "program" / "train.py", text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    process = run("--replace-class", "scalars:Scalar=Value", "train.py", cwd=tmp_path / "program")
    assert (process.returncode, process.stderr.splitlines()[-1]) == (0, "fastgrad.engine")


def test_module_that_the_program_finds_elsewhere_is_refused(tmp_path):
    (tmp_path / "library").mkdir()
    write(tmp_path / "library" / "scalars.py", ENGINE + "print('another')\n")
    write(tmp_path / "scalars.py", ENGINE)
    imports = "import math\nsys.path.insert(0, 'library')\nfrom scalars import Scalar"
    write(tmp_path / "train.py", USER.format(imports=imports, name="Scalar"))
    process = run("--replace-class", "Scalar=Value", "train.py", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (1, "")
    assert "ImportError: expected scalars at " in process.stderr
    assert "changed sys.path" in process.stderr


def test_environment_inside_the_folder_of_the_program_is_not_searched(tmp_path, monkeypatch):
    packages = tmp_path / ".venv" / "lib"
    packages.mkdir(parents=True)
    write(packages / "scalars.py", ENGINE)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    text = USER.format(imports="import math\nfrom scalars import Scalar", name="Scalar")
    write(tmp_path / "train.py", text)
    process = run("train.py", cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "scalars\n")
    assert_refused(run("--replace-class", "Scalar=Value", "train.py", cwd=tmp_path), "no classes")


def test_broken_neighbour_is_shown_by_the_program(tmp_path):
    write(tmp_path / "broken.py", "def (\n")
    write(
        tmp_path / "train.py", "try:\n    import broken\nexcept SyntaxError:\n    print('seen')\n"
    )
    process = run("train.py", cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "seen\n", "")


def test_modules_of_others_are_found_as_ever_beside_replaced_ones(tmp_path):
    program, _ = write_program(tmp_path, "module")
    with open(tmp_path / "train.py", "a", encoding="utf-8") as file:
        file.write("import this_is_nowhere\n")
    process = run("--replace-class", "Scalar=Value", *program, cwd=tmp_path)
    assert process.returncode == 1
    assert "ModuleNotFoundError: No module named 'this_is_nowhere'" in process.stderr
