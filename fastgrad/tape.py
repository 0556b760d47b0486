"""Tapes: record a function of Values once, replay it natively, one sample or many."""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any, BinaryIO, SupportsIndex

from fastgrad import _derivatives, _random
from fastgrad._decisions import Decision, Recording, note_decisions
from fastgrad._native.base.errors import flag_expect, items_expect, whole_expect
from fastgrad._native.graph.engine import call_with_graph, numbers_of
from fastgrad._native.graph.recording import (
    call_unreported,
    leaf_mark_input,
    program_level,
    sources,
)
from fastgrad._native.tape import inspect as _inspect
from fastgrad._native.tape import parts as _parts
from fastgrad._native.tape.bind import Shape, expect_unmasked
from fastgrad._native.tape.program import structure
from fastgrad._native.tape.replay import SIMD
from fastgrad._native.tape.tape import TapeCore, set_elsewhere
from fastgrad._plain import call_plainly, is_close, is_same, kind_of, numbers_in
from fastgrad._shapes import extents_of, is_array
from fastgrad.engine import Value, svg_in_notebook, text_in_notebook
from fastgrad.errors import (
    FastgradAttributeError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    ShapeError,
    TapeError,
    describe,
    explain,
    printable,
    show,
    word_result,
)

__all__ = ["SIMD", "Decision", "NonFinite", "Tape", "compiled", "load_tape", "loads_tape", "record"]

_INSTEAD = "set the data of a parameter, or record again"
_ENDLESS = "lists and dicts inside each other that end", "one that holds itself, or too many levels"
_SHOWN = 40  # operations that print(tape) lists


@dataclass(frozen=True)
class NonFinite:
    """An operation that made nan or inf, in its result or its derivative: see `Tape.check`.

    Attributes
    ----------
    sample : int or None
        Which one of a batch; None if no argument had a batch axis.
    operation : str
        Its name in the table of operations, "dot", "take", or that of a custom operation; "" if an
        argument or a parameter is returned as it is.
    operands : tuple of float
        Their values, those of a sum or product in either order; of a dot the initial value, then
        each pair.
    result : float
        nan, inf or -inf: its result, or what its derivative times the adjoint gave.
    place : (file, line, function) or None
        What made it when the function was recorded, if that is known.
    in_derivative : bool
        Whether its derivative made it, where results are finite.
    """

    sample: int | None
    operation: str
    operands: tuple[float, ...]
    result: float
    place: tuple[str, int, str] | None
    in_derivative: bool = False

    def __str__(self) -> str:
        return word_result(*(getattr(self, field.name) for field in fields(self)))


