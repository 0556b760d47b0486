"""Plant each fault of tools/faults/ in a copy of the tree; the test suite must catch them all.

Usage: plant.py [--list | --check] [--only NAME ...] [-j N]; exit 1 when one survived.

The copy is compiled once. Each fault has a copy of that, in which only the modules that it touches
are compiled again; then run the tests that it names, and unless they caught it, the whole suite.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent
IGNORED = (".*", "*.so", "*.egg-info", "__pycache__", "build", "dist", "results")
MEMORY = 8 << 30  # bytes of address space; a fault that allocates without end stops there
FIRST_LIMIT = 240  # seconds for the tests that a fault names; those that hang count as failed


@dataclass(frozen=True)
class Fault:
    """One row of the data: in `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    why: str
    first: tuple[str, ...] = ()  # tests to run before the others
    build: str = "quick"  # FASTGRAD_BUILD, with -id8, -chunk2 where these bring the fault out


def load(folder: Path = DATA) -> tuple[list[str], list[Fault]]:
    """Return the order of the test files, and the faults of all files in a folder."""
    order: list[str] = []
    faults: list[Fault] = []
    for path in sorted(folder.rglob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        order += data.get("order", ())
        rows = data.get("fault", ())
        faults += [Fault(**{**row, "first": tuple(row.get("first", ()))}) for row in rows]
    return order, faults


def complaints(faults: list[Fault], order: list[str], root: Path) -> list[str]:
    """Return what is wrong with the data."""
    names = [fault.name for fault in faults]
    twice = sorted({name for name in names if names.count(name) > 1})
    wrong = [f"{name}: the name of two faults" for name in twice]
    for fault in faults:
        path = root / fault.file
        found = path.read_text("utf-8").count(fault.old) if path.is_file() else 0
        if found != 1 or not fault.old.strip():
            wrong.append(
                f"{fault.name}: expected its old text once in {fault.file}, found it {found} times"
            )
        if fault.old == fault.new:
            wrong.append(f"{fault.name}: expected a change, got the same text")
    files = {name.split("::")[0] for fault in faults for name in fault.first} | set(order)
    gone = sorted(name for name in files if not (root / "tests" / name).is_file())
    return wrong + [f"{name}: no such test file" for name in gone]


# -- one tree: copying, planting, compiling --------------------------------------------------------


def copy_tree(source: Path, target: Path, ignored: tuple[str, ...] = ()) -> Path:
    """Copy files with their timestamps, by which the build knows what to compile again."""
    ignore = shutil.ignore_patterns(*ignored) if ignored else None
    shutil.copytree(source, target, ignore=ignore, symlinks=True)
    return target


def plant(tree: Path, fault: Fault) -> None:
    path = tree / fault.file
    path.write_text(path.read_text("utf-8").replace(fault.old, fault.new), "utf-8")


def compile_tree(tree: Path, variant: str) -> None:
    """Bring a variant's build up to date, as the Makefile does."""
    mode, *knobs = variant.split("-")
    found = dict(re.fullmatch(r"(id|chunk)(\d+)", knob).groups() for knob in knobs)
    environment = {
        **os.environ,
        "FASTGRAD_BUILD": mode,
        "FASTGRAD_ID_BITS": found.get("id", ""),
        "FASTGRAD_CHUNK_SHIFT": found.get("chunk", ""),
    }
    command = [sys.executable, "setup.py", "-q", "build", "--build-lib", f"build/lib-{variant}"]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"does not compile:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


# -- running tests ---------------------------------------------------------------------------------


def run_tests(tree: Path, variant: str, tests: list[str], limit: float) -> tuple[int | None, str]:
    """Run tests until one fails; return pytest's status (None: time ran out) and output."""
    environment = {
        **os.environ,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(tree / "build" / f"lib-{variant}"),
        "FASTGRAD_EXPECT": variant,
        "HYPOTHESIS_PROFILE": "ci",  # the same examples each time
    }
    command = [sys.executable, "-u", "-m", "pytest", "-x", "-v", "--tb=short"]
    command += ["-p", "no:randomly"]  # the likely catchers first
    command += ["-p", "no:cacheprovider", f"--basetemp={tree}/tmp", *(f"tests/{t}" for t in tests)]
    with open(tree / "output.txt", "w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children of tests too
            process.wait()
        output.seek(0)
        return status, output.read()


STARTED = r"^(tests/\S+\.py::.+?)(?: (?:PASSED|SKIPPED|FAILED|ERROR|Fatal).*)?$"


def verdict(status: int | None, output: str) -> str | None:
    """Say which test caught a fault and how, or None where none did."""
    if status == 0:
        return None
    started = re.findall(STARTED, output, re.MULTILINE)
    last = started[-1].strip() if started else "the start"
    if status is None:
        return f"hang in {last}"
    if status < 0:
        return f"{signal.Signals(-status).name} in {last}"
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    if failed:
        return failed[0]
    if status == 2 and "KeyboardInterrupt" in output:  # from a test: it has a session of its own
        return f"interrupt in {last}"
    if status == 4 and "while loading conftest" in output:
        return "import fastgrad"
    raise RuntimeError(f"pytest ended with {status}:\n{output[-4000:]}")


def suite(tree: Path, order: list[str]) -> list[str]:
    """List the test files that concern the built package, the likely catchers first."""
    # These read sources, so they would see any fault in a generated file or in the data here.
    left_out = {"ops/test_generator.py", "project/test_layout.py", "project/test_plant_faults.py"}
    names = sorted(
        path.relative_to(tree / "tests").as_posix() for path in (tree / "tests").rglob("test_*.py")
    )
    return [*order, *(name for name in names if name not in {*order, *left_out})]


@dataclass(frozen=True)
class Result:
    fault: Fault
    catcher: str | None
    error: str
    output: str
    seconds: float

    def line(self) -> str:
        how = "ERROR" if self.error else "caught" if self.catcher else "SURVIVED"
        what = self.error or self.catcher or ""
        return f"{how:8} {self.seconds:5.0f} s  {self.fault.name:34} {what}".rstrip()


def try_fault(base: Path, fault: Fault, order: list[str], limit: float) -> Result:
    """Plant, compile, test; the private copy goes whatever happens."""
    started = time.monotonic()
    catcher, error, output = None, "", ""
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        try:
            tree = copy_tree(base, Path(folder, "tree"))
            plant(tree, fault)
            compile_tree(tree, fault.build)
            if fault.first:
                status, output = run_tests(tree, fault.build, list(fault.first), FIRST_LIMIT)
                catcher = verdict(status, output)
            if catcher is None:
                status, output = run_tests(tree, fault.build, suite(tree, order), limit)
                catcher = verdict(status, output)
        except RuntimeError as problem:
            error = str(problem)
    return Result(fault, catcher, error, output, time.monotonic() - started)


def prepare(base: Path, variants: list[str], order: list[str], limit: float, trust: bool) -> bool:
    """Compile the copy; the suite must pass on it, or no fault could be told."""
    for variant in variants:
        started = time.monotonic()
        compile_tree(base, variant)
        status, output = (0, "") if trust else run_tests(base, variant, suite(base, order), limit)
        if status != 0:
            print(f"{output[-6000:]}\nwithout a fault, {variant}: {verdict(status, output)}")
            return False
        how, seconds = "compiled" if trust else "passes", time.monotonic() - started
        print(f"{how:8} {seconds:5.0f} s  without a fault: {variant}", flush=True)
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Plant faults; the test suite must catch them.")
    parser.add_argument("--list", action="store_true", help="print the faults, and end")
    parser.add_argument("--check", action="store_true", help="test only that each fits the sources")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="plant these alone")
    parser.add_argument("--trust", action="store_true", help="do not run the suite without a fault")
    parser.add_argument("--show", action="store_true", help="print what the last tests printed")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for the whole suite")
    parser.add_argument("--data", type=Path, default=DATA, help="another folder of faults")
    parser.add_argument("-j", type=int, default=1, metavar="N", help="faults at a time")
    options = parser.parse_args(arguments)

    order, faults = load(options.data)
    unknown = set(options.only) - {fault.name for fault in faults}
    wrong = complaints(faults, order, ROOT) + [f"{name}: no such fault" for name in sorted(unknown)]
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 2
    faults = [fault for fault in faults if not options.only or fault.name in options.only]
    if options.list:
        for fault in faults:
            file = fault.file.removeprefix("src/fastgrad/_native/")
            print(f"{fault.name:34} {file:16} {fault.why}")
    if options.list or options.check:
        return 0

    # A shell's background job ignores Ctrl-C; tests that send it to their children must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))  # of all that is started from here
    started = time.monotonic()
    results = []
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        base = copy_tree(ROOT, Path(folder, "tree"), IGNORED)
        variants = list(dict.fromkeys(fault.build for fault in faults))
        if not prepare(base, variants, order, options.timeout, options.trust):
            return 2
        with ThreadPoolExecutor(options.j) as pool:
            todo = [pool.submit(try_fault, base, fault, order, options.timeout) for fault in faults]
            for one in todo:
                result = one.result()
                results.append(result)
                print(result.line(), flush=True)
                if options.show:
                    print(result.output[-3000:])
    caught = sum(bool(result.catcher) for result in results)
    print(f"{caught} of {len(faults)} faults caught in {time.monotonic() - started:.0f} s")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
