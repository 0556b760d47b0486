"""Single samples in groups against the interpreter, in turn: `python -m benchmarks.groups`.

Each row: operations, microseconds of value and gradient from Python without and with groups
(medians), the median ratio of neighbouring calls, and what the plan costs, in nanoseconds an
operation. The numbers are the same to the bit first. `--always` plans whatever the table of costs
says.
"""

import random
import sys
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np

import fastgrad as fg
from fastgrad import functional, nn
from fastgrad._native.tape.replay import use_groups
from fastgrad.command.bench.gpt import GPT, tokens

ROUNDS, SECONDS = 61, 300e-6  # of calls in turn; of one turn, about


def rosenbrock(n, power):
    """Return the value and gradient of Rosenbrock's function of n numbers, by x*x or x**2."""

    def f(x):
        total = 0
        for a, b in pairwise(x):
            t = b - (a**2 if power else a * a)
            u = 1 - a
            total = total + (100 * (t**2 if power else t * t) + (u**2 if power else u * u))
        return total

    x = np.random.default_rng(n).uniform(-2, 2, n)
    return fg.record(f, x), (x,), "inputs"


def black_scholes(n):
    """Return the summed prices of n calls, and their Greeks."""

    def price(s, k, r, v, t):
        root = v * t**0.5
        d = ((s / k).log() + (r + v * v * 0.5) * t) / root
        discounted = k * (-r * t).exp()
        return s * cdf(d) - discounted * cdf(d - root)

    def cdf(x):
        return (functional.erf(x * 0.7071067811865476) + 1.0) * 0.5

    rng = np.random.default_rng(0)
    low, high = [80.0, 90.0, 0.01, 0.1, 0.5], [120.0, 110.0, 0.05, 0.4, 2.0]
    x = rng.uniform(np.array(low)[:, None], np.array(high)[:, None], (5, n))
    tape = fg.record(lambda x: sum(price(*row) for row in zip(*x, strict=True)), x)
    return tape, (x,), "inputs"


def wide_dag(n):
    """Return a random graph of n additions and products of any two nodes before."""
    rng = random.Random(3)
    picks = [(rng.random(), rng.random(), rng.random() < 0.5) for _ in range(n)]

    def f(x):
        values = list(x)
        for first, second, is_product in picks:
            a, b = values[int(first * len(values))], values[int(second * len(values))]
            values.append(a * b if is_product else (a + b) * 0.5)
        return sum(values[-1000:])

    x = np.random.default_rng(1).uniform(-1, 1, 100)
    return fg.record(f, x), (x,), "inputs"


def network():
    """Return the loss of an MLP of 30-64-64-1."""
    random.seed(2)
    model = nn.MLP(30, [64, 64, 1])
    x = np.random.default_rng(0).uniform(-1, 1, 30)
    tape = fg.record(lambda x, y: (1 - y * model(x)).relu(), x, 1.0)
    return tape, (x, 1.0), "parameters"


def gpt():
    """Return the loss of a small GPT for one name (W5)."""
    model = GPT(fg.Value, fg.take, functional.max)
    letters = tokens("sophia")
    example = letters[:-1], letters[1:]
    return fg.record(model.cross_entropy, *example), example, "parameters"


def chain(n):
    """Return a chain of n operations."""

    def f(x):
        y = x
        for _ in range(n // 2):
            y = y * 0.999 + x
        return y

    return fg.record(f, 0.5), (0.5,), "inputs"


CASES = {
    **{f"rosenbrock {n}, x*x": (rosenbrock, n, False) for n in (10, 100, 1000)},
    **{f"rosenbrock {n}, x**2": (rosenbrock, n, True) for n in (10, 100, 1000)},
    "black-scholes 100": (black_scholes, 100),
    "random graph": (wide_dag, 100_000),
    "mlp 30-64-64-1": (network,),
    "gpt, one name": (gpt,),
    "chain": (chain, 10_000),
}


def flat(numbers):
    """Return numbers, in lists and arrays, as one list."""
    if isinstance(numbers, (list, tuple)):
        return [a for part in numbers for a in flat(part)]
    return np.ravel(numbers).tolist()


def seconds(call, times):
    """Return the seconds of one of several calls."""
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times


def row(name, build, *sizes, when="auto"):
    """Return a line of the table."""
    tape, args, wrt = build(*sizes)

    def call():
        return tape.value_and_grad(*args, wrt=wrt)

    use_groups(when)
    first, second, third = (seconds(call, 1) for _ in range(3))  # planned at the second
    grouped = flat(call())
    use_groups("never")
    assert grouped == flat(call()), name
    times = max(1, int(SECONDS / min(seconds(call, 1) for _ in range(5))))
    turns = []
    for _ in range(ROUNDS):
        use_groups("never")
        before = seconds(call, times)
        use_groups(when)
        turns.append((before, seconds(call, times)))
    before, after = (1e6 * median(times) for times in zip(*turns, strict=True))
    ratio = median(a / b for a, b in turns)
    plan = 1e9 * (second - min(first, third)) / len(tape)
    return f"{name:20} {len(tape):8,} {before:9.2f} {after:9.2f} {ratio:6.2f} {plan:8.0f}"


def main():
    """Print the table."""
    when = "always" if "--always" in sys.argv else "auto"
    print(f"{'':20} {'ops':>8} {'before':>9} {'after':>9} {'ratio':>6} {'plan ns':>8}")
    for name, (build, *sizes) in CASES.items():
        print(row(name, build, *sizes, when=when), flush=True)


if __name__ == "__main__":
    main()
