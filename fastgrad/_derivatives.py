"""Which derivative tapes there are: arguments and result of each, and what it is asked for.

A request is three lists: which leaves adjoints are wanted of, seeds (pass, place, input) and picks
(pass, place, output); `fastgrad._native.tape.derive` makes a program of it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

from fastgrad._native.base.errors import flag_expect
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.derive import SEED_ONE, derive, sizes, wanted
from fastgrad._native.tape.program import structure
from fastgrad._native.tape.sparsity import colour_columns, colour_star, pattern
from fastgrad.errors import FastgradValueError, ShapeError, TapeError, describe, explain

Tape = Any  # fastgrad.tape.Tape, which uses this module

KEPT_MAX = 32  # derivative tapes of one tape
Triples = Iterable[tuple[int, int, int]]


class By(NamedTuple):
    """What a derivative is by: the structure of a gradient, and the leaves in it."""

    spec: Any
    slots: list[int]
    key: Any


def by(tape: Tape, wrt: Any, what: str) -> By:
    """Resolve `wrt`, as `value_and_grad` does."""
    spec, shapes = wanted(tape, wrt)
    slots = [slot for shape in shapes for slot in range(shape.start, shape.start + shape.size)]
    if not slots:
        raise FastgradValueError(
            explain("numbers to differentiate by", f"none in {wrt!r}", f"wrt of {what}")
        )
    return By(spec, slots, _key(wrt))


def _key(wrt: Any) -> Any:
    if isinstance(wrt, list | tuple):
        return tuple(map(_key, wrt))
    return (
        wrt if isinstance(wrt, str) else int(wrt) if hasattr(wrt, "__index__") else ("id", id(wrt))
    )


def placed(spec: Any, start: int) -> tuple[Any, int]:
    """Return a structure whose numbers begin at `start`, and where they end."""
    if isinstance(spec, Shape):
        return Shape(spec.shape, start, spec.name), start + spec.size
    kind, keys, children, name = spec
    parts = []
    for child in children:
        part, start = placed(child, start)
        parts.append(part)
    return (kind, keys, parts, name), start


def pair(one: Any, two: Any) -> Any:
    """Return the structure of two results."""
    first, middle = placed(one, 0)
    second, _ = placed(two, middle)
    return tuple, None, [first, second], "result"


def kept(tape: Tape, key: tuple[Any, ...], make: Callable[[], Tape]) -> Tape:
    """Return the derivative tape that was made before, or make it."""
    if tape.derived is None or len(tape.derived) >= KEPT_MAX:
        tape.derived = {}
    found = tape.derived.get(key)
    if found is None:
        found = tape.derived[key] = make()
    found.training = tape.training
    return found


def made(
    tape: Tape,
    what: str,
    forward: bool,
    seeds: Triples,
    picks: Triples,
    result: Any,
    more: tuple[tuple[str, Any], ...] = (),
    values: bool = False,
    live: Iterable[int] = (),
    sparse: bool = False,
) -> Tape:
    """Return the tape of a request; `more` are arguments behind the tape's own."""
    n_inputs, n_leaves, _ = sizes(tape)
    marks = bytearray(n_leaves)
    for slot in live:
        marks[slot] = 1
    arguments, _, _ = structure(tape)
    for name, spec in more:
        extra, n_inputs = placed(spec, n_inputs)
        arguments.append(named(extra, name))
    new = tape._new(sparse)
    derive(
        new, tape, forward, values, n_inputs, bytes(marks), _packed(seeds), _packed(picks),
        arguments, placed(result, 0)[0], what,
    )  # fmt: skip
    new.names = [*tape.names, *(name for name, _ in more)]
    vars(new).update((key, of) for key, of in vars(tape).items() if key == "_generator")
    return new


def named(spec: Any, name: str) -> Any:
    """Return a structure under another name, for errors."""
    if isinstance(spec, Shape):
        return Shape(spec.shape, spec.start, name)
    kind, keys, children, _ = spec
    places = range(len(children)) if keys is None else keys
    parts = [
        named(child, f"{name}[{place!r}]") for child, place in zip(children, places, strict=True)
    ]
    return kind, keys, parts, name


def _packed(triples: Triples) -> bytes:
    return array("I", chain.from_iterable(triples)).tobytes()


