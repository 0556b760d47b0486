"""NumPy's functions of arrays that record() makes decide at each replay, or are refused by name.

Oracle: NumPy on plain floats, at points where other elements are largest, first, positive.
"""

import warnings

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import Value, record
from fastgrad.errors import FastgradTypeError, FastgradWarning, TapeError

EXAMPLE = np.array([0.9, -0.35, 0.12, -1.2, 1.7])
OTHERS = np.array([
    [-0.7, 0.45, -1.3, 1.35, 0.2], [0.11, 0.23, 0.34, 0.42, 0.55], [2.1, -2.3, 1.15, -0.45, 0.05],
])  # fmt: skip


def sort_in_place(x):
    x.sort()
    return x * np.arange(5)


def partition_in_place(x):
    x.partition(1)
    return x[:2].sum()


def set_by_mask(x):
    x[x < 0] = 0.25
    return x * x


def out_of(x):
    y = np.zeros_like(x)
    np.maximum(x, 0.1, out=y)
    return y * x


def clip_out(x):
    y = np.zeros_like(x)
    assert np.clip(x, -0.3, 0.3, out=y) is y
    return y


def decided(x):
    """A sum of truths is a count; it has no gradient."""
    return (x < 0.25).sum() * x[0]


CASES = {
    "maximum": lambda x: np.maximum(x, 0.3),
    "maximum, number first": lambda x: np.maximum(0.3, x),
    "maximum, in place": lambda x: np.maximum(x, 0, out=x) * 2,
    "maximum, out": out_of,
    "minimum of arrays": lambda x: np.minimum(x, x[::-1]),
    "fmax": lambda x: np.fmax(x, 0.1),
    "fmin": lambda x: np.fmin(0.1, x),
    "maximum.accumulate": lambda x: np.maximum.accumulate(x),
    "maximum.reduce": lambda x: np.maximum.reduce(np.outer(x, x), axis=(0, 1)),
    "maximum.outer": lambda x: np.maximum.outer(x, [0.0, 1.0]),
    "maximum of a mixture": lambda x: np.maximum(np.array([x[0], 0.5, x[1]]) * x[2], x[:3]),
    "maximum where": lambda x: np.maximum(x, 0, out=x * 2, where=np.arange(5) > 2),
    "clip": lambda x: np.clip(x, -0.5, 0.5),
    "clip, low": lambda x: np.clip(x, 0.1, None),
    "clip, high": lambda x: np.clip(x, None, 0.5),
    "clip by Values": lambda x: np.clip(x, x[1] * 0 - 0.2, abs(x[0])),
    "clip, out": clip_out,
    "x.clip": lambda x: x.clip(-0.5, 0.5),
    "x.clip, low": lambda x: x.clip(min=0.1),
    "where": lambda x: np.where(x > 0, x, -2 * x),
    "where of numbers": lambda x: np.where(x > 0, 1.0, -1.0) * x,
    "where of constants": lambda x: np.where(np.arange(5) > 2, x, np.maximum(x, 0)),
    "where and": lambda x: np.where((x > 0) & (x < 1), x, 0.0),
    "where or": lambda x: np.where((x < 0) | (x > 1), x, 0.0),
    "where xor": lambda x: np.where((x > 0) ^ (x < 1), x, 0.0),
    "where not": lambda x: np.where(~(x > 0), x, 0.0),
    "where logical_and": lambda x: np.where(np.logical_and(x > 0, x < 1), x, 0.0),
    "where logical_or": lambda x: np.where(np.logical_or(x <= 0, x >= 1), x, 0.0),
    "where logical_xor": lambda x: np.where(np.logical_xor(x > 0, x < 1), x, 0.0),
    "where logical_not": lambda x: np.where(np.logical_not(x > 0), x, 0.0),
    "where, two axes": lambda x: np.where(x[:, None] > x[None], x[:, None], 0.0).sum(),
    "select": lambda x: np.select([x < -0.5, x < 0.5], [x * 2, x * 3], x * 4),
    "where equal": lambda x: np.where(np.floor(x) == 0, x, 2 * x),
    "where not equal": lambda x: np.where(np.floor(x) != np.round(x), x, 2 * x),
    "one-hot": lambda x: ((np.arange(3) == np.floor(abs(x[0]))) * x[:3]).sum(),
    "where any": lambda x: np.where((x > 1).any(), x, 2 * x),
    "where all": lambda x: np.where(np.all(x > -1), x, 2 * x),
    "where any of an axis": lambda x: np.where((np.outer(x, x) > 1).any(axis=1), x, 2 * x),
    "comparisons": decided,
    "mean of a comparison": lambda x: np.mean(x >= 0.25) * x[1],
    "set by a mask": set_by_mask,
    "isnan": lambda x: np.where(np.isnan(x), 0.0, x),
    "isfinite": lambda x: np.where(np.isfinite(x), x, 0.0),
    "isinf": lambda x: np.where(np.isinf(x), 0.0, x),
    "isclose": lambda x: np.where(np.isclose(x, 0.42), 0.0, x),
    "max": lambda x: np.max(x),
    "x.max": lambda x: x.max(),
    "amax": lambda x: np.amax(x),
    "min": lambda x: np.min(x),
    "x.min": lambda x: x.min(),
    "ptp": lambda x: np.ptp(x),
    "max of an axis": lambda x: np.outer(x, x).max(axis=1),
    "max, keepdims": lambda x: x - x.max(keepdims=True),
    "max, initial": lambda x: x.max(initial=0.2),
    "max, where": lambda x: np.max(x, where=np.arange(5) < 3, initial=-9.0),
    "sort": lambda x: np.sort(x) * np.arange(5),
    "sort, descending": lambda x: np.sort(x)[::-1] * np.arange(5),
    "sort, no axis": lambda x: np.sort(x.reshape(1, 5), axis=None) * np.arange(5),
    "sort, axis 0": lambda x: np.sort(np.stack([x, x[::-1], x * 2]), axis=0)[1],
    "x.sort": sort_in_place,
    "x.partition": partition_in_place,
    "partition": lambda x: np.partition(x, 2)[2],
    "median": lambda x: np.median(x),
    "median of an axis": lambda x: np.median(np.stack([x, x[::-1], x * 2]), axis=0),
    "quantile": lambda x: np.quantile(x, 0.3),
    "percentiles": lambda x: np.percentile(x, [10, 50]),
    "abs": lambda x: np.abs(x) + abs(x) + np.fabs(x),
    "sign": lambda x: np.sign(x) * x,
    "floor": lambda x: np.floor(x) * x,
    "ceil": lambda x: np.ceil(x) * x,
    "rint": lambda x: np.rint(x) * x,
    "trunc": lambda x: np.trunc(x) * x,
    "round": lambda x: np.round(x) * x + x.round() * x,
    "remainder": lambda x: (x % 0.4) + x // 0.4 * x,
    "radians": lambda x: np.deg2rad(x) + np.radians(x) + np.rad2deg(x) + np.degrees(x),
    "exp": lambda x: np.exp(x),
    "arctan2": lambda x: np.arctan2(1.0, x) + np.hypot(3.0, x),
    "power": lambda x: np.power(x, 2) + np.square(x) + np.reciprocal(x + 5),
    "mean": lambda x: np.mean(x) + x.mean(),
    "std": lambda x: x.std() + np.std(x) + np.var(x, ddof=1),
    "normalised": lambda x: (x - x.mean()) / x.std(),
    "average": lambda x: np.average(np.maximum(x, 0), weights=[1, 2, 3, 4, 5]),
    "norm": lambda x: np.linalg.norm(x) + np.linalg.norm(x, 1),
    "norm, inf": lambda x: np.linalg.norm(x, np.inf) + np.linalg.norm(x, -np.inf) * 2,
    "norm of an axis": lambda x: np.linalg.norm(np.outer(x, x) + 1, axis=1),
    "norm, inf, of an axis": lambda x: np.linalg.norm(np.outer(x, x), np.inf, 0, keepdims=True),
    "cumsum": lambda x: np.cumsum(x) + x.cumprod() + np.prod(x),
    "products": lambda x: np.dot(x, x) + x @ x + np.inner(x, x) + np.einsum("i,i->", x, x),
    "matrix products": lambda x: np.maximum(np.outer(x, x) @ x + np.eye(5)[::-1] @ x, 0),
    "diff": lambda x: np.maximum(np.diff(x), 0),
    "softmax": lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),
    "logsumexp": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "concatenate": lambda x: np.maximum(np.concatenate([x, x * 2]), 0.5),
    "stack": lambda x: np.max(np.stack([x, -x]), axis=0),
    "vstack": lambda x: np.min(np.vstack([x, -x]), axis=0),
    "split": lambda x: np.maximum(*np.split(x[:4], 2)),
    "meshgrid": lambda x: np.maximum(*np.meshgrid(x, x)),
    "views": lambda x: np.maximum(x.reshape(5, 1).T[:, ::2].copy(), np.copy(x)[1:4]),
    "tile": lambda x: np.maximum(np.tile(x, 2), 0),
    "full_like": lambda x: np.maximum(np.full_like(x, 0.1), x),
    "fancy index": lambda x: np.maximum(x[[0, 2]], 0),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: row.max(), 0, x),
    "vectorize": lambda x: np.maximum(np.vectorize(lambda a: a * 2)(x), x),
    "add in place": lambda x: np.maximum(x.__iadd__(1), 0.5),
    "reduce.at": lambda x: np.maximum.reduceat(x, [0, 2]),
    "one: maximum": lambda x: np.maximum(x[0], 0.2) + np.minimum(0.3, x[1]),
    "one: clip": lambda x: np.clip(x[0], -0.1, 0.1),
    "one: where": lambda x: np.where(x[0] > 0, x[1], x[2]),
    "one: where of numbers": lambda x: np.where(x[0] > 0, 1, 2) * x[3],
    "one: logical": lambda x: np.where(np.logical_and(x[0] > 0, x[1] < 1), x[1], x[2]),
    "one: sign": lambda x: np.sign(x[0]) * x[0] + np.trunc(x[1]) * x[1],
    "one: exp": lambda x: np.exp(x[0]) + np.absolute(x[1]) + np.arctan2(1.0, x[2]),
    "one: isnan": lambda x: np.where(np.isnan(x[0]), 0, x[0]),
    "one: reductions": lambda x: np.max(x[0]) + np.sum(x[1]) + np.mean(x[2]) + np.amin(x[4]),
    "one: round": lambda x: np.round(x[3]) * x[3] + np.around(x[4]) * x[4],
    "one: times an array": lambda x: np.maximum(np.array([1.0, -2.0]) * x[0], 0.5),
    "one: compared with an array": lambda x: np.where(np.array([0.0, 0.3]) < x[0], x[1], x[2]),
    "one: NumPy's scalars": lambda x: (
        np.float64(2) * x[0] + np.float64(1) - x[1] / np.float64(3) + np.float64(1) / (x[2] + 5)
    ),
    "one: reduced numbers": lambda x: np.maximum(np.float64(0.5), x[0]) * np.int64(2),
}  # fmt: skip


