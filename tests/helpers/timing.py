"""Times in the tests: all of them, each with its reason; `project/test_timing.py` sees to it.

A test may not need a machine that is fast, slow, idle or busy. So signals come at counted polls
(`helpers.polls`), threads wait for each other without a limit, and what is to go on for ever waits
for an event that nobody sets.
"""

import time

HANG = 600  # seconds after which a program that should have ended long ago is ended: it never will

# What a file uses, and why no outcome depends on how long it takes.
REASONS = {
    ("conftest.py", "deadline"): "turned off: a shared machine pauses longer than an example takes",
    ("graph/test_state_machine.py", "deadline"): "turned off, as in conftest.py",
    ("helpers/refleaks.py", "monotonic"): "chooses the tests that are run once; decides no outcome",
    ("command/test_bench.py", "perf_counter"): "replaced by a clock of the test's own",
    ("project/test_process.py", "alarm"): "HANG: ends a child that a bug has stopped",
    ("project/test_process.py", "dump_traceback_later"): "HANG: likewise, and says where",
    ("train/test_executors.py", "timeout"): "of executors with clocks of their own: none waits",
    ("tape/test_threads.py", "sleep"): "of no length, or within an exit that a daemon may spoil: it"
    " gives it time, and without any the test would pass as well",
}


def let_others_run():
    """Give other threads the interpreter a thousand times: by then most faults will show."""
    for _ in range(1000):
        time.sleep(0)
