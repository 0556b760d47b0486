"""Instructions that six fixed programs take: a gate without noise, for `make instructions`.

Each program runs under valgrind twice, with few and with many repetitions: the difference has no
start-up in it. Figures hold for one processor family, Python and compiler, so the file has a set
for each.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.workloads import ROOT

FILE = ROOT / "benchmarks" / "instructions.json"
TOLERANCE = 0.03
FEW, MANY = 2, 12
START = """\
import gc, sys
gc.disable()
from benchmarks.workloads import Library, eager_case, gpt, workloads
from fastgrad import Value
from fastgrad.nn import MLP
repeat = range(int(sys.argv[1]))
"""
PROGRAMS = {
    "expression": """
for _ in repeat:
    for _ in range(100):
        a, b = Value(-4.0), Value(2.0)
        workloads.expression(a, b).backward()
""",
    "chain": """
for _ in repeat:
    root = workloads.chain(Value(1.0), Value(0.999999), Value(1e-6), 10_000)
    root.backward()
    del root
""",
    "dense": """
layers = [[[Value(w) for w in ws] for ws in layer] for layer in workloads.dense_weights(10_000)]
xs = [Value(0.5) for _ in layers[0][0]]
for _ in repeat:
    root = workloads.dense(xs, layers)
    root.backward()
    del root
""",
    "mlp": """
import random
random.seed(1)
X = [(random.uniform(-1, 1), random.uniform(-1, 1)) for _ in range(20)]
y = [1 if a > b else -1 for a, b in X]
library, model = Library("fastgrad", Value, MLP), MLP(2, [16, 16, 1])
for _ in repeat:
    workloads.training_step(library, model, X, y, 0.1)
""",
    "gpt": """
model = gpt.GPT(Value)
optimizer = gpt.Adam(model.parameters())
for _ in repeat:
    gpt.gpt_step(model, optimizer, "a")
""",
    "tape": """
import random
import fastgrad
random.seed(1)
X = [[random.uniform(-1, 1), random.uniform(-1, 1)] for _ in range(100)]
y = [1.0 if a > b else -1.0 for a, b in X]
model = MLP(2, [16, 16, 1])
tape = fastgrad.record(lambda x, y: workloads.sample_loss(model, x, y), X[0], y[0])
optimizer = fastgrad.optim.SGD(model.parameters(), lr=0.1)
for _ in repeat:
    optimizer.zero_grad()
    tape.backward(X, y)
    optimizer.step()
    for a, b in zip(X, y):
        tape.value_and_grad(a, b, wrt="inputs")
""",
}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--update", action="store_true", help="store what is measured")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed")
        return 0
    stored = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    key = environment()
    counts = {name: per_repetition(program) for name, program in PROGRAMS.items()}
    if options.update:
        stored[key] = counts
        FILE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"stored for {key}: {counts}")
        return 0
    return judge(key, counts, stored)


def judge(key, counts, stored):
    """Print each program's count beside the stored one; 1 if any has grown beyond tolerance."""
    if key not in stored:
        print(f"skipped: no figures for {key}; `make instructions-update` stores {counts}")
        return 0
    failed = False
    for name, count in counts.items():
        before = stored[key].get(name)
        change = count / before - 1 if before else 0.0
        verdict = "" if abs(change) <= TOLERANCE else "  MORE" if change > 0 else "  fewer: update"
        failed |= change > TOLERANCE
        print(f"{name:12}{count:>14,}{before or 0:>14,}{change:>+9.2%}{verdict}")
    return int(failed)


def environment():
    """Name what the counts depend on."""
    from fastgrad.engine import build_info

    build = build_info()
    python = f"{platform.python_implementation()}-{platform.python_version()}"
    libc = "-".join(platform.libc_ver())
    return f"{platform.machine()} {libc} {python} compiler-{build['compiler']} {build['variant']}"


def per_repetition(program):
    """Return the instructions of one repetition."""
    return round((count(program, MANY) - count(program, FEW)) / (MANY - FEW))


def count(program, repetitions):
    """Return the instructions of a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=out",
             sys.executable, "-c", START + program, str(repetitions)],
            capture_output=True, text=True, cwd=folder, check=False,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT),
                 "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
                 "FASTGRAD_SIMD": "baseline"},  # valgrind knows no AVX-512
        )  # fmt: skip
        text = (Path(folder) / "out").read_text("utf-8") if process.returncode == 0 else ""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if not found:
        raise SystemExit(f"valgrind gave no count:\n{process.stderr[-2000:]}")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