def flat(result):
    return np.asarray(result, dtype=float).ravel()


def weighted(function):
    """Make a loss of a function's results, each with a weight of its own."""

    def loss(x):
        results = np.asarray(function(x)).ravel()
        return (results * np.cos(np.arange(results.size))).sum()

    return loss


@pytest.mark.parametrize("name", CASES)
def test_function_of_an_array_equals_numpy_away_from_the_example(name):
    function = CASES[name]
    tape = record(function, EXAMPLE.copy(), strict=True)
    for x in (EXAMPLE, *OTHERS):
        assert flat(tape(x)) == pytest.approx(flat(function(x.copy())), rel=1e-12, abs=1e-13)
    for rows, x in zip(tape(OTHERS), OTHERS, strict=True):
        assert flat(rows) == pytest.approx(flat(function(x.copy())), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_gradient_of_a_function_of_an_array_equals_differences(name):
    loss = weighted(CASES[name])
    tape = record(loss, EXAMPLE.copy(), strict=True)
    for x in OTHERS:
        _, gradient = tape.value_and_grad(x, wrt="inputs")
        steps = 1e-6 * np.eye(5)
        slopes = [(loss(x + step) - loss(x - step)) / 2e-6 for step in steps]
        assert gradient[0] == pytest.approx(slopes, rel=1e-6, abs=1e-7)
        _, along = tape.jvp((x,), (np.ones(5),))
        assert along == pytest.approx(gradient[0].sum(), rel=1e-12, abs=1e-13)


def test_results_of_functions_keep_their_way_through_two_axes():
    def loss(x):
        hidden = np.maximum(x @ np.array([[1.0, -1.0, 0.5], [0.3, 0.2, -0.7]]), 0.0)
        p = np.exp(hidden - hidden.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        return np.mean(np.where(p > 0.4, p, np.log(p)))

    tape = record(loss, np.ones((4, 2)), strict=True)
    points = np.random.default_rng(3).normal(size=(6, 4, 2))
    assert tape(points) == pytest.approx([loss(x) for x in points], rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 13, 32])
def test_sort_is_right_for_any_length(n):
    numbers = np.random.default_rng(n).integers(0, 9, size=(20, n)).astype(float)
    tape = record(np.sort, np.zeros(n), strict=True)
    for row in numbers:
        assert tape(row).tolist() == sorted(row.tolist())


def test_sort_gives_each_of_equals_one_gradient():
    tape = record(
        lambda x: (np.sort(x) * np.array([1.0, 10.0, 100.0])).sum(), np.zeros(3), strict=True
    )
    _, (gradient,) = tape.value_and_grad(np.array([2.0, 2.0, 1.0]), wrt="inputs")
    assert gradient[2] == 1.0
    assert sorted(gradient[:2]) == [10.0, 100.0]


def unpositioned(name, *args, **kwargs):
    return lambda x: getattr(np, name)(x, *args, **kwargs)


REFUSED = {
    "argmax": unpositioned("argmax"),
    "x.argmax": lambda x: x.argmax(),
    "argmin": unpositioned("argmin"),
    "argsort": unpositioned("argsort"),
    "x.argsort": lambda x: x.argsort(),
    "argpartition": unpositioned("argpartition", 2),
    "nonzero": unpositioned("nonzero"),
    "x.nonzero": lambda x: x.nonzero(),
    "np.where": lambda x: np.where(x > 0),
    "argwhere": lambda x: np.argwhere(x > 0),
    "flatnonzero": unpositioned("flatnonzero"),
    "count_nonzero": lambda x: np.count_nonzero(x > 0),
    "searchsorted": unpositioned("searchsorted", 0.2),
    "x.searchsorted": lambda x: x.searchsorted(0.2),
    "digitize": unpositioned("digitize", [0.0, 1.0]),
    "histogram": unpositioned("histogram"),
    "bincount": unpositioned("bincount"),
    "unique": unpositioned("unique"),
    "isin": unpositioned("isin", [1.0]),
    "lexsort": lambda x: np.lexsort((x, x)),
    "nansum": unpositioned("nansum"),
    "nanmax": unpositioned("nanmax"),
    "interp": unpositioned("interp", [0, 1], [0, 1]),
    "gradient": unpositioned("gradient"),
    "where=": lambda x: np.add(x, 1, where=x > 0),
    "extract": lambda x: np.extract(x > 0, x),
    "compress": lambda x: np.compress(x > 0, x),
    "compress by keyword": lambda x: np.compress(condition=x > 0, a=x),
    "x.compress": lambda x: x.compress(x > 0),
    "nan_to_num": unpositioned("nan_to_num"),
    "piecewise": lambda x: np.piecewise(x, [x < 0], [0, 1]),
    "putmask": lambda x: np.putmask(x, x < 0, 0),
    "place": lambda x: np.place(x, x < 0, [0]),
    "take": lambda x: x[x > 0],
    "fastgrad.take": lambda x: x[x[0]],
    "index": lambda x: x[list(x > 0)],
    "index of an array": lambda x: x.__setitem__(x > 0, [1.0, 2.0]),
    "np.argmax": lambda x: np.argmax(x[0]),
}  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_what_gives_positions_or_floats_is_refused_by_name(name, strict):
    with pytest.raises(
        TapeError, match=name.removeprefix("x.").split(" by ")[0].replace(".", r"\.")
    ) as error:
        record(REFUSED[name], EXAMPLE, strict=strict)
    assert ";" in str(error.value)


def test_masks_of_constants_are_no_decision():
    keep = np.array([True, False, True, True, False])

    def function(x):
        np.putmask(x, ~keep, 0.5)
        x[keep] *= 2
        return np.append(np.compress(keep, x), np.extract(keep, x)) + x[keep].max()

    tape = record(function, EXAMPLE.copy(), strict=True)
    assert tape(OTHERS[0]) == pytest.approx(function(OTHERS[0].copy()))


def test_other_errors_of_an_index_are_numpys():
    for wrong in (7, "a", [9]):
        with pytest.raises(IndexError):
            record(lambda x, wrong=wrong: x[wrong], EXAMPLE)
        with pytest.raises(IndexError):
            record(lambda x, wrong=wrong: x.__setitem__(wrong, 1.0), EXAMPLE)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.maximum(np.array([x[0], x[1]]), 0.2).sum(),
        lambda x: np.array(list(x)).max(),
        lambda x: np.asarray(x, dtype=object).min(),
        lambda x: x[0] if (x > 0.5).any() else x[1],
        lambda x: x[0] if 1.7 in x else x[1],
        lambda x: x.sum() if np.allclose(x, 1.0) else x[0],
        lambda x: np.asarray(x, float).sum() * x[0],
    ],
)
def test_decisions_in_arrays_that_the_program_makes_are_reported(function):
    with pytest.warns(FastgradWarning):
        record(function, EXAMPLE)
    with pytest.raises(TapeError):
        record(function, EXAMPLE, strict=True)


