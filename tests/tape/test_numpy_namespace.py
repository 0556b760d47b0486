"""What becomes of each of NumPy's functions in a recorded function: right, refused, or warned of.

Oracle: NumPy on plain floats, at points where other elements are largest, first, positive; central
differences for gradients. What is refused or warned of is listed in docs/tapes.md, and only that.
A name that this NumPy does not have is skipped, one that it has and is not here is not tried.
"""

import re
import warnings
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from fastgrad import record
from fastgrad.errors import FastgradWarning, TapeError

TAPES = Path(__file__).parents[2] / "docs" / "tapes.md"
EXAMPLE = np.array([0.9, -0.35, 0.12, -1.2, 1.7])
OTHERS = (np.array([-0.7, 0.45, -1.3, 1.35, 0.21]), np.array([0.11, 0.23, 0.34, 0.42, 0.55]))
UNIT = (0.5 * EXAMPLE, *(0.6 * x for x in OTHERS))  # the domain of asin
LARGE = (abs(EXAMPLE) + 1.1, *(abs(x) + 1.2 for x in OTHERS))  # the domain of log and acosh
FIRST = np.array([True, False, True, False, True])


def matrix(x):
    return np.outer(x, x) + np.diag(x * x + 3)


def changed(change):
    """Let a function change its argument, or a copy of it, and return that."""

    def function(x):
        change(x)
        return x * 2

    return function


def into(array, fill):
    fill(array)
    return array


# Ufuncs: of one array; of two, of an array and a number, and the methods of these
UNARY = """
abs absolute arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil conj conjugate cos cosh
deg2rad degrees exp exp2 expm1 fabs floor invert isfinite isinf isnan log log10 log1p log2
logical_not modf negative positive rad2deg radians reciprocal rint sign signbit sin sinh sqrt
square tan tanh trunc acos acosh asin asinh atan atanh frexp spacing
""".split()  # noqa: SIM905
BINARY = """
add arctan2 atan2 copysign divide divmod equal float_power floor_divide fmax fmin fmod greater
greater_equal heaviside hypot less less_equal logaddexp logaddexp2 logical_and logical_or
logical_xor maximum minimum mod multiply nextafter not_equal pow power remainder subtract
true_divide
""".split()  # noqa: SIM905
ODD_REDUCTIONS = {"arctan2", "atan2", "power", "pow", "float_power"}  # NumPy's own skip elements
NEEDS_LARGE = {
    "log",
    "log10",
    "log1p",
    "log2",
    "sqrt",
    "acosh",
    "arccosh",
    "power",
    "pow",
    "float_power",
}
NEEDS_UNIT = {"acos", "arccos", "asin", "arcsin", "atanh", "arctanh"}

# Functions of one array
PLAIN = """
all amax amin any argmax argmin argsort argwhere around array asanyarray asarray ascontiguousarray
asfarray asfortranarray atleast_1d atleast_2d atleast_3d average copy corrcoef count_nonzero cov
cumprod cumsum cumulative_prod cumulative_sum diag diagflat diff ediff1d fix flatnonzero flip
gradient histogram histogram_bin_edges i0 imag iscomplex iscomplexobj isneginf isposinf isreal
isrealobj max mean median min nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
nanmedian nanmin nanprod nanstd nansum nanvar ndim nonzero ones_like poly polyder polyint prod ptp
ravel real real_if_close require roots shape sinc size sort sort_complex squeeze std sum trapezoid
transpose trim_zeros unique unique_all unique_counts unique_inverse unique_values unstack unwrap
vander var zeros_like angle
""".split()  # noqa: SIM905
MATRIX = """
diagonal fliplr flipud matrix_transpose permute_dims rot90 trace transpose tril triu
linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh
linalg.inv linalg.matrix_norm linalg.matrix_rank linalg.norm linalg.pinv linalg.qr linalg.slogdet
linalg.svd linalg.svdvals linalg.vector_norm fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2
fft.ifftn fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn fft.fftshift
fft.ifftshift
""".split()  # noqa: SIM905

