"""No test depends on time: what reads a clock, sleeps or sets a timer has its reason in a list.

Oracle: `helpers.timing.REASONS`, against the text of every file of the tests, programs in strings
included.
"""

import re
from pathlib import Path

import pytest
from helpers.timing import REASONS

TESTS = Path(__file__).resolve().parents[1]
ABOUT_TIME = ("helpers/timing.py", "project/test_timing.py")
NAMES = (
    "sleep", "alarm", "setitimer", "timeout", "deadline", "dump_traceback_later", "Timer",
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
    "process_time", "process_time_ns", "thread_time",
)  # fmt: skip
# As a call, an attribute, an argument; a limit given to what waits for a thread. A sleep of no
# length only lets others run.
USE = re.compile(
    rf"(?<![\w$])({'|'.join(NAMES)})(?=\(|=[^=])(?!\(0\))"
    rf"|\btime\.({'|'.join(NAMES)})\b(?!\(0\))"
    rf'|"({"|".join(name for name in NAMES if len(name) > 7)})"'
    r"|\.(wait|join|acquire|get|result)\((?:timeout|[\d.]+\))"
)


def uses(text):
    """Return the names of what depends on time in a text."""
    return {next(filter(None, match.groups())) for match in USE.finditer(text)}


def found():
    """Return (file, name) of every use."""
    texts = {p.relative_to(TESTS).as_posix(): p.read_text("utf-8") for p in TESTS.rglob("*.py")}
    return {(path, name) for path in texts.keys() - ABOUT_TIME for name in uses(texts[path])}


def test_every_use_of_time_has_a_listed_reason():
    assert found() - set(REASONS) == set(), "count polls, wait for an event, or give the reason"


def test_every_listed_reason_has_a_use_of_time():
    assert set(REASONS) - found() == set(), "take it out of helpers/timing.py"
    assert all(REASONS.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("time.sleep(0.1)", "sleep"),
        ("signal.setitimer(signal.ITIMER_REAL, 1)", "setitimer"),
        ("started = time.perf_counter()", "perf_counter"),
        ("clock = time.monotonic", "monotonic"),
        ("signal.alarm(3)", "alarm"),
        ("subprocess.run(words, timeout=60)", "timeout"),
        ("thread.join(5)", "join"),
        ("event.wait(0.5)", "wait"),
        ("from time import sleep\nsleep(1)", "sleep"),
        ('monkeypatch.setattr(m, "perf_counter", f)', "perf_counter"),
    ],
)
def test_use_of_time_is_found_in_a_text(text, name):
    assert uses(text) == {name}


@pytest.mark.parametrize(
    "text", ["thread.join()", 'os.sep.join("ab")', "event.wait()", "time.sleep(0)"]
)
def test_wait_without_a_limit_is_allowed(text):
    assert uses(text) == set()
