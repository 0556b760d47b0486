"""The architecture, asserted: who may import whom, and what `import fastgrad` may not load.

Layer: tests.  May import: the standard library, pytest.

Oracle: the order of ROWS, ARCHITECTURE.md's diagram written as data. It parses sources, Python and
Cython alike, and so needs the repository; an installed sdist has none, and skips.
"""

import ast
import keyword
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, NATIVE = ROOT / "fastgrad", ROOT / "src" / "fastgrad"

# A module may use modules of the rows above its own, and those of its own row that stand before it.
ROWS = """
    errors ops container
    _ops _region _pool _arena _fused _sweep
    _handle _check _record _engine _backward _graph _copy _value engine
    _optim optim
    _extract _bind _tape _inspect _program tape_file tape _fit training
    _functional functional
    operations
    _nn nn
    losses transforms gradcheck
    alias
    models parallel viz
    replace_class runner bench demo cli __main__
"""
ORDER = {name: place for place, name in enumerate(ROWS.split())}

# These stand on the public interface: the compiled modules (`_engine`, ...) are not theirs to use.
PUBLIC_ONLY = {
    "models", "parallel", "viz", "replace_class", "runner", "bench", "demo", "cli", "__main__"
}  # fmt: skip

# An optimiser knows `.data` and `.grad` of what parameters() returns, and one native fast path.
OPTIM_MAY_USE = {"errors", "_engine", "_nn", "_functional", "_optim"}

pytestmark = pytest.mark.skipif(not NATIVE.is_dir(), reason="no source tree")


def module_of(path):
    """`fastgrad/viz/dot.py` and `src/fastgrad/_arena.pxd` belong to `viz` and `_arena`."""
    base = NATIVE if path.is_relative_to(NATIVE) else PACKAGE
    return path.relative_to(base).parts[0].split(".")[0]


