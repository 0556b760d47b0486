"""Set-up shared by all tests: which build is under test, how hard Hypothesis tries."""

import gc
import os
import re
import signal

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


def pytest_collection_modifyitems(items):
    if ID_BITS < 32:
        skip = pytest.mark.skip(reason=f"needs more nodes than {ID_BITS}-bit ids can name")
        for item in items:
            if item.get_closest_marker("wide"):
                item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    if TRIED:
        terminalreporter.section("cases tried")
    for hazard, cases in TRIED.items():
        terminalreporter.write_line(f"{cases:>13,}  {hazard}")


@pytest.fixture
def no_collector():
    """Keep older garbage from going while a test counts nodes."""
    gc.disable()
    yield
    gc.enable()


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


@pytest.fixture
def interrupt(no_gc_callbacks):
    """Return a function that sends one KeyboardInterrupt after some seconds.

    On a busy machine that can be at once: call it where the exception is expected.
    """
    if not hasattr(signal, "setitimer"):
        pytest.skip("no interval timers")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
