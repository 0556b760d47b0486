"""Training as one call: the loop of `tape.backward` and `optimizer.step`, run natively."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastgrad._decisions import note_decisions
from fastgrad._native.base.errors import flag_expect, whole_expect
from fastgrad._native.train.fit import Loop
from fastgrad.errors import (
    FastgradOverflowError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    NonFiniteError,
    describe,
    explain,
    show,
    word_result,
)
from fastgrad.family import TapeFamily
from fastgrad.optim import Optimizer, expect_number
from fastgrad.tape import Tape

if TYPE_CHECKING:
    from fastgrad.parallel import Training

__all__ = ["fit"]

_UPDATES = 100  # of the progress bar


def fit(
    tape: Tape | TapeFamily | Sequence[Tape] | Mapping[Any, Tape],
    *args: Any,
    optimizer: Optimizer,
    steps: int = 1000,
    batch_size: int | None = None,
    schedule: float | Sequence[float] | Callable[[int], float] | None = None,
    reduce: str = "mean",
    seed: int = 0,
    progress: bool = False,
    threads: int = 1,
    start: int = 0,
    shuffle: bool = True,
    callback: Callable[[int, list[float]], Any] | None = None,
    every: int = 1,
    executor: Any = None,
    retries: int = 3,
) -> list[float]:
    """Minimise a recorded loss, and return its history.

    Parameters
    ----------
    tape : Tape, TapeFamily, or sequence or dict of Tape
        Of a function that returns one loss. Several, as `record_each` makes them, are for samples
        of unlike shapes.
    *args
        The data, as for a call of the tape. An argument without a batch axis is shared. Of several
        tapes one list of samples, as the examples of `record_each`: a tuple of arguments each, or
        the one argument. Their numbers are copied.
    optimizer : Optimizer
        Of `fastgrad.optim`; its state goes on from where it is. Parameters that the tape does not
        have get a gradient of 0, which a FastgradWarning says; parameters of the tape that it does
        not have stay as they are.
    steps : int
        Number of updates.
    batch_size : int, optional
        Samples in a mini-batch, drawn without replacement in a new order each epoch; the last of an
        epoch may be smaller. All samples at once unless given.
    schedule : float, sequence of float, or callable, optional
        Learning rate of all groups: a constant, one for each step from step 0 on, or a function of
        the step's number, called before each step. The optimizer's own unless given.
    reduce : {"mean", "sum"}
        What is minimised of a batch's losses.
    seed : int
        Of the order of the samples: the same seed, the same run, on every machine.
    progress : bool
        Show a bar (with tqdm, if it is installed, else a line now and then).
    threads : int
        Threads that share a batch. The result has the same bits for any number.
    start : int
        Number of the first step: mini-batches and `schedule` go on as behind so many steps. With
        the parameters and the optimizer's state of that moment, a run in parts is the whole run.
    shuffle : bool
        Draw a new order of the samples each epoch; else mini-batches are in the order of the data.
    callback : callable, optional
        Called with the number of steps made, counted from step 0, and the losses since its last
        call: after each step whose number is a multiple of `every`, and after the last. What is
        true ends the loop.
    every : int
        Steps between two calls of `callback`.
    executor : object, optional
        What computes batches, with the same bits: see `fastgrad.parallel`. The data may then be
        `fastgrad.parallel.Rows`, as without.
    retries : int
        Times that a part of a step which was lost is given to the executor again; then it is
        computed here, with a FastgradWarning.

    Returns
    -------
    list of float
        The loss of each step made, before its update.

    Raises
    ------
    FastgradTypeError, FastgradValueError, FastgradOverflowError
        If an argument is of no use, or the optimizer has no parameter of the tape; or a count has
        more than 64 bits, or 32 for threads.
    ShapeError
        If data are not of the tape's structure; of several tapes, if none is for the shapes of a
        sample.
    MemoryError
        If there is none for the losses of so many steps.
    FastgradRuntimeError
        If another thread trains with the same optimizer, or the list of parameters in one of its
        groups has been edited.
    NonFiniteError
        If a loss or its gradient is nan or inf. Parameters and optimizer are as they were before
        that step; the error names the operation that made it, with its line and the sample, and its
        ``history`` has the losses before it.

    Notes
    -----
    Same results as the loop written out, to rounding, also where ``schedule``, ``callback`` or a
    signal handler sets ``data``, changes hyper-parameters or groups, makes a step, loads a state or
    calls fit: what it finds and leaves there counts. What it raises ends the loop between two
    steps, as Ctrl-C does, with parameters and optimizer in step with each other; KeyboardInterrupt
    has a ``history``, too. Only the arguments' arrays are to be left alone: some are read where
    they lie, others were copied. ``grad`` of the parameters stays as it is.

    Of several tapes a mini-batch takes one run of each that has samples in it, in the order of the
    first of these; their gradients add up in that order, so a run has the same bits always. What is
    its tape's only sample in a mini-batch runs as in ``tape.backward(*sample)``, with its bits.

    The GIL is given up but for these calls; without them the parameters' ``data`` is written when
    the loop ends, and every 20 ms where signals are polled.

    Examples
    --------
    >>> import fastgrad as fg
    >>> w = fg.Value(0.0)
    >>> tape = fg.record(lambda x, y: (w * x - y) ** 2, 1.0, 1.0)
    >>> losses = fg.fit(tape, [1.0, 2.0], [3.0, 6.0], optimizer=fg.optim.SGD([w], lr=0.1), steps=50)
    >>> round(w.data, 6), losses[0], losses[-1] < 1e-9
    (3.0, 22.5, True)
    """
    counts = {"steps": steps, "batch_size": batch_size, "threads": threads, "seed": seed}
    _expect(optimizer, reduce, **counts, start=start, every=every)
    tapes, data, chosen = _sorted(tape, args)
    shuffle, progress = (
        flag_expect(shuffle, "shuffle of fit"),
        flag_expect(progress, "progress of fit"),
    )
    rate = _rate(schedule, start + steps)
    _expect_callback(callback)
    source, mean = optimizer.updaters, reduce == "mean"
    loop: Loop | Training = _elsewhere(
        tapes, data, executor, retries, optimizer, steps, batch_size, seed, mean, threads, shuffle
    ) or Loop(tapes, data, source, steps, batch_size, seed, mean, threads, shuffle, chosen)
    try:
        _expect_shared(tapes[0].name, len(tapes), *loop.shared())
        loop.skip(start)
        told = _Callback(loop, callback, start, every) if callback is not None else None
        _run(loop, optimizer, steps, start, rate, _bar(steps) if progress else None, told)
        return loop.history()
    except KeyboardInterrupt as error:
        error.history = loop.history()  # type: ignore[attr-defined]
        raise
    except NonFiniteError as error:
        note_decisions(error, [decision for one in tapes for decision in one.decisions])
        raise
    finally:
        loop.close()


_LEAST_AND_MOST = {  # of the counts that native code takes
    "steps": (0, (1 << 63) - 1),
    "batch_size": (1, None),
    "threads": (1, (1 << 31) - 1),
    "seed": (0, (1 << 64) - 1),
    "start": (0, (1 << 62) - 1),
    "every": (1, (1 << 63) - 1),
}


def _sorted(tape: Any, args: tuple[Any, ...]) -> tuple[tuple[Tape, ...], Any, list[int] | None]:
    """Return the tapes, their data, and which tape each sample is for, if there are several."""
    if isinstance(tape, Tape):
        return (tape,), args, None
    if not isinstance(tape, TapeFamily):
        if not isinstance(tape, Mapping | list | tuple):
            remedy = "make one with fastgrad.record"
            raise FastgradTypeError(explain("a tape, or several", describe(tape), "fit", remedy))
        tape = TapeFamily(tape.values() if isinstance(tape, Mapping) else tape)
    if len(args) != 1:
        got = f"{len(args)} arguments"
        remedy = "give each sample as a tuple of its arguments"
        raise FastgradTypeError(explain("one list of samples", got, "data of fit", remedy))
    tapes, samples, numbers = tape.sort(args[0])
    return tuple(tapes), samples, numbers


def _expect(optimizer: Optimizer, reduce: str, **counts: int | None) -> None:
    if not isinstance(optimizer, Optimizer):
        where = "optimizer of fit"
        raise FastgradTypeError(
            explain("an optimizer of fastgrad.optim", describe(optimizer), where)
        )
    if not isinstance(reduce, str) or reduce not in ("mean", "sum"):
        raise FastgradValueError(explain('"mean" or "sum"', show(reduce), "reduce of fit"))
    for name, number in counts.items():
        _expect_count(name, number)


def _expect_count(name: str, number: int | None) -> None:
    least, most = _LEAST_AND_MOST[name]
    expected, where = f"an integer of at least {least}", f"{name} of fit"
    if number is None and name == "batch_size":
        return
    if number is None:
        raise FastgradTypeError(explain(expected, "None", where))
    if not hasattr(type(number), "__index__"):
        raise FastgradValueError(explain(expected, show(number), where))
    number = whole_expect(number, expected, where)
    if (name == "seed" and number < least) or number > (most or number):
        expected = f"an integer from {least} to {most}"
        raise FastgradOverflowError(explain(expected, show(number), where))
    if number < least:
        raise FastgradValueError(explain(expected, show(number), where))


def _expect_shared(name: str, tapes: int, recorded: int, shared: int, total: int) -> None:
    """Refuse an optimizer that would train nothing, and tell of one that holds others too."""
    where = f"the tape of {name}" if tapes == 1 else f"the tapes of {name}"
    if not shared:
        got = f"none of its {recorded} among the {total} of the optimizer"
        remedy = "make the optimizer of tape.parameters"
        raise FastgradValueError(explain("parameters of the tape", got, "optimizer of fit", remedy))
    if shared < total:
        text = (
            f"{total - shared} of the optimizer's {total} parameters are not on {where}: "
            "their gradient is 0; make the optimizer of tape.parameters"
        )
        warnings.warn(text, FastgradWarning, stacklevel=3)


def _rate(schedule: Any, steps: int) -> Callable[[int], Any] | None:
    """Return what gives the learning rate of a step; None where the optimizer keeps its own."""
    rate: Callable[[int], Any] | None = schedule if callable(schedule) else None
    if schedule is None or rate is not None:
        return rate
    kind = type(schedule)
    where = "schedule of fit"
    if getattr(schedule, "ndim", None) == 0 or not hasattr(kind, "__len__"):
        if hasattr(kind, "__float__") or hasattr(kind, "__index__"):
            return lambda _: schedule
    elif hasattr(kind, "__getitem__") and not isinstance(schedule, Mapping | str | bytes):
        if len(schedule) < steps:
            raise FastgradValueError(explain(f"{steps} learning rates", f"{len(schedule)}", where))
        return lambda step: schedule[step]
    expected = "a learning rate, a sequence of them, or a function of the step"
    raise FastgradTypeError(explain(expected, describe(schedule), where))


def _elsewhere(
    tapes: tuple[Tape, ...], data: Any, executor: Any, retries: int, *how: Any
) -> Training | None:
    """Return a loop whose batches an executor computes; None, if there is none."""
    if executor is None and "fastgrad.parallel" not in sys.modules:
        return None  # without it there is neither `using` nor Rows
    from fastgrad.parallel import training

    return training(tapes, data, executor, retries, *how)


def _expect_callback(callback: Any) -> None:
    if callback is not None and not callable(callback):
        expected = "a function of the number of steps and the losses"
        raise FastgradTypeError(explain(expected, describe(callback), "callback of fit"))


class _Callback:
    """What fit's callback is told, and when."""

    def __init__(
        self, loop: Loop | Training, call: Callable[..., Any], start: int, every: int
    ) -> None:
        self.loop, self.call, self.start, self.every = loop, call, start, every
        self.told = 0

    def steps_until(self) -> int:
        return self.every - (self.start + self.loop.done) % self.every

    def is_over(self) -> bool:
        """Call it where it is due; tell whether it ends the loop."""
        done = self.loop.done
        if self.steps_until() < self.every and done < self.loop.steps:
            return False
        losses, self.told = self.loop.history(self.told), done
        return bool(self.call(self.start + done, losses))


