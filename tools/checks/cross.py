"""Compile the hand-written C for systems that are not here; a warning fails.

Usage: cross.py. For Linux with this interpreter's headers of Python; for others, whose headers are
in no package index, with headers/Python.h: what Cython writes is not compiled for them.
"""

import os
import shutil
import subprocess
import sys
import sysconfig

from wheels import BUILD, HERE, ROOT, ZIG_CACHE

from fastgrad.engine import build_info

SOURCES = ROOT / "src" / "fastgrad" / "_native"
ZIG = [sys.executable, "-m", "ziglang", "cc"]
BARE = HERE / "headers" / "bare"
SYSTEMS = {  # zig's name of it: where Python.h is
    "x86_64-linux-gnu": sysconfig.get_path("include"),
    "x86_64-linux-musl": sysconfig.get_path("include"),
    "aarch64-linux-gnu": sysconfig.get_path("include"),
    "aarch64-macos": BARE,
    "x86_64-macos": BARE,
    "x86_64-windows-gnu": BARE,
    "aarch64-windows-gnu": BARE,
}


def compile_all(compiler, headers):
    """Return what a compiler has to say about the hand-written C."""
    flags = [*build_info()["flags"].split(), "-Wall", "-Wextra", "-Werror"]
    includes = ["-I", SOURCES, "-I", headers]
    said = []
    for source in sorted(SOURCES.rglob("*.c")):
        command = [*compiler, *flags, *includes, "-c", source, "-o", BUILD / "cross.o"]
        done = subprocess.run(
            command, env=os.environ | ZIG_CACHE, capture_output=True, text=True, check=False
        )
        said += [done.stderr] if done.returncode or done.stderr else []
    return said


def main():
    BUILD.mkdir(parents=True, exist_ok=True)
    compilers = {
        f"zig cc for {name}": ([*ZIG, "-target", name], headers)
        for name, headers in SYSTEMS.items()
    }
    if shutil.which("clang"):
        compilers["clang"] = (["clang"], sysconfig.get_path("include"))
    else:
        print("clang: not on PATH; zig cc is clang as well")
    failed = False
    for name, (compiler, headers) in compilers.items():
        said = compile_all(compiler, headers)
        failed |= bool(said)
        print(f"{name}: {'FAILED' if said else 'no warning'}", *said, sep="\n", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
