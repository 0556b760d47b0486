"""Build portable wheels without docker; check each, and try it on the kind of machine it is for.

Usage: wheels.py DIST [text ...]; a text picks the targets whose names hold it. A target is a kind
of wheel for a CPython found here, and each gets a line: what was done, or why it could not be.
Nothing is installed: what is fetched (10 MB of lists, 15 MB of arm64 packages) goes into build/.
"""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from pythons import VERSIONS, find_pythons
from sdist import make_sdist
from wheel import ROOT, check_binaries, check_contents, expect, run

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "wheels"
GRADIENTS = ROOT / "tests" / "project" / "test_reproducible.py"
ZIG_CACHE = {f"ZIG_{kind}_CACHE_DIR": str(BUILD / "zig") for kind in ("GLOBAL", "LOCAL")}
SLOWER_AT_MOST = 0.03
TOOLS = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


class CannotError(Exception):
    """Say what this machine lacks for a step, and how to get it."""


@dataclass(frozen=True)
class CPython:
    """An interpreter found here."""

    version: str  # such as 3.11.7
    path: str

    @property
    def minor(self):
        return self.version.rpartition(".")[0]

    @property
    def digits(self):
        return self.minor.replace(".", "")

    @cached_property
    def builder(self):
        """An interpreter of this version that has what setup.py needs."""
        home = BUILD / f"env-{self.version}"
        if not (home / "complete").exists():
            project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
            run(self.path, "-m", "venv", "--clear", home)
            pip = [home / "bin" / "python", "-m", "pip", "install", "-q"]
            run(*pip, *project["build-system"]["requires"])
            (home / "complete").touch()
        return home / "bin" / "python"


@dataclass
class Target:
    """How a kind of wheel is built and tried for one CPython.

    Attributes
    ----------
    platform : str
        The tag that auditwheel must agree to.
    environment : dict of str
        What makes setup.py compile for the platform.
    install : callable
        ``install(scratch, wheel)`` returns the path of an interpreter that has the wheel and
        nothing else, and the variables that it needs; or raises CannotError.
    where : str
        What that interpreter is.
    finish : callable
        Change the wheel that setup.py made, in its folder.
    """

    platform: str
    environment: dict
    install: Callable
    where: str
    finish: Callable = field(default=lambda wheel: wheel)


# ---- kinds of wheels: each returns a Target, or raises CannotError


def compiler(*command):
    """Return what makes setup.py use a compiler, and link with it."""
    words = [str(word) for word in command]
    return {"CC": shlex.join(words), "LDSHARED": shlex.join([*words, "-shared"])}


def zig(target, *options):
    return ZIG_CACHE | compiler(sys.executable, "-m", "ziglang", "cc", "-target", target, *options)


def manylinux_x86_64(cpython):
    """Compile with gcc, which makes faster sweeps than clang does, against old symbols."""
    if not shutil.which("gcc") or os.uname().machine != "x86_64":
        raise CannotError("it needs gcc on an x86-64 Linux")
    gcc = compiler("gcc", "-include", HERE / "headers" / "old_glibc.h")

    def install(scratch, wheel):
        home = scratch / "env"
        run(cpython.path, "-m", "venv", "--without-pip", home)
        pip = [cpython.builder, "-m", "pip", "--python", home / "bin" / "python"]
        run(*pip, "install", "-q", "--no-index", "--no-deps", wheel)
        return home / "bin" / "python", {"PATH": ""}

    return Target("manylinux_2_17_x86_64", gcc, install, f"CPython {cpython.version}")


def musllinux_x86_64(cpython):
    """Compile with zig, which has musl's headers."""
    suffix = f".cpython-{cpython.digits}-x86_64-linux-musl.so"
    environment = zig("x86_64-linux-musl") | {"SETUPTOOLS_EXT_SUFFIX": suffix}

    def install(*_):
        raise CannotError("no package index here has a CPython for musl")

    return Target("musllinux_1_2_x86_64", environment, install, "musl", name_libc_as_alpine_does)


def name_libc_as_alpine_does(wheel):
    """Let modules need libc.musl-x86_64.so.1 where zig writes libc.so."""
    folder = wheel.parent / "unpacked"
    run(sys.executable, "-m", "wheel", "unpack", "-d", folder, wheel)
    for module in folder.rglob("*.so"):
        names = ["libc.so", "libc.musl-x86_64.so.1"]
        run("patchelf", "--replace-needed", *names, module, env=os.environ | TOOLS)
    (tree,) = folder.iterdir()
    wheel.unlink()
    run(sys.executable, "-m", "wheel", "pack", "-d", wheel.parent, tree)
    return wheel


