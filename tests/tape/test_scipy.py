"""Tapes in SciPy's optimizers: a line each. Oracles: known minima and roots; differences."""

import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.errors import ShapeError

optimize = pytest.importorskip("scipy.optimize")


def rosenbrock(x):
    return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


F = fg.record(rosenbrock, np.zeros(5))
START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG", "SLSQP"])
def test_minimize_with_gradients_finds_the_minimum(method):
    found = optimize.minimize(F, START, jac=F.grad, method=method)
    assert found.x == pytest.approx(np.ones(5), abs=1e-3)


@pytest.mark.parametrize("method", ["trust-ncg", "Newton-CG", "trust-krylov"])
def test_minimize_with_products_finds_the_minimum(method):
    found = optimize.minimize(F, START, jac=F.grad, hessp=F.hvp, method=method)
    assert found.x == pytest.approx(np.ones(5), abs=1e-3)


def test_minimize_with_matrices_finds_the_minimum():
    found = optimize.minimize(F, START, jac=F.grad, hess=F.hessian, method="trust-exact")
    assert found.x == pytest.approx(np.ones(5), abs=1e-4)


def test_least_squares_and_root_take_the_jacobian():
    t = np.linspace(0, 2, 8)
    y = 2.0 * np.exp(-0.7 * t)
    r = fg.record(
        lambda p: [p[0] * (p[1] * s).exp() - v for s, v in zip(t, y, strict=True)], [1.0, 0.0]
    )
    assert optimize.least_squares(r, [1.0, 0.0], jac=r.jacobian).x == pytest.approx([2.0, -0.7])
    system = fg.record(lambda x: [x[0] ** 2 + x[1] - 3, x[0] - x[1] + 1], [1.0, 1.0])
    assert optimize.root(system, [1.5, 2.5], jac=system.jacobian).x == pytest.approx([1.0, 2.0])


def test_constraints_have_hessians():
    c = fg.record(lambda x: [x[0] ** 2 + x[1] ** 2, x[0] * x[1] ** 3], [1.0, 1.0])
    x, v = np.array([0.5, -1.5]), np.array([2.0, 3.0])
    eps = 1e-6
    columns = [
        (v @ c.jacobian(x + eps * e) - v @ c.jacobian(x - eps * e)) / (2 * eps) for e in np.eye(2)
    ]
    assert c.constraint_hessian(x, v) == pytest.approx(np.array(columns), abs=1e-6)
    circle = fg.record(lambda x: [x[0] ** 2 + x[1] ** 2], [1.0, 1.0])
    f = fg.record(lambda x: -x[0] - x[1], [1.0, 1.0])
    inside = optimize.NonlinearConstraint(
        circle, -np.inf, 2.0, jac=circle.jacobian, hess=circle.constraint_hessian
    )
    found = optimize.minimize(
        f, [0.5, 0.1], jac=f.grad, hessp=f.hvp, method="trust-constr", constraints=[inside]
    )
    assert found.x == pytest.approx([1.0, 1.0], abs=1e-3)


def test_further_arguments_are_passed_on():
    f = fg.record(lambda x, k: (x[0] - k) ** 2 + x[1] ** 2, [0.0, 0.0], 1.0)
    found = optimize.minimize(
        f, [4.0, 4.0], args=(3.0,), jac=f.grad, hessp=f.hvp, method="trust-ncg"
    )
    assert found.x == pytest.approx([3.0, 0.0])
    assert f.grad([4.0, 4.0], 3.0) == [2.0, 8.0]
    assert f.hessian([4.0, 4.0], 3.0) == [[2.0, 0.0], [0.0, 2.0]]


def test_derivatives_equal_scipys():
    x, p = np.random.default_rng(0).normal(size=(2, 5))
    assert F.grad(x) == pytest.approx(optimize.rosen_der(x), rel=1e-12)
    assert F.hessian(x) == pytest.approx(optimize.rosen_hess(x), rel=1e-12)
    assert F.hvp(x, p) == pytest.approx(optimize.rosen_hess_prod(x, p), rel=1e-10)


def test_what_is_no_flat_array_is_refused():
    tape = fg.record(lambda x: x * x, 1.0)
    vector = fg.record(lambda x: [x[0], x[1]], [1.0, 2.0])
    none = fg.record(lambda: fg.Value(1.0) * 2)
    for call in (
        lambda: tape.grad(1.0),
        lambda: tape.hvp(1.0, 1.0),
        lambda: tape.hessian(1.0),
        lambda: tape.jacobian(1.0),
        lambda: tape.constraint_hessian(1.0, 1.0),
        lambda: none.grad(1.0),
    ):
        with pytest.raises(ShapeError, match="a flat array or list"):
            call()
    with pytest.raises(ShapeError, match="one sample"):
        F.grad(np.ones((3, 5)))
    with pytest.raises(ShapeError, match="one sample"):
        F.hessian(np.ones((3, 5)))
    with pytest.raises(ShapeError, match="one array of results"):
        fg.record(lambda x: {"a": x[0]}, [1.0, 2.0]).jacobian([1.0, 2.0])
    assert vector.jacobian([1.0, 2.0]) == [[1.0, 0.0], [0.0, 1.0]]
