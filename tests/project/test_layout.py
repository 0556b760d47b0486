"""The architecture: the order of imports, and what `import fastgrad` may load.

Oracle: the one code block of ARCHITECTURE.md, the tree in the order of its layers. Sources, Python
and Cython alike, are parsed, and so the repository is needed; an installed sdist skips.
"""

import ast
import keyword
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, NATIVE = ROOT / "fastgrad", ROOT / "src" / "fastgrad" / "_native"
MODULES = (".py", ".pyx", ".pxd")
SOURCES = (*MODULES, ".c", ".h", ".pxi")

pytestmark = pytest.mark.skipif(not NATIVE.is_dir(), reason="no source tree")


def drawn_tree():
    """Return the names in ARCHITECTURE.md's code block, as paths, in their order.

    A line has names and, behind two blanks, what they are. Folders end in a slash; one that nothing
    stands under is a module as a whole.
    """
    (block,) = re.findall(r"^```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    folders, paths = [], []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 4
        for name in re.split(r"  +", line.strip())[0].split():
            path = "/".join([*folders[:depth], name.rstrip("/")])
            paths.append(path)
            if name.endswith("/"):
                folders[depth:] = [name.rstrip("/")]
    return [path for path in dict.fromkeys(paths) if not any(is_under(p, path) for p in paths)]


def is_under(path, folder):
    return path.startswith(f"{folder}/")


def name_of(path):
    """Return what a file is called in the tree: a module by its stem, any other by its name."""
    relative = path.relative_to(ROOT)
    return str(relative.with_suffix("") if path.suffix in MODULES else relative)


def files():
    found = [*PACKAGE.rglob("*.py"), *NATIVE.rglob("*")]
    return [path for path in found if path.suffix in SOURCES and path.stem != "__init__"]


TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8") if NATIVE.is_dir() else "```\n```"
ORDER = {name: place for place, name in enumerate(drawn_tree())}


def place_of(name):
    """Return the entry of the tree that has this file: itself, or a folder drawn as one module."""
    return next((entry for entry in ORDER if entry == name or is_under(name, entry)), name)


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
        if base.startswith("fastgrad"):
            yield from (f"{base}.{name.split()[0]}" for name in names.split(",") if name.split())
            if not names.strip():  # they stand on the lines that follow
                yield base
        else:
            yield base or plain


INCLUDE = re.compile(r'^[ \t]*(?:#?include|cdef extern from) "(?:\.\./)*([\w/.]+)"', re.MULTILINE)


def entry_of(dotted):
    """Return the entry of the tree that a dotted name, of a module or in one, is in, or None."""
    parts = dotted.split(".")
    while len(parts) > 1:
        inside = "src/" if parts[1] == "_native" else ""
        if (entry := place_of(inside + "/".join(parts))) in ORDER:
            return entry
        parts.pop()
    return None


def used_modules():
    """Yield every (user, used) pair of entries of the tree."""
    for path in files():
        text = path.read_text("utf-8")
        user = place_of(name_of(path))
        if path.suffix == ".py":
            names = {name for name, _ in python_imports(path, ast.parse(text))}
        else:
            names = set(cython_imports(text)) if path.suffix in MODULES else set()
            for name in INCLUDE.findall(text):
                if (NATIVE / name).is_file():  # the others are the system's
                    yield user, name_of(NATIVE / name)
        for used in filter(None, map(entry_of, sorted(names))):
            if used != user:
                yield user, used


def is_native(name):
    return name.startswith("src/")


def wrong(pairs):
    return [
        f"{user} uses {used}"
        for user, used in pairs
        if ORDER.get(used, sys.maxsize) >= ORDER[user]
        or (user.startswith("fastgrad/command/") and is_native(used))
    ]


def test_every_file_is_named_in_architecture():
    missing = {name_of(path) for path in files() if place_of(name_of(path)) not in ORDER}
    assert missing == set(), "draw it in ARCHITECTURE.md"


def test_every_name_in_architecture_has_a_file():
    names = {name_of(path) for path in files()}
    gone = {entry for entry in ORDER if entry not in names and not (ROOT / entry).is_dir()}
    assert gone == set(), "take it out of ARCHITECTURE.md"


def test_tests_mirror_the_tree():
    """Folder by folder, besides what concerns the project as a whole, and what tests share."""
    inside = [entry.removeprefix("src/").removeprefix("fastgrad/") for entry in ORDER]
    folders = {entry.removeprefix("_native/").split("/")[0] for entry in inside if "/" in entry}
    folders = {folder for folder in folders if not folder.endswith(".h")}
    tests = {path.parent.name for path in (ROOT / "tests").rglob("*.py")}
    assert tests == folders | {"project", "helpers", "tests"}


def test_imports_follow_the_order_of_layers():
    assert wrong(used_modules()) == []


LOADED_BY_NUMPY = {  # and by record(), where an argument is its array
    "fastgrad/_arrays.py: numpy", "fastgrad/_linear_algebra.py: numpy",
}  # fmt: skip
NEEDS_AN_EXTRA = "fastgrad/sklearn.py"  # loaded by those who have it, and by nobody else


def test_import_needs_only_the_standard_library():
    allowed = sys.stdlib_module_names | {"fastgrad"}
    eager = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(ROOT)) != NEEDS_AN_EXTRA
        for name, eager in python_imports(path, ast.parse(path.read_text("utf-8")))
        if eager and name.split(".")[0] not in allowed
    }
    assert eager == LOADED_BY_NUMPY, "import it inside the function that uses it"