# -- the derivatives -------------------------------------------------------------------------------


def _expect_scalar(tape: Tape, what: str) -> Any:
    """Return the structure of a result that is one number."""
    _, result, _ = structure(tape)
    if not isinstance(result, Shape) or result.shape:
        raise TapeError(
            explain(
                "a function that returns one Value",
                "a structure of Values",
                f"{what} of {tape.name}",
                "take vjp_tape, jvp_tape or jacobian_tape",
            )
        )
    return result


def grad_tape(tape: Tape, wrt: Any, value: Any) -> Tape:
    """See `Tape.grad_tape`."""
    of = by(tape, wrt, "grad_tape")
    value = flag_expect(value, "value of grad_tape")
    result = _expect_scalar(tape, "gradient")

    def make() -> Tape:
        picks = ((0, slot, i) for i, slot in enumerate(of.slots))
        spec = pair(result, of.spec) if value else of.spec
        return made(
            tape, "gradient", False, [(0, 0, SEED_ONE)], picks, spec, (), value, of.slots
        )  # fmt: skip

    return kept(tape, ("gradient", of.key, value), make)


def _directions(tape: Tape, wrt: Any, of: By) -> tuple[tuple[str, Any], ...]:
    """Return names and structures of what says how things change."""
    if isinstance(wrt, str) and wrt == "inputs":
        return tuple((f"d{name}", s) for name, s in zip(tape.names, of.spec[2], strict=True))
    return (("tangents", of.spec),)


def jvp_tape(tape: Tape, wrt: Any) -> Tape:
    """See `Tape.jvp_tape`."""
    of = by(tape, wrt, "jvp_tape")
    _, result, _ = structure(tape)
    n_inputs, _, n_outputs = sizes(tape)

    def make() -> Tape:
        seeds = ((0, slot, n_inputs + i) for i, slot in enumerate(of.slots))
        picks = ((0, o, o) for o in range(n_outputs))
        more = _directions(tape, wrt, of)
        return made(tape, "jvp", True, seeds, picks, pair(result, result), more, True)

    return kept(tape, ("jvp", of.key), make)


def vjp_tape(tape: Tape, wrt: Any) -> Tape:
    """See `Tape.vjp_tape`."""
    of = by(tape, wrt, "vjp_tape")
    _, result, _ = structure(tape)
    n_inputs, _, n_outputs = sizes(tape)

    def make() -> Tape:
        seeds = ((0, o, n_inputs + o) for o in range(n_outputs))
        picks = ((0, slot, i) for i, slot in enumerate(of.slots))
        more = (("cotangent", result),)
        return made(tape, "vjp", False, seeds, picks, of.spec, more, False, of.slots)

    return kept(tape, ("vjp", of.key), make)


def hvp_tape(tape: Tape, wrt: Any) -> Tape:
    """See `Tape.hvp_tape`."""
    of = by(tape, wrt, "hvp_tape")
    n_inputs, _, _ = sizes(tape)

    def make() -> Tape:
        gradient = grad_tape(tape, wrt, False)
        seeds = ((0, slot, n_inputs + i) for i, slot in enumerate(of.slots))
        picks = ((0, o, o) for o in range(len(of.slots)))
        product = made(gradient, "hvp", True, seeds, picks, of.spec, _directions(tape, wrt, of))
        product.name = f"hvp of {tape.name}"
        return product

    return kept(tape, ("hvp", of.key), make)


def _one_array(of: By, what: str) -> Shape:
    """Return the structure of what is one number or one array."""
    if isinstance(of.spec, Shape):
        return of.spec
    raise ShapeError(
        explain(
            "one number or array to differentiate by",
            "a structure of several",
            f"wrt of {what}",
            "name one argument, or take hvp_tape, vjp_tape, jvp_tape",
        )
    )


def hessian_tape(tape: Tape, wrt: Any) -> Tape:
    """See `Tape.hessian_tape`."""
    of = by(tape, wrt, "hessian_tape")
    x = _one_array(of, "hessian_tape")
    n = len(of.slots)

    def picks() -> Triples:  # both halves are one: the upper one's entry (j, i) is (i, j)
        for j in range(n):
            yield j, j, j * n + j
            for i in range(j + 1, n):
                yield j, i, i * n + j
                yield j, i, j * n + i

    def make() -> Tape:
        gradient = grad_tape(tape, wrt, False)
        seeds = ((j, slot, SEED_ONE) for j, slot in enumerate(of.slots))
        result = Shape((*x.shape, *x.shape), 0, "result")
        matrix = made(gradient, "Hessian", True, seeds, picks(), result)
        matrix.name = f"Hessian of {tape.name}"
        return matrix

    return kept(tape, ("hessian", of.key), make)


