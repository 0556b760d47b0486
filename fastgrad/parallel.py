"""Batches beyond one process: executors, ranks of MPI, data larger than memory; the same bits.

A step is divided into the batch's own groups. What they add up to depends on the tape, the samples
and the parameters alone, so it may come from anywhere, in any order, and be asked for again.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import pickle
import queue
import threading
import warnings
import weakref
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fastgrad import _random
from fastgrad._native.base.errors import whole_expect
from fastgrad._native.graph.engine import VERSION
from fastgrad._native.graph.recording import program_level
from fastgrad._native.tape import inspect as _inspect
from fastgrad._native.tape import parts as _parts
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.program import structure
from fastgrad._native.tape.tape import TapeCore as _Tape
from fastgrad._native.tape.tape import use_executors
from fastgrad._native.train.optim import step_along
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradRuntimeError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    ShapeError,
    describe,
    explain,
    show,
)

__all__ = ["Ranks", "Rows", "Training", "Workers", "mpi", "run", "using"]

_KEPT = 1 << 30  # bytes of what it was sent that a worker keeps
_BLOCK = 4096  # samples that are shuffled together
_default: ContextVar[Any] = ContextVar("fastgrad.parallel", default=None)
_serials = itertools.count(1)


# -- what a worker does ----------------------------------------------------------------------------


class _Kept:
    """What this process was sent, by its sha256: the oldest goes first."""

    def __init__(self, most: int) -> None:
        self.most, self.size, self.lock = most, 0, threading.Lock()
        self.things: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def get(self, sent: tuple[str, bytes | None], make: Callable[[bytes], Any]) -> Any:
        """Return a thing, made of what was sent or kept from before; None if it is neither."""
        digest, content = sent
        with self.lock:
            if digest in self.things:
                self.things.move_to_end(digest)
                return self.things[digest][0]
            if content is None:
                return None
            made = make(content)
            self.things[digest] = made, len(content)
            self.size += len(content)
            while self.size > self.most:
                self.size -= self.things.popitem(last=False)[1][1]
            return made


_kept = _Kept(_KEPT)


class _Parameter:
    """A Value in `wrt`, which is another in each process, by its place among the parameters."""

    def __init__(self, place: int) -> None:
        self.place = place


def _numbered(tape: _Tape, wrt: Any) -> Any:
    """Return `wrt` as it is sent."""
    if isinstance(wrt, list | tuple):
        return [_numbered(tape, item) for item in wrt]
    for place, value in enumerate(tape.captured if isinstance(wrt, Value) else ()):
        if value is wrt:
            return _Parameter(place)
    return wrt


def _found(tape: _Tape, wrt: Any) -> Any:
    if isinstance(wrt, list):
        return [_found(tape, item) for item in wrt]
    return tape.captured[wrt.place] if isinstance(wrt, _Parameter) else wrt


class _Job:
    """What a task is to do: a verb, and which samples of how many it has."""

    def __init__(self, verb: str, start: int, stop: int, **options: Any) -> None:
        self.verb, self.start, self.stop, self.options = verb, start, stop, options


def _perform(tape: _Tape, args: tuple[Any, ...], job: _Job, state: Any) -> Any:
    """Do what a task is to do, with the state of the call."""
    how = job.options
    wrt = _found(tape, how.get("wrt"))
    if job.verb == "sums":
        rows, _, _ = _parts.sums(
            tape, args, how["first"], how["end"], how["of"], how["mean"], wrt,
            how["threads"], state, True, job.start,
        )  # fmt: skip
        return how["first"], how["end"], rows, True
    if job.verb == "call":
        return _parts.call(tape, args, job.start, how["threads"], state)
    return _parts.call_each(tape, args, job.start, wrt, how["threads"], state)


def do_task(
    serial: int,  # noqa: ARG001 - so that no executor takes two tasks for one
    version: str,
    tape: tuple[str, bytes | None],
    data: tuple[str, bytes | None],
    job: _Job,
    state: Any,
) -> tuple[str, Any]:
    """Do a task in a worker: what executors are given to submit.

    Returns
    -------
    (str, object)
        "done" and the result; "missing", if this process has neither kept tape nor data, nor been
        sent them; "version" and its own; "error" and what the computation raised.
    """
    if version != VERSION:
        return "version", VERSION
    try:
        recorded, source = _kept.get(tape, pickle.loads), _kept.get(data, pickle.loads)
        if recorded is None or source is None:
            return "missing", None
        return "done", _perform(recorded, source.part(job.start, job.stop), job, state)
    except Exception as error:
        return "error", error


# -- data ------------------------------------------------------------------------------------------


def _sliced(spec: Any, x: Any, mask: bytes, pick: Callable[[Any], Any]) -> Any:
    """Return an argument with what `pick` takes of each part that has a batch axis."""
    if isinstance(spec, Shape):
        return pick(x) if spec.size and mask[spec.start] else x
    kind, keys, children, _ = spec
    names = keys if kind is dict else range(len(children))
    parts = [_sliced(s, x[k], mask, pick) for s, k in zip(children, names, strict=True)]
    return dict(zip(keys, parts, strict=True)) if kind is dict else kind(parts)


def _picked(x: Any, indices: Sequence[int]) -> Any:
    return x[indices] if hasattr(x, "ndim") else [x[i] for i in indices]


class _Slice:
    """Arguments as they are sent: the samples that a task is for, and no others."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args

    def part(self, _start: int, _stop: int) -> tuple[Any, ...]:
        return self.args


