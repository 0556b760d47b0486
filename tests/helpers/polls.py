"""How native loops poll signals: counted, and stopped or disturbed at any poll, without a timer.

    last, result = at_each_poll(action)        # how often it polls, what it gives
    with pytest.raises(KeyboardInterrupt):
        at_each_poll(action, stop_at(number))  # Ctrl-C at its poll of this number, 1 to last
    at_each_poll(action, visit)                # visit(number) does anything at each of them

The action is any function of no arguments, bytecode or not; only native polls count, those of this
thread. Meanwhile loops without the GIL poll as often as the others do, whatever the time: once in
`POLL_INTERVAL` steps (nodes, operands, results). So the number follows from the work alone;
only with `threads=` above 1 it depends on who does which share as well, and a caller polls at least
once, when it has done its own.
"""

import _thread
import signal
import threading
from functools import partial

from fastgrad._native.base import poll

POLL_INTERVAL = poll.STEPS
# Ctrl-C, from C: no bytecode runs between this and what C calls next, so only that can notice it.
CTRL_C = partial(_thread.interrupt_main, signal.SIGINT)


def at_each_poll(action, visit=lambda number: None):
    """Do something, and call `visit(number)` at each poll, counted from 1; it may raise.

    Polls within a visit are not counted. Gives how many there were, and what the action gave.
    """
    count, thread, visiting = 0, threading.get_ident(), False

    def observer():
        nonlocal count, visiting
        if visiting or threading.get_ident() != thread:
            return
        count, visiting = count + 1, True
        try:
            visit(count)
        finally:
            visiting = False

    poll.observe(observer)
    try:
        result = action()
    finally:
        poll.observe(None)
    return count, result


def stop_at(last):
    """Return what raises KeyboardInterrupt at a poll, as Ctrl-C does."""

    def visit(number):
        if number == last:
            raise KeyboardInterrupt

    return visit
