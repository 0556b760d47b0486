"""Arguments and results of tapes: structures, arrays of any dtype and layout, batches.

Oracles: the recorded function itself, run on numbers, and NumPy.
"""

import array
import ctypes
from typing import Any, NamedTuple

import pytest
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value
from fastgrad.errors import ShapeError

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


class Pair(NamedTuple):
    left: Any
    right: Any


# -- arguments -------------------------------------------------------------------------------------

STRUCTURES = {  # example, function of it, another argument, result of that, gradient of that
    "number": (1.0, lambda x: x * x, 3.0, 9.0, 6.0),
    "int": (1, lambda x: x * x, 3, 9.0, 6.0),
    "bool": (True, lambda x: x * x, False, 0.0, 0.0),
    "list": ([1.0, 2.0], lambda x: x[0] * x[1], [3.0, 4.0], 12.0, [4.0, 3.0]),
    "tuple": ((1.0, 2.0), lambda x: x[0] * x[1], (3.0, 4.0), 12.0, [4.0, 3.0]),
    "nested": ([[1, 2], [3, 4]], lambda x: x[0][1] * x[1][0], [[5, 6], [7, 8]], 42.0,
               [[0.0, 7.0], [6.0, 0.0]]),
    "one inside": ([[[2.0]]], lambda x: x[0][0][0] ** 2, [[[3.0]]], 9.0, [[[6.0]]]),
    "dict": ({"a": 1.0, "b": [1.0, 2.0]}, lambda x: x["a"] * x["b"][1],
             {"b": [0.0, 5.0], "a": 4.0}, 20.0, {"a": 5.0, "b": [0.0, 4.0]}),
    "mixed": ([1.0, [1.0, 2.0], {7: 3.0}], lambda x: x[0] * x[1][0] * x[2][7],
              [2.0, [3.0, 0.0], {7: 5.0}], 30.0, [15.0, [10.0, 0.0], {7: 6.0}]),
    "ragged": (([1.0], [1.0, 2.0]), lambda x: x[0][0] * x[1][1], ([3.0], [0.0, 4.0]), 12.0,
               ([4.0], [0.0, 3.0])),
    "namedtuple": (Pair(1.0, 2.0), lambda x: x.left * x.right, Pair(3.0, 4.0), 12.0, [4.0, 3.0]),
    "nested namedtuple": (Pair(1.0, [2.0]), lambda x: x.left * x.right[0], Pair(3.0, [4.0]), 12.0,
                          (4.0, [3.0])),
    "empty": ([], lambda x: Value(1.0) * len(x), [], 0.0, []),
    "empty rows": ([[], []], lambda x: Value(1.0) * len(x), [[], []], 2.0, [[], []]),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_structured_arguments_give_structured_gradients(name):
    example, function, other, result, gradient = STRUCTURES[name]
    tape = fg.record(function, example)
    assert tape(other) == result
    assert tape.value_and_grad(other, wrt="inputs") == (result, (gradient,))
    assert tape(example) == tape(example)


DTYPES = [
    "float64", "float32", "float16", "longdouble", "int64", "int32", "int16", "int8", "uint64",
    "uint32", "uint16", "uint8", "bool", ">f8", "<f8", ">f4", "<f4", ">f2", ">i8", ">i4", ">i2",
    ">u8", ">u4", ">u2",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_dtype_are_read(numpy, linear, dtype, order):
    data = numpy.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])
    batch = numpy.array(data, dtype=dtype, order=order)
    expected = (data @ [1, 10, 100]).astype(float)
    result = linear(batch)
    assert (type(result), result.dtype, result.tolist()) == (
        numpy.ndarray, numpy.float64, expected.tolist()
    )  # fmt: skip
    assert [linear(row) for row in batch] == expected.tolist()


def test_arrays_of_any_strides_are_read(numpy, linear):
    big = numpy.arange(240.0).reshape(10, 8, 3) - 100
    frozen = big[0].copy()
    frozen.flags.writeable = False
    bytes_ = b"x" + big[0].tobytes()
    unaligned = numpy.frombuffer(bytes_, dtype=float, offset=1).reshape(8, 3)
    fields = numpy.zeros(8, dtype=[("flag", "i1"), ("x", "f8", 3)])
    fields["x"] = big[0]
    for view in (
        big[:, 0], big[::-1, 3], big[::3, 5, ::-1], big[0, ::-2, ::-1], frozen, unaligned,
        big[4:5, 1], numpy.broadcast_to(big[0, 0], (5, 3)), fields["x"],
        big[0, :, ::2][:, [0, 1, 0]], big.transpose(2, 1, 0)[:, :, 7].T,
        numpy.asfortranarray(big[1]), numpy.ones((3, 2))[:, :1].T,
    ):  # fmt: skip
        assert linear(view).tolist() == (view @ [1.0, 10.0, 100.0]).tolist()
        assert linear(view[-1]) == view[-1] @ [1.0, 10.0, 100.0]