WRONG = {
    "singular": (lambda x: np.linalg.solve(np.outer(x, x) * 0, x), "Singular matrix"),
    "not square": (lambda x: np.linalg.inv(np.outer(x, x)[1:]), "must be square"),
    "no matrix": (lambda x: np.linalg.det(x), "1-dimensional array given"),
    "norm": (lambda x: np.linalg.norm(x, "fro"), "Invalid norm order"),
    "norm of a matrix": (lambda x: np.linalg.norm(np.outer(x, x), 3), "Invalid norm order"),
    "norm of a cube": (lambda x: np.linalg.norm(x.reshape(1, 1, 5), 1), "number of dimensions"),
    "no axis": (lambda x: np.average(np.outer(x, x), weights=x), "Axis must be specified"),
    "weights": (lambda x: np.average(np.outer(x, x), 1, [1.0, 2.0]), "Shape of weights"),
    "linspace": (lambda x: np.linspace(x, x, -1), "must be non-negative"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_numpy_refuses_are_refused_as_there(name):
    function, text = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=text) as numpys:
        function(EXAMPLE.copy())
    with pytest.raises((ValueError, TypeError), match=text) as ours:
        record(function, EXAMPLE)
    assert type(ours.value) is type(numpys.value)


def test_error_of_a_function_that_numpy_calls_is_the_programs():
    def wrong(row):
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        record(lambda x: np.apply_along_axis(wrong, 0, x), EXAMPLE)


def test_function_that_numpy_cannot_compute_on_objects_is_refused_by_name():
    with pytest.raises(TapeError, match=r"np\.packbits .*; do it|got np.packbits"):
        record(lambda x: np.packbits(x), EXAMPLE)
    with pytest.raises(TapeError, match=r"got np\.unpackbits \(.*; write it with operators"):
        record(lambda x: np.unpackbits(x), EXAMPLE)


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_elimination_chooses_its_pivots_for_each_sample(n):
    rng = np.random.default_rng(n)

    def function(a, b):
        return np.linalg.solve(a, b), np.linalg.det(a), np.linalg.slogdet(a)[1], np.linalg.inv(a)

    tape = record(function, rng.normal(size=(n, n)), rng.normal(size=n), strict=True)
    for _ in range(20):
        a, b = rng.permutation(np.triu(rng.normal(size=(n, n))) + np.eye(n) * 3), rng.normal(size=n)
        for got, expected in zip(tape(a, b), function(a, b), strict=True):
            assert got == pytest.approx(np.asarray(expected), rel=1e-9, abs=1e-9)


def test_determinant_of_three_rows_holds_where_they_are_dependent():
    tape = record(np.linalg.det, np.eye(3), strict=True)
    singular = np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [0.0, 5.0, 7.0]])
    value, (gradient,) = tape.value_and_grad(singular, wrt="inputs")
    assert value == 0.0
    assert gradient[:, 0] == pytest.approx([16.0, 3.0, -5.0])


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (lambda x: (x > 1) & (x < 3), [0, 1, 0]),
        (lambda x: (x < 1) | (x > 3), [1, 0, 1]),
        (lambda x: (x > 1) ^ (x > 3), [0, 1, 0]),
        (lambda x: ~(x > 1), [1, 0, 0]),
        (lambda x: (x > 1) & True, [0, 1, 1]),
        (lambda x: False | (x > 1), [0, 1, 1]),
        (lambda x: True ^ (x > 1), [1, 0, 0]),
        (lambda x: np.True_ & (x > 1), [0, 1, 1]),
        (lambda x: (x > 1) | np.True_, [1, 1, 1]),
        (lambda x: ((x > 1) & np.array([True, False])).sum(), [0, 1, 1]),
        (lambda x: np.logical_and(x > 1, x < 3), [0, 1, 0]),
    ],
)
def test_comparisons_combined_decide_at_replay(truth, expected):
    tape = record(lambda x: truth(x) * x, 2.0, strict=True)
    points = [0.5, 2.0, 4.0]
    assert tape(points) == [e * x for e, x in zip(expected, points, strict=True)]
    with pytest.warns(FastgradWarning):
        branch = record(lambda x: x if truth(x) else -x, 2.0)
    assert branch(2.0) == (2.0 if expected[1] else -2.0)


