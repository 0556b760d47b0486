"""What tools and people ask of the public modules: dir, signatures, annotations, names, one import.

Oracle: the files of the package, and each module's `__all__`.
"""

import importlib.util
import inspect
import pkgutil
import sys
import types
import typing
from importlib import import_module

import pytest
from helpers.processes import python

import fastgrad

MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(fastgrad.__path__)
    if not module.ispkg and not module.name.startswith("_")
    if module.name != "sklearn" or importlib.util.find_spec("sklearn")  # an extra
)


def public_objects():
    """Yield (full name, object) of all that the package and its public modules export."""
    for module in (fastgrad, *(import_module(f"fastgrad.{name}") for name in MODULES)):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)


def public_callables():
    """Yield functions, classes, and the public methods that classes define."""
    for name, value in public_objects():
        if inspect.isclass(value):
            yield name, value
            for attribute, method in vars(value).items():
                if not attribute.startswith("_") and callable(method):
                    yield f"{name}.{attribute}", method
        elif callable(value):
            yield name, value


def is_error(value):
    """Tell an exception: what those take is BaseException's, which has no signature."""
    return inspect.isclass(value) and issubclass(value, BaseException)


CALLABLES = dict(public_callables())


def test_dir_lists_every_public_name():
    assert {*fastgrad.__all__, *MODULES, "__version__"} <= set(dir(fastgrad))


def test_public_names_include_functions_classes_and_methods():
    assert {"fastgrad.record", "fastgrad.Value", "fastgrad.tape.Tape.check"} <= CALLABLES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_is_an_attribute_after_one_import(name, tmp_path):
    process = python("-c", f"import fastgrad; print(fastgrad.{name}.__name__)", cwd=tmp_path)
    assert (process.stdout, process.stderr) == (f"fastgrad.{name}\n", "")


@pytest.mark.parametrize("name", CALLABLES)
def test_annotations_of_a_public_name_can_be_evaluated(name):
    typing.get_type_hints(CALLABLES[name])


@pytest.mark.parametrize("name", [name for name in CALLABLES if not is_error(CALLABLES[name])])
def test_a_public_name_has_a_signature(name):
    inspect.signature(CALLABLES[name])


def test_signature_of_value_is_what_it_takes():
    signature = inspect.signature(fastgrad.Value)
    assert list(signature.parameters) == ["data", "_children", "_op", "label", "dialect"]
    bound = signature.bind(1.0, (), "", "a")
    assert fastgrad.Value(*bound.args, **bound.kwargs).label == "a"

    class Own(fastgrad.Value):
        pass

    assert inspect.signature(Own) == signature


def test_no_public_module_has_the_name_of_a_public_function():
    taken = {name for name in fastgrad.__all__ if not inspect.ismodule(getattr(fastgrad, name))}
    assert taken.isdisjoint(MODULES)


def test_import_without_compiled_modules_says_what_to_do(tmp_path):
    missing = "import sys; sys.modules['fastgrad._native.graph.backward'] = None; import fastgrad"
    process = python("-c", missing, cwd=tmp_path)
    last = process.stderr.splitlines()[-1]
    assert process.returncode == 1
    assert last.startswith("ImportError: expected compiled modules, got none for cpython-")
    assert fastgrad.__path__[0] in last
    assert "make build" in last
    assert "pip install ." in last
    assert "ModuleNotFoundError" not in process.stderr


def test_import_that_misses_another_module_names_that_module(tmp_path):
    missing = "import sys; sys.modules['fastgrad.engine'] = None; import fastgrad"
    process = python("-c", missing, cwd=tmp_path)
    assert process.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of fastgrad.eng")


@pytest.mark.parametrize("module", [None, types.ModuleType("sklearn")], ids=["absent", "a stub"])
def test_names_of_the_package_leave_out_an_extra_that_is_not_there(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", module)
    assert "sklearn" not in dir(fastgrad)
