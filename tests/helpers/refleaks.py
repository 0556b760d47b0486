"""A pytest plugin for debug interpreters: each test is repeated, and may keep no reference.

Usage: pytest -p helpers.refleaks. The interpreter counts all references there are; what a test
leaks, it leaks in each round. Tests that run other programs, choose at random or take long are run
once.
"""

import ctypes
import gc
import itertools
import sys
import time
import types
from array import array

import pytest

from fastgrad import arena_stats, operations

WARM, ROUNDS = 2, 3
LONG = 1.0  # seconds
HARMLESS = {
    "sound_arena", "no_collector", "no_garbage_of_others", "baseline", "capsys", "sound",
    "switch_often",
}  # fmt: skip
repeated, once, defined = [], {}, []


def drift(action):
    """Return how many references, and how many nodes, each of some rounds has left behind."""
    references, nodes = array("q", [0] * (WARM + ROUNDS)), array("q", [0] * (WARM + ROUNDS))
    gc.collect()
    gc.freeze()  # what the suite has loaded need not be looked at in each round
    for i in range(WARM + ROUNDS):  # arrays hold no objects: the count is of the action's alone
        action()
        while gc.collect():
            pass
        nodes[i] = arena_stats()["live_nodes"]
        references[i] = sys.gettotalrefcount()
    steps = (itertools.pairwise(counts[WARM - 1 :]) for counts in (references, nodes))
    return [[b - a for a, b in step] for step in steps]


def is_flat(changes):
    return min(changes) <= 0 <= max(changes)


def register(operation, register_custom=operations.register_custom):
    defined.append(operation)
    return register_custom(operation)


def plant():
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(object()))


def pytest_sessionstart(session):
    if not hasattr(sys, "gettotalrefcount"):
        pytest.exit("refleaks: expected a debug interpreter, such as python3-dbg", returncode=4)
    operations.register_custom = register
    if is_flat(drift(plant)[0]):
        pytest.exit("refleaks: a planted leak was not seen", returncode=4)


def uses_numpy(thing):
    """Look for NumPy in a function, and in what a test is given."""
    if isinstance(thing, list | tuple | set | dict):
        return any(map(uses_numpy, thing))
    if isinstance(thing, str):
        return thing.startswith("np.")  # a program's name
    if isinstance(thing, types.FunctionType):
        inner = [cell.cell_contents for cell in thing.__closure__ or ()]
        return uses_numpy(thing.__code__) or any(map(uses_numpy, inner))
    if isinstance(thing, types.CodeType):
        names = {*thing.co_names, *thing.co_varnames, *thing.co_cellvars}
        return not names.isdisjoint({"np", "numpy"}) or uses_numpy(thing.co_consts)
    return type(thing).__module__.startswith("numpy")


def why_once(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    fixtures = set(item.fixturenames) - set(parameters) - HARMLESS
    if getattr(item.obj, "is_hypothesis_test", False) or not hasattr(item, "_fixtureinfo"):
        return "random"
    if fixtures:
        return f"uses {min(fixtures)}"
    if uses_numpy([item.function, *parameters.values()]):
        return "NumPy is no debug build: it counts no references"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    started, known = time.monotonic(), len(defined)
    result = yield
    reason = why_once(pyfuncitem)
    if reason is None and time.monotonic() - started > LONG:
        reason = "takes long"
    if reason is None and len(defined) > known:
        reason = "defines operations, which stay for the life of the process"
    if reason:
        once.setdefault(reason, []).append(pyfuncitem.nodeid)
        return result
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    references, nodes = drift(lambda: pyfuncitem.obj(**arguments))
    assert is_flat(references), f"references left behind in each round: {references}"
    assert is_flat(nodes), f"nodes left behind in each round: {nodes}"
    repeated.append(pyfuncitem.nodeid)
    return result


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("references")
    terminalreporter.write_line(f"{len(repeated)} tests repeated {ROUNDS} times: counts are flat")
    for reason, tests in once.items():
        terminalreporter.write_line(f"{len(tests)} tests run once: {reason}")
