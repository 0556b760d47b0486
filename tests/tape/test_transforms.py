"""Transforms of functions: JAX's names, on code and tapes, nested, on structures.

Oracles: derivatives by hand; tapes' own verbs; <w, J v> == <J' w, v>; differences.
"""

import math
from typing import NamedTuple

import pytest

import fastgrad as fg
from fastgrad import Value, functional, nn
from fastgrad.errors import (
    DerivativeError,
    FastgradTypeError,
    FastgradValueError,
    GradcheckError,
    ShapeError,
    TapeError,
)

np = pytest.importorskip("numpy")


def cubic(x):
    return x**3 - 2 * x


def energy(p):
    return p["k"] * p["x"][0] ** 2 + (p["x"][1] * p["k"]).sin()


POINT = {"k": 2.0, "x": [0.5, 0.25]}


def pair(x, y):
    return [x * y, x.sin() if isinstance(x, Value) else math.sin(x)]


class Point(NamedTuple):
    x: float
    y: float


def test_gradients_nest_to_any_order():
    f = cubic
    expected = [3 * 0.3**2 - 2, 6 * 0.3, 6.0, 0.0, 0.0]
    for value in expected:
        f = fg.grad(f)
        assert f(0.3) == pytest.approx(value, rel=1e-14)
    assert fg.grad(fg.grad(fg.grad(lambda x: x.tanh())))(0.3) == pytest.approx(
        -2 * (1 - math.tanh(0.3) ** 2) * (1 - 3 * math.tanh(0.3) ** 2), rel=1e-13
    )


def test_gradient_has_the_structure_of_its_argument():
    value, gradient = fg.value_and_grad(energy)(POINT)
    assert value == pytest.approx(2 * 0.25 + math.sin(0.5))
    assert gradient["k"] == pytest.approx(0.25 + 0.25 * math.cos(0.5))
    assert gradient["x"] == pytest.approx([2.0, 2 * math.cos(0.5)])
    assert fg.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0])).tolist() == [2.0, 4.0]
    assert fg.grad(lambda q: q[0] * q[1])((2.0, 3.0)) == [3.0, 2.0]
    assert fg.grad(lambda p: p.x * p.y if isinstance(p, Point) else p[0] * p[1])(Point(2.0, 3.0))


def test_argnums_choose_arguments():
    f = lambda x, y, z: x * y + y * z  # noqa: E731
    assert fg.grad(f, argnums=1)(1.0, 2.0, 3.0) == 4.0
    assert fg.grad(f, argnums=(0, 2))(1.0, 2.0, 3.0) == (2.0, 2.0)
    assert fg.value_and_grad(f, argnums=(2,))(1.0, 2.0, 3.0) == (8.0, (2.0,))
    with pytest.raises(FastgradValueError, match="position of 0 to 0"):
        fg.grad(cubic, argnums=1)(1.0)


def test_aux_is_passed_on():
    f = lambda x: (x * x, {"twice": 2 * x, "name": "f"})  # noqa: E731
    assert fg.grad(f, has_aux=True)(3.0) == (6.0, {"twice": 6.0, "name": "f"})
    assert fg.value_and_grad(f, has_aux=True)(3.0) == ((9.0, {"twice": 6.0, "name": "f"}), 6.0)
    assert fg.jvp(f, (3.0,), (1.0,), has_aux=True)[2]["twice"] == 6.0
    assert fg.vjp(lambda x: ([x], np.array([x])), 3.0, has_aux=True)[2].tolist() == [3.0]
    gradient, aux = fg.grad(f, has_aux=True)(Value(3.0))
    assert (gradient.data, aux["twice"].data) == (6.0, 6.0)
    with pytest.raises(FastgradTypeError, match=r"a pair \(result, aux\)"):
        fg.grad(cubic, has_aux=True)(1.0)
    with pytest.raises(FastgradTypeError, match="a tape"):
        fg.grad(fg.record(cubic, 1.0), has_aux=True)


def test_tapes_are_differentiated_themselves():
    tape = fg.record(cubic, 1.0)
    assert fg.grad(tape)(2.0) == 10.0
    assert fg.hessian(tape)(2.0) == 12.0
    assert ("hessian", 0) in tape.derived
    assert fg.grad(fg.grad(tape))(2.0) == 12.0
    assert fg.jvp(tape, (2.0,), (1.0,)) == (4.0, 10.0)


def test_products_agree_with_each_other():
    x, y = 0.7, -0.3
    result, derivative = fg.jvp(pair, (x, y), (1.0, 2.0))
    value, pull = fg.vjp(pair, x, y)
    assert result == value == pytest.approx([x * y, math.sin(x)])
    left = 3.0 * derivative[0] - derivative[1]
    gx, gy = pull([3.0, -1.0])
    assert left == pytest.approx(gx + 2.0 * gy, rel=1e-14)
    assert fg.jvp(cubic, [2.0], [Value(1.0)])[1].data == 10.0