def test_if_of_a_logical_result_goes_the_way_that_numpy_goes():
    for truth in (
        lambda x: (x > 5).any(),
        lambda x: (x > 0).all(),
        lambda x: np.logical_not(x > -9).any(),
        lambda x: np.isnan(x).any(),
    ):
        with pytest.warns(FastgradWarning):
            tape = record(lambda x, truth=truth: x[0] if truth(x) else x[1], EXAMPLE)
        assert tape(EXAMPLE) == EXAMPLE[1]


def test_arrays_are_numpys_outside_the_recording():
    kept = []
    record(lambda x: (kept.append(x * 1), x.sum())[1], EXAMPLE)
    (x,) = kept
    assert x.argmax() == 4
    assert np.argsort(x).tolist() == np.argsort(EXAMPLE).tolist()
    assert (x > 0).tolist() == (EXAMPLE > 0).tolist()
    assert np.isnan(x).tolist() == [False] * 5
    assert type(x * 2) is np.ndarray
    assert x[x > 0].size == 3
    y = x.copy()
    y.sort()
    assert [v.data for v in y] == sorted(EXAMPLE)
    assert [v.data for v in np.sort(x)] == sorted(EXAMPLE)
    assert np.partition(x, 2)[2].data == np.partition(EXAMPLE, 2)[2]
    assert np.where(x > 1)[0].tolist() == [4]


