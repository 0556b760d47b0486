"""Sparse derivatives: patterns, colours, entries.

Oracles: dense derivatives of the same tapes; the definitions of colourings, looked at pair by pair;
the number of colours that the arrow, bands and trees are known to need.
"""

import itertools
import pickle
import random
import sys

import pytest
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional
from fastgrad._native.tape.derive import sizes
from fastgrad.errors import FastgradTypeError, ShapeError
from fastgrad.tape import SparseTape, Tape

np = pytest.importorskip("numpy")
sparse = pytest.importorskip("scipy.sparse")


def arrow(x):
    return sum(x[0] * v * v + v.sin() for v in x[1:]) + x[0] ** 3


def band(x):
    return sum((b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def tree(x):
    return sum(x[i] * x[(i - 1) // 2] ** 2 for i in range(1, len(x)))


def dense(tape, x):
    return np.array(tape.hessian_tape()(x))


def random_function(seed, n):
    rng = random.Random(seed)
    terms = [
        (rng.sample(range(n), rng.randint(1, min(n, 3))), rng.choice([1, 2, 3]))
        for _ in range(2 * n)
    ]

    def f(x):
        total = x[0] * 1.0
        for places, k in terms:
            term = x[places[0]] ** k
            for p in places[1:]:
                term = term * functional.sin(x[p]) + x[p]
            total = total + term
        return total

    return f


@pytest.mark.parametrize("f", [arrow, band, tree], ids=["arrow", "band", "tree"])
@pytest.mark.parametrize("n", [2, 3, 7, 30])
def test_sparse_hessian_equals_the_dense_one(f, n):
    tape = fg.record(f, np.linspace(0.1, 1.0, n))
    found, x = tape.hessian_tape(sparse=True), np.random.default_rng(n).normal(size=n)
    matrix = found(x)
    assert isinstance(found, SparseTape)
    assert sparse.issparse(matrix)
    assert matrix.toarray() == pytest.approx(dense(tape, x), rel=1e-12, abs=1e-12)
    assert (matrix != matrix.T).nnz == 0


@pytest.mark.parametrize(("f", "most"), [(arrow, 2), (band, 3), (tree, 4)])
def test_star_colours_are_few(f, most):
    found = fg.record(f, np.linspace(0.1, 1.0, 40)).hessian_tape(sparse=True)
    assert found.n_colours == 1 + max(found.colours) <= most


@pytest.mark.parametrize("seed", range(25))
def test_random_patterns_are_coloured_and_recovered(seed):
    n = random.Random(seed).randint(2, 14)
    tape = fg.record(random_function(seed, n), np.linspace(0.1, 1.0, n))
    found, x = tape.hessian_tape(sparse=True), np.random.default_rng(seed).normal(size=n)
    assert found(x).toarray() == pytest.approx(dense(tape, x), rel=1e-10, abs=1e-10)
    rows, columns = found.pattern
    edges = {(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if i != j}
    colour = found.colours
    assert all(colour[i] != colour[j] for i, j in edges)
    for (a, b), (c, d) in itertools.product(edges, repeat=2):  # paths over four vertices
        if (b, c) in edges and len({a, b, c, d}) == 4:
            assert len({colour[a], colour[b], colour[c], colour[d]}) > 2
    tally("wrong derivative: random patterns, star colourings by their definition")


def tridiagonal(x):
    n = len(x)
    return [x[i] ** 2 + (x[i - 1] if i else 0) * x[min(i + 1, n - 1)].sin() for i in range(n)]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_sparse_jacobian_equals_the_dense_one(mode):
    tape = fg.record(tridiagonal, np.linspace(0.1, 1.0, 12))
    found, x = tape.jacobian_tape(mode=mode, sparse=True), np.random.default_rng(1).normal(size=12)
    assert found(x).toarray() == pytest.approx(np.array(tape.jacobian_tape()(x)), rel=1e-12)
    assert found.n_colours == 3
    assert found.shape == (12, 12)


def test_jacobian_takes_the_mode_of_fewer_colours():
    one_row = fg.record(lambda x: [sum(v * v for v in x), x[0]], np.ones(9)).jacobian_tape(
        sparse=True
    )
    assert (one_row.n_colours, len(one_row.colours)) == (2, 2)
    one_column = fg.record(lambda x: [x[0] * k for k in range(2, 9)], np.ones(2))
    found = one_column.jacobian_tape(sparse=True)
    assert (found.n_colours, len(found.colours)) == (1, 2)
    assert found([1.0, 1.0]).toarray()[:, 0].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]


def test_more_inputs_than_a_row_of_bits_holds():
    n = 1100
    tape = fg.record(band, np.linspace(0.1, 1.0, n))
    found = tape.hessian_tape(sparse=True)
    x = np.random.default_rng(3).normal(size=n)
    matrix, product = found(x), tape.hvp_tape(wrt=0)(x, x)
    assert len(found.pattern[0]) == 3 * n - 2
    assert matrix @ x == pytest.approx(product, rel=1e-9, abs=1e-9)


def test_steps_and_conditions_are_no_dependence():
    f = lambda x: [fg.where(x[0] > 0, x[1], x[2]), functional.sign(x[0]), x[1].relu()]  # noqa: E731
    rows, columns = fg.record(f, [1.0, 1.0, 1.0]).jacobian_tape(sparse=True).pattern
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (0, 2), (2, 1)]
    tape = fg.record(lambda x: sum(v.relu() ** 2 for v in x) + fg.take(x, 1) ** 2, [0.5, -1.0, 2.0])
    found = tape.hessian_tape(sparse=True)([0.5, -1.0, 2.0])
    assert found.toarray() == pytest.approx(dense(tape, [0.5, -1.0, 2.0]))


def test_matrix_without_entries_has_a_zero():
    linear = fg.record(lambda x: x[0] * 2 + x[1], [1.0, 1.0])
    assert linear.hessian_tape(sparse=True)([1.0, 2.0]).toarray().tolist() == [[0, 0], [0, 0]]


def test_batches_and_values_give_entries():
    tape = fg.record(arrow, np.linspace(0.1, 1.0, 5))
    found, xs = tape.hessian_tape(sparse=True), np.random.default_rng(4).normal(size=(6, 5))
    rows = found(xs, threads=2)
    assert rows.shape == (6, len(found.pattern[0]))
    for x, row in zip(xs, rows, strict=True):
        assert found(x).data.tolist() == row[np.lexsort(found.pattern[::-1])].tolist()
    values = found([Value(v) for v in xs[0]])
    assert [v.data for v in values] == rows[0].tolist()


def test_without_scipy_the_entries_are_given(monkeypatch):
    found = fg.record(band, [0.1, 0.2, 0.3]).hessian_tape(sparse=True)
    matrix = found([0.5, 1.0, 2.0])
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    assert found([0.5, 1.0, 2.0]) == matrix.data.tolist()


def test_sparse_tapes_pickle_save_and_go_on(tmp_path):
    tape = fg.record(band, [0.1, 0.2, 0.3])
    found, x = tape.hessian_tape(sparse=True), [0.5, 1.0, 2.0]
    again = pickle.loads(pickle.dumps(found))
    assert (again(x) != found(x)).nnz == 0
    assert again.n_colours == found.n_colours
    found.save(tmp_path / "entries.tape")
    assert fg.load_tape(tmp_path / "entries.tape")(x) == found(x).data.tolist()
    assert tape.hessian_tape(sparse=True) is found
    assert type(found.jacobian_tape()) is Tape
    assert sizes(found.jacobian_tape())[2] == 3 * len(found.pattern[0])


def test_scipy_methods_give_sparse_matrices():
    tape = fg.record(band, np.ones(6))
    x = np.random.default_rng(5).normal(size=6)
    assert tape.hessian(x, sparse=True).toarray() == pytest.approx(tape.hessian(x))
    rows = fg.record(tridiagonal, np.ones(6))
    assert rows.jacobian(x, sparse=True).toarray() == pytest.approx(rows.jacobian(x))


def test_sparse_requests_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="one array of results"):
        fg.record(lambda x: {"a": x[0]}, [1.0, 1.0]).jacobian_tape(sparse=True)
    with pytest.raises(FastgradTypeError, match="sparse of hessian_tape"):
        fg.record(band, [1.0, 1.0]).hessian_tape(sparse="yes")
    with pytest.raises(FastgradTypeError, match="sparse of jacobian_tape"):
        fg.record(band, [1.0, 1.0]).jacobian_tape(sparse="no")
