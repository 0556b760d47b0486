"""Families: the tapes of one function for arguments of unlike shapes, over the same parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastgrad._native.base.errors import items_expect
from fastgrad._native.tape import inspect as _inspect
from fastgrad._shapes import shapes_of
from fastgrad.engine import Value
from fastgrad.errors import FastgradTypeError, FastgradValueError, ShapeError, describe, explain
from fastgrad.tape import NonFinite, Tape, record

__all__ = ["TapeFamily", "record_each"]

_SHOWN = 8  # shapes that a message lists


class TapeFamily(Mapping[tuple[Any, ...], Tape]):
    """Tapes by the shapes of their arguments: what `record_each` makes.

    A mapping from shapes to tapes, in the order of recording. A key has the shape of each argument:
    ``()`` for a number, ``(5,)`` for five of them, and for a list, tuple or dict that is no array a
    tuple of its parts, those of a dict each with its name. Call it, and its other methods, as a
    tape: the arguments' shapes say whose turn it is, of one sample or of a batch of one shape.

    Parameters
    ----------
    tapes : iterable of Tape
        Of unlike shapes; parameters are shared where they are the same Values.

    Attributes
    ----------
    parameters : list of Value
        Those of all tapes, in the order of their first use. Each tape of `record_each` has all.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If there is no tape, something else is among them, or two are for the same shapes.

    Notes
    -----
    Cost: that of a tape's call, and some 0.5 microseconds to find it.
    """

    def __init__(self, tapes: Iterable[Tape]) -> None:
        self._tapes: dict[tuple[Any, ...], Tape] = {}
        parameters: dict[int, Value] = {}
        for tape in items_expect(tapes, "tapes", "TapeFamily"):
            if not isinstance(tape, Tape):
                remedy = "make it with fastgrad.record"
                raise FastgradTypeError(explain("a tape", describe(tape), "TapeFamily", remedy))
            shapes = _inspect.argument_shapes(tape)
            if shapes in self._tapes:
                got = f"two for {_worded(shapes)}"
                raise FastgradValueError(explain("tapes for unlike shapes", got, "TapeFamily"))
            self._tapes[shapes] = tape
            parameters.update((id(p), p) for p in tape.captured)
        if not self._tapes:
            raise FastgradValueError(explain("at least one tape", "none", "TapeFamily"))
        self.parameters = list(parameters.values())

    @property
    def name(self) -> str:
        """The name of the function."""
        return next(iter(self._tapes.values())).name

    def __getitem__(self, shapes: tuple[Any, ...]) -> Tape:
        return self._tapes[shapes]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._tapes)

    def __len__(self) -> int:
        return len(self._tapes)

    def __repr__(self) -> str:
        some = f"{len(self)} tape{'' if len(self) == 1 else 's'}"
        return f"<{some} of {self.name}, {len(self.parameters)} parameters>"

    def train(self, mode: bool = True) -> TapeFamily:
        """Let calls drop what dropouts drop, or with False nothing: `Tape.train` of each tape.

        Returns
        -------
        TapeFamily
            This one.

        Raises
        ------
        FastgradTypeError
            If `mode` is no bool.
        """
        for tape in self._tapes.values():
            tape.train(mode)
        return self

    def eval(self) -> TapeFamily:
        """Let calls drop nothing: the same as ``train(False)``."""
        return self.train(False)

    def tape_of(self, *args: Any) -> Tape:
        """Return the tape that takes these arguments: one sample, or a batch of one shape.

        Raises
        ------
        ShapeError
            If no tape is for their shapes.
        """
        tape = self._tapes.get(shapes := shapes_of(args))
        if tape is not None:
            return tape
        for known, tape in self._tapes.items():
            if len(known) == len(shapes) and all(map(_fits, shapes, known)):
                return tape
        raise self._unknown(shapes, f"arguments of {self.name}")

    def _unknown(self, shapes: tuple[Any, ...], where: str) -> ShapeError:
        listed = " or ".join(map(_worded, list(self._tapes)[:_SHOWN]))
        more = f" and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""
        remedy = "give record_each an example of that shape"
        return ShapeError(explain(f"shapes {listed}{more}", _worded(shapes), where, remedy))

    def sort(self, samples: Iterable[Any]) -> tuple[list[Tape], list[tuple[Any, ...]], list[int]]:
        """Find the tape of each sample, for `fit`.

        Returns
        -------
        (tapes, samples, numbers)
            The tapes that have samples, in the order of these; the arguments of each sample; which
            of the tapes is its.

        Raises
        ------
        FastgradTypeError
            If samples cannot be iterated over.
        FastgradValueError
            If there is none.
        ShapeError
            If no tape is for the shapes of one.
        """
        numbers: dict[tuple[Any, ...], int] = {}
        listed, chosen = [], []
        for i, sample in enumerate(items_expect(samples, "a list of samples", "data of fit")):
            args = sample if isinstance(sample, tuple) else (sample,)
            shapes = shapes_of(args)
            if shapes not in self._tapes:
                raise self._unknown(shapes, f"sample {i} of fit")
            listed.append(args)
            chosen.append(numbers.setdefault(shapes, len(numbers)))
        if not listed:
            raise FastgradValueError(explain("at least one sample", "none", "data of fit"))
        return [self._tapes[shapes] for shapes in numbers], listed, chosen

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the result, as a call of the tape for these arguments.

        Raises
        ------
        ShapeError
            If no tape is for their shapes; otherwise as a call of a tape.
        """
        return self.tape_of(*args)(*args, **options)

    def backward(self, *args: Any, **options: Any) -> float:
        """Add the gradient into the parameters' grad and return the loss: `Tape.backward`.

        Raises
        ------
        ShapeError
            If no tape is for their shapes; otherwise as `Tape.backward`.
        """
        return self.tape_of(*args).backward(*args, **options)

    def value_and_grad(self, *args: Any, **options: Any) -> Any:
        """Return the value and its gradient, as `Tape.value_and_grad`.

        That by "parameters" is in the order of the tape's: of one that `record_each` made, that of
        ``parameters`` here.

        Raises
        ------
        ShapeError
            If no tape is for their shapes; otherwise as `Tape.value_and_grad`.
        """
        return self.tape_of(*args).value_and_grad(*args, **options)

    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...], **options: Any) -> Any:
        """Return the result and its derivative in a direction, as `Tape.jvp`.

        Raises
        ------
        FastgradTypeError
            If `args` is no tuple.
        ShapeError
            If no tape is for their shapes; otherwise as `Tape.jvp`.
        """
        if not isinstance(args, tuple):
            raise FastgradTypeError(explain("a tuple", describe(args), "args of jvp"))
        return self.tape_of(*args).jvp(args, tangents, **options)

    def check(self, *args: Any) -> NonFinite | None:
        """Find the operation behind the first result that is nan or inf, as `Tape.check`.

        Raises
        ------
        ShapeError
            If no tape is for their shapes; otherwise as `Tape.check`.
        """
        return self.tape_of(*args).check(*args)