def mode_expect(mode: Any) -> None:
    """Raise unless a mode is one."""
    if mode not in ("auto", "forward", "reverse"):
        expected = '"auto", "forward" or "reverse"'
        raise FastgradValueError(explain(expected, describe(mode), "mode of jacobian_tape"))


def _outer(result: Any, x: Shape) -> Any:
    """Return the structure of a Jacobian: the result's, with an array for each number."""
    if isinstance(result, Shape):
        start = result.start * x.size
        return Shape((*result.shape, *x.shape), start, result.name)
    kind, keys, children, name = result
    return kind, keys, [_outer(child, x) for child in children], name


def jacobian_tape(tape: Tape, wrt: Any, mode: Any) -> Tape:
    """See `Tape.jacobian_tape`."""
    of = by(tape, wrt, "jacobian_tape")
    x = _one_array(of, "jacobian_tape")
    mode_expect(mode)
    _, result, _ = structure(tape)
    n, m = len(of.slots), sizes(tape)[2]
    forward = mode == "forward" or (mode == "auto" and n <= m)

    def make() -> Tape:
        if forward:
            seeds: Triples = ((j, slot, SEED_ONE) for j, slot in enumerate(of.slots))
            picks: Triples = ((j, i, i * n + j) for j in range(n) for i in range(m))
        else:
            seeds = ((i, i, SEED_ONE) for i in range(m))
            picks = ((i, slot, i * n + j) for i in range(m) for j, slot in enumerate(of.slots))
        return made(
            tape, "Jacobian", forward, seeds, picks, _outer(result, x), (), False, of.slots
        )  # fmt: skip

    return kept(tape, ("jacobian", of.key, forward), make)


# -- sparse matrices -------------------------------------------------------------------------------

Rows = list[Any]  # arrays of columns


def _transposed(rows: Rows, n: int) -> Rows:
    """Return for each column the rows that have an entry there."""
    columns = [array("I") for _ in range(n)]
    for i, row in enumerate(rows):
        for j in row:
            columns[j].append(i)
    return columns


def _joined(rows: Rows) -> tuple[array[int], array[int]]:
    """Return where each row begins in all of them, one after the other."""
    starts = array("I", [0])
    for row in rows:
        starts.append(starts[-1] + len(row))
    return starts, array("I", chain.from_iterable(rows))


def _largest_first(rows: Rows) -> array[int]:
    return array("I", sorted(range(len(rows)), key=lambda i: -len(rows[i])))


def _column_colours(rows: Rows, columns: Rows) -> array[int]:
    """Return colours of columns, of which no two of one colour share a row."""
    order = _largest_first(columns)
    return colour_columns(*_joined(rows), *_joined(columns), order)


def _of_entries(new: Tape, rows: Rows, n: int, colours: array[int]) -> Tape:
    """Say what the results of a sparse tape are."""
    new.pattern = tuple(
        _integers(numbers)
        for numbers in (
            chain.from_iterable([i] * len(row) for i, row in enumerate(rows)),
            chain.from_iterable(rows),
        )
    )
    new.shape, new.colours, new.n_colours = (len(rows), n), _integers(colours), 1 + max(colours)
    return new


def _integers(numbers: Iterable[int]) -> Any:
    import numpy as np

    return np.fromiter(numbers, dtype=int)


def _filled(rows: Rows) -> Rows:
    """Return a pattern with an entry at least: a matrix of none has a 0 that is written down."""
    if not any(rows):
        rows[0].append(0)
    return rows


