"""Data that are read where they are needed, and ranks of MPI that have rows of their own.

Oracle: the same numbers in memory, in one process.
"""

import itertools
import pickle
import sys
import threading
import types

import numpy as np
import pytest
from helpers.executors import drawn, network

import fastgrad as fg
from fastgrad import Value, functional, parallel, record
from fastgrad.errors import (
    FastgradIndexError,
    FastgradTypeError,
    FastgradValueError,
    NonFiniteError,
    ShapeError,
)
from fastgrad.parallel import Rows, Workers

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def read(start, stop):
    x, y = drawn()
    return x[start:stop], y[start:stop]


class Lazy:
    """A stand-in for a dask array."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, where):
        return Lazy(self.data[where])

    def compute(self, scheduler):
        assert scheduler == "synchronous"
        return self.data


def mapped(tmp_path, order="C"):
    x, y = drawn()
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    np.save(tmp_path / "y.npy", y)
    return [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"]


def kinds(tmp_path):
    x, y = drawn()
    return {
        "arrays": Rows(x, y, block=300),
        "function": Rows(read, n=len(y), block=300),
        "mapped": Rows(*mapped(tmp_path), block=300),
        "dask": Rows(Lazy(x), Lazy(y), block=300),
        "lists": Rows(x.tolist(), y.tolist(), block=300),
    }


KINDS = pytest.mark.parametrize("kind", ["arrays", "function", "mapped", "dask", "lists"])


@KINDS
def test_rows_have_the_bits_of_arrays(kind, tmp_path):
    rows, tape, (x, y) = kinds(tmp_path)[kind], network(), drawn()
    here = Workers(None, tasks=3)
    value, gradient = tape.value_and_grad(x, y)
    for data in (rows, pickle.loads(pickle.dumps(rows))):
        got, slope = tape.value_and_grad(data, executor=here)
        assert (got, list(slope)) == (value, list(gradient))
        assert list(tape(data, executor=here)) == tape(x, y).tolist()
    assert tape.backward(rows, executor=here) == value


@KINDS
@pytest.mark.parametrize("batch_size", [None, 1, 130, 1499])
def test_mini_batches_of_rows_are_the_same_whatever_the_workers(kind, batch_size, tmp_path):
    def fitted(**how):
        tape = network()
        rows = kinds(tmp_path)[kind]
        optimizer = fg.optim.Adam(tape.parameters, lr=0.02)
        return fg.fit(
            tape, rows, optimizer=optimizer, steps=14, batch_size=batch_size, seed=6, **how
        )

    alone = fitted()
    assert fitted(executor=Workers(None, tasks=5)) == alone
    if kind == "function" and batch_size == 130:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            assert fitted(executor=pool) == alone


def test_rows_in_one_block_are_shuffled_as_arrays_are():
    x, y = drawn()
    for how in ({}, {"shuffle": False}, {"start": 7}):
        losses = []
        for data in ((x, y), (Rows(x, y, block=len(y)),)):
            tape = network()
            optimizer = fg.optim.Adam(tape.parameters, lr=0.02)
            losses.append(
                fg.fit(tape, *data, optimizer=optimizer, steps=9, batch_size=200, seed=6, **how)
            )
        assert losses[0] == losses[1]


def test_blocks_are_shuffled_and_each_epoch_has_all_samples():
    order = parallel._order(3, 1000, 128, True)
    first, second = ([next(order) for _ in range(1000)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(1000))
    assert first != second
    blocks = [i // 128 for i in first]
    assert [*dict.fromkeys(blocks)] != sorted({*blocks})
    assert sum(a != b for a, b in itertools.pairwise(blocks)) == 7
    plain = parallel._order(3, 10, 4, False)
    assert [next(plain) for _ in range(12)] == [*range(10), 0, 1]


def test_arguments_behind_rows_are_shared():
    w = Value(2.0)
    tape = record(lambda x, k: (k * x * w).tanh(), 1.0, 3.0)
    x = [0.01 * i for i in range(300)]
    rows = Rows(lambda a, b: x[a:b], n=300)
    assert tape.value_and_grad(rows, 0.5, executor=Workers(None)) == tape.value_and_grad(x, 0.5)
    losses = fg.fit(tape, rows, 0.5, optimizer=fg.optim.SGD([w], lr=0.1), steps=9, batch_size=299)
    assert len(losses) == 9


def test_mapped_files_are_sent_by_their_paths(tmp_path):
    for order in "CF":
        x, y = mapped(tmp_path, order)
        sent = pickle.dumps(Rows(x, y))
        assert len(sent) < 1500
        again = pickle.loads(sent)
        assert np.array_equal(again.read(3, 9)[0], x[3:9])
    part = Rows(x[100:200], y[100:200])  # a slice has no file of its own: it is sent
    again = pickle.loads(pickle.dumps(part))
    assert np.array_equal(again.read(0, 100)[1], y[100:200])
    scattered = Rows(x[::2], y[::2])
    assert np.array_equal(pickle.loads(pickle.dumps(scattered)).read(0, 50)[0], x[0:100:2])


def test_hdf5_datasets_are_opened_by_their_paths(monkeypatch):
    opened = []

    class Dataset(Lazy):
        file, name = types.SimpleNamespace(filename="data.h5"), "/x"

    Dataset.__module__ = "h5py._hl.dataset"
    x, _ = drawn()

    def file(path, mode):
        opened.append((path, mode))
        return {"/x": Dataset(x)}

    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=file))
    again = pickle.loads(pickle.dumps(Rows(Dataset(x))))
    assert opened == [("data.h5", "r")]
    assert np.array_equal(again.read(0, 5)[0], x[:5])


def test_rows_that_are_none_are_refused():
    for wrong in ((), (3,), ([1.0], 3), (read,), (read, read), (read, [1.0])):
        with pytest.raises(FastgradTypeError):
            Rows(*wrong)
    with pytest.raises(FastgradTypeError):
        Rows([1.0], n=1)
    with pytest.raises(FastgradTypeError):
        Rows(read, n="3")
    for wrong in ({"n": 0}, {"n": 3, "block": 0}):
        with pytest.raises(FastgradValueError):
            Rows(read, **wrong)
    with pytest.raises(FastgradValueError):
        Rows([])
    with pytest.raises(ShapeError, match="one length"):
        Rows([1.0], [1.0, 2.0])
    with pytest.raises(ShapeError, match="expected 3 samples, those from 2 on, got 1"):
        Rows(lambda a, b: [1.0], n=9).read(2, 5)


def test_reading_that_fails_raises_what_it_raises():
    def fails(start, stop):
        if start > 100:
            raise OSError("gone")
        return [1.0] * (stop - start)

    tape = record(lambda x: x * Value(2.0), 1.0)
    from concurrent.futures import ThreadPoolExecutor

    with (
        ThreadPoolExecutor(2) as pool,
        pytest.raises((OSError, AttributeError, pickle.PicklingError)),
    ):
        tape.value_and_grad(Rows(fails, n=5000), executor=pool)
    with pytest.raises(OSError, match="gone"):
        tape.value_and_grad(Rows(fails, n=5000), executor=Workers(None, tasks=3))


def test_fit_on_rows_names_the_sample_that_is_not_finite():
    x = [1.0] * 9000
    x[8500] = 1e200
    w = Value(1.0)
    tape = record(lambda x: (w * x) ** 2, 1.0)
    with pytest.raises(NonFiniteError, match="sample 8500"):
        fg.fit(tape, Rows(lambda a, b: x[a:b], n=9000), optimizer=fg.optim.SGD([w]), steps=2)
    assert w.data == 1.0


# -- ranks -----------------------------------------------------------------------------------------


class Communicator:
    """One of several ranks, which are threads: what mpi4py's has of it."""

    def __init__(self, size):
        self.size, self.barrier = size, threading.Barrier(size)
        self.slots, self.local = [None] * size, threading.local()

    def Get_size(self):
        return self.size

    def Get_rank(self):
        return self.local.rank

    def allgather(self, thing):
        self.slots[self.local.rank] = pickle.dumps(thing)
        self.barrier.wait()
        found = [pickle.loads(slot) for slot in self.slots]
        self.barrier.wait()
        return found

    def alltoall(self, things):
        found = self.allgather(things)
        return [each[self.local.rank] for each in found]

    def run(self, function):
        """Run a function of the rank on each, and return what they give."""
        found = [None] * self.size

        def main(rank):
            self.local.rank = rank
            try:
                found[rank] = function(rank)
            except Exception as error:
                found[rank] = error

        threads = [threading.Thread(target=main, args=(r,)) for r in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_ranks_with_all_data_give_the_bits_of_one_process(size):
    comm, (x, y) = Communicator(size), drawn()
    tape = network()
    want = fg.fit(tape, x, y, optimizer=fg.optim.Adam(tape.parameters, lr=0.02), steps=5)
    tapes = [network() for _ in range(size)]

    def train(rank):
        ranks = parallel.mpi(comm)
        optimizer = fg.optim.Adam(tapes[rank].parameters, lr=0.02)
        return fg.fit(tapes[rank], x, y, optimizer=optimizer, steps=5, executor=ranks)

    assert comm.run(train) == [want] * size
    few = tape(x[:3], y[:3]).tolist()  # more ranks than samples, perhaps
    given = comm.run(lambda r: tape(x[:3], y[:3], executor=parallel.mpi(comm)).tolist())
    assert given == [few] * size


@pytest.mark.parametrize("cuts", [[750], [1], [0, 1499], [400, 800, 1100], [63, 64, 65, 1400]])
def test_ranks_with_their_own_rows_give_the_bits_of_one_process(cuts):
    x, y = drawn()
    ends = [0, *cuts, len(y)]
    ends = [e for i, e in enumerate(ends) if i == 0 or e > ends[i - 1]]
    comm, tape = Communicator(len(ends) - 1), network()
    value, gradient = tape.value_and_grad(x, y, reduce="sum")

    def compute(rank):
        a, b = ends[rank], ends[rank + 1]
        ranks = parallel.mpi(comm)
        return ranks.value_and_grad(tape, x[a:b], y[a:b], reduce="sum")

    for got, slope in comm.run(compute):
        assert (got, list(slope)) == (value, list(gradient))


def test_ranks_with_structures_and_rows_from_files():
    w = Value(2.0)
    tape = record(
        lambda d: d["x"][0] * w + (d["p"][0] * d["p"][1][0] * w).tanh(),
        {"x": [1.0], "p": (1.0, [2.0])},
    )
    n = 500
    data = {"x": [[0.1 * i] for i in range(n)], "p": ([0.2 * i for i in range(n)], [3.0])}
    want = tape.value_and_grad(data)
    comm = Communicator(3)

    def compute(rank):
        a, b = n * rank // 3, n * (rank + 1) // 3
        part = {"x": data["x"][a:b], "p": (data["p"][0][a:b], [3.0])}
        return parallel.mpi(comm).value_and_grad(tape, part)

    assert comm.run(compute) == [want] * 3
    plain = record(lambda x: x * w, 1.0)
    rows = Rows(lambda a, b: [1.0] * (b - a), n=300)
    alone = Communicator(1)
    assert alone.run(lambda r: parallel.mpi(alone).value_and_grad(plain, rows)) == [
        plain.value_and_grad([1.0] * 300)
    ]


def test_error_of_a_rank_is_raised_by_all():
    tape = record(lambda i: functional.exp(fg.take([Value(1.0), Value(2.0)], i)), 0.0)
    index = [0.0] * 2000
    index[1500] = 7.0
    comm = Communicator(2)
    found = comm.run(
        lambda r: parallel.mpi(comm).value_and_grad(tape, index[1000 * r : 1000 * r + 1000])
    )
    assert all(isinstance(error, FastgradIndexError) for error in found)
    assert all("sample 1500" in str(error) for error in found)
    found = comm.run(lambda r: parallel.mpi(comm).value_and_grad(tape, 0.0))
    assert all(isinstance(error, ShapeError) for error in found)
    with pytest.raises(FastgradTypeError, match="a communicator of mpi4py"):
        parallel.mpi(3)
