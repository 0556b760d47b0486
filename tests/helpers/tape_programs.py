"""Random programs for tapes: all operations, neurons, dots, special numbers.

A `Program` is a list of steps that depend on no data, so that a recording and each eager run do the
same. `ieee` evaluates it one operation at a time: what the eager engine gives for the operation
alone, and where that raises, what NumPy gives; it also sweeps, and says how large the terms are.
"""

import math
import random
import struct
import sys

import pytest

import fastgrad as fg
from fastgrad import Value, functional, nn
from fastgrad.ops import rows

np = pytest.importorskip("numpy")

EPSILON = sys.float_info.epsilon
ODD = (0.0, -0.0, 1.0, -1.0, 2.0, math.inf, -math.inf, math.nan, 1e308, -1e-308, 5e-324, 0.5, 710.0)
POWERS = (2, -1, 0, 0.5, 3, -2, 1.5, 1, 2.0, -0.5, True)
ROWS = {row.name: row for row in rows() if not row.variant_of}
UNARY = [name for name, row in ROWS.items() if row.arity == 1 and not row.parameter]
BINARY = [name for name, row in ROWS.items() if row.arity == 2]
IEEE = {  # where eager operations raise
    "div": lambda a, b: a * np.power(b, -1.0), "neg": np.negative,
    "acos": np.arccos, "asin": np.arcsin, "pow": np.power,
    "mod": np.remainder, "floordiv": np.floor_divide,
    "acosh": np.arccosh, "atanh": np.arctanh,
    "lgamma": lambda a: np.inf, "trigamma": lambda a: np.inf,
    "digamma": lambda a: np.nan if a <= 0 and np.floor(a) == a else -1 / a,
    **{name: getattr(np, name) for name in (
        "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh",
        "log2", "log10", "exp2")},
}  # fmt: skip


def bits(xs):
    """Tell numbers apart as IEEE does, but for the sign and the payload of a nan."""
    return [struct.pack("<d", x) if x == x else "nan" for x in xs]


def number(rng):
    if rng.random() < 0.25:
        return rng.choice(ODD)
    return rng.uniform(-3, 3) * (1.0 if rng.random() < 0.8 else 10.0 ** rng.randint(-9, 9))


# -- steps: a name, the places of operands, and a parameter of the step ----------------------------


def neuron_of(bias, weights, nonlin):
    """Make a neuron of given parameters; what it draws for itself leaves no trace."""
    state = random.getstate()
    neuron = nn.Neuron(len(weights), nonlin=nonlin)
    random.setstate(state)
    neuron.b, neuron.w = bias, weights
    return neuron


def apply(name, k, operands):
    """Apply one step to Values."""
    a = operands[0]
    if name == "power":
        return a**k
    if name == "exponential":
        return k**a
    if name == "plus":
        return a + k
    if name == "times":
        return k * a
    if name == "minus":
        return k - a
    if name == "leaky_relu":
        return functional.leaky_relu(a, k)
    if name == "where":
        return fg.where(*operands)
    if name == "take":
        return fg.take(operands[1:], fg.where(functional.lt(a, k), 0.0, float(len(operands) - 2)))
    if name == "one_hot":  # 0 or 1 entries that are 1: the index may be whole or not
        entries = functional.one_hot(operands[0] if k else functional.lt(a, 0.5), len(operands))
        return sum((e * x for e, x in zip(entries, operands, strict=True)), 0.0)
    if name == "weighted":
        pairs = zip(operands[1::2], operands[2::2], strict=True)
        return sum((w * x for w, x in pairs), a)
    if name == "neuron":
        neuron = neuron_of(a, operands[1::2], nonlin=k)
        return neuron(operands[2::2])
    if name == "inside":  # a product inside a neuron, and the neuron itself
        neuron = neuron_of(a, operands[1::2], nonlin=False)
        sum_ = neuron(operands[2::2])
        (product,) = [v for v in sum_._prev if v._op == "*"]
        return product * sum_
    return getattr(functional, name)(*operands)


def random_step(rng, n):
    """Choose a step for n values so far."""
    near = lambda: n - 1 - rng.randrange(min(n, 12)) if rng.random() < 0.8 else rng.randrange(n)  # noqa: E731
    kind = rng.randrange(13)
    if kind < 3:
        return rng.choice(UNARY), None, [near()]
    if kind < 6:
        return rng.choice(BINARY), None, [near(), near()]
    if kind == 6:
        return rng.choice(["add", "mul", "sub"]), None, [near(), near()]
    if kind == 7:
        return "power", rng.choice(POWERS), [near()]
    if kind == 8:
        k = rng.choice([1, 1.0, 0, -1, 2.5, -0.75, rng.choice(ODD)])
        return rng.choice(["plus", "times", "minus", "leaky_relu", "exponential"]), k, [near()]
    if kind == 9:
        return "where", None, [near(), near(), near()]
    if kind == 10:
        return "take", rng.uniform(-1, 1), [near() for _ in range(rng.randint(2, 5))]
    if kind == 11:
        return "one_hot", rng.random() < 0.5, [near() for _ in range(rng.randint(2, 5))]
    name = rng.choice(["weighted", "weighted", "neuron", "inside"])
    pairs = 2 if name == "inside" else rng.randint(1, 5)
    return name, rng.random() < 0.5, [near() for _ in range(1 + 2 * pairs)]


