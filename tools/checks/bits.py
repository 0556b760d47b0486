"""Compile the table's texts with other compilers, for other processors, and compare the bits.

Usage: bits.py. bits.c is compiled with each compiler that is here and run, for aarch64 by
qemu-aarch64; the bits of every row are compared with tests/functions/bits.json. What has no
compiler or emulator here prints SKIPPED.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
from wheels import BUILD, HERE, ROOT, ZIG_CACHE

from fastgrad import ops

sys.path.insert(0, str(ROOT / "tests"))

from helpers.bits import PARAMETERS, hashed, operands

SOURCES = ROOT / "src" / "fastgrad" / "_native"
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
RUNS = {  # compiler and its flags, what runs the result
    "gcc": (["gcc"], []),
    "gcc without optimization": (["gcc", "-O0"], []),
    "gcc for AVX2": (["gcc", "-mavx2", "-mfma"], []),
    "clang": (["clang"], []),
    "zig cc (clang), musl": ([*ZIG, "-target", "x86_64-linux-musl"], []),
    "zig cc (clang) for aarch64": (
        [*ZIG, "-target", "aarch64-linux-musl", "-static"],
        ["qemu-aarch64"],
    ),
    "gcc for aarch64": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
}


def missing(compiler, emulator):
    """Return the program that is not here, if one is not."""
    programs = [*emulator, *(compiler[:1] if compiler[:3] != ZIG else [])]
    found = next((name for name in programs if shutil.which(name) is None), None)
    if compiler[:3] == ZIG and importlib.util.find_spec("ziglang") is None:
        return "ziglang"
    return found


def rows(written):
    """Return the hash of each row in what bits.c has written."""
    numbers, found = np.frombuffer(written, dtype="<f8"), {}
    for row in ops.native():
        rounds = 1 if row.name == "round" or not row.parameter else len(PARAMETERS)
        count = rounds * (1 + row.arity) * len(operands(row)[0])
        arrays = numbers[:count].reshape(rounds, 1 + row.arity, -1).copy()
        arrays[:, 1:] += 0.0  # as an adjoint that begins with 0, a partial of -0 is 0
        numbers = numbers[count:]
        found[row.name] = hashed(arrays.reshape(rounds * (1 + row.arity), -1))
    return found if not numbers.size else {}


def run(compiler, emulator):
    """Return the hashes that a compiler's program gives."""
    program = BUILD / "bits"
    command = [*compiler, *FLAGS, "-I", SOURCES, HERE / "bits.c", "-o", program, "-lm"]
    subprocess.run(command, env=os.environ | ZIG_CACHE, check=True)
    return rows(subprocess.run([*emulator, program], capture_output=True, check=True).stdout)


def main():
    BUILD.mkdir(parents=True, exist_ok=True)
    stored = json.loads((ROOT / "tests" / "functions" / "bits.json").read_text("utf-8"))
    failed = False
    for name, (compiler, emulator) in RUNS.items():
        absent = missing(compiler, emulator)
        if absent:
            print(f"{name}: SKIPPED, no {absent} here")
            continue
        found = run(compiler, emulator)
        wrong = [row for row, bits in stored.items() if found.get(row) != bits]
        failed |= bool(wrong)
        said = f"FAILED: {', '.join(wrong)}" if wrong else "the stored bits"
        print(f"{name}: {said}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
