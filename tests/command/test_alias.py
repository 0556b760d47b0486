"""`install_as_micrograd`: programs that import micrograd get fastgrad, whatever is installed.

Oracle: identity of classes and modules, and PyPI's micrograd itself where it must stay untouched.
"""

import importlib
import importlib.util
import subprocess
import sys

import pytest

import fastgrad
from fastgrad import engine, nn
from fastgrad.command import alias
from fastgrad.errors import FastgradWarning


def micrograd_modules():
    return {
        name: module for name, module in sys.modules.items() if name.split(".")[0] == "micrograd"
    }


@pytest.fixture(autouse=True)
def clean_slate():
    """Begin without micrograd, and end as before: other tests hold PyPI's classes."""
    before, meta_path = micrograd_modules(), list(sys.meta_path)
    for name in before:
        del sys.modules[name]
    yield
    sys.meta_path[:] = meta_path
    for name in micrograd_modules():
        del sys.modules[name]
    sys.modules.update(before)


def test_every_import_form_of_micrograd_gives_fastgrad():
    assert fastgrad.install_as_micrograd() is None
    import micrograd
    import micrograd.engine
    import micrograd.nn
    from micrograd import engine as by_name
    from micrograd.engine import Value
    from micrograd.nn import MLP

    assert Value is fastgrad.engine.Value is engine.Value
    assert MLP is fastgrad.nn.MLP is nn.MLP
    assert micrograd.engine is by_name is engine
    assert micrograd.nn is nn
    assert importlib.import_module("micrograd.engine") is engine


def test_import_of_the_package_alone_loads_its_submodules():
    fastgrad.install_as_micrograd()
    assert importlib.import_module("micrograd").nn.MLP is nn.MLP


def test_modules_keep_their_fastgrad_names():
    fastgrad.install_as_micrograd()
    module = importlib.import_module("micrograd.engine")
    assert module.__spec__.name == "fastgrad.engine"
    assert sys.modules["fastgrad.engine"] is module
    assert engine.Value.__module__.startswith("fastgrad.")


def test_second_install_changes_nothing():
    fastgrad.install_as_micrograd()
    package, meta_path = importlib.import_module("micrograd"), list(sys.meta_path)
    fastgrad.install_as_micrograd()
    assert sys.meta_path == meta_path
    assert importlib.import_module("micrograd") is package


def test_install_survives_deletion_from_sys_modules_and_reload():
    fastgrad.install_as_micrograd()
    package = importlib.import_module("micrograd")
    assert importlib.util.find_spec("micrograd.engine").name
    assert importlib.reload(package).engine is engine
    for name in micrograd_modules():
        del sys.modules[name]
    assert importlib.import_module("micrograd.engine") is engine


def test_install_works_without_micrograd(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])  # nothing on disk can be found now
    fastgrad.install_as_micrograd()
    package = importlib.import_module("micrograd")
    assert package.engine is engine
    assert list(package.__path__) == []
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("micrograd.viz")


def test_install_after_import_of_micrograd_replaces_it_and_warns():
    real = pytest.importorskip("micrograd.engine")
    assert real.Value is not engine.Value
    with pytest.warns(FastgradWarning, match="was imported before"):
        fastgrad.install_as_micrograd()
    assert importlib.import_module("micrograd.engine") is engine
    assert (real.Value(2) * 3).data == 6  # who holds the old class keeps one that works


def test_restore_brings_back_the_original_modules():
    pytest.importorskip("micrograd.nn")
    before = micrograd_modules()
    with pytest.warns(FastgradWarning):
        fastgrad.install_as_micrograd()
    importlib.import_module("micrograd.nn")
    alias.restore_micrograd()
    assert micrograd_modules() == before
    assert importlib.import_module("micrograd.engine").Value is not engine.Value


def test_restore_without_install_changes_nothing():
    meta_path = list(sys.meta_path)
    alias.restore_micrograd()
    assert sys.meta_path == meta_path


def test_further_submodule_of_a_fork_imports_fastgrad(tmp_path, monkeypatch):
    fork = tmp_path / "micrograd"
    fork.mkdir()
    (fork / "__init__.py").write_text("raise AssertionError('not executed')\n")
    (fork / "engine.py").write_text("class Value: pass\n")
    (fork / "optim.py").write_text("from micrograd.engine import Value\n")
    monkeypatch.syspath_prepend(tmp_path)
    fastgrad.install_as_micrograd()
    assert importlib.import_module("micrograd.optim").Value is engine.Value


def test_alias_module_imports_nothing_further():
    code = (
        "import sys; names = set(sys.modules); f = open(sys.argv[1], encoding='utf-8');"
        "text = f.read(); f.close(); exec(text);"  # a warning about f would import a lot
        "print(sorted(set(sys.modules) - names))"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, alias.__file__],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert out.strip() in ("[]", "['__future__']")


@pytest.mark.parametrize("name", ["numpy", "micro", "micrograd2", "micrograd.viz"])
def test_finder_leaves_other_names_alone(name):
    assert alias._Finder({}).find_spec(name) is None


def test_star_imports_give_what_those_of_micrograd_give():
    names = {}
    for library in ("PyPI's", "fastgrad's"):
        for module in ("micrograd.engine", "micrograd.nn"):
            space = {}
            exec(f"from {module} import *", space)
            names[library, module] = {name for name in space if name != "__builtins__"}
        for name in micrograd_modules():
            del sys.modules[name]
        fastgrad.install_as_micrograd()
    assert names["PyPI's", "micrograd.nn"] <= names["fastgrad's", "micrograd.nn"]
    assert names["PyPI's", "micrograd.engine"] <= names["fastgrad's", "micrograd.engine"]
