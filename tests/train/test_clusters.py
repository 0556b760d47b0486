"""Dask and MPI themselves: `make test-clusters` installs them.

Oracle: the sha256 of the same program in one process.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers.executors import digest
from helpers.processes import ROOT, python
from helpers.tally import tally

pytestmark = [pytest.mark.cluster, pytest.mark.wide]

DASK = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from helpers.executors import N, digest, drawn, network
import fastgrad as fg


class Deadly:
    def __init__(self, caller):
        self.caller = caller

    def __call__(self, start, stop):
        if os.getpid() != self.caller and start == 0 and not os.path.exists("killed"):
            open("killed", "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = drawn()
        return x[start:stop], y[start:stop]


if __name__ == "__main__":
    import dask.array
    from distributed import Client, LocalCluster

    cluster = LocalCluster({workers}, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        print(digest(client))
        (x, y), tape = drawn(), network()
        want = repr(tape.value_and_grad(x, y))
        columns = [dask.array.from_array(part, chunks=200) for part in (x, y)]
        assert repr(tape.value_and_grad(fg.parallel.Rows(*columns), executor=client)) == want
        rows = fg.parallel.Rows(Deadly(os.getpid()), n=N)
        assert repr(tape.value_and_grad(rows, executor=client)) == want
        assert os.path.exists("killed")
"""

MPI = """
import sys
sys.path.insert(0, {tests!r})
from helpers.executors import digest, drawn, network
import fastgrad as fg
from mpi4py import MPI

ranks, (x, y), tape = fg.parallel.mpi(MPI.COMM_WORLD), drawn(), network()
a, b = (len(y) * (ranks.rank + i) // ranks.size for i in range(2))
assert repr(ranks.value_and_grad(tape, x[a:b], y[a:b])) == repr(tape.value_and_grad(x, y))
print(digest(ranks), flush=True)
"""


def test_dask_gives_the_bits_of_one_process_and_survives_a_killed_worker(tmp_path):
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs dask.distributed")
    for workers in (2, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        program = DASK.format(tests=str(ROOT / "tests"), workers=workers)
        (folder / "program.py").write_text(program)
        process = python("-W", "ignore", "program.py", cwd=folder)
        assert process.returncode == 0, process.stderr
        assert process.stdout.split() == [digest()]
    tally("executors: clusters of Dask", 2)


def test_mpi_gives_the_bits_of_one_process(tmp_path):
    if importlib.util.find_spec("mpi4py") is None or shutil.which("mpirun") is None:
        pytest.skip("needs mpi4py and mpirun")
    (tmp_path / "program.py").write_text(MPI.format(tests=str(ROOT / "tests")))
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for ranks in (1, 2, 3):
        words = ["mpirun", "--oversubscribe", "-n", str(ranks), sys.executable, "-W", "ignore"]
        process = subprocess.run(
            [*words, "program.py"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, **root, "PYTHONPATH": path},
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        # Lines of ranks may run into each other.
        assert re.findall("[0-9a-f]{64}", process.stdout) == [digest()] * ranks
    tally("executors: runs of MPI", 3)