CALLS = {
    "allclose": lambda x: x * np.allclose(x, 0.9),
    "append": lambda x: np.append(x, x),
    "apply_along_axis": lambda x: np.apply_along_axis(np.max, 0, matrix(x)),
    "apply_over_axes": lambda x: np.apply_over_axes(np.sum, matrix(x), [0]),
    "arange": lambda x: np.arange(x[0] * 0 + 3) * x[0],
    "argpartition": lambda x: np.argpartition(x, 2),
    "array2string": lambda x: (np.array2string(x), np.array_repr(x), np.array_str(x), x)[3],
    "array_equal": lambda x: x * np.array_equal(x, [1, 2, 3, 4, 5]),
    "array_equiv": lambda x: x * np.array_equiv(x, [1, 2, 3, 4, 5]),
    "array_split": lambda x: np.array_split(x, 2),
    "asarray(x, float)": lambda x: np.asarray(x, float) * x,
    "average, returned": lambda x: np.average(x, weights=[1, 2, 3, 4, 5.0], returned=True),
    "average, no weights": lambda x: np.average(x, returned=True),
    "average, weights": lambda x: np.average([1, 2, 3, 4, 5.0], weights=x * x + 1),
    "average of an axis": lambda x: np.average(matrix(x), 1, [1, 2, 3, 4, 5.0]),
    "average of axes": lambda x: np.average(
        x.reshape(1, 1, 5), (2, 1), np.arange(1.0, 6.0).reshape(5, 1)
    ),
    "bincount": lambda x: np.bincount([0, 1, 1, 2, 2], x),
    "block": lambda x: np.block([x, x]),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, matrix(x)),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 5)),
    "c_": lambda x: np.c_[x, x],
    "choose": lambda x: np.choose([0, 1, 0, 1, 0], [x, x * 2]),
    "choose(x, ...)": lambda x: np.choose((x > 0).astype(int), [x, x * 2]),
    "clip": lambda x: np.clip(x, -0.3, 0.5),
    "column_stack": lambda x: np.column_stack([x, x]),
    "common_type": lambda x: x.astype(np.common_type(x)),
    "compress": lambda x: np.compress(FIRST, x),
    "compress(x > 0, x)": lambda x: np.compress(x > 0, x),
    "concatenate": lambda x: np.concatenate([x, x]),
    "convolve": lambda x: np.convolve(x, x),
    "convolve, same": lambda x: np.convolve(x, [1, 2, 3], "same"),
    "copyto": changed(lambda x: np.copyto(x, x[::-1] * 2)),
    "copyto(zeros(5), x)": lambda x: into(np.zeros(5), lambda z: np.copyto(z, x)),
    "copyto, where": changed(lambda x: np.copyto(x, x[::-1] * 2, where=x > 0)),
    "copyto, mask": changed(lambda x: np.copyto(x, x[::-1] * 2, where=FIRST)),
    "corrcoef of two": lambda x: np.corrcoef(x, x[::-1]),
    "correlate": lambda x: np.correlate(x, x[:3]),
    "cov of two": lambda x: np.cov(x, x[::-1]),
    "cov of columns": lambda x: np.cov(matrix(x), rowvar=False),
    "cov, weights": lambda x: np.cov(x, fweights=[1, 2, 1, 1, 2], aweights=[1, 2, 3, 4, 5.0]),
    "cov, fweights": lambda x: np.cov(matrix(x), fweights=[1, 2, 1, 1, 2], ddof=0),
    "cov, bias": lambda x: np.cov(x, bias=True),
    "cross": lambda x: np.cross(x[:3], x[2:]),
    "delete": lambda x: np.delete(x, 1),
    "diff of 2": lambda x: np.diff(x, 2, prepend=0),
    "digitize": lambda x: np.digitize(x, [0.0, 1.0]),
    "dot": lambda x: np.dot(x, x),
    "dsplit": lambda x: np.dsplit(x[:4].reshape(1, 1, 4), 2),
    "dstack": lambda x: np.dstack([x, x]),
    "einsum": lambda x: np.einsum("ij,j->i", matrix(x), x),
    "einsum, optimize": lambda x: np.einsum("ij,j,i->", matrix(x), x, x, optimize=True),
    "einsum, dtype": lambda x: np.einsum("i->", x, dtype=float),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "extract": lambda x: np.extract(FIRST, x),
    "extract(x > 0, x)": lambda x: np.extract(x > 0, x),
    "fill_diagonal": lambda x: into(matrix(x), lambda m: np.fill_diagonal(m, x[0])),
    "float64": lambda x: np.float64(x[0]) * x,
    "fromiter": lambda x: np.fromiter(x, dtype=float) * x,
    "fromiter of objects": lambda x: np.fromiter(x, dtype=object),
    "frompyfunc": lambda x: np.frompyfunc(lambda a: a * 2, 1, 1)(x),
    "full": lambda x: np.full(3, x[0]),
    "full(3, x[0], float)": lambda x: np.full(3, x[0], float) * x[0],
    "full_like": lambda x: np.full_like(x, x[0]),
    "geomspace": lambda x: np.geomspace(abs(x[0]), abs(x[1]), 4),
    "histogram2d": lambda x: np.histogram2d(x, x)[0],
    "histogramdd": lambda x: np.histogramdd(x[:, None])[0],
    "hsplit": lambda x: np.hsplit(x[:4], 2),
    "hstack": lambda x: np.hstack([x, x]),
    "hypot.reduce of one": lambda x: np.hypot.reduce(x[:1]),
    "inner": lambda x: np.inner(x, x),
    "insert": lambda x: np.insert(x, 1, 2.0),
    "interp": lambda x: np.interp(x, [0, 1], [0, 1]),
    "intersect1d": lambda x: np.intersect1d(x, x),
    "isclose": lambda x: np.isclose(x, 0.9),
    "isin": lambda x: np.isin(x, [1.0]),
    "ix_": lambda x: matrix(x)[np.ix_([0, 1], [1, 2])],
    "kron": lambda x: np.kron(x, x),
    "ldexp": lambda x: np.ldexp(x, 3),
    "lexsort": lambda x: np.lexsort((x, x)),
    "linalg.cholesky, upper": lambda x: np.linalg.cholesky(matrix(x), upper=True),
    "linalg.det of 0 x 0": lambda x: np.linalg.det(x[:0].reshape(0, 0)),
    "linalg.det of 1 x 1": lambda x: np.linalg.det(x[:1, None]),
    "linalg.det of 2 x 2": lambda x: np.linalg.det(matrix(x)[:2, :2]),
    "linalg.det of 3 x 3": lambda x: np.linalg.det(matrix(x)[1:4, :3]),
    "linalg.det of a stack": lambda x: np.linalg.det(
        np.stack([matrix(x), np.outer(x, x) + np.eye(5)])
    ),
    "linalg.inv of a stack": lambda x: np.linalg.inv(np.stack([matrix(x)[::-1], matrix(x)])),
    "linalg.lstsq": lambda x: np.linalg.lstsq(matrix(x), x)[0],
    "linalg.matrix_power": lambda x: np.linalg.matrix_power(matrix(x), 3),
    "linalg.matrix_power of -1": lambda x: np.linalg.matrix_power(matrix(x), -1),
    "linalg.multi_dot": lambda x: np.linalg.multi_dot([matrix(x), matrix(x), x]),
    "linalg.norm of 3": lambda x: np.linalg.norm(x, 3),
    "linalg.norm of -1": lambda x: np.linalg.norm(x, -1),
    "linalg.norm of 0": lambda x: np.linalg.norm(x, 0),
    "linalg.norm of 1": lambda x: np.linalg.norm(x, 1),
    "linalg.norm of 2": lambda x: np.linalg.norm(x, 2),
    "linalg.norm of inf": lambda x: np.linalg.norm(x, np.inf) - np.linalg.norm(x, -np.inf),
    "linalg.norm of an axis": lambda x: np.linalg.norm(matrix(x), 3, axis=1, keepdims=True),
    "linalg.norm, fro": lambda x: np.linalg.norm(matrix(x), "fro"),
    "linalg.norm, matrix, 1": lambda x: np.linalg.norm(matrix(x), 1),
    "linalg.norm, matrix, inf": lambda x: np.linalg.norm(
        matrix(x), np.inf, axis=(1, 0), keepdims=True
    ),
    "linalg.norm, matrix, -1": lambda x: np.linalg.norm(matrix(x), -1),
    "linalg.norm, matrix, -inf": lambda x: np.linalg.norm(matrix(x), -np.inf),
    "linalg.norm of all": lambda x: np.linalg.norm(x.reshape(1, 1, 5)),
    "linalg.norm(M, 2)": lambda x: np.linalg.norm(matrix(x), 2),
    "linalg.norm(M, 'nuc')": lambda x: np.linalg.norm(matrix(x), "nuc"),
    "linalg.solve": lambda x: np.linalg.solve(matrix(x), x),
    "linalg.solve of matrices": lambda x: np.linalg.solve(np.eye(5)[::-1] + 0.1, matrix(x)),
    "linalg.solve of numbers": lambda x: np.linalg.solve(matrix(x), np.arange(5.0)),
    "linalg.solve of a stack": lambda x: np.linalg.solve(
        np.stack([matrix(x), matrix(x)[::-1]]), matrix(x)
    ),
    "linalg.tensordot": lambda x: np.linalg.tensordot(x, x, axes=1),
    "linalg.tensorinv": lambda x: np.linalg.tensorinv(matrix(x), 1),
    "linalg.tensorsolve": lambda x: np.linalg.tensorsolve(matrix(x), x),
    "linalg.vector_norm of 3": lambda x: np.linalg.vector_norm(x, ord=3),
    "linspace": lambda x: np.linspace(x[0], x[1], 4),
    "linspace of arrays": lambda x: np.linspace(x, x * 2, 4, axis=1),
    "linspace without end": lambda x: np.linspace(x[0], 3.0, 4, endpoint=False, retstep=True),
    "linspace of one": lambda x: np.linspace(x[0], x[1], 1),
    "logspace": lambda x: np.logspace(x[0], x[1], 4),
    "mask_indices": lambda x: matrix(x)[np.mask_indices(5, np.triu)],
    "matmul": lambda x: np.matmul(matrix(x), x),
    "matvec": lambda x: np.matvec(matrix(x), x),
    "mean, dtype": lambda x: np.mean(x, dtype=np.float64),
    "mean, mask": lambda x: np.mean(x, where=FIRST),
    "mean(where=x > 0)": lambda x: np.mean(x, where=x > 0),
    "meshgrid": lambda x: np.meshgrid(x, x),
    "moveaxis": lambda x: np.moveaxis(matrix(x), 0, 1),
    "max, where": lambda x: np.max(x, where=x > 0, initial=-1.0),
    "ndenumerate": lambda x: [v * i[0] for i, v in np.ndenumerate(x)],
    "nditer": lambda x: [v[()] * 2 for v in np.nditer(x, flags=["refs_ok"])],
    "number times an element": lambda x: x[0] * x[..., 0] + x[0] * x[1:, None][..., 0, 0],
    "outer": lambda x: np.outer(x, x),
    "pad": lambda x: np.pad(x, 1, mode="reflect"),
    "pad, mean": lambda x: np.pad(x, 1, mode="mean"),
    "pad(mode='maximum')": lambda x: np.pad(x, 1, mode="maximum"),
    "pad(mode='linear_ramp')": lambda x: np.pad(x, 1, "linear_ramp"),
    "partition": lambda x: np.partition(x, 2)[2],
    "percentile": lambda x: np.percentile(x, 30),
    "piecewise": lambda x: np.piecewise(x, [x < 0], [lambda v: v * 2, lambda v: v * 3]),
    "place": changed(lambda x: np.place(x, FIRST, [0.5])),
    "place(x, x > 0, ...)": changed(lambda x: np.place(x, x > 0, [0.5])),
    "poly1d": lambda x: np.poly1d(x)(2.0),
    "polyadd": lambda x: np.polyadd(x, x[:2]),
    "polydiv": lambda x: np.polydiv(x, x[:2])[0],
    "polyfit": lambda x: np.polyfit([1, 2, 3, 4, 5.0], x, 1),
    "polymul": lambda x: np.polymul(x, x[:2]),
    "polysub": lambda x: np.polysub(x, x[:2]),
    "polyval": lambda x: np.polyval(x, 2.0) + np.polyval([1, 2, 3.0], x),
    "prod, where": lambda x: np.prod(x, where=x > 0),
    "put": changed(lambda x: np.put(x, [0], x[1] * 2)),
    "put_along_axis": changed(lambda x: np.put_along_axis(x, np.array([0]), x[1:2], 0)),
    "putmask": changed(lambda x: np.putmask(x, FIRST, 0.5)),
    "putmask(x, x > 0, ...)": changed(lambda x: np.putmask(x, x > 0, 0.5)),
    "quantile": lambda x: np.quantile(x, 0.3),
    "quantile, weights": lambda x: np.quantile(
        x, 0.3, weights=[1, 2, 3, 4, 5.0], method="inverted_cdf"
    ),
    "r_": lambda x: np.r_[x, x],
    "repeat": lambda x: np.repeat(x, 2),
    "reshape": lambda x: np.reshape(x, (5, 1)),
    "resize": lambda x: np.resize(x, 7),
    "result_type": lambda x: x * (np.result_type(x) is not None),
    "roll": lambda x: np.roll(x, 1),
    "rollaxis": lambda x: np.rollaxis(matrix(x), 1),
    "round of 2": lambda x: np.round(x, 2),
    "searchsorted": lambda x: np.searchsorted([0, 1.0], x),
    "select": lambda x: np.select([x < 0, x > 1], [x, 2 * x], 3 * x),
    "setdiff1d": lambda x: np.setdiff1d(x, [1.0]),
    "setxor1d": lambda x: np.setxor1d(x, [1.0]),
    "shares_memory": lambda x: x * np.shares_memory(x, x),
    "split": lambda x: np.split(x[:4], 2),
    "stack": lambda x: np.stack([x, x]),
    "std, mask": lambda x: np.std(x, where=FIRST),
    "std(where=x > 0)": lambda x: np.std(x, where=x > 0),
    "sum, dtype": lambda x: np.sum(x, dtype=float) + np.sum(x, 0, np.float64),
    "sum(dtype=np.float32)": lambda x: np.sum(x, dtype=np.float32),
    "sum, where": lambda x: np.sum(x, where=x > 0),
    "sum, mask": lambda x: np.sum(x, where=FIRST),
    "any, where": lambda x: np.any(x > 0, where=x > -1),
    "swapaxes": lambda x: np.swapaxes(matrix(x), 0, 1),
    "take": lambda x: np.take(x, [0, 2]),
    "take(x, x)": lambda x: np.take(x, np.floor(abs(x))),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([0, 1]), 0),
    "tensordot": lambda x: np.tensordot(matrix(x), matrix(x)),
    "tile": lambda x: np.tile(x, 2),
    "trapezoid, x": lambda x: np.trapezoid(x, x * 2),
    "tril_indices_from": lambda x: matrix(x)[np.tril_indices_from(matrix(x))],
    "union1d": lambda x: np.union1d(x, x),
    "var(where=x > 0)": lambda x: np.var(x, where=x > 0),
    "vdot": lambda x: np.vdot(x, x),
    "vecdot": lambda x: np.vecdot(x, x),
    "vecmat": lambda x: np.vecmat(x, matrix(x)),
    "vectorize": lambda x: np.vectorize(lambda a: a * 2)(x),
    "vectorize(otypes=[float])": lambda x: np.vectorize(lambda a: a * 2, otypes=[float])(x) * x,
    "vsplit": lambda x: np.vsplit(matrix(x)[:4], 2),
    "where": lambda x: np.where(x > 0, x, 2 * x),
    "where(x > 0)": lambda x: np.where(x > 0),
    "zeros_like": lambda x: into(np.zeros_like(x, dtype=float), lambda z: z.__setitem__(0, x[0])),
    "zeros_like of ints": lambda x: np.zeros_like(x, dtype=int) + x,
    "zeros_like, out": lambda x: np.maximum(x, 0.1, out=np.zeros_like(x)),
    "zeros(5)[0] = x[0]": lambda x: into(np.zeros(5), lambda z: z.__setitem__(0, x[0])) * x,
    "zeros(5) += x": lambda x: np.zeros(5).__iadd__(x),
    "add(x, 1, dtype=np.float32)": lambda x: np.add(x, 1, dtype=np.float32),
    "add, dtype": lambda x: np.add(x, 1, dtype=float),
    "greater, dtype": lambda x: np.greater(x, 0.1, dtype=bool),
    "add.at": changed(lambda x: np.add.at(x, [0, 0], x[1])),
    "maximum.at": changed(lambda x: np.maximum.at(x, [0, 1], 0.3)),
    "& and |": lambda x: ((x > -1) & (x < 1)) | (x > 1.5) | ~(x > -1),
    "^": lambda x: ((x > 0) ^ (x > 1)) ^ True,
    # methods
    "x.all": lambda x: (x > -1).all() * x + (x[:1] > 0).all(),
    "x.argmax": lambda x: x.argmax(),
    "x.argsort": lambda x: x.argsort(),
    "x.astype": lambda x: x.astype(float) + x.astype(object) + (x > 0).astype(int) * x,
    "x.astype of ints": lambda x: x.astype(int) * x + x.astype(np.int32),
    "x.astype of bools": lambda x: np.floor(x).astype(bool) * x,
    "x.astype(np.float32)": lambda x: x.astype(np.float32),
    "x.byteswap": lambda x: x.byteswap(),
    "x.choose": lambda x: x.choose([x, x]),
    "x.compress": lambda x: x.compress(FIRST),
    "x.conj": lambda x: x.conj(),
    "x.cumprod": lambda x: matrix(x).cumprod(1, float) + matrix(x).cumprod().sum(),
    "x.cumsum": lambda x: x.cumsum() + x.cumsum(0, dtype=float),
    "x.diagonal": lambda x: matrix(x).diagonal(),
    "x.dot": lambda x: x.dot(x),
    "x.fill": lambda x: into(np.empty_like(x), lambda z: z.fill(x[0])),
    "x.flat": lambda x: [v * 2 for v in x.flat],
    "x.item": lambda x: x[:1].item() * 2,
    "x.mean": lambda x: x.mean() + x.mean(where=FIRST),
    "x.mean(where=x > 0)": lambda x: x.mean(where=x > 0),
    "x.nonzero": lambda x: x.nonzero(),
    "x.partition": changed(lambda x: x.partition(2)),
    "x.ptp": lambda x: np.ptp(x),
    "x.put": changed(lambda x: x.put([0], [x[1]])),
    "x.real": lambda x: x.real + x.imag,
    "x.repeat": lambda x: x.repeat(2),
    "x.round": lambda x: x.round(2),
    "x.searchsorted": lambda x: x.searchsorted(0.2),
    "x.sort": changed(lambda x: x.sort()),
    "x.std": lambda x: x.std() + x.var(ddof=1),
    "x.sum": lambda x: x.sum() + x.sum(where=x > 0) + x.sum(dtype=float),
    "x.swapaxes": lambda x: matrix(x).swapaxes(0, 1),
    "x.take": lambda x: x.take([0, 1]),
    "x.tobytes": lambda x: x.tobytes(),
    "x.tolist": lambda x: x.tolist(),
    "x.trace": lambda x: matrix(x).trace(),
    "x[x > 0]": lambda x: x[x > 0],
    "x[x > 0] = 0": changed(lambda x: x.__setitem__(x > 0, 0.0)),
    "0.9 in x": lambda x: x * (0.9 in x),
}  # fmt: skip


