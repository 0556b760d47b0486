"""Single samples in groups and in the interpreter, compared bit by bit."""

import math

from fastgrad._native.tape.replay import use_groups

LEVELS = ("baseline", "avx2", "avx512")
ODD = (0.0, -0.0, math.inf, -math.inf, math.nan, 1e300, 1e-310, -1.0, 5e-324)


def bits(numbers):
    """Tell numbers apart, but for the sign and payload of a nan."""
    return [a.hex() if a == a else "nan" for a in numbers]


def replayed(tape, *args):
    """Give the value, and the gradients in all arguments and in the parameters."""
    value, (inputs, *_) = tape.value_and_grad(*args, wrt="inputs")
    again, parameters = tape.value_and_grad(*args)
    assert bits([value, value]) == bits([again, tape(*args)])
    return value, list(inputs), list(parameters)


def in_both(tape, *args):
    """Give what groups give, and what the interpreter does."""
    before = use_groups("always")
    try:
        for _ in range(2):  # planned at the second call of each
            replayed(tape, *args)
        grouped = replayed(tape, *args)
        use_groups("never")
        return grouped, replayed(tape, *args)
    finally:
        use_groups(before)


def assert_same(grouped, plain):
    assert [bits(part if isinstance(part, list) else [part]) for part in grouped] == [
        bits(part if isinstance(part, list) else [part]) for part in plain
    ]
