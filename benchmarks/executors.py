"""What a step on an executor costs beside its work: `python -m benchmarks.executors`.

The step is one of 20,000 samples and 433 parameters on two workers. What it takes, less half of
what it takes in this process, is a ratio to two empty tasks of the same executor, all timed in turn
in one session. Dask is tried if it is installed. With MPI, a ratio to a bare Allreduce of the
gradient: `mpirun -n 2 python -m benchmarks.executors mpi`.
"""

import multiprocessing
import random
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

import fastgrad as fg

ROUNDS = 40


def nothing(serial):
    return serial


def case(samples=20_000):
    """Return a tape of 433 parameters (widths 1, 16, 21, 2), and data."""
    random.seed(1)
    model = fg.MLP(1, [16, 21, 2])
    tape = fg.record(lambda x, y: (model(x)[0] - y) ** 2 + model(x)[1] ** 2, np.zeros(1), 0.0)
    rng = np.random.default_rng(1)
    return tape, rng.normal(size=(samples, 1)), rng.normal(size=samples)


def timed(*functions):
    """Return the median time of each, called in turn."""
    for function in functions * 3:
        function()
    times = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, kept in zip(functions, times, strict=True):
            begin = time.perf_counter()
            function()
            kept.append(time.perf_counter() - begin)
    return [statistics.median(kept) for kept in times]


def measure(name, executor):
    tape, x, y = case()
    serials = iter(range(10**9))

    def empty():
        for future in [executor.submit(nothing, next(serials)) for _ in range(2)]:
            future.result()

    def step():
        return tape.value_and_grad(x, y, executor=fg.parallel.Workers(executor, tasks=2))

    def alone():
        return tape.value_and_grad(x, y)

    assert repr(step()) == repr(alone())
    none, there, here = timed(empty, step, alone)
    over = there - here / 2
    print(
        f"{name:14} two empty tasks {1e3 * none:6.2f} ms, step {1e3 * there:6.2f}, alone "
        f"{1e3 * here:6.2f}, overhead {1e3 * over:6.2f}, ratio {over / none:5.2f}",
        flush=True,
    )
    tape, x, y = case(400_000)
    there, here = timed(
        lambda: tape.value_and_grad(x, y, executor=fg.parallel.Workers(executor, tasks=2)),
        lambda: tape.value_and_grad(x, y),
    )
    print(f"{name:14} work of {1e3 * here:.0f} ms: {here / there:.2f} times as fast", flush=True)


def measure_mpi():
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    ranks, (tape, x, y) = fg.parallel.mpi(comm), case()
    send, got = np.zeros(434), np.zeros(434)
    n = len(y)
    a, b = (n * (ranks.rank + i) // ranks.size for i in range(2))
    share = tape.group_starts(x[:1], y[:1], of=n)
    half = x[: share[len(share) // 2]], y[: share[len(share) // 2]]
    bare, step, alone = timed(
        lambda: comm.Allreduce(send, got),
        lambda: ranks.value_and_grad(tape, x[a:b], y[a:b]),
        lambda: tape.value_and_grad(*half),
    )
    if ranks.rank == 0:
        over = step - alone
        print(
            f"mpi, {ranks.size} ranks   Allreduce {1e3 * bare:.3f} ms, step {1e3 * step:.2f}, half "
            f"alone {1e3 * alone:.2f}, overhead {1e3 * over:.2f}, ratio {over / bare:.1f}"
        )


def main():
    if sys.argv[1:] == ["mpi"]:
        measure_mpi()
        return
    with ThreadPoolExecutor(2) as pool:
        measure("threads", pool)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        measure("processes", pool)
    try:
        import loky
    except ImportError:
        print("loky           not installed")
    else:
        measure("loky", loky.get_reusable_executor(2))
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        print("dask           not installed")
        return
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        measure("dask", client)


if __name__ == "__main__":
    main()
