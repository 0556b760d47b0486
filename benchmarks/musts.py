"""What fastgrad has promised (E1 to E7, import, wheel) against what was measured.

Layer: benchmarks.  May import: rounds, workloads.  Ratios come from rounds that took turns.
"""

import json
import os
import subprocess
import sys
from statistics import median
from time import perf_counter

from benchmarks.workloads import ROOT

# What an operation of the control loop costs on the machine that the promises were made on, in ns.
CONTROL = 11.5
LONG = ("1e4", "1e5", "1e6")


def judge(rows):
    """Return a list of {id, what, unit, must, measured, scaled, met, beside}.

    `scaled` is what a time would be where the control loop takes CONTROL; `beside` are ratios to
    other engines, theirs over ours.  `met` judges the ratio, the size, or the scaled time.
    """
    found = {(row["workload"], row["engine"]): row for row in rows if "seconds" in row}
    if not any(engine == "fastgrad" for _, engine in found):
        return []
    return [*_eager(found), *_memory(), *_import(), *_wheel()]


def _must(id_, what, unit, must, measured, speed=None, beside=None):
    scaled = measured * speed if speed else None
    judged = scaled if speed else measured
    return {
        "id": id_, "what": what, "unit": unit, "must": must, "measured": measured,
        "scaled": scaled, "met": judged <= must, "beside": beside or {},
    }  # fmt: skip


def _eager(found):
    for n in LONG:
        ours, floats = (found.get((f"chain-{n}", e)) for e in ("fastgrad", "python_floats"))
        if ours and floats:
            ratio = ours["parts"]["forward"] / floats["seconds"]
            yield _must("E1", f"chain of {n}, building: times the loop on floats", "x", 2.5, ratio)
    for kind, limit in (("chain", 2.9), ("dag", 6), ("dense", 2)):
        row = found.get((f"{kind}-1e6", "fastgrad"))
        if row:
            ns = row["parts"]["backward"] * 1e9
            speed = _speed(found, f"{kind}-1e6")
            yield _must("E2", f"{kind} of 1e6, backward, a node", "ns", limit, ns, speed)
    for id_, workload, unit, scale, limit, what in (
        ("E3", "expression", "us", 1e6, 1.5, "W1, README expression"),
        ("E4", "moons", "ms", 1e3, 0.45, "W3, moons demo, a step"),
        ("E5", "lecture", "ms", 1e3, 0.3, "W4, lecture with fastgrad.nn, 20 steps"),
        ("E6", "gpt", "ms", 1e3, 5.5, "W5, GPT on scalars, a step"),
    ):
        row = found.get((workload, "fastgrad"))
        if row:
            beside = {
                other["engine"]: other["seconds"] / row["seconds"]
                for (name, engine), other in found.items()
                if name == workload and engine not in {"fastgrad", "python_floats", "control"}
            }
            speed = _speed(found, workload)
            yield _must(id_, what, unit, limit, row["seconds"] * scale, speed, beside)


def _speed(found, workload):
    """Return how much faster the reference machine is than this one was meanwhile."""
    control = found.get((workload, "control"))
    return CONTROL * 1e-9 / control["seconds"] if control else 1.0


def _memory():
    process = _python("-m", "benchmarks.memory")
    if process.returncode == 0 and process.stdout.strip() != "null":
        facts = json.loads(process.stdout)
        yield _must("E7", "memory of a node", "B", 40, round(facts["node"]))
        yield _must("E7", "memory of a node with a live handle", "B", 96, round(facts["held"]))
        yield _must("E7", "growth over 30 million nodes made and dropped", "MB", 1, facts["drift"])


def _import():
    """Alternate an empty program and one that imports fastgrad."""
    times = {"pass": [], "import fastgrad": []}
    for _ in range(15):
        for code, taken in times.items():
            start = perf_counter()
            _python("-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}")
            taken.append(perf_counter() - start)
    empty, full = (median(taken) * 1e3 for taken in times.values())
    yield _must("import", "import fastgrad, above an empty program", "ms", 30, full - empty)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import fastgrad"
    loaded = _python("-I", "-c", f"{code}; print('numpy' in sys.modules)").stdout.strip() != "False"
    yield _must("import", "import fastgrad loads NumPy (0: no)", "", 0, int(loaded))


def _wheel():
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=os.path.getmtime)
    if wheels:
        yield _must("wheel", "size of the wheel", "MB", 1, wheels[-1].stat().st_size / 1e6)


def _python(*words):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
