"""Threads that start together, with the shortest switch interval of the interpreter."""

import gc
import sys
import threading

import pytest

from fastgrad._native.graph import check

THREADS = 8


@pytest.fixture(autouse=True)
def switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.collect()
    yield
    sys.setswitchinterval(before)
    gc.collect()
    assert check.arena_check() == []


def run_in_threads(work, n=THREADS):
    """Run work(0), ..., work(n - 1) in threads that start at once; raise what one has raised."""
    barrier = threading.Barrier(n)
    results, errors = [None] * n, []

    def run(i):
        try:
            barrier.wait()
            results[i] = work(i)
        except BaseException as e:
            errors.append(e)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results
