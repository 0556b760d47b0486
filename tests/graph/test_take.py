"""take: an entry or a row of a table, chosen by an int or by a Value.

Oracle: indexing a Python list.
"""

import math
import re
from array import array
from collections import deque
from types import MappingProxyType

import pytest

import fastgrad
from fastgrad import take
from fastgrad._native.graph.check import arena_check
from fastgrad._native.graph.recording import record_enter, record_exit
from fastgrad.engine import Value, arena_stats, no_grad
from fastgrad.errors import FastgradIndexError, FastgradTypeError, FastgradValueError, ShapeError


def values(*numbers):
    return [Value(x) for x in numbers]


def test_take_by_a_plain_index_gives_the_entry_itself():
    table = [*values(1.0, 2.0), 3.5]
    for i in (0, 1, 2, -1, -3, True, 1.0, -2.0):
        assert take(table, i) is table[int(i)]
    rows = [values(1.0, 2.0), values(3.0, 4.0)]
    row = take(rows, 1)
    assert row == rows[1]
    assert row is not rows[1]


def test_take_accepts_numpy_indices_and_tables():
    numpy = pytest.importorskip("numpy")
    table = values(1.0, 2.0)
    assert take(table, numpy.int64(-1)) is table[1]
    assert take(table, numpy.float64(1.0)) is table[1]
    assert take(numpy.array([1.0, 2.5]), 1) == 2.5
    assert take(numpy.array([[1.0, 2.0], [3.0, 4.0]]), 0) == [1.0, 2.0]
    assert [v.data for v in take(numpy.array([[1.0, 2.0], [3.0, 4.0]]), Value(1))] == [3.0, 4.0]


@pytest.mark.parametrize("i", [0, 1, 2])
def test_take_by_a_value_makes_a_node_of_index_and_column(i):
    table, index = [*values(1.0, 2.0), 3.5], Value(i)
    y = take(table, index)
    assert (y.data, y._op) == ([1.0, 2.0, 3.5][i], "take")
    assert len(y._prev) == 4
    assert {index, *table[:2]} < y._prev
    (y * y).backward()
    assert [v.grad for v in table[:2]] == [2 * y.data if k == i else 0.0 for k in range(2)]
    assert index.grad == 0.0


def test_take_of_a_row_by_a_value_has_gradients():
    table, index = [values(1.0, 2.0, 3.0), values(4.0, 5.0, 6.0)], Value(1)
    row = take(table, index)
    assert [v.data for v in row] == [4.0, 5.0, 6.0]
    (row[0] * row[2]).backward()
    assert [[v.grad for v in r] for r in table] == [[0.0, 0.0, 0.0], [6.0, 0.0, 4.0]]


def test_take_passes_no_gradient_to_other_entries():
    table = values(1.0, 2.0)
    y = take(table, Value(1)) * 1e308 * 1e308
    y.backward()
    assert [v.grad for v in table] == [0.0, math.inf]


def test_take_from_a_table_with_repeated_values_adds_once():
    x, index = Value(3.0), Value(0.0)
    y = take([x, x, index], index)
    y.backward()
    assert (y.data, x.grad, index.grad) == (3.0, 1.0, 0.0)


WRONG = [3, -4, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e300, -1e300]


@pytest.mark.parametrize("i", WRONG)
def test_take_with_an_index_out_of_range_is_refused(i):
    table = values(1.0, 2.0, 3.0)
    before = arena_stats()["live_nodes"]
    got = re.escape(f"got {i!r} (index of take, 3 entries)")
    for index in (lambda: i, lambda: Value(i)):
        with pytest.raises(FastgradIndexError, match=f"expected an index of -3 to 2, {got}"):
            take(table, index())
        with pytest.raises(IndexError, match="expected an index of -3 to 2"):
            take([[v] for v in table], index())
    assert arena_stats()["live_nodes"] == before


def test_take_reads_a_changed_index_in_backward():
    table, index = values(1.0, 2.0), Value(0)
    y = take(table, index)
    index.data = 1
    y.backward()
    assert [v.grad for v in table] == [0.0, 1.0]
    index.data = 2
    with pytest.raises(FastgradIndexError, match="expected an index of -2 to 1, got 2"):
        y.backward()
    assert arena_check() == []