def ufunc_calls():
    for name in UNARY:
        yield name, lambda x, u=name: getattr(np, u)(x > 0.2 if u == "invert" else x)
    for name in BINARY:
        yield name, lambda x, u=name: getattr(np, u)(x, 0.7 * x[::-1])
        yield f"{name}, number", lambda x, u=name: getattr(np, u)(x, 2.0)
        yield f"{name} of a number", lambda x, u=name: getattr(np, u)(2.0, x)
        yield f"{name}.outer", lambda x, u=name: getattr(np, u).outer(x, 0.7 * x)
        if name not in (*ODD_REDUCTIONS, "divmod") and not is_relation(name):
            yield f"{name}.reduce", lambda x, u=name: getattr(np, u).reduce(x)
            yield f"{name}.accumulate", lambda x, u=name: getattr(np, u).accumulate(x)


def is_relation(name):
    return name.startswith(("less", "greater")) or name.endswith("equal")


def function_calls():
    yield from CALLS.items()
    for name in PLAIN:
        yield name, lambda x, f=name: getattr(np, f)(x)
    for name in MATRIX:
        *modules, function = name.split(".")
        folder = getattr(np, modules[0]) if modules else np
        yield name, lambda x, f=function, folder=folder: getattr(folder, f)(matrix(x))


