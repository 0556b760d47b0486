"""Behaviour that micrograd programs rely on, run on both libraries in one process.

Oracle: PyPI's micrograd 0.1.0.
"""

import copy
import gc
import math
import random
import weakref

import pytest
from helpers.graphs import square
from helpers.reference import OURS, THEIRS, description, nodes, outcome, rows, swept

from fastgrad.command.bench.workloads import expression

np = pytest.importorskip("numpy")

# -- the nodes that operations make ---------------------------------------------------------------


def binary(f):
    """Apply f to two Values and sweep; no sum of three terms may depend on their order."""

    def program(V):
        a, b = V(-4.25), V(2.75)
        return swept(f(a, b), a, b)

    return program


GRAPHS = {
    "a+b": binary(lambda a, b: a + b),
    "a*b": binary(lambda a, b: a * b),
    "a+a": binary(lambda a, b: a + a),
    "a*a": binary(lambda a, b: a * a),
    "a+1": binary(lambda a, b: a + 1),
    "1+a": binary(lambda a, b: 1 + a),
    "a+0.1": binary(lambda a, b: a + 0.1),
    "a*3": binary(lambda a, b: a * 3),
    "3*a": binary(lambda a, b: 3 * a),
    "a*True": binary(lambda a, b: a * True),
    "a**2": binary(lambda a, b: a**2),
    "a**3": binary(lambda a, b: a**3),
    "a**-1": binary(lambda a, b: a**-1),
    "b**0.5": binary(lambda a, b: b**0.5),
    "b**-1.75": binary(lambda a, b: b**-1.75),
    "a**2.0": binary(lambda a, b: a**2.0),
    "a**True": binary(lambda a, b: a**True),
    "a**False": binary(lambda a, b: a**False),
    "a**1": binary(lambda a, b: a**1),
    "a**0": binary(lambda a, b: a**0),
    "b**-0.0": binary(lambda a, b: b**-0.0),
    "-a": binary(lambda a, b: -a),
    "a-b": binary(lambda a, b: a - b),
    "a-a": binary(lambda a, b: a - a),
    "a-1": binary(lambda a, b: a - 1),
    "1-a": binary(lambda a, b: 1 - a),
    "a-0": binary(lambda a, b: a - 0),
    "a/b": binary(lambda a, b: a / b),
    "a/a": binary(lambda a, b: a / a),
    "a/3": binary(lambda a, b: a / 3),
    "2/a": binary(lambda a, b: 2 / a),
    "a/0.3": binary(lambda a, b: a / 0.3),
    "relu": binary(lambda a, b: b.relu()),
    "relu of a negative": binary(lambda a, b: a.relu()),
    "sum": binary(lambda a, b: sum([a, b, a, b * b])),
    "sum of one": binary(lambda a, b: sum([a])),
    "sum from a start": binary(lambda a, b: sum([a, b], a * b)),
    "a weighted sum": binary(lambda a, b: sum(x * k for x, k in ((a, 2.0), (b, 3.0))) + 1),
    "np.float64 on the left": binary(lambda a, b: np.float64(2.5) * a),
    "np.float64 on the right": binary(lambda a, b: a - np.float64(2.5)),
    "np.float32 plus": binary(lambda a, b: np.float32(2.5) + a),
    "np.int64 minus": binary(lambda a, b: np.int64(3) - a),
    "np.float64 over": binary(lambda a, b: np.float64(3) / a),
    "a squashed": binary(lambda a, b: ((a * b + 1).relu() ** 2 - b / a).relu()),
}


@rows(GRAPHS)
def test_graphs_and_gradients_equal_micrograd(program):
    assert program(OURS) == program(THEIRS)


def readme(V):
    """Run the example of micrograd's README."""
    a, b = V(-4.0), V(2.0)
    g = expression(a, b)
    graph = description(g), len(nodes(g))
    g.backward()
    return graph, f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}"


def test_readme_example_equals_micrograd():
    assert readme(OURS) == readme(THEIRS)
    assert readme(OURS)[1] == "24.7041 138.8338 645.5773"