def test_matrices_are_equal_by_both_modes():
    f = lambda x: [x[0] * x[1], x[1].exp(), x[0]]  # noqa: E731
    expected = [[2.0, 1.0], [0.0, math.exp(2.0)], [1.0, 0.0]]
    assert fg.jacfwd(f)([1.0, 2.0]) == fg.jacrev(f)([1.0, 2.0]) == expected
    g = lambda x: x[0] ** 2 * x[1]  # noqa: E731
    matrix = fg.hessian(g)([3.0, 5.0])
    assert matrix == fg.jacfwd(fg.grad(g))([3.0, 5.0]) == fg.jacrev(fg.grad(g))([3.0, 5.0])
    assert fg.hvp(g)([3.0, 5.0], [1.0, 0.0]) == matrix[0]
    third = fg.jacfwd(fg.jacfwd(fg.jacfwd(g)))([3.0, 5.0])
    assert np.array(third).shape == (2, 2, 2)
    assert third[0][0] == [0.0, 2.0]
    with pytest.raises(ShapeError, match="one number or array"):
        fg.hessian(energy)(POINT)


def test_transform_called_with_values_joins_the_graph():
    x = Value(2.0)
    y = fg.grad(cubic)(x) * 3
    y.backward()
    assert (y.data, x.grad) == (30.0, 36.0)
    array = np.array([Value(1.0), Value(2.0)])
    total = sum(fg.grad(lambda v: (v**3).sum())(array))
    total.backward()
    assert [v.grad for v in array] == [6.0, 12.0]


def test_transform_inside_a_recorded_function_is_recorded():
    tape = fg.record(lambda x, y: fg.grad(lambda t: (t * y).sin())(x) ** 2, 0.5, 2.0)
    for x, y in [(0.5, 2.0), (0.1, -1.0)]:
        assert tape(x, y) == pytest.approx((y * math.cos(x * y)) ** 2, rel=1e-14)
    assert tape.decisions == []


def test_captured_parameters_keep_their_grad_and_take_part():
    w = Value(3.0)
    w.grad = 7.0
    assert fg.grad(lambda x: w * x * x)(2.0) == 12.0
    assert w.grad == 7.0
    inner = fg.grad(lambda x: w * x * x)(Value(2.0))
    inner.backward()
    assert w.grad == 7.0 + 4.0


def test_branches_follow_each_call():
    f = fg.grad(lambda x: x * x if x > 0 else -x)
    assert (f(3.0), f(-3.0)) == (6.0, -1.0)


def test_no_grad_around_a_transform_does_not_reach_into_it():
    with fg.no_grad():
        assert fg.grad(cubic)(2.0) == 10.0
        assert fg.grad(cubic)(Value(2.0)).data == 10.0


def test_functions_are_named_and_refused():
    assert fg.grad(cubic).__name__ == "grad_of_cubic"
    for transform in (fg.grad, fg.value_and_grad, fg.hvp, fg.jacfwd, fg.jacrev, fg.hessian):
        with pytest.raises(FastgradTypeError, match=f"a function or a tape.*{transform.__name__}"):
            transform(3.0)
    with pytest.raises(FastgradTypeError, match="function of gradcheck"):
        fg.gradcheck(3.0, 1.0)
    with pytest.raises(FastgradTypeError, match=r"a tuple, got float.*primals of jvp\); write"):
        fg.jvp(cubic, 3.0, (1.0,))
    with pytest.raises(FastgradTypeError, match="tangents of jvp"):
        fg.jvp(cubic, (3.0,), 1.0)
    with pytest.raises(TapeError, match="one Value"):
        fg.grad(pair)(1.0, 2.0)
    with pytest.raises(ShapeError, match="tangent"):
        fg.jvp(lambda x: x[0], ([1.0, 2.0],), ([1.0],))


# -- gradcheck -------------------------------------------------------------------------------------


def test_gradcheck_passes_what_is_right():
    assert fg.gradcheck(lambda x, y: (x[0] * y).sin() + x[1] ** 3, [0.3, 0.7], 1.5, order=2)
    assert fg.gradcheck(energy, POINT)
    assert fg.gradcheck(fg.record(cubic, 1.0), 0.4, order=3)
    assert fg.gradcheck(lambda x: (x * x).sum(), np.array([1.0, 2.0]))
    model = nn.MLP(2, [3, 1], activation="tanh")
    assert fg.gradcheck(lambda x: model(x), [0.1, 0.2], order=2)


def test_gradcheck_names_a_wrong_derivative():
    @fg.custom("half")
    def half(x):
        return x / 2

    @half.partials
    def half(x, out):
        return 0.6

    with pytest.raises(GradcheckError, match=r"got 0.6 .*by x\[1\]\); .*'half'") as error:
        fg.gradcheck(lambda x: x[0] ** 2 + half(x[1]), [1.0, 2.0])
    assert isinstance(error.value, AssertionError)
    with pytest.raises(DerivativeError, match="custom"):
        fg.gradcheck(lambda x: half(x) ** 2, 0.0, order=2, atol=10.0)


def test_gradcheck_names_a_lost_gradient():
    with pytest.raises(GradcheckError, match=r"got 0.0 .*by p\['b'\]\); look for what lost it"):
        fg.gradcheck(lambda p: p["a"] * 2 + p["b"].data ** 2, {"a": 1.0, "b": 3.0})
    with pytest.raises(GradcheckError, match=r"by x, order 2"):
        fg.gradcheck(lambda x: x.data * x, 0.1, order=2, atol=0.5)


def test_functional_texts_are_differentiated_as_code():
    f = lambda x: functional.cross_entropy(x, 1)  # noqa: E731
    x = [0.1, 0.5, -0.3]
    p = np.exp(x) / np.exp(x).sum()
    assert fg.grad(f)(x) == pytest.approx(p - [0, 1, 0], rel=1e-12)
    assert np.array(fg.hessian(f)(x)) == pytest.approx(np.diag(p) - np.outer(p, p), rel=1e-10)