class Parameters(list[Value]):
    """The parameters of a tape: a list to whoever reads it; what would change it raises."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (tuple(self),)  # a copy is anybody's


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        expected = "the parameters that the tape was recorded with"
        raise FastgradTypeError(
            explain(expected, f"a change by {name}", "parameters of a tape", _INSTEAD)
        )

    refuse.__name__ = name
    return refuse


for _name in (
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
    *("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"),
):
    setattr(Parameters, _name, _refusing(_name))


class Tape(TapeCore):
    """A function recorded by `record`: call it, differentiate it, train with it.

    Attributes
    ----------
    custom_operations : tuple of CustomOperation
        Those that a replay calls Python for. Batches then run sample by sample on one thread.
    parameters : list of Value
        Those that `record` was given, then the other Values that the function captured, in the
        order of their first use. They stay alive with the tape; their ``data`` is read at every
        call. The list itself cannot be changed.
    training : bool
        Whether calls drop what `dropout` and `nn.Dropout` drop: see `train`.
    generator : fastgrad.nn.init.Generator
        What dropouts draw from; what `fastgrad.manual_seed` seeds unless set.
    decisions : list of Decision
        What the recording has frozen, with its places; empty for a tape that follows its function
        everywhere. A file keeps them.

    Notes
    -----
    Every method takes the arguments that the function took, in the structure of the example. An
    array (or nested lists) with one more leading axis makes a batch of n samples; an argument
    without it is shared by the whole batch. Results are NumPy arrays where an argument was one,
    else floats and lists.

    A replay computes in IEEE arithmetic: where the eager engine raises (1/0, exp(1000)), it goes on
    with inf and nan; `check` finds where they came from. A tape with `decisions` raises
    NonFiniteError instead. Values have the bits that the eager engine gives. Calls at the same time
    from several threads are safe; batches release the GIL.

    A tape is pickled as its file's bytes and its parameters, so Values that it shares with a model
    in the same pickle stay shared. `copy.copy` has the same parameters, `copy.deepcopy` its own.
    """

    def __init__(
        self,
        inputs: list[Value],
        outputs: list[Value],
        arguments: list[Any],
        result: Any,
        name: str,
        names: list[str],
        parameters: tuple[Value, ...] = (),
        hidden: _random.HiddenInputs | None = None,
    ) -> None:
        hidden = hidden or _random.HiddenInputs()
        inputs = inputs + hidden.values
        super().__init__(inputs, outputs, arguments, result, parameters, hidden.dropouts)
        self.name, self.names = name, names

    @property
    def parameters(self) -> list[Value]:
        """The Values that the function captured: a list that cannot be changed."""
        if self.listed is None:
            self.listed = Parameters(self.captured or ())
        return self.listed

    @parameters.setter
    def parameters(self, _: Any) -> None:
        expected = "the parameters that the tape was recorded with"
        raise FastgradAttributeError(explain(expected, "others", "parameters of a tape", _INSTEAD))

    def _new(self, sparse: bool) -> Tape:
        """Return an empty tape, for a derivative."""
        return SparseTape.__new__(SparseTape) if sparse else Tape.__new__(Tape)

    @property
    def inputs(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each argument, or of each array of numbers in it."""
        return [(shape.name, shape.shape) for shape in _inspect.shapes(self)]

    @property
    def generator(self) -> _random.Generator:
        """What dropouts draw from: the generator of `fastgrad.manual_seed` unless set."""
        return getattr(self, "_generator", _random.default_generator)

    @generator.setter
    def generator(self, generator: _random.Generator) -> None:
        if not isinstance(generator, _random.Generator):
            expected = "a fastgrad.nn.init.Generator"
            raise FastgradTypeError(explain(expected, describe(generator), "generator of a tape"))
        self._generator = generator

    def train(self, mode: bool = True) -> Tape:
        """Let calls drop what the function's dropouts drop, or with False nothing.

        Parameters
        ----------
        mode : bool
            Whether they do.

        Returns
        -------
        Tape
            This one.

        Raises
        ------
        FastgradTypeError
            If `mode` is no bool.

        Notes
        -----
        A call takes as many numbers of calls from `generator` as the function's dropouts do, and a
        sample draws by its number in the batch: the same seed, the same masks, for any number of
        threads. `fit` draws by its own seed and the number of the step. What a model's `train` and
        `eval` set counts when it is recorded.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x: fg.functional.dropout(x, p=0.5), [1.0, 2.0, 3.0])
        >>> _ = fg.manual_seed(0)
        >>> tape([1.0, 2.0, 3.0]), tape.eval()([1.0, 2.0, 3.0])
        ([0.0, 4.0, 6.0], [1.0, 2.0, 3.0])
        """
        self.training = flag_expect(mode, "mode of train")
        return self

    def eval(self) -> Tape:
        """Let calls drop nothing: the same as ``train(False)``."""
        return self.train(False)

    def hidden_inputs(self) -> list[Value]:
        """Return what dropouts multiply with where another tape's function calls this one."""
        return [value for p, n in _inspect.dropouts(self) for value in _random.factors(p, n)]

    def stats(self) -> dict[str, int]:
        """Count what became of the function.

        Returns
        -------
        dict
            ``recorded`` (operations that its results need), ``operations`` (after constants were
            folded, duplicates and dead work dropped, sums of products joined), ``dots`` (such
            sums), ``inputs``, ``drawn`` (factors of dropouts), ``parameters``, ``constants``; and
            for a call where every argument has a batch axis ``hoisted`` (operations done once a
            call), ``steps`` (of a block of samples), ``layers``, ``block`` (samples in a block).
        """
        inputs, parameters, constants, operations, recorded, dots = _inspect.sizes(self)
        plan = _inspect.plan(self, b"\1" * inputs)
        drawn = sum(n for _, n in _inspect.dropouts(self))
        return {
            "recorded": recorded,
            "operations": operations,
            "dots": dots,
            "inputs": inputs - drawn,
            "drawn": drawn,
            "parameters": parameters,
            "constants": constants,
            "hoisted": plan["uniform"],
            "steps": plan["steps"],
            "layers": plan["layers"],
            "block": plan["block"],
        }

    def grad_tape(self, wrt: Any = "inputs", value: bool = False) -> Tape:
        """Return the gradient as a tape: to call, to batch, to save, to differentiate again.

        Parameters
        ----------
        wrt : str, int, Value, or a list or tuple of these
            What the gradient is in, as for `value_and_grad`.
        value : bool
            Give ``(value, gradient)`` instead of the gradient alone.

        Returns
        -------
        Tape
            Of the same arguments and parameters; its result has the structure of that gradient. It
            is kept, and counted by ``nbytes``: the next call gives the same one.

        Raises
        ------
        TapeError
            If the function's result is not one Value.
        DerivativeError
            If an operation has no derivative that a tape can hold: one of `fastgrad.custom`, the
            fourth derivative of lgamma. Or the derivative is too long.
        FastgradValueError
            If `wrt` names nothing, or something twice.

        Notes
        -----
        One sample's gradient has the bits that `value_and_grad` gives. Of a batch, each sample has
        its own: for sums over a batch, by parameters, `backward` and `value_and_grad` are faster.
        Cost: some 200 nanoseconds an operation, once.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x: x**3, 1.0)
        >>> slope = tape.grad_tape(wrt=0)
        >>> slope(2.0), slope.grad_tape(wrt=0)(2.0)
        (12.0, 12.0)
        """
        made: Tape = _derivatives.grad_tape(self, wrt, value)
        return made

    def jvp_tape(self, wrt: Any = "inputs") -> Tape:
        """Return the derivative in a direction as a tape: forward mode.

        Parameters
        ----------
        wrt : str, int, Value, or a list or tuple of these
            What changes, as for `jvp`.

        Returns
        -------
        Tape
            Called with the arguments, then their tangents, one for each: with another `wrt` than
            "inputs" one, of the structure of that gradient. It gives ``(result, derivative)``, as
            `jvp` does.

        Raises
        ------
        DerivativeError, FastgradValueError
            As for `grad_tape`.

        Examples
        --------
        >>> import fastgrad as fg
        >>> fg.record(lambda x, y: x * y, 0.0, 0.0).jvp_tape()(3.0, 5.0, 1.0, 0.0)
        (15.0, 5.0)
        """
        made: Tape = _derivatives.jvp_tape(self, wrt)
        return made

    def vjp_tape(self, wrt: Any = "inputs") -> Tape:
        """Return the gradient of a weighted sum of the results as a tape: reverse mode.

        Parameters
        ----------
        wrt : str, int, Value, or a list or tuple of these
            What the gradient is in, as for `value_and_grad`.

        Returns
        -------
        Tape
            Called with the arguments, then one of the structure of the result, the weights. It
            gives the gradient.

        Raises
        ------
        DerivativeError, FastgradValueError
            As for `grad_tape`.

        Examples
        --------
        >>> import fastgrad as fg
        >>> fg.record(lambda x: [x, x**2], 0.0).vjp_tape(wrt=0)(3.0, [1.0, 10.0])
        61.0
        """
        made: Tape = _derivatives.vjp_tape(self, wrt)
        return made

    def hvp_tape(self, wrt: Any = "inputs") -> Tape:
        """Return the product of the Hessian and a direction as a tape.

        Parameters
        ----------
        wrt : str, int, Value, or a list or tuple of these
            What the Hessian is by, as for `value_and_grad`.

        Returns
        -------
        Tape
            Called as `jvp_tape`'s; it gives the product alone, in the structure of the gradient.

        Raises
        ------
        TapeError, DerivativeError, FastgradValueError
            As for `grad_tape`.

        Notes
        -----
        A call costs a few gradients, whatever the number of arguments.

        Examples
        --------
        >>> import fastgrad as fg
        >>> fg.record(lambda x, y: x * x * y, 0.0, 0.0).hvp_tape()(3.0, 5.0, 1.0, 0.0)
        (10.0, 6.0)
        """
        made: Tape = _derivatives.hvp_tape(self, wrt)
        return made

    def hessian_tape(self, wrt: Any = 0, sparse: bool = False) -> Tape:
        """Return the matrix of second derivatives as a tape.

        Parameters
        ----------
        wrt : str, int or Value
            By which one argument or parameter, or "parameters".
        sparse : bool
            Give the entries alone that are not 0 whatever the arguments: a SparseTape. Needs NumPy.

        Returns
        -------
        Tape
            Of the same arguments; its result has the shape of `wrt` twice, and is symmetric to the
            bit.

        Raises
        ------
        TapeError, DerivativeError, FastgradValueError
            As for `grad_tape`.
        ShapeError
            If `wrt` names several arrays.

        Notes
        -----
        Entries that are 0 whatever the arguments cost nothing but their place in the result. What
        two entries have in common is computed once.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x: x[0] * x[0] * x[1], [0.0, 0.0])
        >>> tape.hessian_tape()([3.0, 5.0])
        [[10.0, 6.0], [6.0, 0.0]]
        """
        if flag_expect(sparse, "sparse of hessian_tape"):
            few: Tape = _derivatives.sparse_hessian_tape(self, wrt)
            return few
        made: Tape = _derivatives.hessian_tape(self, wrt)
        return made

    def jacobian_tape(self, wrt: Any = 0, mode: str = "auto", sparse: bool = False) -> Tape:
        """Return the derivatives of all results as a tape.

        Parameters
        ----------
        wrt : str, int or Value
            By which one argument or parameter, or "parameters".
        mode : "auto", "forward" or "reverse"
            From inputs to results, from results to inputs; "auto" takes what has fewer passes.
        sparse : bool
            As for `hessian_tape`; the result must be one flat array.

        Returns
        -------
        Tape
            Of the same arguments. Its result has the structure of the result, and in place of each
            number an array of the shape of `wrt`.

        Raises
        ------
        DerivativeError, FastgradValueError
            As for `grad_tape`, and for another `mode`.
        ShapeError
            If `wrt` names several arrays.

        Examples
        --------
        >>> import fastgrad as fg
        >>> tape = fg.record(lambda x: [x[0] * x[1], x[0] + x[1]], [0.0, 0.0])
        >>> tape.jacobian_tape()([3.0, 5.0])
        [[5.0, 3.0], [1.0, 1.0]]
        """
        if flag_expect(sparse, "sparse of jacobian_tape"):
            few: Tape = _derivatives.sparse_jacobian_tape(self, wrt, mode)
            return few
        made: Tape = _derivatives.jacobian_tape(self, wrt, mode)
        return made

    def grad(self, x: Any, *args: Any) -> Any:
        """Return the gradient by the first argument, as in ``minimize(tape, x0, jac=tape.grad)``.

        Parameters
        ----------
        x : array or list of n numbers
            The first argument.
        *args
            The other arguments.

        Returns
        -------
        array or list of n numbers

        Raises
        ------
        ShapeError
            If the first argument is no flat array or list, or there is a batch: see `grad_tape`.
        TapeError
            If the function's result is not one Value.

        Notes
        -----
        Cost: that of `value_and_grad`, whose bits it has.
        """
        _derivatives.flat_expect(self, "grad")
        value, gradient = self.value_and_grad(x, *args, reduce=None, wrt=0)
        return _derivatives.one_sample(gradient if isinstance(value, float) else [value], 1, "grad")

    def hvp(self, x: Any, p: Any, *args: Any) -> Any:
        """Return the Hessian by the first argument times p: ``minimize(..., hessp=tape.hvp)``.

        Parameters
        ----------
        x, p : array or list of n numbers
            The first argument, and a direction.
        *args
            The other arguments.

        Returns
        -------
        array or list of n numbers

        Raises
        ------
        ShapeError, TapeError
            As for `grad`.
        DerivativeError
            As for `hvp_tape`.
        """
        _derivatives.flat_expect(self, "hvp")
        return _derivatives.one_sample(self.hvp_tape(wrt=0)(x, *args, p), 1, "hvp")

    def hessian(self, x: Any, *args: Any, sparse: bool = False) -> Any:
        """Return the Hessian by the first argument: ``minimize(..., hess=tape.hessian)``.

        Parameters
        ----------
        x : array or list of n numbers
            The first argument.
        *args
            The other arguments.
        sparse : bool
            Give a matrix of scipy.sparse.

        Returns
        -------
        n x n array, or lists

        Raises
        ------
        ShapeError, TapeError
            As for `grad`.
        DerivativeError
            As for `hessian_tape`.
        """
        _derivatives.flat_expect(self, "hessian")
        matrix = self.hessian_tape(wrt=0, sparse=sparse)(x, *args)
        return _derivatives.one_sample(matrix, 2, "hessian")

    def jacobian(self, x: Any, *args: Any, sparse: bool = False) -> Any:
        """Return the Jacobian by the first argument: ``least_squares(.., jac=tape.jacobian)``.

        Parameters
        ----------
        x : array or list of n numbers
            The first argument.
        *args
            The other arguments.
        sparse : bool
            Give a matrix of scipy.sparse.

        Returns
        -------
        m x n array, or lists

        Raises
        ------
        ShapeError
            As for `grad`, and if the result is not one array or list of m numbers.
        DerivativeError
            As for `jacobian_tape`.
        """
        _derivatives.flat_expect(self, "jacobian", of_array=True)
        matrix = self.jacobian_tape(wrt=0, sparse=sparse)(x, *args)
        return _derivatives.one_sample(matrix, 2, "jacobian")

    def constraint_hessian(self, x: Any, v: Any, *args: Any) -> Any:
        """Return the Hessian of the results' sum weighted by v: `NonlinearConstraint(..., hess=)`.

        Parameters
        ----------
        x : array or list of n numbers
            The first argument.
        v : array or list of m numbers
            The weights.
        *args
            The other arguments.

        Returns
        -------
        n x n array, or lists

        Raises
        ------
        ShapeError, DerivativeError
            As for `jacobian`.
        """
        _derivatives.flat_expect(self, "constraint_hessian", of_array=True)
        matrix = self.vjp_tape(wrt=0).jacobian_tape(wrt=0)
        return _derivatives.one_sample(matrix(x, *args, v), 2, "constraint_hessian")

    def dumps(self) -> bytes:
        """Return the bytes that `save` writes, which `loads_tape` reads.

        Returns
        -------
        bytes
            The same for the same tape.

        Raises
        ------
        TapeError, FastgradTypeError, FastgradValueError
            As for `save`.

        Notes
        -----
        Cost: the size of its file, some 30 bytes an operation, and a checksum.

        Examples
        --------
        >>> import fastgrad as fg
        >>> data = fg.record(lambda x: 3 * x, 1.0).dumps()
        >>> fg.loads_tape(data)(2.0)
        6.0
        """
        from fastgrad.files import tape_file

        return tape_file.dumped(self, "dumps")

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the tape to a file, which `load_tape` reads.

        Parameters
        ----------
        path : str, path or file
            A path is replaced when the whole file has been written. To a file that is open for
            bytes they are written where it stands.

        Raises
        ------
        TapeError
            If the tape has custom operations: they are Python, and a file holds no code. Pickle it.
        FastgradTypeError
            If dicts among the arguments or the result have keys that are not text, 64-bit integers,
            bool or None; if `path` is neither a path nor a file for bytes.
        FastgradValueError
            If arguments or the result have more than 64 levels of nesting.
        OSError
            If the file cannot be written.

        Notes
        -----
        The file holds operations, constants, the parameters' data and `decisions`, no gradient and
        no code. The
        same tape gives the same bytes. Its container is safetensors; docs/tape-format.md
        documents it.
        """
        from fastgrad.files import tape_file

        tape_file.save(self, path)

    def group_starts(self, *args: Any, of: int, wrt: Any = "parameters") -> list[int]:
        """Say how a batch is divided into groups, which may be run apart.

        Parameters
        ----------
        *args
            As for `value_and_grad`, with any number of samples: which arguments have a batch axis
            decides.
        of : int
            Samples of the whole batch.
        wrt
            As for `value_and_grad`.

        Returns
        -------
        list of int
            The first sample of each group, and `of` at the end.

        Raises
        ------
        ShapeError
            If no argument has a batch axis.
        TapeError
            If the tape's result is not one Value, or it has custom operations.
        FastgradTypeError, FastgradValueError
            If `of` is no integer, or less than 1.

        Notes
        -----
        At most 4,096, fewer where their sums would take more than 32 MB. They follow from the tape
        and the number of samples alone.
        """
        return _parts.starts(self, args, _expect_of(of), wrt)

    def partial_sums(
        self,
        *args: Any,
        groups: range,
        of: int,
        reduce: str = "mean",
        wrt: Any = "parameters",
        threads: int = 1,
    ) -> Any:
        """Run some groups of a batch, here or elsewhere, for `finish` to make its gradient of.

        Parameters
        ----------
        *args
            As for `value_and_grad`, of the groups' samples only: see `group_starts`.
        groups : range
            Of the groups' numbers.
        of : int
            Samples of the whole batch.
        reduce, wrt, threads
            As for `value_and_grad`.

        Returns
        -------
        list or array
            A row for each group: the sum of its results, then what its samples add to the adjoints
            that they share.

        Raises
        ------
        ShapeError
            If the arguments do not have the groups' samples.
        FastgradTypeError, FastgradValueError
            If `groups` is no range of groups, `of` no number of samples, or `reduce` neither "mean"
            nor "sum".
        TapeError
            As for `group_starts`.
        FastgradIndexError
            If an index of `take` names no entry; the message has the sample's number in the whole.

        Notes
        -----
        Gradients of parts would not do: their sum has other bits, and what is done once a call
        would be done once a part. A row depends on tape, parameters and samples only, never on
        machine, threads or the other groups.

        Examples
        --------
        >>> import fastgrad as fg
        >>> w = fg.Value(2.0)
        >>> tape = fg.record(lambda x: (w * x) ** 2, 1.0)
        >>> x = [0.5 * i for i in range(1000)]
        >>> starts = tape.group_starts(x[:1], of=1000)
        >>> parts = [
        ...     tape.partial_sums(x[a:b], groups=range(i, i + 1), of=1000)
        ...     for i, (a, b) in enumerate(zip(starts, starts[1:]))
        ... ]
        >>> tape.finish(parts, of=1000) == tape.value_and_grad(x)
        True
        """
        if type(groups) is not range or groups.step != 1:
            expected = "a range of numbers of groups"
            raise FastgradTypeError(explain(expected, describe(groups), "groups of partial_sums"))
        rows, width, arrays = _parts.sums(
            self, args, groups.start, groups.stop, _expect_of(of), _expect_reduce(reduce), wrt,
            threads, None, False,
        )  # fmt: skip
        if arrays:
            import numpy as np

            return np.frombuffer(rows).reshape(-1, width)
        numbers = array("d", rows).tolist()
        return [numbers[i : i + width] for i in range(0, len(numbers), width)]

    def finish(
        self, parts: Any, *args: Any, of: int, reduce: str = "mean", wrt: Any = "parameters"
    ) -> Any:
        """Make the value and the gradient of a batch of what its groups gave.

        Parameters
        ----------
        parts : list or array
            Rows of all groups in their order, or a list of what `partial_sums` gave of them, in the
            order of the groups.
        *args
            As for the parts, with any number of samples, of which none is read. They may be left
            out where each argument has a batch axis.
        of : int
            Samples of the whole batch.
        reduce, wrt
            As for the parts.

        Returns
        -------
        (value, gradient)
            With the bits that ``value_and_grad`` of the whole batch gives.

        Raises
        ------
        ShapeError
            If there are not as many rows as groups, or they are of another tape.
        FastgradTypeError, FastgradValueError
            If parts are no numbers; `of` or `reduce` as for `partial_sums`; or `wrt` names an
            argument with a batch axis.
        TapeError
            As for `group_starts`.

        Notes
        -----
        Cost: an addition for each number in `parts`, and what is done once a call. The parameters
        must have the data that they had for the parts.
        """
        of, mean = _expect_of(of), _expect_reduce(reduce)
        rows = _doubles(parts)
        arrays = hasattr(parts, "ndim") or bool(len(parts) and hasattr(parts[0], "ndim"))
        args = args or tuple(_zeros(spec, arrays) for spec in structure(self)[0])
        n = len(_parts.starts(self, args, of, wrt)) - 1
        return _parts.finish(self, args, [(0, n, rows, False)], of, mean, wrt, None, False)

    def to_c(
        self,
        path: str | os.PathLike[str],
        header: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Write the tape as C99: its value, and where that is one number its gradient.

        Parameters
        ----------
        path : str or path
            Of the C file; ``fastgrad_functions.h`` is written beside it, where the tape has
            elementary functions.
        header : str or path, optional
            Of the header, which says how to call it; by default beside `path`, with ``.h``.
        name : str, optional
            Of the functions, ``<name>`` and ``<name>_gradient``; the file's unless given.

        Raises
        ------
        TapeError
            If the tape calls Python or draws random numbers.
        FastgradValueError
            If `name` is no name in C, or the header's would end an ``#include``.
        OSError
            If a file cannot be written.

        Notes
        -----
        Compiled with ``-ffp-contract=off`` it has the bits of a call and of `value_and_grad`, needs
        nothing but C's own math library (sqrt, fabs, floor), and keeps no state. Operations that
        are alike are loops over arrays, as layers are. `fastgrad.compiled` builds and calls it.
        Cost: a second for 50,000 operations; the gradient doubles to triples the text.

        Examples
        --------
        >>> import fastgrad as fg, pathlib, tempfile
        >>> code = pathlib.Path(tempfile.mkdtemp()) / "f.c"
        >>> fg.record(lambda a, b: a * b + 1, 2.0, 3.0).to_c(code)
        >>> print(*[line for line in code.read_text().splitlines() if "v1 =" in line][:1])
            const double v1 = v0 + 1.0;
        """
        from pathlib import Path

        from fastgrad.c_source.text import source_for

        code = Path(path)
        beside = Path(header) if header is not None else code.with_suffix(".h")
        source = source_for(self, code.stem if name is None else name, beside.name, "to_c")
        source.write(code, beside)

    def check(self, *args: Any) -> NonFinite | None:
        """Find the operation behind the first result that is nan or inf, or the first gradient.

        Parameters
        ----------
        *args
            As for a call; a Value counts as its number.

        Returns
        -------
        NonFinite or None
            For the first sample with such a result, the first operation that made nan of numbers
            that were none; of no nan, that made inf. Where results are finite and a derivative in a
            parameter or an argument is not: the operation whose derivative made it. None if all are
            finite.

        Notes
        -----
        An inf or nan that no result shows, in a branch that `where` has not chosen, is no fault.
        Cost: replays of each sample by itself, one for results, two for gradients. ``check=True``
        of a call, `backward` and `value_and_grad` does this first for what they return, and raises
        NonFiniteError.
        """
        found = _inspect.first_nonfinite(self, args, "parameters", "inputs")
        return None if found is None else NonFinite(*found)

    def __reduce__(self) -> tuple[Any, ...]:
        from fastgrad.files import tape_file

        parts: tuple[Any, ...] = (tape_file.packed(self), list(self.parameters))
        if self.custom_operations:
            parts = (*parts, self.custom_operations)
        return (loads_tape, parts, vars(self)) if vars(self) else (loads_tape, parts)

    _repr_svg_ = svg_in_notebook
    _repr_text_ = text_in_notebook

    def __repr__(self) -> str:
        _, parameters, _, operations, recorded, _ = _inspect.sizes(self)
        arguments = ", ".join(
            f"{name}{list(shape) if shape else ''}" for name, shape in self.inputs
        )
        drawn = sum(n for _, n in _inspect.dropouts(self))
        return printable(
            f"<tape of {self.name}({arguments}): {operations} operations for {recorded}, "
            f"{parameters} parameters{f', {drawn} factors drawn' if drawn else ''}>"
        )

    def __str__(self) -> str:
        lines = [repr(self)[1:-1]]
        count = len(self)
        lines += [
            f"  dropout{i}: {n} factors, 0 with probability {p:g}"
            for i, (p, n) in enumerate(_inspect.dropouts(self)[:_SHOWN])
        ]
        lines += [f"  {self._line(i)}" for i in range(min(count, _SHOWN))]
        if count > _SHOWN:
            lines.append(f"  ... {count - _SHOWN} more")
        lines.append(f"  return {', '.join(map(self._slot, _inspect.outputs(self)))}")
        return "\n".join(lines)

    def _line(self, i: int) -> str:
        inputs, parameters, constants, *_ = _inspect.sizes(self)
        name, slots, _ = _inspect.operation(self, i)
        shown = [self._slot(slot) for slot in slots]
        if name == "dot" and len(shown) > 7:
            shown[7:] = [f"... {len(shown) - 7} more"]
        return f"{self._slot(inputs + parameters + constants + i)} = {name}({', '.join(shown)})"

    def _slot(self, slot: int) -> str:
        inputs, parameters, constants, *_ = _inspect.sizes(self)
        if slot < inputs:
            return self._input(slot)
        slot -= inputs
        if slot < parameters:
            return f"p{slot}"
        slot -= parameters
        return f"{_inspect.constant(self, slot):g}" if slot < constants else f"v{slot - constants}"

    def _input(self, slot: int) -> str:
        shapes = _inspect.shapes(self)
        shape = next((s for s in shapes if s.start <= slot < s.start + s.size), None)
        if shape is None:
            return self._factor(slot - sum(s.size for s in shapes))
        place, indices = slot - shape.start, []
        for extent in reversed(shape.shape):
            place, index = divmod(place, extent)
            indices.append(f"[{index}]")
        return printable(shape.name) + "".join(reversed(indices))

    def _factor(self, place: int) -> str:
        dropout, sizes = 0, [n for _, n in _inspect.dropouts(self)]
        while place >= sizes[dropout]:
            place -= sizes[dropout]
            dropout += 1
        return f"dropout{dropout}[{place}]"