def _run(
    loop: Loop | Training,
    optimizer: Optimizer,
    steps: int,
    start: int,
    rate: Any,
    bar: Any,
    callback: _Callback | None,
) -> None:
    """Advance step by step where a schedule says so, else as far as bar and callback allow."""
    stride = max(1, steps // _UPDATES) if bar is not None else steps
    if rate is not None:
        stride = 1
    while loop.done < steps:
        if rate is not None:
            lr = rate(start + loop.done)
            expect_number(f"what schedule of fit gives for step {start + loop.done}", lr)
            optimizer.lr = lr
        count = stride if callback is None else min(stride, callback.steps_until())
        if not loop.advance(count):
            raise _stopped(loop, start)
        if bar is not None:
            bar(loop.done, loop.last())
        if callback is not None and callback.is_over():
            break
    if bar is not None:
        bar(loop.done, loop.last(), True)


def _stopped(loop: Loop | Training, start: int) -> NonFiniteError:
    """Word why a step was not made: its loss or gradient is nan or inf."""
    loss, found = loop.stopped_at, loop.found()
    expected, got = ("a finite loss", repr(loss))
    if math.isfinite(loss):
        expected, got = "a finite gradient", f"nan or inf, of a loss of {loss!r}"
    where = f"step {start + loop.done} of fit"
    if found is not None:  # else no sample alone: their sum
        where += f": {word_result(*found)}"
    remedy = "lower the learning rate, or keep its operands away from there"
    return NonFiniteError(explain(expected, got, where, remedy), loop.history())


def _bar(steps: int) -> Callable[..., None]:
    """Return a function of (steps done, loss, whether that was all) that shows progress."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _lines(steps)
    shown = tqdm(total=steps)

    def update(done: int, loss: float | None, last: bool = False) -> None:
        shown.set_postfix(loss=loss, refresh=False)
        shown.update(done - shown.n)
        if last:
            shown.close()

    return update


def _lines(steps: int) -> Callable[..., None]:
    printed = shown = -1

    def update(done: int, loss: float | None, last: bool = False) -> None:
        nonlocal printed, shown
        if (tenth := 10 * done // max(steps, 1)) > printed or (last and done > shown):
            printed, shown = tenth, done
            print(f"step {done} of {steps}, loss {loss}", file=sys.stderr)

    return update
