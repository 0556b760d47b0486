"""`python -m fastgrad makemore`: train a character-level model on a file of lines, make new ones.

All that a run leaves is in its folder, and is there at any moment that it may be killed: the
checkpoint is written beside its place and moved there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from fastgrad import nn
from fastgrad.errors import FastgradValueError, explain, show
from fastgrad.models.makemore import Makemore

__all__ = ["STEPS", "run_makemore"]

STEPS = {"bigram": 300, "transformer": 500}  # of a run, unless asked otherwise
_STEPS = 1000  # of other models
_PROCESSES = 1000
_SHOWN = 3  # words in a line of progress
_SMOOTHED = 50  # points of the curve: means of as many parts


@contextmanager
def _computing(executor: str | None) -> Iterator[bool]:
    """Have batches computed where --executor says; give whether this process shows and writes."""
    from fastgrad.parallel import mpi, using

    kind, _, what = (executor or "").partition(":")
    if executor is None:
        yield True
    elif kind == "processes" and what.isdecimal() and 0 < int(what) <= _PROCESSES:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(int(what), get_context("spawn")) as pool, using(pool):
            yield True
    elif kind == "dask" and what.startswith("//"):
        import distributed

        connect: Any = distributed.Client
        with connect(f"tcp:{what}") as client, using(client):
            yield True
    elif executor == "mpi":
        from mpi4py import MPI

        with using(mpi(MPI.COMM_WORLD)):
            yield MPI.COMM_WORLD.Get_rank() == 0
    else:
        expected = "dask://host:port, processes:N or mpi"
        raise FastgradValueError(explain(expected, show(executor), "--executor"))


def run_makemore(
    file: str | None = None,
    out: str = "makemore",
    resume: bool = False,
    executor: str | None = None,
    **how: Any,
) -> int:
    """Train, show progress, write checkpoints, a curve and words: see `_run`.

    Parameters
    ----------
    file, out, resume, **how
        As for `_run`.
    executor : str, optional
        What computes batches: "dask://host:port", "processes:N" or "mpi", where the first rank
        alone shows and writes.

    Returns
    -------
    int
        Exit status: 0, or 130 after Ctrl-C.

    Raises
    ------
    FastgradValueError, OSError
        If `executor` is none of these; otherwise as for `_run`.
    """
    with _computing(executor) as is_first:
        if is_first:
            return _run(file, out=out, resume=resume, **how)
        with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
            checkpoint = Path(out) / "checkpoint.safetensors"
            if resume and checkpoint.exists():
                shutil.copy(checkpoint, folder)
            return _run(file, out=folder, resume=resume, **how)


def _run(
    file: str | None = None,
    steps: int | None = None,
    out: str = "makemore",
    save_every: int = 100,
    samples: int = 20,
    start: str = "",
    resume: bool = False,
    sample_only: bool = False,
    threads: int = 1,
    **options: Any,
) -> int:
    """Train, show progress, write checkpoints, a curve and words.

    Parameters
    ----------
    file : str, optional
        Lines to learn; the project's own words unless given.
    steps : int, optional
        The run's total, those of the checkpoint that it resumes included.
    out : str
        Folder of what is written; made if it is not there.
    save_every : int
        Steps between two checkpoints, and between two lines of progress.
    samples : int
        Words to make at the end.
    start : str
        What each of them begins with.
    resume : bool
        Go on from the folder's checkpoint, if there is one.
    sample_only : bool
        Only make words, of the folder's checkpoint.
    threads : int
        Threads that share a mini-batch.
    **options
        Of `fastgrad.models.makemore.Options`.

    Returns
    -------
    int
        Exit status: 0, or 130 after Ctrl-C.

    Raises
    ------
    FastgradValueError
        If the file holds no line, the checkpoint is of another run, or `start` has a character that
        no line has.
    OSError
        If a file cannot be read or written.
    """
    folder = Path(out)
    checkpoint = folder / "checkpoint.safetensors"
    if sample_only:
        if not checkpoint.exists():
            remedy = "train first, or say where with --out"
            got = "none"
            raise FastgradValueError(explain("a checkpoint", got, str(checkpoint), remedy))
        print("\n".join(Makemore.load(checkpoint).sample(samples, start)))
        return 0
    run = Makemore(file, threads=threads, **options)
    run.alphabet.encode(start)
    total = STEPS.get(run.options.model, _STEPS) if steps is None else steps
    _introduce(run, file)
    folder.mkdir(parents=True, exist_ok=True)
    if resume and checkpoint.exists():
        run.resume(checkpoint)
        if run.step >= total:
            print(f"the checkpoint has {run.step} steps, of {total} nothing is left to train")
            return 0
        print(f"going on from step {run.step}")
    else:
        if resume:
            print(f"no checkpoint in {out}: training from the start")
        elif checkpoint.exists():
            kept = checkpoint.rename(folder / "checkpoint.previous.safetensors")
            print(f"the checkpoint of another run is now {kept}")
        run.save(checkpoint)
    status = _train(run, checkpoint, total, save_every)
    _finish(run, folder, samples, start)
    return status


def _introduce(run: Makemore, file: str | None) -> None:
    options = run.options
    trained, held = run.sizes()
    name = file or "the project's own words"
    print(
        f"{name}: {trained} lines to learn, {held} to test, {run.alphabet.size - 1} characters\n"
        f"{options.model} of {run.num_parameters()} parameters, "
        f"contexts of {options.block_size} characters",
        flush=True,
    )


def _train(run: Makemore, checkpoint: Path, total: int, every: int) -> int:
    """Make steps from one checkpoint to the next; return the exit status."""
    try:
        while run.step < total:
            begin = perf_counter()
            made = run.train(min(total, run.step - run.step % every + every) - run.step)
            seconds = perf_counter() - begin
            run.save(checkpoint)
            _report(run, total, made, seconds)
    except KeyboardInterrupt:
        run.save(checkpoint)
        print(f"stopped behind step {run.step}; --resume goes on from there")
        return 130
    return 0


def _report(run: Makemore, total: int, made: list[float], seconds: float) -> None:
    rate = len(made) * run.tokens_per_step() / max(seconds, 1e-9)
    tested = f", test {run.loss('test'):.4f}" if run.sizes()[1] else ""
    words = ", ".join(run.sample(_SHOWN))
    print(
        f"step {run.step} of {total}: loss {sum(made) / len(made):.4f}{tested}, "
        f"{rate:,.0f} characters a second: {words}",
        flush=True,
    )


def _finish(run: Makemore, folder: Path, samples: int, start: str) -> None:
    """Write model, curve and words; print the losses and the words."""
    train = f"train {run.loss():.4f}"
    if run.options.model == "bigram":
        print(f"{train}, counted optimum {run.counted_optimum():.4f}")
    else:
        print(f"{train}, test {run.loss('test'):.4f}" if run.sizes()[1] else train)
    nn.save(run.model, folder / "model.safetensors")
    words = run.sample(samples, start)
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in words), "utf-8")
    print("\n".join(words))
    print(f"in {folder}: checkpoint, model, words{_draw(run, folder)}")


def _draw(run: Makemore, folder: Path) -> str:
    """Draw the loss over the steps; say what of it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return " (no curve: matplotlib is not installed)"
    losses = run.losses
    width = max(1, len(losses) // _SMOOTHED)
    means = [
        (i + len(part) / 2, sum(part) / len(part))
        for i in range(0, len(losses), width)
        if (part := losses[i : i + width])
    ]
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(losses) + 1), losses, color="#bbbbbb", linewidth=0.8)
    axes.plot([x for x, _ in means], [y for _, y in means], color="#1f77b4")
    axes.set(xlabel="step", ylabel="loss, nats a character", title=run.options.model)
    figure.savefig(folder / "loss.png")
    return ", curve"