def python_imports(path, tree):
    """Yield (dotted name, whether it runs at import) of every import statement."""
    package = ["fastgrad", *path.relative_to(PACKAGE).parent.parts]

    def walk(node, eager):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, eager) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                up = package[: len(package) - child.level + 1] if child.level else []
                base = ".".join([*up, *filter(None, [child.module])])
                yield from ((f"{base}.{alias.name}", eager) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(ast.Module(child.orelse, []), eager)  # types run never
            else:
                yield from walk(child, eager and not isinstance(child, ast.FunctionDef))

    yield from walk(tree, True)


CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+\(?([^#\n]*)|c?import[ \t]+([\w.]+))",
    re.MULTILINE,
)


def cython_imports(text):
    """Yield dotted names; a regular expression, since no parser reads Cython but Cython's own."""
    for base, names, plain in CIMPORT.findall(text):
        if base == "fastgrad":
            yield from (f"fastgrad.{name.split()[0]}" for name in names.split(",") if name.split())
        else:
            yield base or plain


def used_modules():
    """Every (user, used) pair of fastgrad's modules, except those of `fastgrad/__init__.py`."""
    pairs = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, _ in python_imports(path, ast.parse(path.read_text("utf-8"))):
            pairs.add((module_of(path), name))
    for path in sorted(NATIVE.glob("_*.p[yx][xd]")):
        pairs |= {(module_of(path), name) for name in cython_imports(path.read_text("utf-8"))}
    known = {module_of(path) for path in [*PACKAGE.iterdir(), *NATIVE.glob("_*.p[yx][xd]")]}
    for user, name in sorted(pairs):
        first, _, rest = name.partition(".")
        used = rest.split(".")[0]
        if first == "fastgrad" and user != "__init__" and used in known - {user}:
            yield user, used


def wrong(pairs):
    return [
        f"{user} uses {used}"
        for user, used in pairs
        if ORDER[user] <= ORDER[used]
        or (user in PUBLIC_ONLY and used.startswith("_") and used != "__main__")
        or (user == "optim" and used not in OPTIM_MAY_USE)
    ]


def test_every_module_has_its_place():
    paths = [*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py"), *NATIVE.glob("_*.p[yx][xd]")]
    found = {module_of(path) for path in paths} - {"__init__"}
    assert found <= ORDER.keys(), "add the module to ROWS, and to ARCHITECTURE.md"


def test_imports_point_one_way():
    assert wrong(used_modules()) == []


def test_import_needs_nothing_but_the_standard_library():
    allowed = sys.stdlib_module_names | {"fastgrad"}
    eager = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name, eager in python_imports(path, ast.parse(path.read_text("utf-8")))
        if eager and name.split(".")[0] not in allowed
    }
    assert eager == set(), "import it inside the function that uses it"


def test_native_core_knows_no_numpy():
    heavy = {"numpy", "scipy", "matplotlib"}
    for path in NATIVE.glob("_*.p[yx][xd]"):
        names = {name.split(".")[0] for name in cython_imports(path.read_text("utf-8"))}
        assert not names & heavy, path


STRING = r"""('{3}|"{3}).*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
SKIPPED = re.compile(rf"{STRING}|#[^\n]*", re.DOTALL)
TOKEN = re.compile(r"\w+|\*\*|\S")


def dropped_twice(text):
    """Yield the lines of list comprehensions and starred displays, in Cython's syntax.

    Where their list or tuple cannot grow, the C that Cython 3.3.1 makes of them drops the item
    twice: a crash, not a MemoryError. Append in a loop instead.
    """
    text = SKIPPED.sub(lambda match: '""' + "\n" * match[0].count("\n"), text)
    opened, before = [], "\n"  # opened: (bracket, whether it is a display, not a call or an index)
    for match in TOKEN.finditer(text):
        token = match[0]
        if token in "([{":
            named = before.isidentifier() and not keyword.iskeyword(before)
            opened.append((token, not named and before not in (")", "]", "*")))  # *: `int *(*f)()`
        elif token in ")]}":
            opened.pop()
        elif (
            opened
            and opened[-1][1]
            and ((token == "for" and opened[-1][0] == "[") or (token == "*" and before in "([{,"))
        ):
            yield text.count("\n", 0, match.start()) + 1
        before = token


def test_native_code_makes_no_list_that_drops_its_items_twice():
    for path in NATIVE.glob("_*.p[yx][xd]"):
        assert list(dropped_twice(path.read_text("utf-8"))) == [], path


@pytest.mark.parametrize(
    "line",
    ["a = [x for x in y]", "f(1, [\nx\nfor x in y\n])", "a = (*w, b)", "return [a, *w]", "f({*a})"],
)
def test_dropped_twice_sees_what_is_forbidden(line):
    allowed = """
ctypedef int (*visit)(PyObject *, void *) noexcept
PyObject *(*tp_alloc)(PyTypeObject *, Py_ssize_t) except? NULL
f(*args, **{**a, "b": 1})  # [x for x in y]
for i in [a, b]: x = {i for i in y} | {i: "[*a]" for i in y} | set(i for i in y) * [1][0] * a
"""
    found = allowed.count("\n") + 1
    assert list(dropped_twice(allowed)) == []
    (at,) = dropped_twice(allowed + line)
    assert found <= at <= found + 2


@pytest.mark.parametrize(
    "planted",
    [
        ("_arena", "_engine"),
        ("errors", "engine"),
        ("viz", "_engine"),
        ("optim", "nn"),
        ("ops", "ops"),
    ],
)
def test_the_test_fails_when_it_should(planted):
    assert wrong([planted])
    assert not wrong([("engine", "errors"), ("_engine", "_arena"), ("viz", "engine")])


def test_import_forms_are_all_recognised():
    python = ast.parse(
        "import fastgrad.nn as n\nfrom . import tape\nfrom .viz import dot\nfrom "
        "fastgrad import ops\ndef f():\n    import numpy\nif TYPE_CHECKING:\n    import scipy\n"
    )
    assert set(python_imports(PACKAGE / "cli.py", python)) == {
        ("fastgrad.nn", True),
        ("fastgrad.tape", True),
        ("fastgrad.viz.dot", True),
        ("fastgrad.ops", True),
        ("numpy", False),
    }
    cython = (
        "from fastgrad._arena cimport (\n    Node,\n)\ncimport fastgrad._sweep as s\n"
        "from fastgrad cimport _tape, _nn as n\n    from fastgrad.errors import explain\n"
        "# import fastgrad.cli\n"
    )
    assert list(cython_imports(cython)) == [
        "fastgrad._arena", "fastgrad._sweep", "fastgrad._tape", "fastgrad._nn", "fastgrad.errors"
    ]  # fmt: skip