def test_forward_values_are_those_of_micrograd_but_for_a_unit_of_its_powers():
    rng = random.Random(3)
    for _ in range(300):
        x, y = (rng.uniform(-5, 5) * 10.0 ** rng.randint(-3, 3) for _ in range(2))
        for f in (
            lambda a, b: a / b,
            lambda a, b: 7 / b - a / 3,
            lambda a, b: (a * b + b) ** 3,
            lambda a, b: (a * a) ** 0.37,
            lambda a, b: (b * b + a * a) ** -1.5,
        ):
            expected = f(THEIRS(x), THEIRS(y)).data
            assert f(OURS(x), OURS(y)).data == pytest.approx(
                expected, rel=5e-16, abs=1e-15 / abs(y)
            )


def test_powers_and_quotients_are_exact_where_documented_and_else_within_a_unit():
    rng = random.Random(4)
    otherwise = 0
    for x in (1.819672131147541, *(rng.uniform(0.1, 10.0) for _ in range(20_000))):
        v = OURS(x)
        inverse = 1.0 / x
        assert (v**-1).data == (1 / v).data == (OURS(1.0) / x).data == (1 / OURS(x)).data == inverse
        assert (OURS(3.0) / v).data == (OURS(3.0) / x).data == 3.0 * inverse
        assert ((v**2).data, (v**0.5).data, (v**1).data) == (x * x, math.sqrt(x), x)
        for k in (-1, 2, 0.5, 3, 1.7):
            assert abs((v**k).data - x**k) <= math.ulp(x**k)
            otherwise += (v**k).data != x**k
    assert otherwise < 0.02 * 5 * 20_000


# -- programs that end the same on both -----------------------------------------------------------


def constructed(V):
    a, b = V(1.0), V(2.0)
    out = V(5.0, (a, b), "dot")
    named = V(5.0, _children=[a], _op="one")
    return description(out), out._prev == {a, b}, description(named), V(1.0)._op, V(1.0)._prev


def rebinding(V):
    a = c = V(1.0)
    c += 1
    c *= 3
    c -= 2
    c /= 4
    return a is c, a.data, c.data, hasattr(V, "__iadd__")


def identity(V):
    a, b = V(2.0), V(2.0)
    twins = {a: 1, b: 2}
    return a == b, a != b, a == a, a == 2.0, a in [b, 2.0], len({a, b, a}), twins[a], twins[b]


def truth(V):
    return bool(V(0.0)), bool(V(math.nan)), not V(-1.0), [v.data for v in (V(0.0), V(1.0)) if v]


def operands_once(V):
    a, b = V(1.0), V(2.0)
    y, z = a + b, a * a
    return len(y._prev), a in y._prev, y in y._prev, y._prev == {a, b}, z._prev == {a}


def same_operands_every_time(V):
    y = (V(1.0) * 2 + 3).relu()
    first, second = nodes(y), nodes(y)
    return len(first), {id(v) for v in first} == {id(v) for v in second}, y._prev == y._prev


def attributes(V):
    a = V(1.0)
    a.m, a.v, a.color = 0.5, [1], "red"
    a.label = "a"
    names = {"m", "v", "color", "label"}
    return a.m, a.v, a.color, a.label, names <= vars(a).keys(), outcome(lambda: a.missing)


def attributes_of_a_node_nobody_holds(V):
    a = V(1.0)
    hidden = a * 2
    hidden.label = "hidden"
    y = hidden + 1
    del hidden
    gc.collect()
    return sorted(getattr(v, "label", "") or "" for v in nodes(y))


def deleting_attributes(V):
    a = V(1.0)
    a.m = 1
    del a.m
    return hasattr(a, "m"), outcome(lambda: delattr(a, "m"))


def weak_references(V):
    a = V(1.0)
    dead = []
    ref, other = weakref.ref(a, dead.append), weakref.WeakSet([a])
    y = a + 1
    before = ref() is a, len(other)
    del a
    gc.collect()
    between = ref() is not None
    del y
    gc.collect()
    return before, between, ref(), len(other), dead == [ref]