def sparse_hessian_tape(tape: Tape, wrt: Any) -> Tape:
    """See `Tape.hessian_tape`."""
    of = by(tape, wrt, "hessian_tape")
    _one_array(of, "hessian_tape")
    n = len(of.slots)

    def make() -> Tape:
        gradient = grad_tape(tape, wrt, False)
        found = pattern(gradient, of.slots[0], n)
        both = (
            set(row) | set(column) for row, column in zip(found, _transposed(found, n), strict=True)
        )
        rows = _filled([array("I", sorted(row)) for row in both])
        colours = colour_star(*_joined(rows), _largest_first(rows))
        near = [Counter(colours[j] for j in row if j != i) for i, row in enumerate(rows)]

        def source(i: int, j: int) -> tuple[int, int]:
            """Return pass and row where an entry stands alone: one place for both halves."""
            i, j = min(i, j), max(i, j)
            return (colours[j], i) if i == j or near[i][colours[j]] == 1 else (colours[i], j)

        places = [(i, j) for i, row in enumerate(rows) for j in row]
        picks = sorted((*source(i, j), at) for at, (i, j) in enumerate(places))
        seeds = sorted((colours[j], slot, SEED_ONE) for j, slot in enumerate(of.slots))
        entries = Shape((len(places),), 0, "entries")
        new = made(gradient, "Hessian", True, seeds, picks, entries, sparse=True)
        new.name = f"Hessian of {tape.name}"
        return _of_entries(new, rows, n, colours)

    return kept(tape, ("sparse hessian", of.key), make)


def sparse_jacobian_tape(tape: Tape, wrt: Any, mode: Any) -> Tape:
    """See `Tape.jacobian_tape`."""
    of = by(tape, wrt, "jacobian_tape")
    _one_array(of, "jacobian_tape")
    mode_expect(mode)
    result_expect(tape, "jacobian_tape(sparse=True)")
    n = len(of.slots)

    def make() -> Tape:
        rows = _filled(pattern(tape, of.slots[0], n))
        columns = _transposed(rows, n)
        ways = []
        if mode != "reverse":
            ways.append((_column_colours(rows, columns), True))
        if mode != "forward":
            ways.append((_column_colours(columns, rows), False))
        colours, forward = min(ways, key=lambda way: max(way[0]))
        places = [(i, j) for i, row in enumerate(rows) for j in row]
        if forward:
            seeds = sorted((colours[j], slot, SEED_ONE) for j, slot in enumerate(of.slots))
            picks = sorted((colours[j], i, at) for at, (i, j) in enumerate(places))
        else:
            seeds = sorted((colours[i], i, SEED_ONE) for i in range(len(rows)))
            picks = sorted((colours[i], of.slots[j], at) for at, (i, j) in enumerate(places))
        entries = Shape((len(places),), 0, "entries")
        new = made(
            tape, "Jacobian", forward, seeds, picks, entries, live=of.slots, sparse=True
        )  # fmt: skip
        return _of_entries(new, rows, n, colours)

    return kept(tape, ("sparse jacobian", of.key, mode), make)


# -- what SciPy asks for ---------------------------------------------------------------------------


def flat_expect(tape: Tape, what: str, of_array: bool = False) -> None:
    """Raise unless the first argument is a flat array, and with `of_array` the result too."""
    arguments, _, _ = structure(tape)
    first = arguments[0] if arguments else None
    if not isinstance(first, Shape) or len(first.shape) != 1:
        got = f"an argument of shape {list(first.shape)}" if isinstance(first, Shape) else "none"
        raise ShapeError(
            explain(
                "a flat array or list as the first argument",
                got,
                f"{what} of {tape.name}",
                "take grad_tape, hvp_tape, hessian_tape, jacobian_tape",
            )
        )
    if of_array:
        result_expect(tape, what)


def result_expect(tape: Tape, what: str) -> None:
    """Raise unless the result is a flat array."""
    _, result, _ = structure(tape)
    if not (isinstance(result, Shape) and len(result.shape) == 1):
        where, remedy = f"{what} of {tape.name}", "take jacobian_tape or vjp_tape"
        raise ShapeError(explain("one array of results", "another structure", where, remedy))


def one_sample(found: Any, axes: int, what: str) -> Any:
    """Return what was found, unless it has an axis of samples."""
    part, depth = found, getattr(found, "ndim", 0)
    while isinstance(part, list):
        depth += 1
        part = part[0]
    if depth + getattr(part, "ndim", 0) * (part is not found) != axes:
        raise ShapeError(
            explain("one sample", "a batch", f"arguments of {what}", f"call {what}_tape(wrt=0)")
        )
    return found
