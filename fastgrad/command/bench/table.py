"""`python -m fastgrad bench`: the workloads on this machine, beside what is installed."""

from __future__ import annotations

import gc
import json
import platform
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import fastgrad
from fastgrad import engine, nn

from .cases import CONTROL, WORKLOADS, Unsupported, control_case, eager_case
from .measure import SAME, Clock, difference, summary
from .peers import DEEP, REFERENCE, installed
from .recorded import fit_case, tape_case
from .workloads import Library

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT", "run_bench"]

FASTGRAD = Library(f"fastgrad {fastgrad.__version__}", engine.Value, nn.MLP)
FASTGRAD_LIBRARIES = (
    FASTGRAD,
    Library("tape", case=partial(tape_case, fastgrad)),
    Library("fit", case=partial(fit_case, fastgrad)),
)
DEFAULT = (
    CONTROL.name, "expression", "expression-batch", "chain-1e5", "dag-1e5", "dense-1e5", "moons",
    "lecture", "lecture-loops", "gpt",
)  # fmt: skip
_ROUNDS = 9  # turns, at most
_TURN = 3  # rounds in a turn of a quick library: the first finds the caches cold
_SCALE = {"ns": 1e9, "us": 1e6, "ms": 1e3}


def run_bench(
    workloads: Sequence[str] = DEFAULT, seconds: float = 100.0, as_json: bool = False
) -> None:
    """Time the workloads and print a table.

    Parameters
    ----------
    workloads : sequence of str
        Names out of `fastgrad.command.bench.cases.WORKLOADS`.
    seconds : float
        What all rounds together may take; a slow library gets one round anyway.
    as_json : bool
        Print JSON instead: seconds of one operation or step, medians of the rounds.

    Notes
    -----
    All libraries run in this process; their rounds take turns. The cyclic collector runs between
    rounds, and stays on within them, as people have it. A library whose gradients differ from the
    reference's by more than 1e-9 of their size has no figure. "tape" replays what was recorded once
    (value_and_grad, or zero_grad, backward and step, called from Python); "fit" is the loop native.
    """
    libraries = [*FASTGRAD_LIBRARIES, *installed()]
    rows = []
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEP)
    try:
        for name in workloads:
            rows += _workload(name, libraries, seconds / len(workloads), not as_json)
    finally:
        sys.setrecursionlimit(limit)
    facts = {
        "fastgrad": fastgrad.__version__,
        "build": engine.build_info(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "rows": rows,
    }
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        _print(facts, workloads, [library.name for library in libraries])


def _workload(
    name: str, libraries: list[Library], budget: float, show: bool
) -> list[dict[str, Any]]:
    """Return a row for each library; where it has no figure, the reason."""
    workload = WORKLOADS[name]
    if name == CONTROL.name:
        clock = Clock(control_case(), workload)
        clock.warm()
        for _ in range(_ROUNDS):
            clock.round()
        return [{"workload": name, "library": "Python floats", **summary(clock.rounds)}]

    clocks: dict[str, Clock] = {}
    rows: dict[str, dict[str, Any]] = {}
    reference: list[float] = []
    for library in reversed(libraries):  # the reference first
        row = rows[library.name] = {"workload": name, "library": library.name}
        if show and sys.stderr.isatty():
            print(f"\r\033[K{workload.title}: {library.name}", end="", file=sys.stderr, flush=True)
        try:
            case = library.case(name) if library.case else eager_case(library, name)
            clock = Clock(case, workload)
            gradients = clock.warm()
        except (ImportError, Unsupported) as error:
            row["why"] = str(error)
            continue
        except Exception as error:  # a peer's failure is a gap in the table, ours is an error
            if library in FASTGRAD_LIBRARIES:
                raise
            row["why"] = f"{type(error).__name__}: {error}"
            continue
        if library is REFERENCE:
            reference = gradients
        row["gradient_error"] = difference(gradients, reference)
        if row["gradient_error"] <= SAME:
            clocks[library.name] = clock
        else:
            row["why"] = "its gradients differ"

    end = perf_counter() + budget
    for done in range(_ROUNDS):
        if done and perf_counter() > end:
            break
        for clock in clocks.values():
            if done and perf_counter() + clock.rounds[-1]["total"] * workload.per > end:
                continue
            gc.collect()
            for _ in range(_TURN if _short(clock) else 1):
                clock.round()
    if show and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for library_name, clock in clocks.items():
        rows[library_name] |= summary(clock.rounds)
    return [rows[library.name] for library in libraries]


def _short(clock: Clock) -> bool:
    return clock.first < 0.1


def _print(facts: dict[str, Any], workloads: Sequence[str], libraries: list[str]) -> None:
    """Print a line for each workload: ours, then theirs with the factor."""
    found = {(row["workload"], row["library"]): row for row in facts["rows"]}
    print(f"fastgrad {facts['fastgrad']} ({facts['build']['variant']}), {facts['python']}")
    print(f"{facts['platform']}; one thread; gradients equal to {SAME:g} of their size")
    lines = [["", *libraries]]
    for name in workloads:
        if name == CONTROL.name:
            control = found[name, "Python floats"]
            print(f"{CONTROL.title}: {_time(control)} an operation")
            continue
        line = [WORKLOADS[name].title]
        ours = found[name, libraries[0]]
        for library in libraries:
            row = found[name, library]
            cell = _time(row)
            if row is not ours and "seconds" in row and "seconds" in ours:
                factor = row["seconds"] / ours["seconds"]
                digits = ",.0f" if factor >= 10 else ".2f" if factor >= 1 else ".2g"
                cell += f" {format(factor, digits):>7} x"
            line.append(cell)
        lines.append(line)
    widths = [max(len(line[k]) for line in lines) for k in range(len(libraries) + 1)]
    print()
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("   ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip())
    for row in facts["rows"]:
        if row["library"] == libraries[0] and "why" in row:
            print(f"{WORKLOADS[row['workload']].title}: {row['why']}")


def _time(row: dict[str, Any]) -> str:
    if "seconds" not in row:
        return "-"
    unit = WORKLOADS[row["workload"]].unit
    return f"{row['seconds'] * _SCALE[unit]:,.3f} {unit}"