def manylinux_aarch64(cpython):
    """Compile with zig and Debian's headers for arm64; run under qemu with Debian's Python."""
    root = debian_arm64(cpython.minor)
    usr, name = root / "usr", "_sysconfigdata__aarch64-linux-gnu"
    settings = root / "sysconfig"
    settings.mkdir(exist_ok=True)
    include = str(usr / "include" / f"python{cpython.minor}")
    text = (usr / "lib" / f"python{cpython.minor}" / f"{name}.py").read_text("utf-8")
    text += f"build_time_vars.update(INCLUDEPY={include!r}, CONFINCLUDEPY={include!r})\n"
    (settings / f"{name}.py").write_text(text, "utf-8")
    environment = zig("aarch64-linux-gnu.2.17", "-I", usr / "include") | {
        "PYTHONPATH": str(settings),
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        "_PYTHON_SYSCONFIGDATA_NAME": name,
    }

    def install(scratch, wheel):
        emulator = shutil.which("qemu-aarch64")
        if not emulator:
            raise CannotError("it needs qemu-aarch64: apt-get install qemu-user")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "site")
        emulated = [emulator, "-L", root, usr / "bin" / f"python{cpython.minor}"]
        python = scratch / "python"  # a program that a test starts is emulated, too
        python.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, emulated))} "$@"\n', "utf-8")
        python.chmod(0o755)
        return python, {"PATH": "", "PYTHONPATH": str(scratch / "site")}

    where = "qemu-aarch64, Debian's arm64 Python"
    return Target("manylinux_2_17_aarch64", environment, install, where)


@cache
def apt_for_arm64():
    """Return options that make apt-get and apt-cache speak of arm64, and leave the system alone."""
    if not shutil.which("apt-get"):
        raise CannotError("it needs apt-get, which fetches Debian's arm64 Python")
    folder = BUILD / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",  # where root runs this, the folder may not be open to others
        "Acquire::Languages": "none",
        "Dir::State": folder / "state",
        "Dir::State::status": os.devnull,
        "Dir::Cache": folder / "cache",
    }
    options = [f"-o{key}={value}" for key, value in settings.items()]
    update = ["apt-get", *options, "-qq", "update"]
    if subprocess.run(update, capture_output=True, check=False).returncode:
        raise CannotError(f"this failed: {shlex.join(update)}")
    return options


def debian_arm64(version):
    """Return a folder with Debian's arm64 Python of a version, its headers and what it needs."""
    root = BUILD / f"arm64-{version}"
    if root.exists():
        return root
    options, python = apt_for_arm64(), f"python{version}"
    if not run("apt-cache", *options, "search", "-n", f"^lib{python}-dev$"):
        raise CannotError(f"Debian's arm64 packages here have no lib{python}-dev")
    packages = [f"lib{python}-dev", f"lib{python}-stdlib", f"lib{python}-minimal"]
    packages += [f"{python}-minimal", "libc6", "libgcc-s1", "libexpat1", "zlib1g"]
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        run("apt-get", *options, "-qq", "download", *packages, cwd=scratch)
        unpacked = Path(scratch, "root")
        for package in Path(scratch).glob("*.deb"):
            run("dpkg", "-x", package, unpacked)
        unpacked.rename(root)
    return root


KINDS = {
    "manylinux-x86_64": manylinux_x86_64,
    "musllinux-x86_64": musllinux_x86_64,
    "manylinux-aarch64": manylinux_aarch64,
}
ELSEWHERE = {
    "macos, windows": "Python's headers for them are in no package index here; `make cross-check`"
    " compiles the hand-written C, and .github/workflows/wheels.yml builds on such machines",
}


# ---- what is done with each


def make_tree(folder, python):
    """Unpack the sdist and let Cython write its C, which is the same for every wheel."""
    _, tree = make_sdist(folder)
    run(python, "setup.py", "-q", "--version", cwd=tree)
    return tree


