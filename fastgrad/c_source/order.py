"""How statements are written: as loops over arrays where they are alike, else one by one.

Statements of one level may come in any order. Sorted by what they compute, many form *runs*: the
operands of each lie as far from those of the one before as these from the one before them. A run
is a loop, as are the terms of a sum that form one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fastgrad.c_source.statements import VALUES, Place, Program, Statement, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Loop", "Sum", "loops_of"]

LEAST = 4  # statements, or terms, of a loop


@dataclass
class Sum:
    """`count` terms of a sum that differ by steps of their operands.

    Attributes
    ----------
    text : str
    places : tuple of Place
        Operands of the first.
    steps : tuple of int
    count : int
    """

    text: str
    places: tuple[Place, ...]
    steps: tuple[int, ...]
    count: int


@dataclass
class Loop:
    """`count` statements that differ by steps of their places.

    Attributes
    ----------
    target : Place
        Of the first.
    sums : list of Sum
        What is added up in the first.
    step : int
        Between targets.
    steps : list of tuple of int
        Of each sum's operands.
    count : int
    """

    target: Place
    sums: list[Sum]
    step: int
    steps: list[tuple[int, ...]]
    count: int


def loops_of(program: Program) -> tuple[list[Loop], list[Loop], list[Place], int]:
    """Arrange a program for loops.

    Returns
    -------
    (values, adjoints, results, covered)
        The statements in their order, where the results are, and how many of the statements are in
        runs or add up runs.
    """
    moved: dict[int, int] = {}  # where the value of an operation is, once its place is chosen

    def place(at: Place) -> Place:
        return (VALUES, moved[at[1]]) if at[0] == VALUES else at

    values, covered = _arranged(program.values, place, moved)
    adjoints, more = _arranged(program.adjoints, place, None)
    return values, adjoints, list(map(place, program.results)), covered + more


def _arranged(
    statements: list[Statement], place: Any, moved: dict[int, int] | None
) -> tuple[list[Loop], int]:
    """Arrange statements by level and kind; values get new places in that order."""
    loops: list[Loop] = []
    covered = 0
    levels: dict[int, list[Statement]] = {}
    for statement in statements:
        levels.setdefault(statement.level, []).append(statement)
    for level in sorted(levels):
        kinds: dict[Any, list[tuple[Statement, list[Sum]]]] = {}
        for statement in levels[level]:
            sums = sums_of(statement.terms, place)
            kinds.setdefault(_kind(statement.target, sums), []).append((statement, sums))
        for alike in kinds.values():
            targets = [statement.target for statement, _ in alike]
            if moved is not None:  # one after the other
                targets = [(VALUES, len(moved) + k) for k in range(len(alike))]
                moved.update((s.target[1], t[1]) for (s, _), t in zip(alike, targets, strict=True))
            loops += _runs(targets, [sums for _, sums in alike])
    loops = _joined(loops)
    covered = sum(
        loop.count for loop in loops if loop.count > 1 or any(s.count > 1 for s in loop.sums)
    )
    return loops, covered


def _kind(target: Place, sums: list[Sum]) -> Any:
    """Return what statements of one run have in common."""
    arrays = (tuple(kind for kind, _ in s.places) for s in sums)
    return (target[0], *((s.text, s.count, s.steps, a) for s, a in zip(sums, arrays, strict=True)))


def _joined(loops: list[Loop]) -> list[Loop]:
    """Join single statements that follow each other level by level: running sums are loops."""
    found: list[Loop] = []
    for (single, _), group in groupby(
        loops, lambda loop: (loop.count == 1, _kind(loop.target, loop.sums))
    ):
        alike = list(group)
        if single:
            found += _runs([loop.target for loop in alike], [loop.sums for loop in alike])
        else:
            found += alike
    return found


def _arrays(one: Sum) -> tuple[str, ...]:
    return tuple(kind for kind, _ in one.places)


def sums_of(terms: Iterable[Term], place: Any) -> list[Sum]:
    """Join terms that follow each other by steps."""
    sums: list[Sum] = []
    for text, operands in terms:
        places = tuple(map(place, operands))
        if sums and sums[-1].text == text and _arrays(sums[-1]) == tuple(k for k, _ in places):
            last = sums[-1]
            steps = tuple(
                at - start - (last.count - 1) * step
                for (_, at), (_, start), step in zip(places, last.places, last.steps, strict=True)
            )
            if last.count == 1 or steps == last.steps:
                last.steps, last.count = steps, last.count + 1
                continue
        sums.append(Sum(text, places, (0,) * len(places), 1))
    return [part for one in sums for part in _long_or_single(one)]


def _long_or_single(one: Sum) -> list[Sum]:
    """Give short runs of terms one by one."""
    if one.count >= LEAST or one.count == 1:
        return [one]
    return [
        Sum(one.text, shifted(one.places, one.steps, k), (0,) * len(one.places), 1)
        for k in range(one.count)
    ]


def shifted(places: Sequence[Place], steps: Sequence[int], k: int) -> tuple[Place, ...]:
    """Return the places k steps on."""
    return tuple((kind, at + k * step) for (kind, at), step in zip(places, steps, strict=True))


def _runs(targets: list[Place], alike: list[list[Sum]]) -> list[Loop]:
    """Cut statements of one kind into runs, those of fewer than LEAST one by one."""
    found: list[Loop] = []
    for target, sums in zip(targets, alike, strict=True):
        if found:
            last = found[-1]
            step = target[1] - last.target[1] - (last.count - 1) * last.step
            steps = [
                tuple(
                    at - start - (last.count - 1) * by
                    for (_, at), (_, start), by in zip(now.places, first.places, old, strict=True)
                )
                for now, first, old in zip(sums, last.sums, last.steps, strict=True)
            ]
            if last.count == 1 or (step == last.step and steps == last.steps):
                last.step, last.steps, last.count = step, steps, last.count + 1
                continue
        found.append(Loop(target, sums, 0, [(0,) * len(s.places) for s in sums], 1))
    return [part for one in found for part in _loop_or_single(one)]


def _loop_or_single(one: Loop) -> list[Loop]:
    if one.count >= LEAST or one.count == 1:
        return [one]
    return [
        Loop(
            (one.target[0], one.target[1] + k * one.step),
            [
                Sum(s.text, shifted(s.places, steps, k), s.steps, s.count)
                for s, steps in zip(one.sums, one.steps, strict=True)
            ],
            0,
            [(0,) * len(s.places) for s in one.sums],
            1,
        )
        for k in range(one.count)
    ]