def _packed(thing: Any) -> tuple[str, bytes]:
    content = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    return hashlib.sha256(content).hexdigest(), content


class _Held:
    """Data in memory: arguments of a call, some of them with a batch axis of n samples."""

    def __init__(self, tape: _Tape, args: tuple[Any, ...], n: int, mask: bytes) -> None:
        self.tape, self.args, self.n, self.mask = tape, args, n, b"\1" * len(mask)
        self.args = self.taken(lambda x: x.tolist() if isinstance(x, memoryview) else x)
        self.mask = mask
        self.packs: dict[tuple[int, int], tuple[str, bytes]] = {}

    def taken(self, pick: Callable[[Any], Any]) -> tuple[Any, ...]:
        specs = structure(self.tape)[0]
        return tuple(
            _sliced(spec, x, self.mask, pick) for spec, x in zip(specs, self.args, strict=True)
        )

    def part(self, start: int, stop: int) -> tuple[Any, ...]:
        return self.taken(lambda x: x[start:stop])

    def pack(self, start: int, stop: int) -> tuple[str, bytes]:
        found = self.packs.get((start, stop))
        if found is None:
            found = self.packs[start, stop] = _packed(_Slice(self.part(start, stop)))
        return found

    def batch(self, indices: Sequence[int]) -> _Held:
        args = self.taken(lambda x: _picked(x, indices))
        return _Held(self.tape, args, len(indices), self.mask)

    def sample(self, index: int) -> tuple[Any, ...]:
        return self.taken(lambda x: x[index])

    def order(self, seed: int, shuffled: bool) -> Iterator[int]:
        return _order(seed, self.n, self.n, shuffled)


class _Read:
    """Data that are read where they are needed: `Rows`, and arguments that all samples share."""

    def __init__(self, rows: Rows, shared: tuple[Any, ...]) -> None:
        self.rows, self.shared, self.n = rows, shared, len(rows)
        self.packs: tuple[str, bytes] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rows, self.shared)

    def part(self, start: int, stop: int) -> tuple[Any, ...]:
        return (*self.rows.read(start, stop), *self.shared)

    def pack(self, _start: int, _stop: int) -> tuple[str, bytes]:
        if self.packs is None:
            self.packs = _packed(self)
        return self.packs

    def batch(self, indices: Sequence[int]) -> _Picked:
        return _Picked(self.rows, self.shared, array("q", indices))

    def sample(self, index: int) -> tuple[Any, ...]:
        return (*(column[0] for column in self.rows.read(index, index + 1)), *self.shared)

    def order(self, seed: int, shuffled: bool) -> Iterator[int]:
        return _order(seed, self.n, self.rows.block, shuffled)


class _Picked(_Read):
    """Some samples of such data, by their numbers: blocks are read whole, one at a time."""

    def __init__(self, rows: Rows, shared: tuple[Any, ...], indices: array[int]) -> None:
        super().__init__(rows, shared)
        self.indices, self.n = indices, len(indices)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rows, self.shared, self.indices)

    def part(self, start: int, stop: int) -> tuple[Any, ...]:
        return (*self.rows.pick(self.indices[start:stop]), *self.shared)