def compiled(environment, python, tree, folder):
    """Build in a copy of a tree; return the wheel as setup.py makes it."""
    copy = shutil.copytree(tree, folder / "tree")
    wheel = [python, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps"]
    run(*wheel, "-w", folder / "raw", copy, env=os.environ | environment)
    (raw,) = (folder / "raw").glob("*.whl")
    return raw


def build(target, python, tree, folder):
    """Return a wheel with its platform's tag, if auditwheel agrees that it deserves it."""
    raw = target.finish(compiled(target.environment, python, tree, folder))
    audit = [sys.executable, "-m", "auditwheel", "repair", "--only-plat", "--plat", "auto"]
    run(*audit, "-w", folder, raw, env=os.environ | TOOLS)
    (wheel,) = folder.glob("*.whl")
    expect(target.platform in wheel.name, f"expected {target.platform}, got {wheel.name}")
    return wheel


def check(wheel):
    check_contents(wheel)
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
        check_binaries(Path(scratch))


def gradients():
    """Return the program of the test of reproducibility, and the sha256 stored there."""
    tree = ast.parse(GRADIENTS.read_text("utf-8"))
    texts = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    return texts["FAST"] + texts["PROGRAM"], texts["STORED"]


@cache
def test_packages():
    """Return a folder with what the smoke tests need; any CPython on any system can import it."""
    folder = BUILD / "packages"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
        pip += ["--only-binary=:all:", "--platform", "any", "--implementation", "py"]
        run(*pip, "--python-version", "3.11", "pytest", "hypothesis")
    return folder


def smoke(python, environment, scratch):
    """Run the smoke tests; return pytest's last line."""
    place = scratch / "place"
    place.mkdir()
    shutil.copytree(ROOT / "tests", place / "tests")
    shutil.copy(ROOT / "pyproject.toml", place)
    path = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(test_packages())]))
    program = (
        f"import sys; sys.executable = {str(python)!r}; import pytest; sys.exit(pytest.main())"
    )
    pytest = ["-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    command = [python, "-sPc", program, *pytest, "tests/test_smoke.py"]
    return run(*command, cwd=place, env=environment | {"PYTHONPATH": path}).splitlines()[-1]


def attempt(target, wheel):
    """Run trial.py and the smoke tests where the wheel is meant to run; say what was found."""
    program, stored = gradients()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        path = scratch / "gradients.py"
        path.write_text(program, "utf-8")
        try:
            python, environment = target.install(scratch, wheel)
        except CannotError as reason:
            return f"NOT TRIED, {reason}"
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        shown = run(python, "-sP", "-W", "error", HERE / "trial.py", path, env=environment)
        passed = smoke(python, environment, scratch)
    found, _, digest = shown.strip().rpartition(" ")
    expect(digest == stored, f"{wheel.name}: expected gradients {stored}, got {digest}")
    return f"tried in {target.where}: {found} stored sha256 of gradients; smoke tests: {passed}"


def process(target, python, trees, dist):
    """Build a wheel twice, check it, try it; return it and what was done, in words."""
    with tempfile.TemporaryDirectory(dir=BUILD) as first, tempfile.TemporaryDirectory() as second:
        folders = [Path(first), Path(second)]
        wheel, again = (build(target, python, *pair) for pair in zip(trees, folders, strict=True))
        expect(wheel.name == again.name, f"expected {wheel.name}, got {again.name}")
        expect(wheel.read_bytes() == again.read_bytes(), f"{wheel.name}: a second build differs")
        check(wheel)
        tried = attempt(target, wheel)
        dist.mkdir(exist_ok=True)
        kept = Path(shutil.copy(wheel, dist))
    return kept, f"{kept.name}, {kept.stat().st_size:,} bytes, same bytes twice; {tried}"


# ---- speed


def count_instructions(python, wheel, folder):
    """Return the instructions of each program of benchmarks/instructions.py with a wheel."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")
    file = folder / "benchmarks" / "instructions.json"
    file.unlink()
    run(python, "-m", "benchmarks.instructions", "--update", cwd=folder)
    (counts,) = json.loads(file.read_text("utf-8")).values()
    return counts


def compare_speed(python, tree, wheel):
    """No program takes 3 % more instructions than with a build for this machine alone."""
    if not shutil.which("valgrind"):
        return "NOT COMPARED, it needs valgrind: apt-get install valgrind"
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        local = compiled({}, python, tree, Path(scratch))
        before = count_instructions(python, local, Path(scratch, "local"))
        after = count_instructions(python, wheel, Path(scratch, "portable"))
    changes = {name: after[name] / before[name] - 1 for name in before}
    shown = ", ".join(f"{name} {change:+.2%}" for name, change in changes.items())
    expect(max(changes.values()) <= SLOWER_AT_MOST, f"{wheel.name} is too slow: {shown}")
    return shown


def main(dist, *texts):
    BUILD.mkdir(parents=True, exist_ok=True)
    found = find_pythons([f"python3.{number}" for number in VERSIONS])
    expect(found, "no CPython of 3.11 or later found")
    targets = {
        f"{kind}-cp{cpython.digits}": (make, cpython)
        for cpython in (CPython(*item) for item in found.items())
        for kind, make in KINDS.items()
    }
    chosen = [name for name in targets if not texts or any(text in name for text in texts)]
    expect(chosen, f"expected a part of one of {', '.join(targets)}, got {texts}")
    compared = False
    with tempfile.TemporaryDirectory(dir=BUILD) as first, tempfile.TemporaryDirectory() as second:
        python = targets[chosen[0]][1].builder
        trees = [make_tree(Path(folder), python) for folder in (first, second)]
        for name in chosen:
            make, cpython = targets[name]
            try:
                target = make(cpython)
            except CannotError as reason:
                print(f"{name}: CANNOT be built, {reason}", flush=True)
                continue
            wheel, done = process(target, cpython.builder, trees, dist)
            print(f"{name}: {done}", flush=True)
            if make is manylinux_x86_64 and not compared:
                speed = compare_speed(cpython.builder, trees[0], wheel)
                print(f"{name}: instructions beside a local build's: {speed}", flush=True)
                compared = True
    for name, reason in ELSEWHERE.items():
        print(f"{name}: CANNOT be built, {reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
