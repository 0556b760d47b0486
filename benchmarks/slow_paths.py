"""Paths that look slow beside their fast ones (T12), in turn: `python -m benchmarks.slow_paths`.

Each row is the median of ratios of neighbouring calls, slow over fast, and the time of both.
"""

import random
import warnings
from statistics import median
from time import perf_counter

ROUNDS, SAMPLES = 201, 10_000


def turns(slow, fast):
    """Return median seconds of both, and the median ratio, of calls that take turns."""
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        slow()
        middle = perf_counter()
        fast()
        times.append((middle - start, perf_counter() - middle))
    slows, fasts = zip(*times, strict=True)
    return median(slows), median(fasts), median(a / b for a, b in times)


def expression(a, b):
    """Return the expression of micrograd's README."""
    c, d = a + b, a * b + b**3
    c = c + c + 1
    c = c + 1 + c + (-a)
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


def cases():
    """Yield (name, slow call, fast call)."""
    import numpy as np

    import fastgrad as fg

    rng = np.random.default_rng(1)
    random.seed(1)
    w1 = fg.record(expression, -4.0, 2.0)
    points = rng.uniform(-4, 4, SAMPLES), rng.uniform(-4, 4, SAMPLES)
    model = fg.MLP(2, [16, 16, 1])
    network = fg.record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 1.0)
    data = rng.uniform(-1, 1, (SAMPLES, 2)), np.sign(rng.uniform(-1, 1, SAMPLES))
    for name, tape, args in (("W1", w1, points), ("MLP 16-16", network, data)):
        yield (
            f"reduce=None / reduce='sum', {name}",
            lambda t=tape, a=args: t.value_and_grad(*a, reduce=None, wrt="inputs"),
            lambda t=tape, a=args: t.value_and_grad(*a, reduce="sum", wrt="inputs"),
        )
        yield (
            f"jvp / call, {name}",
            lambda t=tape, a=args: t.jvp(a, a),
            lambda t=tape, a=args: t(*a),
        )
    wide = fg.record(lambda x: sum(v * v for v in x), [0.0] * 16)
    whole = rng.uniform(0, 100, (SAMPLES, 16))
    for dtype in ("float32", "float16", "int64", "int8", "bool", ">f8"):
        for order in "CF":
            x = np.array(whole, dtype=dtype, order=order)
            yield (
                f"{dtype} {order} / float64 with astype",
                lambda x=x: wide(x),
                lambda x=x: wide(x.astype(float)),
            )
    weights, xs, ys = rng.normal(size=20), rng.normal(size=(1000, 20)), rng.normal(size=1000)
    linear = fg.record(
        lambda w, x, y: (sum(a * b for a, b in zip(w, x, strict=True)) - y) ** 2,
        [0.0] * 20, [0.0] * 20, 0.0,
    )  # fmt: skip
    yield (
        "wrt='w' / wrt='inputs'",
        lambda: linear.value_and_grad(weights, xs, ys, wrt="w"),
        lambda: linear.value_and_grad(weights, xs, ys, wrt="inputs"),
    )
    numbers = rng.uniform(0.5, 2, 1000)
    products = fg.record(lambda x: [v * v for v in x], [1.0] * 1000)
    one = fg.record(lambda x: x * x, 1.0)
    for k in (2, 3, -1, 0.5, -0.5):
        powers = fg.record(lambda x, k=k: [v**k for v in x], [1.0] * 1000)
        yield f"1,000 times x**{k} / x*x", lambda t=powers: t(numbers), lambda: products(numbers)
    square = fg.record(lambda x: x**2, 1.0)
    yield "x**2 / x*x, one call", lambda: square(1.3), lambda: one(1.3)
    many = [fg.Value(0.1) for _ in range(4192)]
    held = fg.record(lambda x: x * many[0], 1.0, parameters=many)
    bare = fg.record(lambda x: x * 0.1, 1.0)
    yield "call, 4,192 parameters / none", lambda: held(1.3), lambda: bare(1.3)
    yield (
        "backward, 4,192 parameters / none",
        lambda: held.backward(1.3),
        lambda: bare.backward(1.3),
    )
    sgd, few = fg.optim.SGD(many, lr=0.0), fg.optim.SGD(many[:1], lr=0.0)
    yield (
        "set-up of fit, 4,192 parameters / 1",
        lambda: fg.fit(held, 1.3, optimizer=sgd, steps=0),
        lambda: fg.fit(held, 1.3, optimizer=few, steps=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = fg.record(lambda x: x * 2 if x > 0 else x, 1.0)
    free, million = fg.record(lambda x: x * 2, 1.0), rng.uniform(size=1_000_000)
    yield "1e6 samples, a decision / none", lambda: frozen(million), lambda: free(million)


def main():
    for name, slow, fast in cases():
        a, b, ratio = turns(slow, fast)
        print(f"{name:42}{ratio:8.2f}{a * 1e6:12.2f} us{b * 1e6:12.2f} us")


if __name__ == "__main__":
    main()
