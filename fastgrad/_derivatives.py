"""Which derivative tapes there are: arguments and result of each, and what it is asked for.

A request is three lists: which leaves adjoints are wanted of, seeds (pass, place, input) and picks
(pass, place, output); `fastgrad._native.tape.derive` makes a program of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

from fastgrad._native.base.errors import flag_expect
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.derive import SEED_ONE, derive, sizes, wanted
from fastgrad._native.tape.program import structure
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
    new = tape._new()
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
    if mode not in ("auto", "forward", "reverse"):
        raise FastgradValueError(
            explain('"auto", "forward" or "reverse"', describe(mode), "mode of jacobian_tape")
        )
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