def test_captured_arrays_of_values_decide_with_an_argument():
    weights = np.array([Value(1.0), Value(-1.0)])
    tape = record(lambda x: np.maximum(weights * x, 0.0).sum(), 1.0, strict=True)
    assert (tape(2.0), tape(-3.0)) == (2.0, 3.0)
    tape = record(lambda x: np.maximum(x @ weights, 0.0), np.ones(2), strict=True)
    assert (tape(np.array([3.0, 1.0])), tape(np.array([1.0, 3.0]))) == (2.0, 0.0)


# Masked arrays ------------------------------------------------------------------------------------

MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    "call",
    [
        lambda tape: tape(MASKED),
        lambda tape: tape([MASKED, MASKED]),
        lambda tape: tape(np.ma.array([[1.0, 2.0]] * 3, mask=True)),
        lambda tape: tape.value_and_grad(MASKED),
        lambda tape: tape.backward(MASKED),
        lambda tape: tape.jvp((np.zeros(2),), (MASKED,)),
        lambda tape: tape.check(MASKED),
        lambda tape: fg.fit(tape, [MASKED], optimizer=fg.optim.SGD([Value(1.0)], lr=0.1), steps=1),
        lambda tape: record(lambda x: x.sum(), MASKED),
        lambda tape: record(lambda x: x["a"].sum(), {"a": MASKED}),
    ],
)
def test_masked_entries_are_refused(call):
    tape = record(lambda x: x.sum(), np.zeros(2))
    with pytest.raises(FastgradTypeError, match=r"masked array .*x.*filled"):
        call(tape)