@pytest.mark.parametrize("i", [-1, -2, -3])
def test_take_by_a_negative_index_counts_from_the_end(i):
    table = values(1.0, 2.0, 3.0)
    assert take(table, i) is table[i]
    for index in (Value(i), Value(i) * 1.0):
        y = take(table, index)
        assert y.data == table[i].data
        y.backward()
    assert [v.grad for v in table] == [2.0 if k == 3 + i else 0.0 for k in range(3)]
    rows = [values(1.0, 2.0), values(3.0, 4.0), values(5.0, 6.0)]
    assert [v.data for v in take(rows, Value(i))] == [v.data for v in rows[i]]
    assert take([Value(7.0)], Value(-0.0)).data == 7.0


class Sequence:
    """What has a length and items by number, and nothing else."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def test_take_accepts_every_kind_of_sequence():
    v = values(1.0, 2.0)
    for table in (v, tuple(v), Sequence(v), deque(v), array("d", [1.0, 2.0]), range(1, 3)):
        last = take(table, 1)
        assert getattr(last, "data", last) == take(table, Value(-1)).data == 2.0


TABLES = {
    "dict": {0: 1.0, 1: 2.0},
    "dict of keys": {"a": 1.0},
    "read-only dict": MappingProxyType({0: 1.0}),
    "set": {1.0, 2.0},
    "frozenset": frozenset([1.0]),
    "keys": {0: 1.0}.keys(),
    "values": {0: 1.0}.values(),
    "text": "12",
    "bytes": b"12",
    "bytearray": bytearray(b"12"),
    "generator": (x for x in [1.0]),
    "iterator": iter([1.0]),
    "map": map(float, [1.0]),
    "number": 3.0,
    "Value": Value(3.0),
    "None": None,
}


@pytest.mark.parametrize("name", TABLES)
def test_take_from_something_without_order_is_refused(name):
    table = TABLES[name]
    kind = type(table).__name__
    for i in (0, Value(0), -1):
        with pytest.raises(FastgradTypeError, match=f"expected a sequence.* got {kind} .*of take"):
            take(table, i)
    if not hasattr(table, "__len__"):
        return
    for i in (0, Value(0), -2):
        with pytest.raises(FastgradTypeError, match=r"expected a sequence.*row 0 of take's table"):
            take([table, table], i)
    with pytest.raises(FastgradTypeError, match="row 1 of take's table"):
        take([[1.0] * len(table), table], Value(0))


def test_dict_as_a_table_is_told_of_its_values():
    with pytest.raises(FastgradTypeError, match=re.escape("pass list(table.values())")):
        take({0: Value(1.0)}, Value(0))


def test_take_from_something_that_is_no_table_is_refused():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(FastgradTypeError, match="expected a sequence"):
        take(numpy.array(1.0), 0)
    with pytest.raises(FastgradValueError, match="at least one entry"):
        take([], 0)
    with pytest.raises(ShapeError, match="expected rows of 2 entries, got 1 in row 1"):
        take([values(1.0, 2.0), values(1.0)], Value(0))
    with pytest.raises(ShapeError, match=r"got 3\.0 as row 1"):
        take([values(1.0, 2.0), 3.0], Value(0))
    with pytest.raises(
        TypeError, match=r"expected a Value or a number, got str '2' .operand of take"
    ):
        take([1.0, "2"], Value(0))
    with pytest.raises(TypeError, match="expected a Value or a number, got list"):
        take([1.0, [2.0]], Value(0))


@pytest.mark.parametrize("wrong", ["1", None, [1], 1j])
def test_take_with_an_index_that_is_no_number_is_refused(wrong):
    with pytest.raises(FastgradTypeError, match="expected an int or a Value"):
        take([1.0, 2.0], wrong)


def test_take_under_no_grad_gives_a_leaf():
    with no_grad():
        y = fastgrad.take(values(1.0, 2.0), Value(1))
    assert (y.data, y._prev) == (2.0, set())


def test_take_reports_no_reading_to_a_recording():
    told = []
    index = Value(1) + 0
    record_enter(told.append)
    try:
        y = take(values(1.0, 2.0), index)
        assert (repr(y), told) == ("Value(data=2.0, grad=0.0)", [])
        with no_grad():
            take(values(1.0, 2.0), index)
    finally:
        record_exit()
    assert told == ["no_grad"]
