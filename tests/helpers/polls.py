"""How native loops look at pending signals: counted, and stopped or disturbed at any of them."""

import _thread
import operator
import signal
from collections import defaultdict
from functools import partial

# Ctrl-C, from C: no bytecode runs between this and what C calls next, so only that can notice it.
CTRL_C = partial(_thread.interrupt_main, signal.SIGINT)


def at_each_look(action, visit=lambda number: None):
    """Do something that runs no bytecode, with Ctrl-C pressed anew whenever it has been noticed.

    What is noticed by bytecode after all, as on the way to an error, is the last: a frame that is
    traced would look again before its next instruction, for ever.
    `visit` is called at each look, with its number from 1 on, and may raise. Gives how often that
    was, and what the action gave.
    """
    armed = [True]
    seen = []
    button = defaultdict(CTRL_C)  # an item that it has not presses Ctrl-C: no call, no bytecode

    def handler(_, frame):
        if not armed:
            return
        seen.append(None)
        visit(len(seen))
        if frame.f_code is at_each_look.__code__:
            button[len(seen)]

    before = signal.signal(signal.SIGINT, handler)
    try:
        _, result, _ = map(operator.call, (CTRL_C, action, armed.clear))
    finally:
        armed.clear()
        signal.signal(signal.SIGINT, before)
    return len(seen), result


def stop_at(last):
    """Return what raises KeyboardInterrupt at a look, as Ctrl-C does."""

    def visit(number):
        if number == last:
            raise KeyboardInterrupt

    return visit