def test_a_masked_array_without_masked_entries_is_an_array():
    plain = np.ma.array([1.0, 2.0])
    assert record(lambda x: x.sum(), plain)(plain) == 3.0
    assert record(lambda x: x.sum(), plain)(np.ma.array([1.0, 2.0], mask=[False, False])) == 3.0


# Programs -----------------------------------------------------------------------------------------


def nearest(x, centres):
    """The loss of k-means."""
    return ((x - centres) ** 2).sum(axis=1).min()


def hinge(x, w):
    """The loss of a support vector machine of several classes; the first is right."""
    scores = w @ x
    return np.maximum(0, scores - scores[0] + 1).sum() - 1


def pinball(x, w):
    """The loss of a quantile."""
    error = x - w[:, 0]
    return np.where(error > 0, 0.9 * error, -0.1 * error).sum()


def huber(x, w):
    error = np.abs(x - w[:, 0])
    return np.mean(np.where(error <= 0.5, error**2 / 2, 0.5 * (error - 0.25)))


def winsorised(x, w):
    z = (x - x.mean()) / np.std(x)
    return np.clip(w @ z, -1, 1).sum()


def trimmed(x, w):
    return np.sort(w @ x)[1:-1].mean()


def attention(x, w):
    scores = w @ x / np.sqrt(len(x))
    p = np.exp(scores - np.max(scores))
    return (p / np.sum(p)) @ w @ x


