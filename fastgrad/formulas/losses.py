"""Losses: how far results are from their targets, as one number or one for each."""

from __future__ import annotations

import math
import operator
from typing import Any

from fastgrad._native.graph import functional as table
from fastgrad._native.graph.engine import numbers_of
from fastgrad._native.graph.functional import (
    absolute,
    add,
    div,
    eq,
    keep_if,
    log,
    log1p,
    lt,
    maximum,
    mul,
    ne,
    neg,
    relu,
    softplus,
    square,
    sub,
    where,
)
from fastgrad._native.graph.recording import is_recording
from fastgrad._native.graph.value import Value
from fastgrad.errors import (
    FastgradIndexError,
    FastgradTypeError,
    FastgradValueError,
    describe,
    explain,
)
from fastgrad.formulas.rows import (
    by_elements,
    expect_length,
    expect_number,
    expect_part,
    expect_some,
    flat,
    is_row,
    like,
    listed,
    reduced,
)
from fastgrad.formulas.softmax import log_softmax_of
from fastgrad.formulas.sums import mean_of, products_of
from fastgrad.operations import take

__all__ = [
    "accuracy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]


def _reduce(losses: Any, reduction: str, name: str) -> Any:
    """Return losses as they are, their sum or their mean."""
    if reduction == "none":
        return losses
    listed_losses = flat(losses)
    if reduction == "sum":
        return table.sum(listed_losses)
    if not listed_losses:
        raise FastgradValueError(explain("at least one number", "none", f"input of {name}"))
    return mean_of(listed_losses)


# Of numbers ---------------------------------------------------------------------------------------


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the mean of ``(input - target)**2``.

    Parameters
    ----------
    input, target : number or Value, or lists or arrays of them
        Of one shape.
    reduction : str
        "mean", "sum", or "none" for the loss of each number, in the shape of the input.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    ShapeError
        If shapes differ.
    FastgradValueError
        If the reduction is unknown, or a mean is asked of no number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.mse_loss([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    reduced(reduction, "mse_loss")
    losses = by_elements(lambda x, y: square(sub(x, y)), "mse_loss", input, target)
    return _reduce(losses, reduction, "mse_loss")


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the mean of ``|input - target|``.

    Parameters
    ----------
    input, target, reduction
        As for `mse_loss`.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    ShapeError
        If shapes differ.
    FastgradValueError
        If the reduction is unknown, or a mean is asked of no number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.l1_loss([1.0, 2.0], [1.0, 4.0], reduction="none")
    [0.0, 2.0]
    """
    reduced(reduction, "l1_loss")
    losses = by_elements(lambda x, y: absolute(sub(x, y)), "l1_loss", input, target)
    return _reduce(losses, reduction, "l1_loss")


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Return the mean of ``d**2 / 2`` where ``d = |input - target| < delta``, else linear in d.

    Parameters
    ----------
    input, target, reduction
        As for `mse_loss`.
    delta : float
        Above 0. Beyond it the loss is ``delta * (d - delta/2)``.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    ShapeError
        If shapes differ.
    FastgradTypeError
        If delta is no number.
    FastgradValueError
        If the reduction is unknown, delta is not above 0, or a mean is asked of no number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.huber_loss([1.0, 2.0], [1.5, 5.0], reduction="none")
    [0.125, 2.5]
    """
    reduced(reduction, "huber_loss")
    expect_number(delta, "delta of huber_loss", "a number above 0", lambda delta: delta > 0)

    def of(x: Any, y: Any) -> Any:
        distance = sub(x, y)
        size = absolute(distance)
        outside = mul(sub(size, delta / 2), delta)
        return where(lt(size, delta), mul(square(distance), 0.5), outside)

    return _reduce(by_elements(of, "huber_loss", input, target), reduction, "huber_loss")


def hinge_loss(margin: Any, reduction: str = "mean") -> Any:
    """Return the mean of ``max(0, 1 - margin)``: the "max-margin" loss of micrograd's demo.

    Parameters
    ----------
    margin : number or Value, or lists or arrays of them
        A score times its target, -1 or 1.
    reduction : str
        As for `mse_loss`.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    FastgradValueError
        If the reduction is unknown, or a mean is asked of no number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.hinge_loss([2.0, 0.5, -1.0], reduction="none")
    [0.0, 0.5, 2.0]
    """
    reduced(reduction, "hinge_loss")
    losses = by_elements(lambda x: relu(sub(1.0, x)), "hinge_loss", margin)
    return _reduce(losses, reduction, "hinge_loss")


_LEAST = -100.0  # what PyTorch lets a logarithm be


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return the mean of ``-(target * log(input) + (1 - target) * log(1 - input))``.

    Parameters
    ----------
    input : number or Value, or lists or arrays of them
        Probabilities, of 0 to 1.
    target : number or Value, or lists or arrays of them
        Of the input's shape: 0 or 1, or between.
    weight : number, list or array, optional
        A factor of each loss; with fewer axes than the input it counts for each row.
    reduction : str
        As for `mse_loss`.

    Returns
    -------
    Value or float, or a list or array of them

    Raises
    ------
    ShapeError
        If shapes differ.
    FastgradValueError
        If the reduction is unknown, or a mean is asked of no number.
    ValueError
        If a probability is below 0 or above 1.

    Notes
    -----
    Logarithms count as -100 at least, as with PyTorch; where they do, they have no derivative.
    `binary_cross_entropy_with_logits` takes what would be made a probability, and loses no digit.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.binary_cross_entropy([0.5, 1.0], [1.0, 1.0]), F.binary_cross_entropy(0.0, 1.0)
    (0.34657359027997264, 100.0)
    """
    reduced(reduction, "binary_cross_entropy")

    def of(p: Any, y: Any, *weights: Any) -> Any:
        some, room = ne(p, 0.0), ne(p, 1.0)
        yes = where(some, log(where(some, p, 1.0)), _LEAST)
        no = where(room, log1p(keep_if(room, neg(p))), _LEAST)
        loss = add(mul(y, maximum(yes, _LEAST)), mul(sub(1.0, y), maximum(no, _LEAST)))
        return mul(loss, neg(weights[0]) if weights else -1.0)

    weights = () if weight is None else (weight,)
    losses = by_elements(of, "binary_cross_entropy", input, target, spread=weights)
    return _reduce(losses, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """Return the `binary_cross_entropy` of ``sigmoid(input)``, right for any input.

    Parameters
    ----------
    input, target, reduction
        As for `mse_loss`.
    weight : number, list or array, optional
        A factor of each loss; with fewer axes than the input it counts for each row.
    pos_weight : number, list or array, optional
        A factor of ``target``, shaped as a weight.

    Returns
    -------
    Value or float, or a list or array of them
        ``target * softplus(-input) + (1 - target) * softplus(input)`` of each.

    Raises
    ------
    ShapeError
        If shapes differ.
    FastgradValueError
        If the reduction is unknown, or a mean is asked of no number.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.binary_cross_entropy_with_logits([1000.0, -1000.0], [1.0, 1.0], reduction="none")
    [0.0, 1000.0]
    """
    name = "binary_cross_entropy_with_logits"
    reduced(reduction, name)

    def of(x: Any, y: Any, factor: Any, positive: Any) -> Any:
        yes = mul(y, softplus(neg(x)))
        if positive is not None:
            yes = mul(yes, positive)
        loss = add(yes, mul(sub(1.0, y), softplus(x)))
        return loss if factor is None else mul(loss, factor)

    losses = by_elements(of, name, input, target, spread=(weight, pos_weight))
    return _reduce(losses, reduction, name)


# Of classes ---------------------------------------------------------------------------------------


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Return ``logsumexp(input) - input[target]``: minus the logarithm of the target's `softmax`.

    Parameters
    ----------
    input : list or array of Values and numbers
        A score for each class, or a batch of such rows.
    target : int or Value, or a row
        The class, counted from 0; on a tape it may be another for each sample. Or a row of
        probabilities, one for each class. For a batch one of these for each row.
    weight : list or array, optional
        A factor for each class.
    ignore_index : int
        Rows with this target count for nothing.
    reduction : str
        "mean", "sum", or "none" for the loss of each row. A mean of classes is weighted: the sum
        divided by that of the targets' weights.
    label_smoothing : float
        Which part of the target, 0 to 1, is spread evenly over all classes.

    Returns
    -------
    Value or float, or a list of them

    Raises
    ------
    FastgradIndexError
        If a target is no class.
    FastgradTypeError
        If a target or label_smoothing is no number.
    ShapeError
        If there are not as many targets as rows, or weights as classes.
    FastgradValueError
        If the reduction is unknown, or label_smoothing is not of 0 to 1.

    Notes
    -----
    Nothing overflows. A mean of which all rows are ignored is nan. On a tape a class below 0 is an
    index less 1,000,000 to `fastgrad.take`, which refuses it. Cost: three nodes for each score.

    Examples
    --------
    >>> from fastgrad import Value, functional as F
    >>> scores = [Value(0.0), Value(0.0)]
    >>> loss = F.cross_entropy(scores, 1)
    >>> loss.backward()
    >>> round(loss.data, 4), [v.grad for v in scores]
    (0.6931, [0.5, -0.5])
    """
    name = "cross_entropy"
    reduced(reduction, name)
    expect_part(label_smoothing, "label_smoothing of cross_entropy")
    return _of_classes(input, target, weight, ignore_index, reduction, label_smoothing, name)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return ``-input[target]``, where the input is a `log_softmax`.

    Parameters
    ----------
    input : list or array of Values and numbers
        A logarithm of a probability for each class, or a batch of such rows.
    target : int or Value, or a list or array of them
        The class; for a batch one for each row.
    weight, ignore_index, reduction
        As for `cross_entropy`.

    Returns
    -------
    Value or float, or a list of them

    Raises
    ------
    FastgradIndexError
        If a target is no class.
    FastgradTypeError
        If a target is no number.
    ShapeError
        If there are not as many targets as rows, or weights as classes.
    FastgradValueError
        If the reduction is unknown.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [0, 1])
    2.5
    """
    reduced(reduction, "nll_loss")
    return _of_classes(input, target, weight, ignore_index, reduction, 0.0, "nll_loss")


def _of_classes(
    input: Any,
    target: Any,
    weight: Any,
    ignored: int,
    reduction: str,
    smoothing: float,
    name: str,
) -> Any:
    """Return the loss of a row, or of a batch of them."""
    entries = listed(input, f"input of {name}")
    is_batch = bool(entries) and is_row(entries[0])
    rows = [listed(row, f"input of {name}") for row in entries] if is_batch else [entries]
    targets = [target]
    if is_batch:
        targets = listed(target, f"target of {name}")
        expect_length(targets, len(rows), f"target of {name}", "targets, one for each row")
    weights = None if weight is None else listed(weight, f"weight of {name}")
    losses, counts = [], []
    for row, one in zip(rows, targets, strict=True):
        if weights is not None:
            expect_length(weights, len(row), f"weight of {name}", "weights, one for each class")
        if is_row(one) and name == "cross_entropy":
            loss, count = _of_shares(row, listed(one, name), weights, smoothing), 1.0
        else:
            loss, count = _of_class(row, one, weights, ignored, smoothing, name)
        losses.append(loss)
        counts.append(count)
    if reduction == "none":
        return like(input, losses) if is_batch else losses[0]
    total = table.sum(losses)
    return total if reduction == "sum" else _divided(total, table.sum(counts))


def _divided(total: Any, count: Any) -> Any:
    """Divide a sum of losses by what they count; nan where they count nothing."""
    if isinstance(count, Value):
        return div(total, count)
    return mul(total, math.nan) if count == 0.0 else div(total, count)


def _scores(row: list[Any], name: str) -> tuple[list[Any], Any]:
    """Return a number for each class, and what it is subtracted from to give the class's loss."""
    return (row, None) if name == "nll_loss" else log_softmax_of(row, name)


def _loss(score: Any, total: Any) -> Any:
    return neg(score) if total is None else sub(total, score)


def _losses(scores: list[Any], total: Any, weights: list[Any] | None) -> list[Any]:
    """Return the loss that each class would have as the target."""
    losses = [_loss(score, total) for score in scores]
    if weights is None:
        return losses
    return [mul(loss, weight) for loss, weight in zip(losses, weights, strict=True)]


def _of_shares(
    row: list[Any], shares: list[Any], weights: list[Any] | None, smoothing: float
) -> Any:
    """Return the loss of a target that has a probability of each class."""
    where_ = "target of cross_entropy"
    expect_length(shares, len(row), where_, "probabilities, one for each class")
    if smoothing:
        even = smoothing / len(row)
        shares = [add(mul(share, 1.0 - smoothing), even) for share in shares]
    return products_of(shares, _losses(*_scores(row, "cross_entropy"), weights))


def _of_class(
    row: list[Any],
    target: Any,
    weights: list[Any] | None,
    ignored: int,
    smoothing: float,
    name: str,
) -> tuple[Any, Any]:
    """Return the loss of a class, and what it counts in a mean."""
    keep: Any = None
    if isinstance(target, Value) and is_recording():
        keep = ne(target, ignored)
        # 0 where it is ignored; below 0 no index, for which take would count from the end
        chosen = keep_if(keep, add(target, mul(lt(target, 0.0), -_OUTSIDE)))
    else:
        chosen = _class_of(target, len(row), ignored, name)
        if chosen is None:
            return 0.0, 0.0
    scores, total = _scores(row, name)
    loss, factor = _loss(take(scores, chosen), total), 1.0
    if weights is not None:
        factor = take(weights, chosen)
        loss = mul(loss, factor)
    if smoothing:
        even = mul(table.sum(_losses(scores, total, weights)), smoothing / len(row))
        loss = add(mul(loss, 1.0 - smoothing), even)
    if keep is None:
        return loss, factor
    return add(keep_if(keep, loss), 0.0), keep_if(keep, factor)  # keep_if alone gives -0.0


_OUTSIDE = 1e6  # more classes than anybody has


def _class_of(target: Any, classes: int, ignored: int, name: str) -> int | None:
    """Read a plain class; None where it is the one to ignore."""
    where_ = f"target of {name}"
    if isinstance(target, Value):
        (target,) = numbers_of((target,))
    try:
        index = operator.index(target)
    except TypeError:
        if is_row(target) or not hasattr(target, "__float__"):
            got = describe(target)
            raise FastgradTypeError(explain("a class, counted from 0", got, where_)) from None
        index = int(target) if float(target).is_integer() else classes
    if index == ignored:
        return None
    if not 0 <= index < classes:
        remedy = f"rows to leave out have the target ignore_index, here {ignored}"
        expected = f"a class of 0 to {classes - 1}"
        raise FastgradIndexError(explain(expected, f"{target!r}", where_, remedy))
    return index


def accuracy(input: Any, target: Any) -> Any:
    """Return the share of rows whose largest number is at the target: 1.0 if all are.

    Parameters
    ----------
    input : list or array of Values and numbers
        A score for each class, or a batch of such rows. Of equal scores the first counts.
    target : int or Value, or a list or array of them
        The class; for a batch one for each row.

    Returns
    -------
    float
        While recording a Value, whose derivatives are 0.

    Raises
    ------
    FastgradIndexError
        If a target is no class.
    FastgradValueError
        If there is no row, or a row is empty; ShapeError if there are not as many targets as rows.

    Examples
    --------
    >>> from fastgrad import functional as F
    >>> F.accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.6666666666666666
    """
    entries = listed(input, "input of accuracy")
    expect_some(entries, "input of accuracy")
    if not is_row(entries[0]):
        return _is_largest(entries, target)
    targets = listed(target, "target of accuracy")
    expect_length(targets, len(entries), "target of accuracy", "targets, one for each row")
    rows = [listed(row, "input of accuracy") for row in entries]
    return mean_of([_is_largest(row, one) for row, one in zip(rows, targets, strict=True)])


def _is_largest(row: list[Any], target: Any) -> Any:
    """Return 1 if the first of the largest numbers is at the target, else 0."""
    expect_some(row, "input of accuracy")
    if not is_recording():
        numbers = numbers_of(tuple(row))
        chosen = _class_of(target, len(row), -1 - len(row), "accuracy")
        return float(numbers.index(max(numbers)) == chosen)
    largest, place = row[0], 0.0
    for i, x in enumerate(row[1:], 1):
        larger = lt(largest, x)
        largest, place = where(larger, x, largest), where(larger, float(i), place)
    return eq(place, target)
