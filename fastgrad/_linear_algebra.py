"""np.linalg for arrays of Values: programs that are the same for all numbers, as a tape needs.

Elimination chooses its pivots by `np.where`: each sample has its own. A matrix that is singular
gives inf or nan at a replay; the example that a function is recorded with must not be.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["cholesky", "det", "inv", "norm", "slogdet", "solve"]


def solve(a: Any, b: Any) -> Any:
    """Solve a @ x = b, for stacks of matrices too."""
    a, b = _square(a), np.asanyarray(b)
    vector = b.ndim == 1
    b = b[:, None] if vector else b
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    upper, right, _ = _eliminated(
        np.broadcast_to(a, (*stack, *a.shape[-2:])), np.broadcast_to(b, (*stack, *b.shape[-2:]))
    )
    n = a.shape[-1]
    for k in reversed(range(n)):
        if k + 1 < n:
            right[..., k : k + 1, :] -= upper[..., k : k + 1, k + 1 :] @ right[..., k + 1 :, :]
        right[..., k : k + 1, :] = _quotient(right[..., k : k + 1, :], upper, k)
    return right[..., 0] if vector else right


def inv(a: Any) -> Any:
    """Invert matrices."""
    a = _square(a)
    return solve(a, np.broadcast_to(np.eye(a.shape[-1]), a.shape))


def det(a: Any) -> Any:
    """Return determinants: up to 3 x 3 by their formulas, which hold for singular matrices too."""
    a = _square(a)
    n = a.shape[-1]
    if n > 3:
        upper, _, sign = _eliminated(a, a[..., :0])
        return np.prod(np.diagonal(upper, 0, -2, -1), axis=-1) * sign[..., 0, 0][()]
    if n < 3:
        m = a[..., 0, 0] if n else np.ones(a.shape[:-2])
        return m * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0] if n == 2 else m
    return np.sum(a[..., 0, :] * np.cross(a[..., 1, :], a[..., 2, :]), axis=-1)


def slogdet(a: Any) -> Any:
    """Return signs and logarithms of determinants."""
    upper, _, sign = _eliminated(_square(a), np.asanyarray(a)[..., :0])
    diagonal = np.diagonal(upper, 0, -2, -1)
    logarithm = np.sum(np.log(np.abs(diagonal)), axis=-1)
    pair = type(np.linalg.slogdet(np.eye(1)))
    return pair(np.prod(np.sign(diagonal), axis=-1) * sign[..., 0, 0][()], logarithm)


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Factor positive definite matrices: of each only the lower (or upper) triangle is read."""
    a = _square(a)
    a = np.swapaxes(a, -2, -1) if upper else a
    lower = np.zeros_like(a)
    for k in range(a.shape[-1]):
        rows, row = lower[..., k:, :k], lower[..., k : k + 1, :k]
        rest = a[..., k:, k : k + 1]
        rest = rest - np.sum(rows * row, axis=-1, keepdims=True) if k else rest
        root = np.sqrt(rest[..., :1, :])
        lower[..., k : k + 1, k : k + 1] = root
        lower[..., k + 1 :, k : k + 1] = rest[..., 1:, :] / root
    return np.swapaxes(lower, -2, -1) if upper else lower


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return norms of vectors, and those of matrices that need no singular values."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ord is None or (ord in ("fro", "f") and len(axes) == 2):
        return np.sqrt(np.sum(x * x, axis=axes, keepdims=keepdims))
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        summed, other = axes if abs(ord) == 1 else axes[::-1]
        sums = np.sum(np.abs(x), axis=summed, keepdims=True)
        extreme = (np.max if ord > 0 else np.min)(sums, axis=other, keepdims=True)
        return extreme if keepdims else np.squeeze(extreme, axes)
    if len(axes) != 1 or isinstance(ord, str):
        kind = "matrices" if len(axes) == 2 else "vectors"
        raise ValueError(f"Invalid norm order {ord!r} for {kind}.")
    if ord in (math.inf, -math.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(x != 0, axis=axes, keepdims=keepdims)
    powers = np.abs(x) if ord == 1 else x * x if ord == 2 else np.abs(x) ** ord
    total = np.sum(powers, axis=axes, keepdims=keepdims)
    return total if ord == 1 else np.sqrt(total) if ord == 2 else total ** (1 / ord)


def _square(a: Any) -> Any:
    a = np.asanyarray(a)
    if a.ndim < 2:
        text = f"{a.ndim}-dimensional array given. Array must be at least two-dimensional"
        raise np.linalg.LinAlgError(text)
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return a


def _eliminated(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Make a upper triangular, the same with b; return both, and the sign of what was swapped."""
    upper, right = np.array(a, object, subok=True), np.array(b, object, subok=True)
    upper, right = (_kind(a, b)(part) for part in (upper, right))
    n = upper.shape[-1]
    sign = np.ones((*upper.shape[:-2], 1, 1))
    for k in range(n):
        for i in range(k + 1, n):
            swap = np.abs(upper[..., i : i + 1, k : k + 1]) > np.abs(
                upper[..., k : k + 1, k : k + 1]
            )
            for part, first in ((upper, k), (right, 0)):
                one, two = part[..., k : k + 1, first:], part[..., i : i + 1, first:]
                one[...], two[...] = np.where(swap, two, one), np.where(swap, one, two)
            sign = np.where(swap, -sign, sign)
        for i in range(k + 1, n):
            factor = _quotient(upper[..., i : i + 1, k : k + 1], upper, k)
            upper[..., i : i + 1, k + 1 :] -= factor * upper[..., k : k + 1, k + 1 :]
            right[..., i : i + 1, :] -= factor * right[..., k : k + 1, :]
    return upper, right, sign


def _kind(*arrays: Any) -> Any:
    """Return what makes an array of the class of those that NumPy asks."""
    kinds = [type(a) for a in arrays if type(a) is not np.ndarray]
    return lambda array: array.view(kinds[0]) if kinds else array


def _quotient(x: Any, upper: Any, k: int) -> Any:
    try:
        return x / upper[..., k : k + 1, k : k + 1]
    except ZeroDivisionError:
        raise np.linalg.LinAlgError("Singular matrix") from None
