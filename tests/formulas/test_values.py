"""Functions of rows: values, gradients, and the kinds of arguments that they take.

Oracle: each formula written out in NumPy, as PyTorch documents it; central differences; the same
function on plain numbers, on a batch of rows, on arrays, and on a tape.
"""

import math
import random

import numpy as np
import pytest

from fastgrad import Value, functional, record


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x)))


def rms_norm(x, w):
    return x / np.sqrt(np.mean(x**2) + 2.0**-52) * w


def layer_norm(x, w, b):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w + b


def huber(d, delta):
    return np.where(abs(d) < delta, d**2 / 2, delta * (abs(d) - delta / 2))


def bce(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def bce_with_logits(x, y, w=1.0, positive=1.0):
    p = 1 / (1 + np.exp(-x))
    return -w * (positive * y * np.log(p) + (1 - y) * np.log(1 - p))


def smoothed(x, t, ls, w):
    log_p = log_softmax(x)
    return -((1 - ls) * w[t] * log_p[t] + ls / len(x) * np.sum(w * log_p))


F = functional
W = np.array([0.5, 2.0, 1.5, 1.0])
ROWS = [[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]

# name: (ours, NumPy's, shapes of what they take); all numbers are of 0.1 to 0.9
CASES = {
    "sum": (F.sum, np.sum, [(4,)]),
    "sum of rows": (lambda x: F.sum(x, dim=-1), lambda x: x.sum(axis=-1), [(2, 3)]),
    "sum of columns": (lambda x: F.sum(x, dim=0), lambda x: x.sum(axis=0), [(2, 3)]),
    "sum of the middle axis": (lambda x: F.sum(x, 1), lambda x: x.sum(axis=1), [(2, 3, 2)]),
    "sum of all": (F.sum, np.sum, [(2, 3)]),
    "mean": (F.mean, np.mean, [(4,)]),
    "mean of columns": (lambda x: F.mean(x, dim=0), lambda x: x.mean(axis=0), [(2, 3)]),
    "prod": (F.prod, np.prod, [(4,)]),
    "prod of rows": (lambda x: F.prod(x, dim=1), lambda x: x.prod(axis=1), [(2, 3)]),
    "logsumexp": (F.logsumexp, lambda x: np.log(np.sum(np.exp(x))), [(5,)]),
    "logsumexp of a batch": (F.logsumexp, lambda x: np.log(np.exp(x).sum(-1)), [(2, 3)]),
    "dot": (F.dot, np.dot, [(4,), (4,)]),
    "dot of batches": (F.dot, lambda x, y: (x * y).sum(-1), [(3, 4), (3, 4)]),
    "dot of a batch and a row": (F.dot, lambda x, y: x @ y, [(3, 4), (4,)]),
    "dot of a row and a batch": (F.dot, lambda x, y: y @ x, [(4,), (3, 4)]),
    "linear": (F.linear, lambda x, w, b: w @ x + b, [(4,), (3, 4), (3,)]),
    "linear without bias": (F.linear, lambda x, w: w @ x, [(4,), (3, 4)]),
    "linear of a batch": (F.linear, lambda x, w, b: x @ w.T + b, [(2, 4), (3, 4), (3,)]),
    "linear of one row": (F.linear, lambda x, w, b: w @ x + b, [(4,), (4,), ()]),
    "linear of one row without bias": (F.linear, lambda x, w: w @ x, [(4,), (4,)]),
    "norm": (F.norm, np.linalg.norm, [(4,)]),
    "norm 1": (lambda x: F.norm(x, p=1), lambda x: np.linalg.norm(x, 1), [(4,)]),
    "norm 3": (lambda x: F.norm(x, 3.0), lambda x: np.linalg.norm(x, 3), [(4,)]),
    "norm inf": (lambda x: F.norm(x, math.inf), lambda x: abs(x).max(), [(4,)]),
    "norm -inf": (lambda x: F.norm(x, -math.inf), lambda x: abs(x).min(), [(4,)]),
    "norm 0": (lambda x: F.norm(x, 0), lambda x: np.linalg.norm(x, 0), [(4,)]),
    "norm of rows": (lambda x: F.norm(x, dim=1), lambda x: np.linalg.norm(x, axis=1), [(2, 3)]),
    "cosine_similarity": (
        F.cosine_similarity,
        lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        [(4,), (4,)],
    ),
    "softmax": (F.softmax, lambda x: np.exp(log_softmax(x)), [(4,)]),
    "softmax of a batch": (
        F.softmax,
        lambda x: np.array([np.exp(log_softmax(row)) for row in x]),
        [(2, 4)],
    ),
    "log_softmax": (F.log_softmax, log_softmax, [(4,)]),
    "rms_norm": (F.rms_norm, rms_norm, [(4,), (4,)]),
    "rms_norm alone": (lambda x: F.rms_norm(x, eps=2.0**-52), lambda x: rms_norm(x, 1), [(4,)]),
    "layer_norm": (F.layer_norm, layer_norm, [(4,), (4,), (4,)]),
    "layer_norm alone": (F.layer_norm, lambda x: layer_norm(x, 1, 0), [(4,)]),
    "layer_norm of a batch": (
        F.layer_norm,
        lambda x, w, b: np.array([layer_norm(row, w, b) for row in x]),
        [(3, 4), (4,), (4,)],
    ),
    "embedding": (lambda w: F.embedding([2, 0], w), lambda w: w[[2, 0]], [(3, 2)]),
    "mse_loss": (F.mse_loss, lambda x, y: np.mean((x - y) ** 2), [(4,), (4,)]),
    "mse_loss of batches": (F.mse_loss, lambda x, y: np.mean((x - y) ** 2), [(2, 3), (2, 3)]),
    "mse_loss of numbers": (F.mse_loss, lambda x, y: (x - y) ** 2, [(), ()]),
    "l1_loss": (
        lambda x, y: F.l1_loss(x, y, "sum"),
        lambda x, y: np.sum(abs(x - y)),
        [(4,), (4,)],
    ),
    "huber_loss": (F.huber_loss, lambda x, y: np.mean(huber(x - y, 1.0)), [(4,), (4,)]),
    "huber_loss none": (
        lambda x, y: F.huber_loss(x, y, "none", 0.2),
        lambda x, y: huber(x - y, 0.2),
        [(2, 3), (2, 3)],
    ),
    "hinge_loss": (F.hinge_loss, lambda x: np.mean(np.maximum(0, 1 - x)), [(4,)]),
    "binary_cross_entropy": (
        F.binary_cross_entropy,
        lambda p, y: np.mean(bce(p, y)),
        [(4,), (4,)],
    ),
    "binary_cross_entropy weighted": (
        lambda p, y, w: F.binary_cross_entropy(p, y, w, "sum"),
        lambda p, y, w: np.sum(w * bce(p, y)),
        [(2, 3), (2, 3), (3,)],
    ),
    "binary_cross_entropy_with_logits": (
        F.binary_cross_entropy_with_logits,
        lambda x, y: np.mean(bce_with_logits(x, y)),
        [(4,), (4,)],
    ),
    "binary_cross_entropy_with_logits weighted": (
        lambda x, y, w, p: F.binary_cross_entropy_with_logits(x, y, w, "none", pos_weight=p),
        bce_with_logits,
        [(2, 3), (2, 3), (2, 3), (3,)],
    ),
    "cross_entropy": (lambda x: F.cross_entropy(x, 2), lambda x: -log_softmax(x)[2], [(4,)]),
    "cross_entropy of a batch": (
        lambda x: F.cross_entropy(x, [2, -100, 0], ignore_index=-100),
        lambda x: -(log_softmax(x[0])[2] + log_softmax(x[2])[0]) / 2,
        [(3, 4)],
    ),
    "cross_entropy weighted": (
        lambda x: F.cross_entropy(x, [1, 3], W),
        lambda x: -(2.0 * log_softmax(x[0])[1] + log_softmax(x[1])[3]) / 3.0,
        [(2, 4)],
    ),
    "cross_entropy smoothed": (
        lambda x: F.cross_entropy(x, [1, 3], label_smoothing=0.1, reduction="none"),
        lambda x: np.array([smoothed(x[0], 1, 0.1, W * 0 + 1), smoothed(x[1], 3, 0.1, W * 0 + 1)]),
        [(2, 4)],
    ),
    "cross_entropy weighted and smoothed": (
        lambda x: F.cross_entropy(x, [1, 0, 0], W, 0, label_smoothing=0.3),
        lambda x: smoothed(x[0], 1, 0.3, W) / W[1],
        [(3, 4)],
    ),
    "cross_entropy of shares": (
        lambda x, q: F.cross_entropy(x, q, W),
        lambda x, q: -np.mean(np.sum(W * q * [log_softmax(row) for row in x], axis=1)),
        [(2, 4), (2, 4)],
    ),
    "cross_entropy of smoothed shares": (
        lambda x, q: F.cross_entropy(x, q, label_smoothing=0.2),
        lambda x, q: -np.sum((0.8 * q + 0.2 / 4) * log_softmax(x)),
        [(4,), (4,)],
    ),
    "nll_loss": (
        lambda x: F.nll_loss(x, [1, 3], W.tolist()),
        lambda x: -(2.0 * x[0][1] + x[1][3]) / 3.0,
        [(2, 4)],
    ),
}


def example(shapes, seed=3):
    source = random.Random(seed)
    return [
        np.array([source.uniform(0.1, 0.9) for _ in range(math.prod(shape))]).reshape(shape)
        for shape in shapes
    ]


def nested(array):
    return array.tolist() if isinstance(array, np.ndarray) else array


def with_values(array):
    """Return an array of Values; without axes, a Value."""
    return np.vectorize(Value, otypes=[object])(array)[()]


def numbers(result):
    if isinstance(result, Value):
        return result.data
    if isinstance(result, list | tuple | np.ndarray):
        return [numbers(entry) for entry in result]
    return result


def weighted_sum(result, factors):
    flat = np.array(result, dtype=object).reshape(-1)
    return sum(factor * entry for factor, entry in zip(factors, flat, strict=False))


FACTORS = [0.7, -1.3, 0.4, 1.1, -0.6, 0.9, 1.7, -0.2, 0.3, 0.8, -0.5, 1.2]


@pytest.mark.parametrize("name", CASES)
def test_function_on_plain_numbers_is_the_formula(name):
    ours, formula, shapes = CASES[name]
    arrays = example(shapes)
    got = ours(*map(nested, arrays))
    assert np.shape(got) == np.shape(formula(*arrays))
    np.testing.assert_allclose(got, formula(*arrays), rtol=1e-12, atol=1e-14)
    assert not isinstance(np.array(got, dtype=object).flat[0], Value)


@pytest.mark.parametrize("name", CASES)
def test_function_on_values_has_the_bits_of_plain_numbers(name):
    ours, _, shapes = CASES[name]
    arrays = example(shapes)
    got = ours(*(nested(with_values(array)) for array in arrays))
    assert numbers(got) == ours(*map(nested, arrays))


@pytest.mark.parametrize("name", CASES)
def test_function_on_arrays_gives_arrays_of_the_same_numbers(name):
    ours, _, shapes = CASES[name]
    arrays = example(shapes)
    plain = ours(*map(nested, arrays))
    for given in ([array[()] for array in arrays], [with_values(array) for array in arrays]):
        got = ours(*given)
        assert isinstance(got, np.ndarray) == isinstance(plain, list)
        assert numbers(got) == plain


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_central_differences(name):
    ours, formula, shapes = CASES[name]
    arrays = example(shapes)
    leaves = [with_values(array) for array in arrays]
    weighted_sum(ours(*map(nested, leaves)), FACTORS).backward()
    for array, given in zip(arrays, leaves, strict=True):
        flat, grads = array.reshape(-1), [leaf.grad for leaf in np.atleast_1d(given).reshape(-1)]
        for i, number in enumerate(flat.tolist()):
            ends = []
            for step in (1e-6, -1e-6):
                flat[i] = number + step
                ends.append(weighted_sum(np.atleast_1d(formula(*arrays)).tolist(), FACTORS))
            flat[i] = number
            assert math.isclose(grads[i], (ends[0] - ends[1]) / 2e-6, rel_tol=1e-6, abs_tol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_tape_has_the_bits_of_the_graph_and_its_gradient(name):
    ours, _, shapes = CASES[name]
    arrays, others = example(shapes), example(shapes, seed=4)
    tape = record(lambda *args: weighted_sum(ours(*args), FACTORS), *others, strict=True)
    leaves = [with_values(array) for array in arrays]
    loss = weighted_sum(ours(*leaves), FACTORS)
    loss.backward()
    value, grads = tape.value_and_grad(*arrays, wrt="inputs")
    assert value == loss.data
    grads = grads if isinstance(grads, tuple) else (grads,)
    for got, given in zip(grads, leaves, strict=True):
        expected = np.vectorize(lambda leaf: leaf.grad, otypes=[float])(given)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_every_function_of_rows_has_a_case():
    tried = {name.split()[0] for name in CASES} | {"accuracy", "one_hot", "where"}
    compiled = functional.logaddexp.__class__
    written = {n for n in functional.__all__ if not isinstance(getattr(functional, n), compiled)}
    assert written - {"dropout", "gelu"} <= tried  # they have files of their own