def record_each(
    function: Any,
    examples: Iterable[Any],
    *,
    strict: bool = False,
    parameters: Iterable[Value] = (),
) -> TapeFamily:
    """Record a function once for each shape among the examples, over the same parameters.

    Parameters
    ----------
    function : callable
        As for `record`.
    examples : iterable
        A tuple of arguments each; what is no tuple is the one argument. Those of a shape that has
        been met are passed over, so this may be the whole data set.
    strict, parameters
        As for `record`.

    Returns
    -------
    TapeFamily
        A tape for each shape, in the order of the examples. All have the same parameters: first
        those given, then the others in the order of their first use.

    Raises
    ------
    FastgradValueError
        If there is no example; otherwise as `record`.

    Notes
    -----
    Cost: that of `record` for each shape, and some microseconds for each other example. Where a
    later example is the first to use a Value that `parameters` does not list, the function runs
    again for the shapes before: their tapes get it as a parameter with a gradient of 0.

    Examples
    --------
    >>> import fastgrad as fg
    >>> w = fg.Value(2.0)
    >>> tapes = fg.record_each(lambda xs: sum(w * x for x in xs), [[1.0], [1.0, 2.0]])
    >>> tapes([5.0]), tapes([1.0, 2.0]), len(tapes)
    (10.0, 6.0, 2)
    """
    expected = "a list of Values, such as model.parameters()"
    shared = tuple(items_expect(parameters, expected, "parameters of record_each"))
    made: dict[tuple[Any, ...], tuple[tuple[Any, ...], Tape]] = {}
    for example in items_expect(examples, "a list of examples", "examples of record_each"):
        args = example if isinstance(example, tuple) else (example,)
        shapes = shapes_of(args)
        if shapes not in made:
            tape = record(function, *args, strict=strict, parameters=shared)
            made[shapes], shared = (args, tape), tape.captured
    if not made:
        where = "examples of record_each"
        raise FastgradValueError(explain("at least one example", "none", where))
    return TapeFamily(
        tape
        if len(tape.captured) == len(shared)
        else record(function, *args, strict=strict, parameters=shared)
        for args, tape in made.values()
    )


def _fits(given: Any, known: Any) -> bool:
    """Tell whether a shape is a known one, with one more axis for a batch or without."""
    if not (isinstance(given, tuple) and isinstance(known, tuple)) or given == known:
        return bool(given == known)
    if all(isinstance(extent, int) for extent in (*given, *known)):
        return bool(given[1:] == known)
    return len(given) == len(known) and all(map(_fits, given, known))


def _worded(shapes: tuple[Any, ...]) -> str:
    return ", ".join(map(str, shapes)) if len(shapes) != 1 else str(shapes[0])