@pytest.mark.parametrize(
    "program", [hinge, pinball, huber, winsorised, trimmed, attention, nearest]
)
def test_programs_give_what_they_give_on_floats(program):
    rng = np.random.default_rng(5)
    tape = record(program, rng.normal(size=3), rng.normal(size=(3, 3)), strict=True)
    for _ in range(10):
        x, w = rng.normal(size=3), rng.normal(size=(3, 3))
        assert tape(x, w) == pytest.approx(program(x, w), rel=1e-12, abs=1e-13)
        _, (_, slopes) = tape.value_and_grad(x, w, wrt="inputs")
        step = np.zeros((3, 3))
        step[1, 0] = 1e-6
        slope = (program(x, w + step) - program(x, w - step)) / 2e-6
        assert slopes[1, 0] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("program", [hinge, pinball, huber, trimmed, attention, nearest])
def test_programs_run_eagerly_on_arrays_of_values(program):
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=3), rng.normal(size=(3, 3))
    weights = np.vectorize(Value, otypes=[object])(w)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = program(x, weights)
    assert loss.data == pytest.approx(program(x, w))
    loss.backward()
    tape = record(program, x, w, strict=True)
    _, (_, slopes) = tape.value_and_grad(x, w, wrt="inputs")
    assert [v.grad for v in weights.flat] == pytest.approx(slopes.ravel())
