"""`python -m fastgrad makemore --executor`: the same checkpoint, whoever computes.

Oracle: the run without. Dask and MPI are stand-ins here: tests/train/test_clusters.py has them.
"""

import contextlib
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastgrad.command import cli

pytestmark = pytest.mark.wide
SMALL = [
    "--model", "mlp", "--n-embd", "2", "--block-size", "3", "--batch-size", "4", "--samples", "2",
]  # fmt: skip


@pytest.fixture
def run(tmp_path, capsys):
    words = tmp_path / "words.txt"
    words.write_text("anna\nben\nnab\nbena\nana\nnana\nabba\nenna\nbee\nnan\nada\n", "utf-8")

    def run(*options, name="out", steps=6):
        status = cli.main(
            [
                "makemore",
                str(words),
                *SMALL,
                "--steps",
                str(steps),
                "--out",
                str(tmp_path / name),
                *options,
            ]
        )
        shown = capsys.readouterr()
        if status:
            return status, shown.err
        path = tmp_path / name / "checkpoint.safetensors"
        return (path.read_bytes() if path.exists() else None), shown.out

    return run


def test_processes_train_to_the_same_checkpoint(run):
    plain, _ = run(name="plain")
    assert run("--executor", "processes:2", name="processes")[0] == plain


def test_dask_is_reached_by_its_address(run, monkeypatch):
    reached = []

    @contextlib.contextmanager
    def client(address):
        reached.append(address)
        with ThreadPoolExecutor(2) as pool:
            yield pool

    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=client))
    plain, _ = run(name="plain")
    assert run("--executor", "dask://host:8786", name="dask")[0] == plain
    assert reached == ["tcp://host:8786"]


class OneRank:
    """A communicator of one process, which says first which rank the command is on."""

    def __init__(self, rank):
        self.ranks = [0, rank]

    def Get_rank(self):
        return self.ranks.pop(0)

    def Get_size(self):
        return 1

    def allgather(self, thing):
        return [thing]


def test_first_rank_of_mpi_alone_shows_and_writes(run, monkeypatch):
    plain, _ = run(name="plain")
    for rank, resume in ((0, ()), (1, ()), (1, ("--resume",)), (0, ("--resume",))):
        world = types.SimpleNamespace(MPI=types.SimpleNamespace(COMM_WORLD=OneRank(rank)))
        monkeypatch.setitem(sys.modules, "mpi4py", world)
        before = run(name="mpi", steps=3) if resume and rank else None
        name = "mpi" if rank == 0 or resume else "other"
        content, shown = run("--executor", "mpi", *resume, name=name)
        assert (shown == "") == (rank == 1)
        if rank == 0:
            assert content == plain
        else:
            assert content == (before[0] if before else None)


def test_executors_that_are_none_are_refused(run):
    for wrong in (
        "processes",
        "processes:0",
        "processes:x",
        "dask",
        "dask:host",
        "mpi:2",
        "ray",
        "",
    ):
        status, shown = run("--executor", wrong)
        assert status == 2
        assert "dask://host:port, processes:N or mpi" in shown