def test_matrices_in_the_order_of_fortran_keep_their_rows(numpy):
    data = numpy.arange(24.0).reshape(4, 2, 3)
    tape = fg.record(lambda x: [entry + 0.0 for row in x for entry in row], data[0])
    backwards = data[:, ::-1, ::-1].copy()[:, ::-1, ::-1]
    for batch in (
        numpy.asfortranarray(data),
        data.transpose(1, 2, 0).copy().transpose(2, 0, 1),
        backwards,
    ):
        assert tape(batch).tolist() == data.reshape(4, 6).tolist()
        assert tape(batch[1]).tolist() == data[1].ravel().tolist()


def layouts(numpy, data):
    """Yield arrays of the same numbers, that lie in memory in different ways."""
    n, k = data.shape
    wide, tall = numpy.repeat(data, 2, axis=1), numpy.repeat(data, 3, axis=0)
    fields = numpy.zeros(n, dtype=[("flag", "i1"), ("x", data.dtype, k)])
    fields["x"] = data
    yield from (
        data, numpy.asfortranarray(data), wide[:, ::2], wide.T.copy()[::2].T, tall[::3],
        data[::-1, ::-1].copy()[::-1, ::-1], numpy.hstack([data, data])[:, :k], fields["x"],
        numpy.stack([data, data], axis=2)[:, :, 1],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_numbers_of_any_format_and_layout_are_those_of_astype(numpy, dtype, n):
    raw = numpy.random.default_rng(n).integers(0, 256, (n, 3, 16), dtype=numpy.uint8)
    kind = numpy.dtype(dtype)
    data = raw[:, :, : kind.itemsize].copy().view(kind)[:, :, 0].copy()
    if kind.kind == "b":
        data = raw[:, :, 0] % 2 == 1
    elif kind.itemsize > 8:  # bits of a long double may stand for no number
        data = (raw[:, :, 0] / numpy.longdouble(3)).astype(kind)
    with numpy.errstate(all="ignore"):
        expected = numpy.nan_to_num(data.astype(float), nan=7.0)
        data = numpy.where(numpy.isnan(data), kind.type(7), data).astype(kind)
    tape = fg.record(lambda x: [x[0], x[1], x[2]], [0.0, 0.0, 0.0])
    for array_ in layouts(numpy, data):
        assert tape(array_).tobytes() == expected.tobytes()
        assert tape(array_[-1]).tobytes() == expected[-1].tobytes()
        tally("arrays: formats and layouts")


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_any_dtype_serve_every_verb(numpy, dtype):
    w = Value(0.5)
    tape = fg.record(lambda x, t: (x[0] * x[1] * w - t).tanh(), [0.0, 0.0], 0.0)
    x, t = numpy.array([[1, 0], [0, 1], [1, 1]]), numpy.array([0, 1, 1])
    for order in "CF":
        args = numpy.array(x, dtype=dtype, order=order), numpy.array(t, dtype=dtype)
        plain = x.astype(float), t.astype(float)
        for verb in (
            lambda *a: tape(*a),
            lambda *a: tape.backward(*a),
            lambda *a: tape.value_and_grad(*a)[1],
            lambda *a: tape.value_and_grad(*a, wrt="inputs")[1][0],
            lambda *a: tape.value_and_grad(*a, reduce=None)[1],
            lambda *a: tape.jvp(a, a)[1],
        ):
            for got, expected in ((args, plain), ([a[2] for a in args], [a[2] for a in plain])):
                assert numpy.array(verb(*got)).tobytes() == numpy.array(verb(*expected)).tobytes()


def test_arrays_of_what_are_no_numbers_are_refused(numpy, linear):
    for wrong in (
        numpy.array([1j, 2, 3]), numpy.array(["1", "2", "3"]), numpy.array([b"1", b"2", b"3"]),
        numpy.zeros(3, dtype="M8[s]"), numpy.zeros(3, dtype=[("x", "f8")]), b"123", bytearray(3),
    ):  # fmt: skip
        with pytest.raises((TypeError, ShapeError)):
            linear(wrong)
    assert linear(memoryview(b"\1\2\3")) == linear(numpy.array([1, 2, 3], dtype=object)) == 321.0


def test_large_arrays_of_another_format_are_converted(numpy):
    tape = fg.record(lambda x: x[0] + x[1], [0.0, 0.0])
    X = numpy.arange(100_000, dtype="f4").reshape(2, -1).T
    assert tape(X).tolist() == (X[:, 0].astype(float) + X[:, 1]).tolist()
    deep = numpy.zeros((1,) * 60 + (2,), dtype="f4")
    with pytest.raises(ShapeError, match=r"expected shape \(2,\)"):
        tape(deep)


def test_lists_of_floats_and_of_other_numbers_are_the_same():
    tape = fg.record(lambda x: x[0] - x[1], [0.0, 0.0])
    assert tape([[1.0, 2.0], (3.0, 5), [True, 4.5]]) == [-1.0, -2.0, -3.5]
    for wrong, message in (([[1.0, "a"]], "expected numbers"), ([[1.0, 2.0], [1.0]], "1 where 2")):
        with pytest.raises((TypeError, ShapeError), match=message):
            tape(wrong)


def test_arrays_inside_lists_and_as_examples_are_read(numpy):
    tape = fg.record(lambda x: (x * x).sum(), numpy.zeros((2, 3)))
    X = numpy.arange(24.0).reshape(4, 2, 3)
    assert tape(X).tolist() == (X * X).sum((1, 2)).tolist()
    assert tape(list(X)) == (X * X).sum((1, 2)).tolist()
    assert tape([list(x) for x in X]) == (X * X).sum((1, 2)).tolist()
    value, (gradient,) = tape.value_and_grad(X, reduce="sum", wrt="inputs")
    assert (value, gradient.tolist()) == ((X * X).sum(), (2 * X).tolist())
    scalar = fg.record(lambda x: x * 2, numpy.array(1.0))
    assert scalar(numpy.array(2.0)) == scalar(numpy.float32(2.0)) == scalar(numpy.int8(2)) == 4.0


def test_buffers_other_than_numpy_arrays_are_read(linear):
    for typecode in "dfbhilq":
        assert linear(array.array(typecode, [1, 2, 3])) == 321.0
    flat = array.array("d", range(6))
    square = memoryview(flat).cast("B").cast("d", (2, 3))
    assert linear(square) == [210.0, 543.0]
    assert linear((ctypes.c_double * 3)(1, 2, 3)) == linear((ctypes.c_float * 3)(1, 2, 3)) == 321.0
    number = fg.record(lambda x: x + 1, 0.0)
    assert number(memoryview(flat)[::-2]) == [6.0, 4.0, 2.0]
    assert number(array.array("q", [1, -1])) == [2.0, 0.0]


def test_array_buffer_is_released_after_a_call(linear):
    numbers = array.array("d", [1, 2, 3])
    linear(memoryview(numbers).cast("B").cast("d", (1, 3)))
    numbers.append(4.0)  # refused while somebody has its buffer
    wrong = memoryview(numbers)
    with pytest.raises(ShapeError):
        linear(wrong)
    wrong.release()
    numbers.append(5.0)


def test_batched_and_shared_arguments_can_be_mixed():
    tape = fg.record(lambda a, b: a * b[0] + b[1], 0.0, [0.0, 0.0])
    assert tape([1.0, 2.0], [[3.0, 4.0], [5.0, 6.0]]) == [7.0, 16.0]
    assert tape([1.0, 2.0], [3.0, 4.0]) == [7.0, 10.0]
    assert tape(2.0, [[3.0, 4.0], [5.0, 6.0], [0.0, 1.0]]) == [10.0, 16.0, 1.0]
    assert tape(2.0, [3.0, 4.0]) == 10.0
    assert tape([2.0], [3.0, 4.0]) == [10.0]
    value, (ga, gb) = tape.value_and_grad([1.0, 2.0], [3.0, 4.0], reduce="sum", wrt="inputs")
    assert (value, ga, gb) == (17.0, [3.0, 3.0], [3.0, 2.0])
    value, (ga, gb) = tape.value_and_grad(2.0, [[3.0, 4.0], [5.0, 6.0]], wrt="inputs")
    assert (value, ga, gb) == (13.0, 4.0, [[1.0, 0.5], [1.0, 0.5]])


def test_batch_inside_a_structure_is_replayed():
    tape = fg.record(lambda x: x["a"] * x["b"][0] + x["b"][1], {"a": 1.0, "b": [1.0, 2.0]})
    assert tape({"a": [1.0, 2.0], "b": [3.0, 4.0]}) == [7.0, 10.0]
    _, (gradient,) = tape.value_and_grad(
        {"a": [1.0, 2.0], "b": [3.0, 4.0]}, wrt="inputs", reduce="sum"
    )
    assert gradient == {"a": [3.0, 3.0], "b": [3.0, 2.0]}


def test_tape_without_arguments_can_be_called():
    w = Value(3.0)
    tape = fg.record(lambda: w * w)
    assert (tape(), tape.backward(), w.grad) == (9.0, 9.0, 6.0)
    assert tape.value_and_grad(wrt="inputs") == (9.0, ())
    assert tape.inputs == []


# -- results ---------------------------------------------------------------------------------------


def test_structured_results_keep_their_structure(numpy):
    def function(x, y):
        return {"sum": x + y, "rows": [[x, y], [y, x]], "pair": (x, [x * y])}

    tape = fg.record(function, 1.0, 2.0)
    rows = [[3.0, 4.0], [4.0, 3.0]]
    assert tape(3.0, 4.0) == {"sum": 7.0, "rows": rows, "pair": (3.0, [12.0])}
    batch = tape([3.0, 0.0], 4.0)
    assert batch["sum"] == [7.0, 4.0]
    assert batch["rows"] == [rows, [[0.0, 4.0], [4.0, 0.0]]]
    assert batch["pair"] == ([3.0, 0.0], [[12.0], [0.0]])
    arrays = tape(numpy.array([3.0, 0.0]), 4.0)
    assert arrays["rows"].shape == (2, 2, 2)
    assert arrays["rows"].tolist() == batch["rows"]
    assert type(arrays["pair"]) is tuple


def test_results_that_are_inputs_or_leaves_are_returned(numpy):
    w = Value(5.0)
    tape = fg.record(lambda x, y: [x, x, w, Value(7.0), y * 1, w], 1.0, 2.0)
    assert tape(3.0, 4.0) == [3.0, 3.0, 5.0, 7.0, 4.0, 5.0]
    assert tape([3.0, 4.0], 9.0) == [[3.0, 3.0, 5.0, 7.0, 9.0, 5.0], [4.0, 4.0, 5.0, 7.0, 9.0, 5.0]]
    assert tape(numpy.array([3.0]), 9.0).tolist() == [[3.0, 3.0, 5.0, 7.0, 9.0, 5.0]]
    assert [p.data for p in tape.parameters] == [5.0]
    identity = fg.record(lambda x: x, 1.0)
    assert identity.value_and_grad([3.0, 5.0], wrt="inputs") == (4.0, ([0.5, 0.5],))
    constant = fg.record(lambda x: Value(2.0), 1.0)
    assert constant.value_and_grad([3.0, 5.0], wrt="inputs") == (2.0, ([0.0, 0.0],))
    assert (constant.parameters, constant(1.0), constant([1.0, 2.0])) == ([], 2.0, [2.0, 2.0])


def test_result_independent_of_the_batch_is_repeated():
    w = Value(3.0)
    tape = fg.record(lambda x, y: y * w, 1.0, 2.0)
    assert tape([1.0, 2.0, 3.0], 5.0) == [15.0] * 3
    for reduce, scale in (("mean", 1.0), ("sum", 3.0)):
        value, (gx, gy) = tape.value_and_grad([1.0, 2.0, 3.0], 5.0, wrt="inputs", reduce=reduce)
        assert (value, gx, gy) == (15.0 * scale, [0.0] * 3, pytest.approx(3.0 * scale))
    assert tape.backward([1.0, 2.0, 3.0], 5.0, reduce="sum") == 45.0
    assert w.grad == 15.0


def test_single_sample_gives_a_float(numpy):
    tape = fg.record(lambda x: x[0] * x[1], [1.0, 2.0])
    assert type(tape(numpy.array([1.0, 2.0]))) is float
    assert type(tape.backward([1, 2])) is float
    value, (gradient,) = tape.value_and_grad(numpy.array([3.0, 4.0]), wrt="inputs")
    assert (type(value), type(gradient), gradient.tolist()) == (float, numpy.ndarray, [4.0, 3.0])


def test_infinite_and_nan_numbers_of_each_width_arrive_as_they_are(numpy):
    tape = fg.record(lambda x: x * 1.0, 1.0)
    for dtype in ("float16", "float32", "float64", "longdouble", ">f2", ">f4"):
        given = numpy.array([numpy.inf, -numpy.inf, numpy.nan, 1.0], dtype=dtype)
        assert numpy.array_equal(
            tape(given), [numpy.inf, -numpy.inf, numpy.nan, 1.0], equal_nan=True
        ), dtype