def adam(V):
    """Keep state in dicts keyed by parameters and in attributes of them."""
    ps = [V(0.5), V(-0.3)]
    state = {p: [0.0, 0.0] for p in ps}
    for step in range(1, 6):
        loss = sum((p**2 + p * 0.3 for p in ps), V(0.0))
        for p in ps:
            p.grad = 0
        loss.backward()
        for p in ps:
            m, v = state[p]
            m, v = 0.9 * m + 0.1 * p.grad, 0.99 * v + 0.01 * p.grad**2
            state[p] = [m, v]
            p.data -= 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
    return [p.data for p in ps], [p.grad for p in ps]


def cube(V):
    x = V(3.0)
    y = x * x * x
    y.backward()
    first = x.grad
    y.backward()
    return first, x.grad


def root_is_overwritten(V):
    x = V(3.0)
    y = x * 2
    y.grad = 100.0
    y.backward()
    x.backward()
    return y.grad, x.grad


def two_roots(V):
    a, b = V(2.0), V(3.0)
    shared = a * b
    y, z = shared + a, shared * shared
    y.backward()
    z.backward()
    return a.grad, b.grad, shared.grad, y.grad, z.grad


def operands_are_read_late(V):
    w, x, e = V(2.0), V(3.0), V(2.0)
    y = w * x
    z = e**3
    w.data, e.data = 10.0, 5.0
    y.backward()
    z.backward()
    return x.grad, w.grad, e.grad, y.data


def relu_reads_its_own_data(V):
    x = V(3.0)
    y = x.relu()
    y.data = -1.0
    y.backward()
    z = V(-3.0).relu()
    (x2,) = z._prev
    z.data = 1.0
    z.backward()
    return x.grad, x2.grad


def writable(V):
    p = V(1.0)
    y = p * 3
    y.backward()
    p.data -= 0.1 * p.grad
    y.data += 1
    seen = p.data, p.grad, y.data
    p.grad = 0
    y.backward()
    return seen, p.grad


def by_hand(V):
    """Call every node's step, in the order that lecture 1 writes down."""
    x1, w1, b = V(2.0), V(-3.0), V(6.9)
    xw = x1 * w1
    n = xw + b
    q = n**2
    o = q.relu()
    o.grad = 1.0
    return [
        (v._backward(), [float(w.grad) for w in (q, n, xw, b, x1, w1)])
        for v in (o, q, n, b, xw, x1)
    ]


def closure(V):
    def dot(a, b, c):
        out = V(a.data * b.data + c.data**2, (a, b, c), "dot")

        def _backward():
            a.grad += b.data * out.grad
            b.grad += a.data * out.grad
            c.grad += 2 * c.data * out.grad

        out._backward = _backward
        return out

    a, b, c = V(2.0), V(3.0), V(4.0)
    y = dot(a * 2, b, c) * 5 + a
    return swept(y, a, b, c)


def closure_of_many(V):
    xs = [V(float(i)) for i in range(100)]
    out = V(sum(x.data for x in xs), tuple(xs), "total")

    def _backward():
        for i, x in enumerate(xs):
            x.grad += i * out.grad

    out._backward = _backward
    y = out * 2
    y.backward()
    return len(out._prev), [x.grad for x in xs], out.data, out._op


def closure_on_an_operation(V):
    x = V(3.0)
    y = x * x
    seen = []
    inner = y._backward
    y._backward = lambda: (seen.append(float(y.grad)), inner())
    z = y * 2
    z.backward()
    return seen, x.grad


def closure_on_a_leaf(V):
    x = V(3.0)
    seen = []
    x._backward = lambda: seen.append(float(x.grad))
    (x * x).backward()
    return seen


def closure_is_collected(V):
    x = V(3.0)
    ref = weakref.ref(y := square(x, V))
    y = y + 1
    gc.collect()
    y.backward()
    alive = ref() is not None, x.grad
    del y
    gc.collect()
    return alive, ref()


def raising_backward(V):
    x = V(3.0)
    y = x * 2

    def _backward():
        raise KeyError("mine")

    y._backward = _backward
    return outcome((y + 1).backward), outcome((x * 5).backward), x.grad