def _elsewhere(*args: Any, **how: Any) -> Any:
    from fastgrad.parallel import run

    return run(*args, **how)


set_elsewhere(_elsewhere)


class SparseTape(Tape):
    """The entries of a sparse matrix as a tape: see `Tape.hessian_tape`, `Tape.jacobian_tape`.

    Attributes
    ----------
    pattern : (array, array)
        Rows and columns of the entries, in their order.
    shape : (int, int)
        Of the matrix.
    colours : array of int
        Of its columns, or of its rows where results are fewer: those of one colour are computed in
        one pass.
    n_colours : int
        Passes.

    Notes
    -----
    A call gives a matrix of scipy.sparse, without SciPy its entries; for a batch of n samples the
    entries of each, (n, entries). Values give Values. A file holds the entries' tape alone.
    """

    pattern: tuple[Any, Any]
    shape: tuple[int, int]
    colours: Any
    n_colours: int

    def __call__(self, *args: Any, **how: Any) -> Any:
        """Return the matrix at one sample, or the entries for each sample of a batch.

        Parameters
        ----------
        *args, **how
            As for `Tape`.

        Returns
        -------
        scipy.sparse.csr_array, or array or list of entries
        """
        entries = super().__call__(*args, **how)
        if not isinstance(entries[0], float):
            return entries
        try:
            from scipy.sparse import csr_array
        except ImportError:
            return entries
        return csr_array((entries, self.pattern), shape=self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _sparse_loads, (super().__reduce__()[1], vars(self))


def _sparse_loads(parts: tuple[Any, ...], state: dict[str, Any]) -> SparseTape:
    """Return a sparse tape from what its pickle holds."""
    from fastgrad.files import tape_file

    data, parameters, *operations = parts
    tape = SparseTape.__new__(SparseTape)
    found = tape_file.loads(tape, data, parameters, custom_operations=tuple(*operations))
    vars(_named(tape, *found)).update(state)
    return tape


def record(
    function: Callable[..., Any],
    *example: Any,
    strict: bool = False,
    parameters: Iterable[Value] = (),
    check_at: Sequence[Any] = (),
) -> Tape:
    """Run a function once on Values shaped like the example, and keep what it did as a tape.

    Parameters
    ----------
    function : callable
        Ordinary code on Values. Python control flow is recorded as it went for the example.
    *example
        One for each argument: a number, a NumPy array, or lists, tuples and dicts of them.
        Rectangular nested lists of numbers count as one array.
    strict : bool
        Raise TapeError where something is frozen for the example, instead of a FastgradWarning at
        the end that lists all places: a recorded Value in ``if``, ``==`` or ``in``, ``float()``,
        ``.data``, as an index or a key, a captured one read so; an argument asked whether it is a
        float; random numbers from Python's or NumPy's global generator.
    parameters : iterable of Value
        The first of ``tape.parameters``, in this order, used or not: those of a model, so that the
        order of its gradient is the model's. Others that the function captures follow, in the order
        of their first use.
    check_at : sequence of tuple
        Further arguments, for one sample, at which the tape must give what the function gives: on
        Values bit by bit, and on plain numbers, unless it raises there, to a relative 1e-6. What is
        no tuple is the one argument.

    Returns
    -------
    Tape

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If one of `parameters` is no Value, the result of an operation, an argument, or there twice.
    TapeError
        If the result is no Value (or nested lists, tuples, dicts of Values), or an operation has a
        ``_backward`` written by hand. With `strict` where something is frozen, and with `check_at`
        where tape and function differ, or the function raises.
    ShapeError
        If arguments in `check_at` are not of the example's structure.

    Notes
    -----
    Cost: the function itself, and some 100 ns for each operation. Each entry of `check_at` runs the
    function twice.

    Examples
    --------
    >>> import fastgrad as fg
    >>> tape = fg.record(lambda x, y: (x * y + x).tanh(), 0.5, 2.0)
    >>> tape(0.0, 1.0)
    0.0
    >>> tape.value_and_grad(0.0, 1.0, wrt="inputs")
    (0.0, (2.0, 0.0))
    """
    fixed = _listed(parameters, "Values, such as model.parameters()", "parameters of record")
    points = _listed(check_at, "arguments, a tuple for each point", "check_at of record")
    strict = flag_expect(strict, "strict of record")
    if not callable(function):
        raise FastgradTypeError(explain("a function", describe(function), "function of record"))
    name = getattr(function, "__name__", type(function).__name__)
    names = _argument_names(function, len(example))
    _name_clashes(names)
    try:
        inputs, specs, arguments = _inputs(example, names)
    except RecursionError:
        raise FastgradTypeError(explain(*_ENDLESS, "example of record")) from None
    outputs: list[Value] = []
    with Recording(name, strict) as recording:
        result = _called(function, *arguments)
        recording.function_returned()
        try:
            returned = _result(result, "result", outputs)
        except RecursionError:
            raise TapeError(explain(*_ENDLESS, "result of the recorded function")) from None
        del result
        tape = Tape(inputs, outputs, specs, returned, name, names, fixed, recording.hidden)
        tape.places = sources()[1:]
        tape.eval()  # as the function ran
    data = numbers_of(tuple(outputs))
    n_inputs = len(inputs)
    del inputs, arguments, outputs
    try:
        _compare(tape, "the example", call_unreported(tape, example), data)
        for i, point in enumerate(points):
            args = point if isinstance(point, tuple) else (point,)
            _check_at(tape, function, args, f"check_at[{i}]", n_inputs)
    except TapeError as error:
        note_decisions(error, recording.decisions())
        raise
    tape.decisions = recording.decisions()
    recording.warn(tape.decisions)
    return tape.train()


def compiled(tape: Tape, *, cache: str | os.PathLike[str] | None = None) -> Tape:
    """Return a tape whose single samples run as C, compiled for this machine.

    Parameters
    ----------
    tape : Tape
        As it is then; the result shares its parameters.
    cache : path, optional
        Folder for what is compiled; by default ``fastgrad`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
        It is made if it is not there, for its owner alone.

    Returns
    -------
    Tape
        Gives the same bits. Calls, gradients and `fit` with one sample run the compiled code;
        batches and `jvp` are replayed, as are samples where the code has no result, for the error.

    Raises
    ------
    TapeError
        If the tape calls Python or draws random numbers; if there is no compiler, or it fails; if
        others may write to the cache.
    OSError
        If the cache cannot be written.

    Notes
    -----
    Cost: that of the compiler, 0.1 to some 10 s for 10,000 operations, once for each text: a later
    call finds the code by the hash of its text, of the compiler's name and flags. The compiler is
    ``$CC`` or cc, run without a shell. What it has made is code, which this process runs: hence the
    rule about the folder.

    Examples
    --------
    >>> import fastgrad as fg
    >>> quick = fg.compiled(fg.record(lambda x: x**3, 2.0))  # doctest: +SKIP
    >>> quick.value_and_grad(2.0, wrt="inputs")  # doctest: +SKIP
    (8.0, (12.0,))
    """
    from fastgrad.c_source.build import compile_singles

    made = copy.copy(tape)
    compile_singles(made, cache)
    return made


def tape_of_run(function: Callable[..., Any], example: tuple[Any, ...], named: Any) -> Tape:
    """Return the tape of one run, for use at this example: what it decides is not looked at.

    Parameters
    ----------
    function : callable
        What is run, also under no_grad.
    example : tuple
        Its arguments, of numbers.
    named : object
        What gives the tape's name, and those of its arguments.
    """
    names = _argument_names(named, len(example))
    inputs, specs, arguments = _inputs(example, names)
    outputs: list[Value] = []
    result = call_with_graph(_called, (function, *arguments))
    returned = _result(result, "result", outputs)
    name = getattr(named, "__name__", type(named).__name__)
    return Tape(inputs, outputs, specs, returned, name, names)


def load_tape(
    path: str | os.PathLike[str] | BinaryIO, parameters: Sequence[Value] | None = None
) -> Tape:
    """Read a tape that `Tape.save` wrote.

    Parameters
    ----------
    path : str, path or file
        What `Tape.save` wrote. A file that is open for bytes is read to its end, which must be that
        of the tape.
    parameters : sequence of Value, optional
        Values to become the tape's parameters, in the order of ``tape.parameters`` when it was
        saved. Their data are set from the file, once all of it has been checked. New Values unless
        given.

    Returns
    -------
    Tape

    Raises
    ------
    FileFormatError
        If the file is no tape, damaged, or of another version; the message names the part.
    OSError
        If it cannot be read.
    ShapeError
        If there are more or fewer parameters than in the file.
    FastgradTypeError
        If one is no Value, or the result of an operation; if `path` is neither a path nor a file
        for bytes.

    Notes
    -----
    Nothing in a file is ever executed, and no more memory is used than a fixed multiple of its
    size, so a file may come from anywhere.

    Examples
    --------
    >>> import fastgrad as fg
    >>> w = fg.Value(3.0)
    >>> fg.record(lambda x: x * w, 1.0).save("triple.tape")  # doctest: +SKIP
    >>> tape = fg.load_tape("triple.tape")  # doctest: +SKIP
    >>> tape(2.0), tape.parameters  # doctest: +SKIP
    (6.0, [Value(data=3.0, grad=0.0)])
    """
    from fastgrad.files import tape_file

    tape = Tape.__new__(Tape)
    return _named(tape, *tape_file.load(tape, path, parameters))


def loads_tape(
    data: bytes,
    parameters: Sequence[Value] | None = None,
    custom_operations: Sequence[Any] = (),
) -> Tape:
    """Return a tape from the bytes of its file; unpickling a tape calls this.

    Parameters
    ----------
    data : bytes
        What `Tape.dumps` gives.
    parameters : sequence of Value, optional
        As for `load_tape`.
    custom_operations : sequence of CustomOperation, optional
        Those of the tape, which only its pickle has.

    Returns
    -------
    Tape

    Raises
    ------
    FileFormatError, ShapeError
        As for `load_tape`.
    FastgradTypeError
        If data are no bytes, or one of the operations is none; otherwise as for `load_tape`.

    Notes
    -----
    The bytes may come from anywhere, a pickle may not: it can run any program.
    """
    from fastgrad.files import tape_file
    from fastgrad.operations import CustomOperation

    if not isinstance(data, bytes):
        got = describe(data)
        raise FastgradTypeError(explain("bytes", got, "data of loads_tape"))
    operations = _listed(custom_operations, "custom operations", "loads_tape")
    for operation in operations:
        if not isinstance(operation, CustomOperation):
            got = describe(operation)
            raise FastgradTypeError(explain("custom operations", got, "loads_tape"))
    tape = Tape.__new__(Tape)
    return _named(tape, *tape_file.loads(tape, data, parameters, custom_operations=operations))


def _named(
    tape: Tape,
    name: str,
    names: list[str],
    places: list[tuple[str, int, str]],
    decisions: list[tuple[Any, ...]],
) -> Tape:
    """Give a tape what its file says for people."""
    tape.name, tape.names, tape.places = name, names, places
    tape.decisions = [Decision(*decision) for decision in decisions]
    return tape


def _expect_of(of: Any) -> int:
    """Return the number of samples of a whole batch."""
    expected, where = "a number of samples, at least 1", "of"
    if not hasattr(type(of), "__index__"):
        raise FastgradTypeError(explain(expected, describe(of), where))
    found = whole_expect(of, expected, where)
    if not 1 <= found < 1 << 62:
        raise FastgradValueError(explain(expected, show(of), where))
    return found


def _expect_reduce(reduce: Any) -> bool:
    """Tell "mean" from "sum"."""
    if not isinstance(reduce, str) or reduce not in ("mean", "sum"):
        raise FastgradValueError(explain('"mean" or "sum"', show(reduce), "reduce"))
    return reduce == "mean"


def _doubles(parts: Any) -> bytes:
    """Return the numbers of nested lists and arrays, 8 bytes each."""
    if hasattr(parts, "ndim"):
        import numpy as np

        return np.ascontiguousarray(parts, np.float64).tobytes()
    try:
        if len(parts) and not isinstance(parts[0], list | tuple) and not hasattr(parts[0], "ndim"):
            return array("d", parts).tobytes()
        return b"".join(map(_doubles, parts))
    except (TypeError, KeyError):
        expected = "rows of numbers, as partial_sums gives them"
        raise FastgradTypeError(explain(expected, describe(parts), "parts of finish")) from None


def _zeros(spec: Any, arrays: bool) -> Any:
    """Return a batch of one sample for an argument of a structure."""
    if isinstance(spec, Shape):
        made: Any = 0.0
        for extent in reversed((1, *spec.shape)):
            made = [made] * extent
        if not arrays:
            return made
        import numpy as np

        return np.zeros((1, *spec.shape))
    kind, keys, children, _ = spec
    parts = [_zeros(child, arrays) for child in children]
    return dict(zip(keys, parts, strict=True)) if kind is dict else kind(parts)


def _listed(given: Any, what: str, where: str) -> tuple[Any, ...]:
    return tuple(items_expect(given, f"a list of {what}", where))


def _name_clashes(names: list[str]) -> None:
    """Say how to reach an argument whose name means something else in `wrt`."""
    for i, name in enumerate(names):
        if name in ("inputs", "parameters"):
            warnings.warn(
                f"argument {name!r}: wrt={name!r} means all {name} of a tape; the gradient by this "
                f"argument alone is had by position, wrt={i}",
                FastgradWarning,
                stacklevel=program_level(),
            )


def _compare(
    tape: Tape,
    where: str,
    result: Any,
    expected: list[float],
    same: Callable[[float, float], bool] = is_same,
) -> None:
    """Refuse a tape that does not give what the function gave."""
    for one, two in zip_longest(numbers_in(result), expected):
        if one is None or two is None or not same(one, two):
            raise TapeError(
                explain(
                    f"{two!r} at {where}, as the function returned",
                    f"{one!r} from its tape",
                    f"record({tape.name})",
                    "set no .data inside the function, decide with fastgrad.where or take, and "
                    "give the result, not a part of it",
                )
            )


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function; where it takes an array for a number, say what an example is."""
    try:
        return function(*arguments)
    except AttributeError as error:
        kind = type(error.obj).__name__
        if not isinstance(error.obj, list | tuple) and not hasattr(error.obj, "ndim"):
            raise
        expected = f"a number with {error.name!r}"
        remedy = "give record one sample, not the data set"
        raise FastgradAttributeError(
            explain(expected, f"a {kind}", "function given to record", remedy)
        ) from error


def _check_at(
    tape: Tape, function: Callable[..., Any], args: tuple[Any, ...], where: str, n_inputs: int
) -> None:
    """Refuse a tape that differs from its function at other arguments.

    On Values the function must give the same bits. They decide by data, as when recorded: under
    no_grad `==` would be identity. Only plain numbers show what asks for their class or hash.
    """
    got = call_unreported(tape, args)
    inputs, _, arguments = _inputs(args, tape.names)
    if len(inputs) != n_inputs:
        expected = f"{n_inputs} numbers, one sample as in the example"
        raise ShapeError(explain(expected, f"{len(inputs)}", where))
    outputs: list[Value] = []
    with _random.HiddenInputs():
        plain = call_plainly(function, args)
    try:
        with Recording(tape.name, strict=False):
            _result(function(*arguments), "result", outputs)
    except Exception as error:
        if plain is None:
            expected = f"a result of {tape.name} at {where}, to compare with its tape"
            raise TapeError(
                explain(expected, f"{type(error).__name__}: {error}", "", "check elsewhere")
            ) from error
    else:
        _compare(tape, where, got, numbers_of(tuple(outputs)))
    if plain is not None:
        _compare(tape, f"{where} on plain numbers", got, plain, is_close)


def _inputs(args: tuple[Any, ...], names: list[str]) -> tuple[list[Value], list[Any], list[Any]]:
    """Return new inputs for the numbers of some arguments, their structure, and they in it."""
    inputs: list[Value] = []
    pairs = [_argument(x, name, inputs) for x, name in zip(args, names, strict=True)]
    for leaf in inputs:
        leaf_mark_input(leaf)
    return inputs, [spec for spec, _ in pairs], [argument for _, argument in pairs]


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    try:
        names = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        names = []
    return [names[i] if i < len(names) else f"argument{i}" for i in range(count)]


def _argument(x: Any, name: str, inputs: list[Value]) -> tuple[Any, Any]:
    """Return the structure of an example, and the same with Values for its numbers."""
    start = len(inputs)

    def fresh(number: Any) -> Value:
        inputs.append(Value(number))
        return inputs[-1]

    def copy(part: Any) -> Any:
        return kind_of(part)(map(copy, part)) if isinstance(part, list | tuple) else fresh(part)

    if is_array(x):
        import numpy as np

        from fastgrad._arrays import Values

        expect_unmasked(x, f"example of {name}")
        values = np.empty(x.shape, dtype=object)
        flat = values.reshape(-1)
        for i, number in enumerate(x.reshape(-1).tolist()):
            flat[i] = fresh(number)
        return Shape(tuple(x.shape), start, name), values.view(Values)
    extents = extents_of(x)
    if extents is not None:
        return Shape(extents, start, name), copy(x)
    if isinstance(x, dict):
        parts = [_argument(x[key], f"{name}[{key!r}]", inputs) for key in x]
        spec = (dict, list(x), [part for part, _ in parts], name)
        return spec, dict(zip(x, (argument for _, argument in parts), strict=True))
    if isinstance(x, list | tuple):
        parts = [_argument(part, f"{name}[{i}]", inputs) for i, part in enumerate(x)]
        kind = list if isinstance(x, list) else tuple
        return (kind, None, [part for part, _ in parts], name), kind_of(x)(
            part for _, part in parts
        )
    expected = "a number, an array, or lists, tuples, dicts of them"
    got = describe(x)
    raise FastgradTypeError(explain(expected, got, f"example of {name}"))


def _result(result: Any, name: str, outputs: list[Value]) -> Any:
    """Return the structure of a result, its Values appended to outputs."""
    start = len(outputs)
    if isinstance(result, Value):
        outputs.append(result)
        return Shape((), start, name)
    if isinstance(result, dict) and result:
        parts = [_result(result[key], f"{name}[{key!r}]", outputs) for key in result]
        return dict, list(result), parts, name
    if hasattr(result, "tolist"):
        return _result(result.tolist(), name, outputs)
    if isinstance(result, list | tuple) and len(result):
        parts = [_result(part, f"{name}[{i}]", outputs) for i, part in enumerate(result)]
        shapes = {part.shape if isinstance(part, Shape) else None for part in parts}
        if isinstance(result, list) and len(shapes) == 1 and None not in shapes:
            return Shape((len(parts), *parts[0].shape), start, name)
        return (list if isinstance(result, list) else tuple), None, parts, name
    expected = "a Value, or lists, tuples, dicts of Values"
    raise TapeError(
        explain(expected, describe(result), name,
                "return what was computed from the arguments")
    )  # fmt: skip
