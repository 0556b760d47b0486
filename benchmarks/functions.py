"""Elementary functions, each beside NumPy's or math's, in turn: `python -m benchmarks.functions`.

A batch's row is what one more operation costs, its loads and stores with it: nanoseconds an element
by which a tape with MANY of them is slower than one without, beside a call of NumPy's function, and
the ratio of both. A row of `--eager` is one call of a Value's method, and the function of math.
`--tree DIR` takes fastgrad from another checkout, FASTGRAD_SIMD chooses the level.
"""

import argparse
import math
import sys
from statistics import median
from time import perf_counter

ROUNDS, SAMPLES, MANY, CALLS = 41, 10_000, 16, 2_000
NAMES = (
    "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sinh", "cosh", "tanh", "sigmoid",
    "softplus", "erf", "erfc", "gelu", "logaddexp", "pow", "cube", "root", "sin", "cos",
)  # fmt: skip


def operation(name):
    """Return a function of two Values, of which the second may not be used."""
    special = {
        "pow": lambda x, _: x**1.7,
        "cube": lambda x, _: x**3,
        "root": lambda x, _: x**-0.5,
        "logaddexp": lambda x, y: x.logaddexp(y),
        "nothing": lambda x, _: x,
    }
    return special.get(name) or (lambda x, _: getattr(x, name)())


def of_numpy(np, name):
    """Return NumPy's function of two arrays and an array to write to, or None."""
    special = {
        "pow": lambda x, _, out: np.power(x, 1.7, out=out),
        "cube": lambda x, _, out: np.power(x, 3.0, out=out),
        "root": lambda x, _, out: np.power(x, -0.5, out=out),
        "logaddexp": lambda x, y, out: np.logaddexp(x, y, out=out),
    }
    function = getattr(np, name, None)
    return special.get(name) or (function and (lambda x, _, out: function(x, out=out)))


def fastest(calls, rounds=ROUNDS):
    """Return the least seconds of each call, which take turns."""
    least = [math.inf] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = perf_counter()
            call()
            least[i] = min(least[i], perf_counter() - start)
    return least


def batches(names):
    """Print nanoseconds an element: value, value and gradient, NumPy's."""
    import numpy as np

    import fastgrad as fg
    from fastgrad.tape import SIMD

    print(f"ns an element, {SIMD:12} {'value':>8} {'gradient':>8} {'NumPy':>8} {'ratio':>8}")
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0.1, 3.0, SAMPLES), rng.uniform(0.1, 3.0, SAMPLES)
    out = np.empty(SAMPLES)

    def tape_of(name):
        one = operation(name)
        shifts = [0.01 * i for i in range(MANY)]
        return fg.record(lambda a, b: sum(one(a + s, b) for s in shifts), 1.0, 1.0)

    nothing = tape_of("nothing")
    for name in names:
        tape, theirs = tape_of(name), of_numpy(np, name)
        calls = [
            lambda: nothing(x, y),
            lambda t=tape: t(x, y),
            lambda: nothing.value_and_grad(x, y, wrt="inputs"),
            lambda t=tape: t.value_and_grad(x, y, wrt="inputs"),
        ]
        if theirs:
            calls += [lambda f=theirs: f(x, y, out)]
        t = [1e9 * seconds / SAMPLES for seconds in fastest(calls)]
        value, gradient = (t[1] - t[0]) / MANY, (t[3] - t[2]) / MANY
        numpys = f"{t[4]:8.2f} {value / t[4]:8.2f}" if theirs else f"{'-':>8}"
        print(f"{name:27} {value:8.2f} {gradient:8.2f} {numpys}")


def calls_of_values(names):
    """Print nanoseconds of a call on a Value, and of the function of math on a float."""
    from fastgrad import Value

    print(f"ns a call {'':17} {'eager':>8} {'math':>8}")
    values = [Value(0.1 + 2.0 * i / CALLS) for i in range(CALLS)]
    floats = [v.data for v in values]
    for name in names:
        one, theirs = operation(name), getattr(math, name, None)
        times = []
        for _ in range(ROUNDS):
            start = perf_counter()
            for v in values:
                one(v, v)
            middle = perf_counter()
            if theirs and name != "pow":
                for v in floats:
                    theirs(v)
            times.append((middle - start, perf_counter() - middle))
        ours, maths = (1e9 * median(column) / CALLS for column in zip(*times, strict=True))
        shown = f"{maths:8.1f}" if theirs and name != "pow" else f"{'-':>8}"
        print(f"{name:27} {ours:8.1f} {shown}")


def main():
    """Print the table that the arguments ask for."""
    parser = argparse.ArgumentParser(description="Time elementary functions.")
    parser.add_argument("--eager", action="store_true", help="calls on Values instead of batches")
    parser.add_argument("--tree", default="", help="a checkout to take fastgrad from")
    parser.add_argument("names", nargs="*", default=NAMES)
    options = parser.parse_args()
    if options.tree:
        sys.path.insert(0, options.tree)
    (calls_of_values if options.eager else batches)(options.names)


if __name__ == "__main__":
    main()
