"""Compiled tapes: C built by the machine's compiler into a cache, loaded, called by replay."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastgrad._native.tape.replay import SIMD, use_compiled
from fastgrad.c_source.text import Source, source_for
from fastgrad.errors import TapeError, explain

__all__ = ["compile_singles"]

_NAME = "tape"
# Every operation is rounded by itself, as replay has it; nobody reads errno or flags of exceptions.
_FLAGS = (
    "-std=c99", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC",
)  # fmt: skip
_LONG = 4000  # lines: beyond, what a compiler would gain takes it minutes
_LEVELS = {"avx2": ["-mavx2"], "avx512": ["-mavx2", "-mavx512f", "-mavx512dq", "-mavx512vl"]}
_WITHOUT = "set CC to a C compiler, or install gcc or clang"


def compile_singles(tape: Any, cache: str | os.PathLike[str] | None) -> None:
    """Let a tape's single samples run as C: see `fastgrad.compiled`."""
    source = source_for(tape, _NAME, f"{_NAME}.h", "compiled")
    command = shlex.split(os.environ.get("CC") or "cc")
    if not command or shutil.which(command[0]) is None:
        got = f"no program {command[0] if command else ''!r}"
        raise TapeError(explain("a C compiler", got, "compiled", _WITHOUT))
    long = source.code.count("\n") > _LONG
    command += [*_FLAGS, "-O1" if long else "-O3", *_LEVELS.get(SIMD, [])]
    library = ctypes.CDLL(str(_built(source, command, _folder(cache))))
    gradient = _address(library, f"{_NAME}_gradient") if source.has_gradient else 0
    use_compiled(tape, _address(library, _NAME), gradient, source.work, library)


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _folder(cache: str | os.PathLike[str] | None) -> Path:
    """Return the cache, which only its owner may write to."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~").expanduser() / ".cache"
    folder = Path(cache if cache is not None else Path(home) / "fastgrad").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    foreign = hasattr(os, "getuid") and found.st_uid != os.getuid()
    if foreign or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        got = "one of another user" if foreign else "one that others may write to"
        remedy = "pass cache=, or take that right away: chmod go-w"
        raise TapeError(explain("a folder of your own", got, f"cache {folder}", remedy))
    return folder


def _built(source: Source, command: list[str], folder: Path) -> Path:
    """Return the compiled file of a source, from the cache or made now and moved there."""
    texts = (source.code, source.header, source.functions, *command, sys.platform)
    name = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    target = folder / f"{name}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        source.write(Path(scratch, f"{_NAME}.c"), Path(scratch, f"{_NAME}.h"))
        words = [*command, "-o", f"{name}.so", f"{_NAME}.c", "-lm"]
        done = subprocess.run(
            words, cwd=scratch, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            got = f"status {done.returncode}: {(done.stderr or done.stdout).strip()[:500]}"
            raise TapeError(explain("a compiled tape", got, command[0], _WITHOUT))
        os.replace(Path(scratch, f"{name}.so"), target)
    return target
