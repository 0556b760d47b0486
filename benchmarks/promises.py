"""fastgrad's promises (E1 to E7, T1 to T16, import, wheel) against what was measured.

Ratios come from rounds that took turns.
"""

import json
import os
import subprocess
import sys
from statistics import median
from time import perf_counter

from benchmarks.workloads import ROOT, WORKLOADS

# What an operation of the control loop costs on the machine that the promises were made on, in ns.
CONTROL = 11.5
LONG = ("1e4", "1e5", "1e6")
NO_PEERS = {"python_floats", "control"}


def judge(rows):
    """Return a list of {id, what, unit, promised, least, measured, scaled, met, beside}.

    `least` says that `promised` is a lower bound.  `scaled` is what a time would be where the
    control loop takes CONTROL; `beside` are ratios to other engines, theirs over ours.  `met`
    judges the ratio, the size, or the scaled time.
    """
    found = {(row["workload"], row["engine"]): row for row in rows if "seconds" in row}
    judged = list(_tapes(found))
    if any(engine == "fastgrad" for _, engine in found):
        judged = [*_eager(found), *judged, *_memory(), *_import(), *_wheel()]
    return judged


def _promise(id_, what, unit, promised, measured, speed=None, beside=None, least=False):
    scaled = measured * speed if speed else None
    judged = scaled if speed else measured
    return {
        "id": id_, "what": what, "unit": unit, "promised": promised, "least": least,
        "measured": measured,
        "scaled": scaled, "met": judged >= promised if least else judged <= promised,
        "beside": beside or {},
    }  # fmt: skip


def _beside(found, workload, seconds, part=None):
    """Return how many times as long each other library takes for a workload, or a part of it."""
    taken = {
        engine: row["parts"].get(part) if part else row["seconds"]
        for (name, engine), row in found.items()
        if name == workload and engine not in NO_PEERS and not engine.startswith("fastgrad")
    }
    return {engine: theirs / seconds for engine, theirs in taken.items() if theirs}


def _eager(found):
    for n in LONG:
        ours, floats = (found.get((f"chain-{n}", e)) for e in ("fastgrad", "python_floats"))
        if ours and floats:
            ratio = ours["parts"]["forward"] / floats["seconds"]
            yield _promise(
                "E1", f"chain of {n}, building: times the loop on floats", "x", 2.5, ratio
            )
    for kind, limit in (("chain", 2.9), ("dag", 6), ("dense", 2)):
        row = found.get((f"{kind}-1e6", "fastgrad"))
        if row:
            seconds = row["parts"]["backward"]
            speed = _speed(found, f"{kind}-1e6")
            beside = _beside(found, f"{kind}-1e6", seconds, "backward")
            what = f"{kind} of 1e6, backward, a node"
            yield _promise("E2", what, "ns", limit, seconds * 1e9, speed, beside)
    for id_, workload, unit, scale, limit, what in (
        ("E3", "expression", "us", 1e6, 1.5, "W1, README expression"),
        ("E4", "moons", "ms", 1e3, 0.45, "W3, moons demo, a step"),
        ("E5", "lecture", "ms", 1e3, 0.3, "W4, lecture with fastgrad.nn, 20 steps"),
        ("E6", "gpt", "ms", 1e3, 5.5, "W5, GPT on scalars, a step"),
    ):
        row = found.get((workload, "fastgrad"))
        if row:
            beside = _beside(found, workload, row["seconds"])
            speed = _speed(found, workload)
            yield _promise(id_, what, unit, limit, row["seconds"] * scale, speed, beside)


