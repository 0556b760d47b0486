"""Compile the tape core and the optimizers to WebAssembly: fastgrad/pages/engine.wasm.

Usage: engine.py [--check]. The result is committed, so that no build needs the compiler, which is
the pinned package ziglang. built.json says what it was made of; --check fails where the sources
have changed since, and where the compiler is here compiles anew and compares the bytes.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "src" / "fastgrad" / "_native"
RESULT, RECORD = ROOT / "fastgrad" / "pages" / "engine.wasm", Path(__file__).with_name("built.json")
BUILD = ROOT / "build" / "wasm"
CACHE = {f"ZIG_{kind}_CACHE_DIR": str(BUILD / "zig") for kind in ("GLOBAL", "LOCAL")}
LIMIT = 200_000  # bytes
UNITS = ("pages/*.c", "tape/*.c", "tape/kernels/baseline.c", "train/rules.c")
HEADERS = ("*.h", "base/*.h", "functions/*.h", "ops/*.h", "pages/*.h", "tape/**/*.h", "train/*.h")
PYTHON = "tools/checks/headers/bare"  # a Python.h that declares its allocators alone
ALLOCATORS = ("Malloc", "Calloc", "Realloc", "Free")
FLAGS = [
    "-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128",
    "-Os", "-flto", "-s", "-Wl,--strip-all", "-std=gnu11", "-DNDEBUG",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",  # as setup.py: the same bits
    "-DFASTGRAD_FUNCTIONS_DECLARED",  # tape/functions.c has them, once
    *(f"-DPyMem_Raw{name}={name.lower()}" for name in ALLOCATORS),
    "-w",  # setup.py and cross.py ask for warnings
    "-I", PYTHON, "-I", "src/fastgrad/_native",
]  # fmt: skip
REMEDY = "run `make wasm` and commit fastgrad/pages/engine.wasm and tools/pages/built.json"


def found(patterns):
    """Return the files of some patterns, relative to the repository, in one order everywhere."""
    paths = {path for pattern in patterns for path in NATIVE.glob(pattern)}
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


def compiler():
    """Return the pinned version of the compiler."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (pinned,) = project["optional-dependencies"]["wasm"]
    return pinned


def record(wasm):
    """Return what says how a module was made."""
    digest = hashlib.sha256()
    for name in [*found(UNITS + HEADERS), f"{PYTHON}/Python.h"]:
        digest.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return {
        "compiler": compiler(),
        "flags": " ".join(FLAGS),
        "sources": digest.hexdigest(),
        "module": hashlib.sha256(wasm).hexdigest(),
    }


def compiled():
    """Return the module's bytes."""
    BUILD.mkdir(parents=True, exist_ok=True)
    made = BUILD / "engine.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *found(UNITS), "-o", made]
    subprocess.run(command, cwd=ROOT, env=os.environ | CACHE, check=True)
    return made.read_bytes()


def check():
    """Compare with what is committed."""
    wasm, stored = RESULT.read_bytes(), json.loads(RECORD.read_text("utf-8"))
    if len(wasm) > LIMIT:
        sys.exit(f"engine.wasm: expected at most {LIMIT} bytes, got {len(wasm)}")
    changed = [key for key, value in record(wasm).items() if stored.get(key) != value]
    if changed:
        sys.exit(f"engine.wasm: {', '.join(changed)} changed since it was made: {REMEDY}")
    if importlib.util.find_spec("ziglang") is None:
        print(f"engine.wasm is of these sources; compiling anew SKIPPED, no {compiler()} here")
        return
    if compiled() != wasm:
        sys.exit(f"engine.wasm: the same sources give other bytes: {REMEDY}")
    print("engine.wasm is what these sources give")


def main():
    if sys.argv[1:] == ["--check"]:
        check()
        return
    wasm = compiled()
    if len(wasm) > LIMIT:
        sys.exit(f"engine.wasm: expected at most {LIMIT} bytes, got {len(wasm)}")
    RESULT.write_bytes(wasm)
    RECORD.write_text(json.dumps(record(wasm), indent=1) + "\n", "utf-8")
    print(f"{RESULT.relative_to(ROOT)}: {len(wasm):,} bytes")


if __name__ == "__main__":
    main()