EVERY = dict(ufunc_calls()) | dict(function_calls())


def exists(name):
    """Tell whether this NumPy has what a call is named after."""
    if name.startswith(("x.", "x[", "number", "&", "^", "0.9")):
        return True
    thing = np
    for part in re.match(r"[\w.]+", name)[0].split("."):
        thing = getattr(thing, part, None)
    return thing is not None


def points(name):
    first = re.match(r"\w*", name)[0]
    return LARGE if first in NEEDS_LARGE else UNIT if first in NEEDS_UNIT else (EXAMPLE, *OTHERS)


def numbers(result):
    """Give the numbers of a result in a row."""
    if isinstance(result, tuple | list):
        return [number for part in result for number in numbers(part)]
    result = np.asarray(result)
    return list(np.real(result).ravel() if result.dtype.kind == "c" else result.ravel())


def loss_of(function):
    def loss(x):
        first = 2 * x[0]
        return first + sum(y * np.cos(i) for i, y in enumerate(numbers(function(x))))

    return loss


def outcome(name):
    """Say what becomes of a call: "right", "refused" or "warned"; raise if it is wrong."""
    loss, (example, *others) = loss_of(EVERY[name]), points(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            tape = record(loss, example.copy())
        except TapeError as error:
            text = str(error)
            wanted = re.match(r"(?:x\.)?(?:linalg\.|fft\.)?(\w*)", name)[1]
            is_named = wanted in text or name in UNNAMED
            return "refused" if is_named and re.search(r"got .*; \w+", text) else text
    if any(issubclass(w.category, FastgradWarning) for w in caught):
        return "warned"
    for x in (example, *others):
        assert tape(x) == pytest.approx(float(loss(x.copy())), rel=1e-9, abs=1e-11, nan_ok=True)
    for x in others:
        _, (gradient,) = tape.value_and_grad(x, wrt="inputs")
        steps = 1e-6 * np.eye(5)
        slopes = [(float(loss(x + step)) - float(loss(x - step))) / 2e-6 for step in steps]
        assert gradient == pytest.approx(slopes, rel=1e-4, abs=1e-5, nan_ok=True)
    return "right"


# where the message names what NumPy calls, or what was decided
UNNAMED = {"poly1d", "quantile, weights", "where(x > 0)", "x[x > 0]", "zeros(5) += x"}


def documented():
    """Return the names that the table of docs/tapes.md has, each with what becomes of it."""
    found = {}
    for line in TAPES.read_text("utf-8").splitlines():
        if row := re.match(r"\| (refused|warned)\b[^|]*\|(.*)\|", line):
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", row[2]), row[1])
    return found


DOCUMENTED = documented()


def promise(name):
    """Return what the documentation says of a name; a star there stands for any letters."""
    found = (word for key, word in DOCUMENTED.items() if "*" in key and fnmatch(name, key))
    return DOCUMENTED.get(name) or next(found, "right")


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", EVERY)
def test_numpy_function_is_right_or_what_the_documentation_says(name):
    if not exists(name):
        pytest.skip("not in this NumPy")
    assert outcome(name) == promise(name)


def test_documentation_names_only_what_is_tried():
    tried = {name: key for key in DOCUMENTED for name in EVERY if name == key or fnmatch(name, key)}
    assert set(tried.values()) == set(DOCUMENTED)