def _splitmix(state: int) -> Iterator[int]:
    """Give the numbers of splitmix64 (Steele, Lea, Flood 2014), as native `fit` does."""
    mask = (1 << 64) - 1
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def _order(seed: int, n: int, block: int, shuffled: bool) -> Iterator[int]:
    """Give numbers of samples, epoch after epoch: blocks shuffled, and samples within each.

    With one block it is the order that `fit` has in one process (Fisher and Yates, splitmix64).
    """
    numbers = _splitmix(seed)

    def shuffle(order: list[int]) -> None:
        for i in range(len(order) - 1 if shuffled else 0, 0, -1):
            j = next(numbers) % (i + 1)
            order[i], order[j] = order[j], order[i]

    blocks = list(range(-(-n // block)))
    inside = list(range(n)) if len(blocks) == 1 else []
    while True:
        shuffle(blocks)
        for b in blocks:
            if len(blocks) > 1:
                inside = list(range(b * block, min((b + 1) * block, n)))
            shuffle(inside)
            yield from inside


class Rows:
    """Samples that are read where they are needed, for data larger than memory.

    Parameters
    ----------
    *columns
        One for each of the tape's first arguments: an array, one of `numpy.load` with
        ``mmap_mode="r"``, a dask array, an HDF5 dataset, or whatever has a length and gives an
        array for a slice. Or one callable ``(start, stop) -> arrays``, a tuple of them for several
        arguments; it must give the same for the same samples always.
    n : int, optional
        Number of samples; of columns it is their length.
    block : int
        Samples that `fit` shuffles together: the order of the blocks is drawn, then that within
        each.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If there is no column, a callable comes without `n` or beside others, or a number is none.
    ShapeError
        If columns differ in length.

    Notes
    -----
    Where a worker is another process, files that are mapped and HDF5 datasets are opened there by
    their paths, which must be the same; callables and dask arrays are pickled. Nothing else of the
    data is sent.

    Examples
    --------
    >>> import fastgrad as fg
    >>> rows = fg.parallel.Rows(lambda start, stop: [0.5 * i for i in range(start, stop)], n=1000)
    >>> len(rows), rows.read(2, 4)
    (1000, ([1.0, 1.5],))
    """

    def __init__(self, *columns: Any, n: int | None = None, block: int = _BLOCK) -> None:
        self.block = _count(block, "block of Rows")
        self.columns, self.function = columns, None
        if columns and callable(columns[0]):
            self.function = columns[0]
            if len(columns) > 1 or n is None:
                expected = "one function, and n, the number of samples"
                raise FastgradTypeError(explain(expected, f"{len(columns)}, n={n}", "Rows"))
            self.n = _count(n, "n of Rows")
            return
        for column in columns:
            if not hasattr(column, "__len__") or not hasattr(column, "__getitem__"):
                expected = "what has a length and gives slices, or a function"
                raise FastgradTypeError(explain(expected, describe(column), "Rows"))
        lengths = {len(column) for column in columns}
        if not columns or n is not None:
            raise FastgradTypeError(
                explain("columns alone, or one function with n", "neither", "Rows")
            )
        if len(lengths) > 1:
            raise ShapeError(explain("one length", f"{sorted(lengths)}", "columns of Rows"))
        self.n = _count(lengths.pop(), "length of Rows")

    def __len__(self) -> int:
        return self.n

    def __reduce__(self) -> tuple[Any, ...]:
        if self.function is not None:
            return _rows_of, ((self.function,), self.n, self.block)
        return _rows_of, (tuple(map(_sendable, self.columns)), None, self.block)

    def read(self, start: int, stop: int) -> tuple[Any, ...]:
        """Return samples from one number to another.

        Parameters
        ----------
        start, stop : int
            As of a slice.

        Returns
        -------
        tuple
            An array for each argument.

        Raises
        ------
        ShapeError
            If the function or a column gives more or fewer samples.
        """
        if self.function is None:
            found: Any = tuple(map(_loaded, (column[start:stop] for column in self.columns)))
        else:
            found = self.function(start, stop)
            found = found if isinstance(found, tuple) else (found,)
        for column in found:
            if len(column) != stop - start:
                expected = f"{stop - start} samples, those from {start} on"
                raise ShapeError(explain(expected, f"{len(column)}", "read of Rows"))
        return tuple(found)

    def pick(self, indices: Sequence[int]) -> tuple[Any, ...]:
        """Return samples by their numbers: each block that has some is read once in a row."""
        found: list[list[Any]] = []
        for block, run in itertools.groupby(indices, lambda i: i // self.block):
            start = block * self.block
            columns = self.read(start, min(start + self.block, self.n))
            places = [i - start for i in run]
            found.append([_picked(column, places) for column in columns])
        return tuple(map(_joined, zip(*found, strict=True)))


def _rows_of(columns: tuple[Any, ...], n: int | None, block: int) -> Rows:
    return Rows(*(c.open() if isinstance(c, _Opened) else c for c in columns), n=n, block=block)


class _Opened:
    """A column that a process opens by its path."""

    def __init__(self, open_by: Callable[..., Any], *how: Any) -> None:
        self.open_by, self.how = open_by, how

    def open(self) -> Any:
        return self.open_by(*self.how)


def _open_mapped(path: str, dtype: Any, offset: int, shape: tuple[int, ...], order: Any) -> Any:
    import numpy as np

    return np.memmap(path, dtype, "r", offset, shape, order)


def _open_hdf5(path: str, name: str) -> Any:
    import h5py

    return h5py.File(path, "r")[name]


def _sendable(column: Any) -> Any:
    """Return what a column is pickled as: a path, if it is a whole file's."""
    kind = f"{type(column).__module__}.{type(column).__name__}"
    if kind in ("numpy.memmap", "numpy.core.memmap") and _is_whole(column):
        order = "C" if column.flags.c_contiguous else "F"
        how = os.fspath(column.filename), column.dtype, column.offset, column.shape, order
        return _Opened(_open_mapped, *how)
    if kind == "h5py._hl.dataset.Dataset":
        return _Opened(_open_hdf5, column.file.filename, column.name)
    return column


def _is_whole(column: Any) -> bool:
    """Tell a mapped array from a slice of one, whose offset is that of the whole."""
    mapped = getattr(column, "_mmap", None)
    at = column.offset % 4096 if mapped is not None else 0  # mmap begins at a page
    return (
        mapped is not None
        and column.filename is not None
        and (column.flags.c_contiguous or column.flags.f_contiguous)
        and column.__array_interface__["data"][0] == _address(mapped) + at
    )


def _address(mapped: Any) -> int:
    import numpy as np

    return int(np.frombuffer(mapped, np.uint8).__array_interface__["data"][0])


def _loaded(column: Any) -> Any:
    """Return a slice as an array in memory: dask computes it here."""
    if hasattr(column, "compute"):
        column = column.compute(scheduler="synchronous")
    return column


def _source(tape: _Tape, args: tuple[Any, ...]) -> Any:
    """Return the data of a call, or None where no argument has a batch axis."""
    if args and isinstance(args[0], Rows):
        return _Read(args[0], args[1:])
    n, mask = _parts.batch_of(tape, args)
    return _Held(tape, args, n, mask) if n >= 0 else None


def _joined(columns: Sequence[Any]) -> Any:
    """Return arrays or lists one behind the other."""
    if len(columns) == 1:
        return columns[0]
    if hasattr(columns[0], "ndim"):
        import numpy as np

        return np.concatenate(columns)
    return [x for column in columns for x in column]


def _merged(spec: Any, results: Sequence[Any]) -> Any:
    """Return the results of tasks as that of one call."""
    if isinstance(spec, Shape):
        return _joined(results)
    kind, keys, children, _ = spec
    names = keys if kind is dict else range(len(children))
    parts = [_merged(s, [r[k] for r in results]) for s, k in zip(children, names, strict=True)]
    return dict(zip(keys, parts, strict=True)) if kind is dict else kind(parts)


# -- what is done with a batch ---------------------------------------------------------------------


class _Engine:
    """A batch on any number of workers: what is divided, and what becomes of the parts."""

    shares: Callable[[], int]  # how many tasks a step is divided into, if there are so many groups
    answers: Callable[..., list[Any]]  # tape, source, jobs, state of the call: what the jobs give

    def values(self, tape: _Tape, source: Any, threads: int) -> Any:
        k = min(self.shares(), source.n)
        cuts = [source.n * i // k for i in range(k + 1)]
        jobs = [_Job("call", a, b, threads=threads) for a, b in itertools.pairwise(cuts)]
        found = self.answers(tape, source, jobs, _parts.state_of(tape))
        return _merged(structure(tape)[1], found)

    def gradients(self, tape: _Tape, source: Any, wrt: Any, threads: int) -> Any:
        """Give each sample's value and gradient."""
        k = min(self.shares(), source.n)
        cuts = [source.n * i // k for i in range(k + 1)]
        sent = _numbered(tape, wrt)
        jobs = [_Job("each", a, b, wrt=sent, threads=threads) for a, b in itertools.pairwise(cuts)]
        found = self.answers(tape, source, jobs, _parts.state_of(tape))
        values, slopes = zip(*found, strict=True)
        if isinstance(wrt, list | tuple):
            return _joined(values), tuple(map(_joined, zip(*slopes, strict=True)))
        return _joined(values), _joined(slopes)

    def gradient(
        self,
        tape: _Tape,
        source: Any,
        mean: bool,
        wrt: Any,
        threads: int,
        add: bool = False,
        draws: tuple[int, int, int, int] | None = None,
    ) -> Any:
        """Give value and gradient; or add it to the parameters' grad, and give the value."""
        one = source.part(0, 1)
        starts, sent = _parts.starts(tape, one, source.n, wrt), _numbered(tape, wrt)
        state = _parts.state_of(tape, draws)
        n = len(starts) - 1
        k = min(self.shares(), n)
        cuts = [n * i // k for i in range(k + 1)]
        jobs = [
            _Job(
                "sums", starts[i], starts[j],
                first=i, end=j, of=source.n, mean=mean, wrt=sent, threads=threads,
            )
            for i, j in itertools.pairwise(cuts)
        ]  # fmt: skip
        made = self.answers(tape, source, jobs, state)
        if add and tape.decisions:
            value, _ = _parts.finish(tape, one, made, source.n, mean, wrt, state, False)
            if not math.isfinite(value):
                return value
        return _parts.finish(tape, one, made, source.n, mean, wrt, state, add)


# -- executors -------------------------------------------------------------------------------------


class _Pool:
    """What is known of an executor: what it was sent, and whether it is broken."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.broken: BaseException | None = None  # by what


_pools: weakref.WeakKeyDictionary[Any, _Pool] = weakref.WeakKeyDictionary()
_tapes: weakref.WeakKeyDictionary[_Tape, tuple[str, bytes]] = weakref.WeakKeyDictionary()


def _pool_of(executor: Any) -> _Pool:
    try:
        return _pools.setdefault(executor, _Pool())
    except TypeError:  # it has no hash, or no weak references
        return _Pool()


def _packed_tape(tape: _Tape) -> tuple[str, bytes]:
    """Return the sha256 and the bytes of a tape, whatever its parameters are by now."""
    found = _tapes.get(tape)
    if found is None:
        reduced: Any = tape.__reduce__()
        load, (data, _, *operations), *_ = reduced
        found = _tapes[tape] = _packed(_Reloaded(load, (data, None, *operations)))
    return found


class _Reloaded:
    """What is a tape of new parameters, once it is unpickled."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class Workers(_Engine):
    """An executor, and what is done when its workers fail.

    Parameters
    ----------
    executor : object or None
        Anything with ``submit(function, *positional)`` that gives a future with ``result()``,
        ``add_done_callback`` and ``cancel()``: of concurrent.futures, loky, Dask, mpi4py.futures.
        None computes here, task by task.
    tasks : int, optional
        Tasks that a step is divided into. As many as the executor has workers unless given; several
        for each where some are slower than others.
    retries : int
        Times that a task which was lost is given to the executor again.
    timeout : float, optional
        Seconds without any answer after which all tasks at hand are taken for lost. It waits for
        ever unless given.
    rest : {"here", "raise"}
        Whether what was lost too often, or is left of a broken executor, is computed by the caller
        or raises FastgradRuntimeError.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If the executor has no submit, or a number is none.

    Notes
    -----
    Each `executor=` of fastgrad takes this, or the executor itself for the defaults.
    """

    def __init__(
        self,
        executor: Any,
        *,
        tasks: int | None = None,
        retries: int = 3,
        timeout: float | None = None,
        rest: str = "here",
    ) -> None:
        if executor is not None and not callable(getattr(executor, "submit", None)):
            remedy = "a pool of concurrent.futures, loky, dask's Client, or fastgrad.parallel.mpi"
            raise FastgradTypeError(
                explain("an executor with submit", describe(executor), "executor", remedy)
            )
        self.executor, self.pool = executor, _pool_of(executor)
        self.tasks = None if tasks is None else _count(tasks, "tasks of Workers")
        self.retries = _count(retries, "retries", 0)
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            expected = "seconds above 0, or None"
            raise FastgradValueError(explain(expected, show(timeout), "timeout of Workers"))
        self.timeout = timeout
        if rest not in ("here", "raise"):
            raise FastgradValueError(explain('"here" or "raise"', show(rest), "rest of Workers"))
        self.rest = rest

    def shares(self) -> int:
        return self.tasks or _workers_of(self.executor)

    def answers(self, tape: _Tape, source: Any, jobs: list[_Job], state: Any) -> list[Any]:
        if self.executor is None:
            return [_perform(tape, source.part(j.start, j.stop), j, state) for j in jobs]
        return _Step(self, tape, source, jobs, state).run()


class _Step:
    """The tasks of one step: sent, answered in any order, sent again where they were lost."""

    def __init__(
        self, workers: Workers, tape: _Tape, source: Any, jobs: list[_Job], state: Any
    ) -> None:
        self.workers, self.tape, self.source = workers, tape, source
        self.jobs, self.state = jobs, state
        self.left = set(range(len(jobs)))  # tasks without an answer
        self.here: set[int] = set()  # of these, what the caller is to do
        self.tries = [0] * len(jobs)
        self.found: list[Any] = [None] * len(jobs)
        self.pending: dict[int, tuple[int, Any]] = {}  # by serial number: task, future
        self.answered = self.new_queue()
        self.error: tuple[int, Exception] | None = None
        self.reason: BaseException | str = ""
        self.sent: set[str] = set()  # to all workers, it is hoped, once the step is over

    new_queue: Callable[[], Any] = queue.SimpleQueue  # tests have one with a clock of its own

    def run(self) -> list[Any]:
        try:
            for task in range(len(self.jobs)):
                self.send(task, False)
            while self.left - self.here:
                self.wait()
        finally:
            for _, future in self.pending.values():
                future.cancel()
        self.workers.pool.sent |= self.sent
        if self.error is not None:
            raise self.error[1]
        self.do_rest()
        return self.found

    def send(self, task: int, whole: bool) -> None:
        """Submit a task, with what the workers do not have yet, or with all that it needs."""
        workers, job = self.workers, self.jobs[task]
        sent = workers.pool.sent
        needed = [_packed_tape(self.tape), self.source.pack(job.start, job.stop)]
        tape, data = ((d, content if whole or d not in sent else None) for d, content in needed)
        serial = next(_serials)
        try:
            if workers.pool.broken is not None:
                raise workers.pool.broken
            future = workers.executor.submit(do_task, serial, VERSION, tape, data, job, self.state)
        except Exception as error:  # a broken pool is not used again
            workers.pool.broken = error
            self.give_up(task, error)
            return
        self.sent.update(d for d, _ in needed)
        self.pending[serial] = task, future
        answered = self.answered
        future.add_done_callback(lambda _: answered.put(serial))

    def wait(self) -> None:
        """Take an answer, or the lack of any for too long."""
        try:
            serial = self.answered.get(timeout=self.workers.timeout)
        except queue.Empty:
            for task in sorted(self.left - self.here):
                self.lose(task, f"no answer for {self.workers.timeout} seconds")
            return
        if serial not in self.pending:  # it has answered twice
            return
        task, future = self.pending.pop(serial)
        try:
            status, value = future.result()
        except Exception as error:
            if task in self.left:
                self.lose(task, error)
            return
        if task in self.left:
            self.take(task, status, value)

    def take(self, task: int, status: str, value: Any) -> None:
        if status == "missing":
            self.send(task, True)
        elif status == "version":
            expected, remedy = f"workers with fastgrad {VERSION}", "install the same there"
            raise FastgradRuntimeError(explain(expected, f"{value}", "executor", remedy))
        elif status == "error":  # what comes first in the batch is raised, whoever answers first
            self.error = task, value
            self.left = {other for other in self.left if other < task}
        else:
            self.found[task] = value
            self.left.discard(task)
            self.here.discard(task)

    def lose(self, task: int, reason: BaseException | str) -> None:
        self.tries[task] += 1
        if self.tries[task] > self.workers.retries:
            self.give_up(task, reason)
        else:
            self.reason = reason
            self.send(task, True)

    def give_up(self, task: int, reason: BaseException | str) -> None:
        self.reason = reason
        self.here.add(task)

    def do_rest(self) -> None:
        """Do what the executor did not, here."""
        if not self.here:
            return
        why = self.reason
        if not isinstance(why, str):
            why = f"{type(why).__name__}: {why}".strip(": ")
        text = f"{len(self.here)} of {len(self.jobs)} tasks"
        if self.workers.rest == "raise":
            expected = "answers of the executor"
            raise FastgradRuntimeError(explain(expected, f"none for {text}: {why}", "executor"))
        warnings.warn(
            f"{text} were computed by the caller, as the executor did not: {why}",
            FastgradWarning,
            stacklevel=program_level(),
        )
        for task in sorted(self.here):
            job = self.jobs[task]
            args = self.source.part(job.start, job.stop)
            self.found[task] = _perform(self.tape, args, job, self.state)


def _workers_of(executor: Any) -> int:
    """Return how many workers an executor has, as far as it says so."""
    for name in ("_max_workers", "num_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    if callable(getattr(executor, "nthreads", None)):  # Dask: threads of each worker
        return sum(executor.nthreads().values()) or 1
    return 1 if executor is None else os.cpu_count() or 1


def _count(number: Any, where: str, least: int = 1) -> int:
    expected = f"an integer of at least {least}"
    if not hasattr(type(number), "__index__"):
        raise FastgradTypeError(explain(expected, describe(number), where))
    found = whole_expect(number, expected, where)
    if found < least:
        raise FastgradValueError(explain(expected, show(number), where))
    return found


# -- MPI -------------------------------------------------------------------------------------------


class Ranks(_Engine):
    """The processes of an MPI communicator, each of which runs the same program.

    As ``executor=`` each rank has all data, and computes its share of the groups. The methods take
    the rank's own rows. Every rank gets the whole result.
    """

    def __init__(self, comm: Any) -> None:
        if not callable(getattr(comm, "allgather", None)):
            expected = "a communicator of mpi4py"
            raise FastgradTypeError(explain(expected, describe(comm), "mpi"))
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()

    def shares(self) -> int:
        return int(self.size)

    def answers(self, tape: _Tape, source: Any, jobs: list[_Job], state: Any) -> list[Any]:
        mine: Any = None
        if self.rank < len(jobs):
            job = jobs[self.rank]
            mine = self.attempt(tape, source.part(job.start, job.stop), job, state)
        return self.exchange(mine)

    def attempt(self, tape: _Tape, args: tuple[Any, ...], job: _Job, state: Any) -> Any:
        try:
            return "done", _perform(tape, args, job, state)
        except Exception as error:
            return "error", error

    def exchange(self, mine: Any) -> list[Any]:
        """Give every rank's answer to all; where one failed, all raise what the first did."""
        found = []
        for answer in self.comm.allgather(mine):
            if answer is not None and answer[0] == "error":
                raise answer[1]
            if answer is not None:
                found.append(answer[1])
        return found

    def value_and_grad(
        self,
        tape: _Tape,
        *args: Any,
        reduce: str = "mean",
        wrt: Any = "parameters",
        threads: int = 1,
    ) -> Any:
        """Return value and gradient of the rows of all ranks, in the order of the ranks.

        Parameters
        ----------
        tape : Tape
            The same on each rank, with the same parameters.
        *args
            The rank's own rows, and what all samples share.
        reduce, wrt, threads
            As for `Tape.value_and_grad`.

        Returns
        -------
        (value, gradient)
            With the bits that one process gives for all rows, whatever each rank has of them.

        Raises
        ------
        ShapeError
            If no argument has a batch axis; otherwise as for `Tape.value_and_grad`. All ranks raise
            what the first of them did.

        Notes
        -----
        Sent are the sums of the groups, and the rows of a group that lie on two ranks.
        """
        source = _source(tape, args)
        if source is None:
            raise ShapeError(explain("rows of this rank", "one sample", "mpi.value_and_grad"))
        mean = _expect_mean(reduce)
        counts = self.comm.allgather(source.n)
        ends = list(itertools.accumulate(counts))
        of, state, one = ends[-1], _parts.state_of(tape), source.part(0, 1)
        starts = _parts.starts(tape, one, of, wrt)
        owners = [_owner(ends, start) for start in starts[:-1]]
        bounds = [starts[_first(owners, r)] for r in range(self.size + 1)]  # samples of each
        begin = ends[self.rank] - source.n
        moved = self.comm.alltoall(
            [
                source.part(max(bounds[r] - begin, 0), max(bounds[r + 1] - begin, 0))
                if max(bounds[r], begin) < min(bounds[r + 1], ends[self.rank])
                else None
                for r in range(self.size)
            ]
        )
        pieces = [piece for piece in moved if piece is not None]
        mine = None
        if pieces:
            job = _Job(
                "sums", bounds[self.rank], bounds[self.rank + 1],
                first=_first(owners, self.rank), end=_first(owners, self.rank + 1), of=of,
                mean=mean, wrt=wrt, threads=threads,
            )  # fmt: skip
            mine = self.attempt(tape, _rejoined(tape, pieces, source), job, state)
        return _parts.finish(tape, one, self.exchange(mine), of, mean, wrt, state, False)


def _first(owners: list[int], rank: int) -> int:
    """Return the first group of a rank, or of those behind it."""
    return next((g for g, owner in enumerate(owners) if owner >= rank), len(owners))


def _owner(ends: list[int], sample: int) -> int:
    return next(rank for rank, end in enumerate(ends) if sample < end)


def _rejoined(tape: _Tape, pieces: list[tuple[Any, ...]], source: Any) -> tuple[Any, ...]:
    """Return arguments whose rows come in several pieces."""
    if len(pieces) == 1 or not isinstance(source, _Held):
        return pieces[0]

    def joined(spec: Any, parts: Sequence[Any]) -> Any:
        if isinstance(spec, Shape):
            return _joined(parts) if spec.size and source.mask[spec.start] else parts[0]
        kind, keys, children, _ = spec
        names = keys if kind is dict else range(len(children))
        made = [joined(s, [p[k] for p in parts]) for s, k in zip(children, names, strict=True)]
        return dict(zip(keys, made, strict=True)) if kind is dict else kind(made)

    specs = structure(tape)[0]
    return tuple(
        joined(spec, parts) for spec, parts in zip(specs, zip(*pieces, strict=True), strict=True)
    )


def mpi(comm: Any) -> Ranks:
    """Return what computes batches on all ranks of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Of programs that make the same calls.

    Returns
    -------
    Ranks
        Its `value_and_grad` takes the rows of each rank; as ``executor=`` every rank has all data.

    Raises
    ------
    FastgradTypeError
        If it is no communicator.

    Examples
    --------
    >>> from mpi4py import MPI  # doctest: +SKIP
    >>> ranks = fg.parallel.mpi(MPI.COMM_WORLD)  # doctest: +SKIP
    >>> ranks.value_and_grad(tape, X_local, y_local)  # doctest: +SKIP
    """
    return Ranks(comm)


# -- calls and training ----------------------------------------------------------------------------


@contextmanager
def using(executor: Any) -> Iterator[None]:
    """Have batches computed by an executor within the block, where no other is given.

    Parameters
    ----------
    executor : object
        As for `Workers`, or that, or `mpi`.

    Raises
    ------
    FastgradTypeError
        If it is none of these.

    Notes
    -----
    It holds for this thread, or this task of asyncio, and for calls of tapes and `fastgrad.fit`;
    single samples, Values and families of tapes are computed here as ever.
    """
    token = _default.set(_engine(executor))
    use_executors(1)
    try:
        yield
    finally:
        use_executors(-1)
        _default.reset(token)


def _engine(executor: Any) -> _Engine:
    return executor if isinstance(executor, _Engine) else Workers(executor)


def _expect_mean(reduce: Any) -> bool:
    if not isinstance(reduce, str) or reduce not in ("mean", "sum"):
        raise FastgradValueError(explain('"mean" or "sum"', show(reduce), "reduce"))
    return reduce == "mean"


def current(executor: Any) -> _Engine | None:
    """Return what computes batches: what was given, or that of `using`."""
    return _default.get() if executor is None else _engine(executor)


def run(
    tape: _Tape,
    verb: str,
    args: tuple[Any, ...],
    executor: Any,
    reduce: Any = "mean",
    wrt: Any = "parameters",
    threads: int = 1,
) -> Any:
    """Compute a batch elsewhere; NotImplemented, if it is none or nobody is to."""
    engine = current(executor)
    if engine is None or any(map(_is_value, args)):
        return NotImplemented
    source = _source(tape, args)
    if source is None:
        return NotImplemented
    if verb == "call":
        return engine.values(tape, source, threads)
    if verb == "backward":
        return engine.gradient(tape, source, _expect_mean(reduce), wrt, threads, add=True)
    if reduce is None:
        return engine.gradients(tape, source, wrt, threads)
    return engine.gradient(tape, source, _expect_mean(reduce), wrt, threads)


def _is_value(x: Any) -> bool:
    return isinstance(x, Value)


class Training:
    """A training loop like that of `fastgrad._native.train.fit`, whose batches run elsewhere."""

    def __init__(
        self,
        engine: _Engine,
        tape: _Tape,
        source: Any,
        optimizer: Any,
        steps: int,
        batch_size: int | None,
        seed: int,
        mean: bool,
        threads: int,
        shuffled: bool,
    ) -> None:
        self.engine, self.tape, self.source, self.optimizer = engine, tape, source, optimizer
        self.steps, self.mean, self.threads = steps, mean, threads
        self.batch = source.n if batch_size is None else min(batch_size, source.n)
        self.order = source.order(seed, shuffled)
        self.next = 0  # in the epoch
        self.key = next(_splitmix(~seed & ((1 << 64) - 1)))  # dropouts draw by it and the step
        self.skipped = 0
        self.losses: list[float] = []
        self.stopped_at = math.nan
        self.numbers: Sequence[int] = range(source.n)

    @property
    def done(self) -> int:
        return len(self.losses)

    def shared(self) -> tuple[int, int, int]:
        held = set(map(id, self.tape.captured))
        ids = [id(p) for group in self.optimizer.param_groups for p in group["params"]]
        return len(held), sum(i in held for i in ids), len(ids)

    def draw(self) -> Sequence[int]:
        """Return the numbers of the next mini-batch; the last of an epoch may be smaller."""
        count = min(self.batch, self.source.n - self.next)
        self.next = (self.next + count) % self.source.n
        return list(itertools.islice(self.order, count))

    def draws(self) -> tuple[int, int, int, int]:
        """Return what dropouts draw by: a step draws in parts what it does in the whole."""
        call = (self.skipped + self.done) * _parts.dropouts_of(self.tape)
        return self.key, call, 0, int(self.tape.training)

    def skip(self, count: int) -> None:
        self.skipped += count
        for _ in range(count if self.batch < self.source.n else 0):
            self.draw()

    def gradient(self) -> tuple[float, Any]:
        """Compute a loss and its gradient, of the next mini-batch."""
        source = self.source
        if self.batch < source.n:
            self.numbers = self.draw()
            if len(self.numbers) == 1:
                args = source.sample(self.numbers[0])
                value, gradient = self.drawing(self.tape.value_and_grad, *args)
                return value, gradient
            source = source.batch(self.numbers)
        found: tuple[float, Any] = self.engine.gradient(
            self.tape, source, self.mean, "parameters", self.threads, draws=self.draws()
        )
        return found

    def drawing(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call what draws from the tape's generator, for it to draw what the step does."""
        tape: Any = self.tape
        kept = tape.generator
        made = _random.Generator(self.key)
        made.state = self.key, self.draws()[1]
        try:
            tape.generator = made
            return function(*args)
        finally:
            tape.generator = kept

    def advance(self, count: int) -> bool:
        for _ in range(min(count, self.steps - self.done)):
            loss, gradient = self.gradient()
            slopes = array("d", gradient)
            if not math.isfinite(loss) or not all(map(math.isfinite, slopes)):
                self.stopped_at = loss
                return False
            ids = map(id, self.tape.captured)
            optimizer = self.optimizer
            by_parameter = dict(zip(ids, slopes, strict=True))
            step_along(optimizer.updaters(), optimizer.param_groups, by_parameter)
            self.losses.append(loss)
        return True

    def found(self) -> Any:
        """Find the operation that made nan or inf, and the sample as the data numbers it."""
        source = self.source if self.batch == self.source.n else self.source.batch(self.numbers)
        for start in range(0, source.n, _BLOCK):
            args = source.part(start, min(start + _BLOCK, source.n))
            found = self.drawing(_inspect.first_nonfinite, self.tape, args, "parameters")
            if found is not None:
                return self.numbers[start + (found[0] or 0)], *found[1:]
        return None

    def close(self) -> None:
        pass

    def history(self, first: int = 0) -> list[float]:
        return self.losses[first:]

    def last(self) -> float | None:
        return self.losses[-1] if self.losses else None


def training(
    tapes: tuple[_Tape, ...], args: Any, executor: Any, retries: int, *how: Any
) -> Training | None:
    """Return a training loop whose batches run elsewhere; None, if nobody is to."""
    engine = current(executor)
    rows = bool(args) and isinstance(args[0], Rows)
    if len(tapes) > 1 or (engine is None and not rows):
        return None
    source = _source(tapes[0], args)
    if source is None:
        return None
    if isinstance(engine, Workers) and not isinstance(executor, Workers):
        engine = Workers(
            engine.executor, tasks=engine.tasks, retries=retries, timeout=engine.timeout
        )
    return Training(engine or Workers(None), tapes[0], source, *how)
