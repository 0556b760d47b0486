"""Set-up shared by all tests: which build is under test, how hard Hypothesis tries."""

import gc
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("helpers")  # before they are imported

from helpers.tally import TRIED  # noqa: E402

import fastgrad  # noqa: E402
from fastgrad import engine  # noqa: E402
from fastgrad._native.graph import check  # noqa: E402

# Such as release, debug, release-id8-chunk2: FASTGRAD_VARIANT as setup.py compiled it in.
VARIANT = getattr(engine, "build_info", dict)().get("variant", "unknown")
ID_BITS = int((re.findall(r"-id(\d+)", VARIANT) or [32])[0])

# Hypothesis keeps its examples in the checkout, where it may.
if not os.access(Path(__file__).parents[1], os.W_OK):
    folder = Path(tempfile.gettempdir(), f"fastgrad-hypothesis-{os.getuid()}")
    hypothesis.configuration.set_hypothesis_home_dir(folder)

# No deadline: a shared machine pauses for longer than any example takes.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2_000)
hypothesis.settings.register_profile("few", deadline=None, max_examples=5)  # under valgrind
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_report_header(config):
    return f"fastgrad: {VARIANT} build of {os.path.dirname(fastgrad.__file__)}"


def pytest_sessionstart(session):
    # A variant shadows the installed package through PYTHONPATH; a slip would test the wrong one.
    expected = os.environ.get("FASTGRAD_EXPECT", VARIANT)
    if expected != VARIANT:
        pytest.exit(
            f"expected the {expected} build, got {VARIANT} at {fastgrad.__file__}: "
            f"run through `make test-{expected}`, after `make clean` if it persists",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != "test_smoke.py")
    if ID_BITS < 32:
        skip = pytest.mark.skip(reason=f"needs more nodes than {ID_BITS}-bit ids can name")
        for item in items:
            if item.get_closest_marker("wide"):
                item.add_marker(skip)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a worker of pytest-xdist
        session.config.workeroutput["tried"] = dict(TRIED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    TRIED.update(Counter(getattr(node, "workeroutput", {}).get("tried", {})))


def pytest_terminal_summary(terminalreporter):
    if TRIED:
        terminalreporter.section("cases tried")
    for hazard, cases in TRIED.items():
        terminalreporter.write_line(f"{cases:>13,}  {hazard}")


@pytest.fixture
def no_collector():
    """Keep older garbage from going while a test counts nodes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


COUNTS = {"arena_stats", "live"}


def uses_names(code, names):
    inner = (uses_names(const, names) for const in code.co_consts if hasattr(const, "co_names"))
    return not names.isdisjoint(code.co_names) or any(inner)


@pytest.fixture(autouse=True)
def no_garbage_of_others(request):
    """Give a test that counts nodes only its own: others' garbage goes before it, not within."""
    function = getattr(request, "function", None)
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if hasattr(function, "__code__") and uses_names(function.__code__, COUNTS):
        request.getfixturevalue("no_collector")


@pytest.fixture(autouse=True)
def micrograd_restored():
    """Let `import micrograd` give PyPI's again after a test: others compare with it.

    What runs programs as `python -m fastgrad` does, in this process, leaves it giving fastgrad.
    """
    yield
    if alias := sys.modules.get("fastgrad.command.alias"):
        alias.restore_micrograd()


@pytest.fixture
def sound_arena():
    """Check every invariant of the arena after a test."""
    yield
    assert check.arena_check() == []


@pytest.fixture
def numpy():
    return pytest.importorskip("numpy")


@pytest.fixture
def linear():
    """A tape of 3 numbers that tells them apart, and its function of plain numbers."""
    return fastgrad.record(lambda x: x[0] + 10 * x[1] + 100 * x[2], [0.0, 0.0, 0.0])


@pytest.fixture
def file(tmp_path):
    """Give a path where a test may write."""
    return tmp_path / "some.tape"


@pytest.fixture
def no_gc_callbacks():
    """Keep from the collector what it would call, as Hypothesis's clock: that swallows a Ctrl-C."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks.extend(callbacks)