class Program:
    """Steps on the values of some inputs and parameters, and what it returns of all values."""

    def __init__(self, seed, length):
        rng = self.rng = random.Random(seed)
        self.n_inputs = rng.randint(1, 4)
        self.parameters = [Value(rng.uniform(-2, 2)) for _ in range(rng.randint(0, 3))]
        self.example = [rng.uniform(0.2, 1.2) for _ in range(self.n_inputs)]
        self.steps = []
        made = [*map(Value, self.example), *self.parameters]
        while len(self.steps) < length:
            name, k, places = random_step(rng, len(made))
            try:
                made.append(apply(name, k, [made[p] for p in places]))
            except (ArithmeticError, ValueError):
                continue  # the example has to come through
            self.steps.append((name, k, places))
        self.outputs = [len(made) - 1]
        while rng.random() < 0.3:
            self.outputs.append(rng.randrange(len(made)))

    def __call__(self, *inputs):
        """Return all values."""
        made = [*inputs, *self.parameters]
        for name, k, places in self.steps:
            made.append(apply(name, k, [made[p] for p in places]))
        return made

    def first(self, *inputs):
        return self(*inputs)[self.outputs[0]]

    def some(self, *inputs):
        made = self(*inputs)
        return [made[place] for place in self.outputs]

    def sample(self):
        return [number(self.rng) for _ in range(self.n_inputs)]


# -- oracles ---------------------------------------------------------------------------------------


def eager(program, sample):
    """Return outputs, and the first one's gradient in inputs and parameters; None if it raised."""
    leaves = [*map(Value, sample), *program.parameters]
    try:
        made = program(*leaves[: program.n_inputs])
    except (ArithmeticError, ValueError):
        return None, None
    outputs = [made[place].data for place in program.outputs]
    for leaf in leaves:
        leaf.grad = 0.0
    try:
        made[program.outputs[0]].backward()
    except ArithmeticError:
        return outputs, None
    gradient = [leaf.grad for leaf in leaves]
    for leaf in program.parameters:
        leaf.grad = 0.0
    return outputs, gradient


def one_step(name, k, numbers):
    """Return what a step gives, and its partials, or None where they are infinite or unknown."""
    operands = [Value(x) for x in numbers]
    try:
        out = apply(name, k, operands)
    except (ArithmeticError, ValueError):
        with np.errstate(all="ignore"):
            if name == "power":
                return float(np.power(float(numbers[0]), float(k))), None
            if name == "exponential":
                return float(np.power(float(k), numbers[0])), None
            return float(IEEE[name](*map(np.float64, numbers))), None
    try:
        out.backward()
    except ArithmeticError:
        return out.data, None
    return out.data, [v.grad for v in operands]


def ieee_steps(program, sample):
    """Return all numbers, leaves first, and the partials of each step, None if unsure."""
    numbers = [float(x) for x in (*sample, *(p.data for p in program.parameters))]
    partials = []
    for name, k, places in program.steps:
        y, slopes = one_step(name, k, [numbers[p] for p in places])
        numbers.append(y)
        partials.append(slopes)
    return numbers, partials


def ieee(program, sample):
    """Return the outputs, and the sums of the absolute terms of each gradient, nan if unsure."""
    numbers, partials = ieee_steps(program, sample)
    first = len(numbers) - len(partials)
    sizes = [0.0] * len(numbers)
    sizes[program.outputs[0]] = 1.0
    reached = {program.outputs[0]}
    for i in range(len(program.steps) - 1, -1, -1):
        if first + i not in reached:
            continue
        places, size = program.steps[i][2], sizes[first + i]
        for place, slope in zip(places, partials[i] or [math.nan] * len(places), strict=True):
            sizes[place] += abs(slope) * size
        reached.update(places)
    if not max(sizes[place] for place in reached) < 1e280:  # order decides what overflows
        sizes = [math.nan] * len(sizes)
    return [numbers[place] for place in program.outputs], sizes[:first]


def close(got, expected, size):
    """Tell whether sums of the same terms agree; where terms may overflow, any do."""
    return not size < 1e290 or abs(got - expected) <= 8 * EPSILON * size + 1e-320


# -- a long program --------------------------------------------------------------------------------


def chain_tape(n):
    """A tape of n sums, one after another."""
    w = Value(1.0)

    def function(x):
        y = x
        for _ in range(n // 2):
            y = (y + w) * 1.0000001
        return y

    return fg.record(function, 0.5)