def patched_class(V):
    V.swish = lambda self: self * 0.5
    V.version = 3
    try:
        x = V(4.0)
        y = x.swish() + 1
        return swept(y, x), y.version
    finally:
        del V.swish, V.version


def patched_operator(V):
    original = V.__add__
    V.__add__ = lambda self, other: original(self, other) * 2
    try:
        patched = (V(1.0) + V(2.0)).data
    finally:
        V.__add__ = original
    return patched, (V(1.0) + V(2.0)).data


def subclass(V):
    class Parameter(V):
        def __init__(self, data, name):
            super().__init__(data)
            self.name = name

        def double(self):
            return self * 2

    p = Parameter(3.0, "p")
    y = p.double() + p
    y.backward()
    kinds = {type(v) for v in nodes(y)}
    return p.grad, p.name, type(y) == V, kinds == {V, Parameter}, isinstance(p, V), p in nodes(y)  # noqa: E721


def deepcopied_leaf(V):
    a = V(3.0)
    a.grad, a.label = 2.0, ["x"]
    b = copy.deepcopy(a)
    b.data, b.grad = 7.0, 5.0
    b.label.append("y")
    return a.data, a.grad, a.label, b.data, b.grad, b.label, a is b


def deepcopied_list(V):
    a = V(3.0)
    xs = copy.deepcopy([a, a, V(1.0)])
    return xs[0] is xs[1], xs[0] is a, [x.data for x in xs]


def object_array(V):
    a, b = V(2.0), V(3.0)
    xs = np.array([a, b]) * np.array([4.0, 5.0]) + 1
    y = xs.sum()
    return [x.data for x in xs], (xs @ xs).data, swept(y, a, b)[2], type(xs), xs.dtype


def array_on_the_left(V):
    a = V(2.0)
    xs = np.array([1.0, 2.0, 3.0]) * a
    return type(xs), xs.shape, [x.data for x in xs], [x.data for x in np.array([1.0, 2.0]) - a]


SAME = {
    program.__name__.replace("_", " "): program
    for program in (
        constructed, rebinding, identity, truth, operands_once, same_operands_every_time,
        attributes, attributes_of_a_node_nobody_holds, deleting_attributes, weak_references, adam,
        cube, root_is_overwritten, two_roots, operands_are_read_late, relu_reads_its_own_data,
        writable, by_hand, closure, closure_of_many, closure_on_an_operation, closure_on_a_leaf,
        subclass, deepcopied_leaf, deepcopied_list, object_array, array_on_the_left,
    )
}  # fmt: skip


@rows(SAME)
def test_programs_give_the_outcome_of_micrograd(program):
    assert program(OURS) == program(THEIRS)


def test_documented_results_hold():
    assert cube(OURS) == (27.0, 72.0)
    assert operands_are_read_late(OURS)[0] == 10.0


# -- a test of the tests --------------------------------------------------------------------------


class Wrong(THEIRS):
    """micrograd with mistakes that a port could make; operations give its own kind."""

    def __mul__(self, other):
        out = super().__mul__(other)
        out._backward, inner = lambda: (inner(), inner()), out._backward
        return out

    def __sub__(self, other):
        return THEIRS(self.data - getattr(other, "data", other), (self,), "-")

    def __pow__(self, k):
        return THEIRS(self.data**k, (self,), f"**{float(k)}")

    def __eq__(self, other):
        return self.data == getattr(other, "data", other)

    def __hash__(self):
        return hash(self.data)

    def relu(self):
        return THEIRS(max(0.0, self.data), (self,), "relu")


NOTICED = (
    "a*b", "a-b", "a**2", "relu", "a-1", "identity", "by hand", "cube", "two roots",
    "closure", "subclass",
)  # fmt: skip


@rows({name: (GRAPHS | SAME)[name] for name in NOTICED})
def test_comparison_of_a_wrong_class_fails(program):
    assert outcome(program, Wrong) != program(THEIRS)


RIGHT = ("np.float32 plus", "constructed", "truth", "operands once")


@rows({name: (GRAPHS | SAME)[name] for name in RIGHT})
def test_comparison_of_unaffected_programs_passes(program):
    assert program(Wrong) == program(THEIRS)