def test_native_modules_import_no_numpy():
    heavy = {"numpy", "scipy", "matplotlib"}
    for path in NATIVE.rglob("*.p[yx][xd]"):
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


def test_native_code_has_no_list_comprehension_or_star_display():
    for path in NATIVE.rglob("*.p[yx][xd]"):
        assert list(dropped_twice(path.read_text("utf-8"))) == [], path


@pytest.mark.parametrize(
    "line",
    ["a = [x for x in y]", "f(1, [\nx\nfor x in y\n])", "a = (*w, b)", "return [a, *w]", "f({*a})"],
)
def test_dropped_twice_finds_forbidden_forms(line):
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


NATIVE_ARENA = "src/fastgrad/_native/memory/arena"


@pytest.mark.parametrize(
    ("user", "used"),
    [
        (NATIVE_ARENA, "src/fastgrad/_native/graph/engine"),
        (NATIVE_ARENA, "src/fastgrad/_native/tape/tape.h"),
        ("fastgrad/errors", "fastgrad/engine"),
        ("fastgrad/command/demo", "src/fastgrad/_native/graph/engine"),
        ("fastgrad/optim", "fastgrad/nn/module"),
        ("fastgrad/ops", "fastgrad/ops"),
        ("fastgrad/engine", "src/fastgrad/_native/gone.h"),
    ],
)
def test_import_against_the_order_is_found(user, used):
    assert wrong([(user, used)]) == [f"{user} uses {used}"]


def test_import_along_the_order_is_allowed():
    assert wrong([("fastgrad/engine", "fastgrad/errors")]) == []
    assert wrong([("src/fastgrad/_native/graph/engine", NATIVE_ARENA)]) == []
    assert wrong([("fastgrad/command/demo", "fastgrad/engine")]) == []


def test_used_modules_are_found_in_python_cython_and_c():
    pairs = set(used_modules())
    assert ("fastgrad/nn/neurons", "src/fastgrad/_native/graph/neurons") in pairs
    assert ("src/fastgrad/_native/graph/engine", NATIVE_ARENA) in pairs
    assert ("src/fastgrad/_native/tape/plan.c", "src/fastgrad/_native/tape/tape.h") in pairs
    assert ("src/fastgrad/_native/ops/codes", "src/fastgrad/_native/ops/ops.h") in pairs


def test_all_import_forms_are_recognised():
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
        "from fastgrad._native.memory.arena cimport (\n    Node,\n)\n"
        "cimport fastgrad._native.graph.sweep as s\n"
        "from fastgrad._native.tape cimport tape, bind as b\n"
        "    from fastgrad.errors import explain\n# import fastgrad.command.cli\n"
    )
    assert [entry_of(name) for name in cython_imports(cython)] == [
        NATIVE_ARENA,
        "src/fastgrad/_native/graph/sweep",
        "src/fastgrad/_native/tape/tape",
        "src/fastgrad/_native/tape/bind",
        "fastgrad/errors",
    ]