def _tapes(found):
    for id_, workload, engine, unit, scale, limit, what in (
        ("T1", "moons", "fastgrad_tape", "us", 1e6, 11, "W3 recorded, a step driven from Python"),
        ("T2", "moons", "fastgrad_fit", "us", 1e6, 8, "W3 recorded, a step of fit"),
        ("T3", "lecture", "fastgrad_fit", "ms", 1e3, 0.06, "W4 recorded, 20 steps of fit"),
        ("T3", "lecture-loops", "fastgrad_fit", "ms", 1e3, 0.06, "W4, the lecture's loops, same"),
        ("T4", "gpt", "fastgrad_tape", "us", 1e6, 37, "W5 recorded, a step with native Adam"),
        ("T6", "expression", "fastgrad_tape", "us", 1e6, 0.6, "W1 recorded, a call"),
        ("T6", "expression-batch", "fastgrad_tape", "ns", 1e9, 15, "W1 recorded, a point of 1e4"),
        ("T11", "rosenbrock-10", "fastgrad_tape", "us", 1e6, 0.6, "W6, 10 numbers, a call"),
        ("T11", "rosenbrock-100", "fastgrad_tape", "us", 1e6, 0.9, "W6, 100 numbers, a call"),
        ("T11", "rosenbrock-1000", "fastgrad_tape", "us", 1e6, 4, "W6, 1,000 numbers, a call"),
        ("T13", "black-scholes", "fastgrad_tape", "ns", 1e9, 15, "W7, price and Greeks, a point"),
        ("T16", "kalman", "fastgrad_tape", "ms", 1e3, 2, "W8, 50,000 steps, a call"),
    ):
        if row := found.get((workload, engine)):
            beside = _beside(found, workload, row["seconds"])
            speed = _speed(found, workload)
            yield _promise(id_, what, unit, limit, row["seconds"] * scale, speed, beside)
    for kind, limits in (("chain", (2.5, 3)), ("dag", (3.5, 6))):
        workload = f"{kind}-1e6"
        if row := found.get((workload, "fastgrad_tape")):
            for part, limit in zip(("forward", "backward"), limits, strict=True):
                what = f"{kind} of 1e6 replayed, {part}, an operation"
                seconds, speed = row["parts"][part], _speed(found, workload)
                beside = _beside(found, workload, seconds, part)
                yield _promise("T5", what, "ns", limit, seconds * 1e9, speed, beside)
    yield from _threads(*(found.get(("moons-batch", f"fastgrad_{e}")) for e in ("tape", "threads")))
    for kind in ("chain", "dag"):
        yield from _recording(found, f"{kind}-1e6")


def _threads(one, two):
    if one and two:
        if ratios := _facts("benchmarks.threads"):
            what = "W3 on 10,000 points, two threads: times one thread's speed"
            yield _promise("T8", what, "x", 1.8, ratios["median"], least=True)
        other = int(one["gradient_digest"] != two["gradient_digest"])
        yield _promise("T8", "the same with other bits (0: no)", "", 0, other)


def _recording(found, workload):
    eager, row = (found.get((workload, e)) for e in ("fastgrad", "fastgrad_recording"))
    if not eager or not row:
        return
    speed = _speed(found, workload)
    built = eager["parts"]["forward"] + eager["parts"]["free"]
    what = f"recording {workload}, an operation, on top of building it"
    yield _promise("record", what, "ns", 150, (row["seconds"] - built) * 1e9, speed)
    whole = row["seconds"] * WORKLOADS[workload].size
    yield _promise("record", f"recording {workload}, all of it", "s", 1, whole, speed)


def _speed(found, workload):
    """Return how much faster the reference machine is than this one was meanwhile."""
    control = found.get((workload, "control"))
    return CONTROL * 1e-9 / control["seconds"] if control else 1.0


def _memory():
    if facts := _facts("benchmarks.memory"):
        yield _promise("E7", "memory of a node", "B", 40, round(facts["node"]))
        yield _promise("E7", "memory of a node with a live handle", "B", 96, round(facts["held"]))
        yield _promise(
            "E7", "growth over 30 million nodes made and dropped", "MB", 1, facts["drift"]
        )


def _import():
    """Alternate an empty program and one that imports fastgrad."""
    times = {"pass": [], "import fastgrad": []}
    for _ in range(15):
        for code, taken in times.items():
            start = perf_counter()
            _python("-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}")
            taken.append(perf_counter() - start)
    empty, full = (median(taken) * 1e3 for taken in times.values())
    yield _promise("import", "import fastgrad, above an empty program", "ms", 30, full - empty)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import fastgrad"
    loaded = _python("-I", "-c", f"{code}; print('numpy' in sys.modules)").stdout.strip() != "False"
    yield _promise("import", "import fastgrad loads NumPy (0: no)", "", 0, int(loaded))


def _wheel():
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=os.path.getmtime)
    if wheels:
        yield _promise("wheel", "size of the wheel", "MB", 2, wheels[-1].stat().st_size / 1e6)


def _facts(module):
    """Return the JSON that a module prints as a process of its own; if it fails, say so."""
    process = _python("-m", module)
    if process.returncode == 0:
        return json.loads(process.stdout)
    print(f"not measured: {module}: {process.stderr.strip()}", file=sys.stderr)
    return None


def _python(*words):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
