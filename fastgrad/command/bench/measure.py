"""Timing one case in rounds, checking its gradients first, and reading the process's memory."""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cases import Case, Workload

__all__ = [
    "SAME", "Clock", "difference", "digest", "memory_peak", "memory_reset", "memory_resident",
    "summary",
]  # fmt: skip

SAME = 1e-9  # gradients that differ by more belong to another program: its time means nothing
_ROUND = 0.1  # seconds: shorter runs are repeated within a round


def difference(ours: Sequence[float], reference: Sequence[float]) -> float:
    """Return the largest difference, relative to the gradients' size; nan counts as infinite."""
    if len(ours) != len(reference):
        return math.inf
    size = max((abs(x) for x in reference), default=0.0) or 1.0
    differences = [abs(a - b) / size for a, b in zip(ours, reference, strict=True)]
    return max(differences, default=0.0) if all(map(math.isfinite, differences)) else math.inf


def digest(numbers: Sequence[float]) -> str:
    """Return a short name of these very bits."""
    return hashlib.sha256(array("d", numbers).tobytes()).hexdigest()[:16]


class Clock:
    """Time a case in rounds.

    Parameters
    ----------
    case : Case
        What to run.
    workload : Workload
        Says how many units a run has.

    Attributes
    ----------
    rounds : list of dict
        Seconds a unit of each round: "total", and "forward", "backward", "free" where they are
        apart. Freeing is what dropping the result takes; what dies earlier is in "forward".
    first : float
        Seconds of the first run, which is not a round.
    """

    def __init__(self, case: Case, workload: Workload) -> None:
        self.case, self.workload = case, workload
        self.rounds: list[dict[str, float]] = []
        self.repeats = 0
        self.first = 0.0

    def warm(self) -> list[float]:
        """Run once, choose how often a round repeats, and return the gradients."""
        start = perf_counter()
        self._run()
        self.first = perf_counter() - start
        gradients = self.case.gradients()
        again = self.first
        if self.first < 2.0:
            start = perf_counter()
            self._run()  # the first one fills caches and compiles
            again = perf_counter() - start
        self.repeats = max(1, min(10_000, int(_ROUND / (again + 1e-9))))
        return gradients

    def round(self) -> dict[str, float]:
        """Time one round, and keep it."""
        parts: dict[str, float] = {}
        for _ in range(self.repeats):
            for name, seconds in self._run().items():
                parts[name] = parts.get(name, 0.0) + seconds
        units = self.repeats * self.workload.per * self.case.times
        self.rounds.append({name: seconds / units for name, seconds in parts.items()})
        return self.rounds[-1]

    def _run(self) -> dict[str, float]:
        forward, backward, apart = self.case.forward, self.case.backward, self.case.apart
        if apart is not None:
            return _halves(apart, forward)
        if backward is None:
            return {"total": _time(forward)}
        start = perf_counter()
        root = forward()
        built = perf_counter()
        backward(root)
        swept = perf_counter()
        del root
        end = perf_counter()
        return {
            "total": end - start,
            "forward": built - start,
            "backward": swept - built,
            "free": end - swept,
        }


def _time(run: Callable[[], Any]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def _halves(first: Callable[[], Any], both: Callable[[], Any]) -> dict[str, float]:
    half, whole = _time(first), _time(both)
    return {"total": whole, "forward": half, "backward": whole - half}


def summary(rounds: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return medians in seconds a unit, and the spread: quartile distance over median."""
    medians = {name: median(r[name] for r in rounds) for name in rounds[0]}
    totals = [r["total"] for r in rounds]
    low, _, high = quantiles(totals, n=4) if len(totals) > 1 else (totals * 3)
    return {
        "seconds": medians.pop("total"),
        "parts": medians,
        "spread": (high - low) / median(totals),
        "best": min(totals),
        "rounds": len(totals),
    }


# -- memory: bytes; 0 where the platform does not tell


def memory_resident() -> int:
    """Return what the process holds now (Linux)."""
    return _status("VmRSS:")


def memory_peak() -> int:
    """Return the most that the process has held, since `memory_reset` where that works."""
    if found := _status("VmHWM:"):
        return found
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_reset() -> None:
    """Forget the peak (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def _status(key: str) -> int:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
