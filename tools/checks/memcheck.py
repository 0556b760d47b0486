"""Run the tests that use memory in the trickiest ways under valgrind; report what counts.

Usage: memcheck.py FOLDER [argument of pytest ...]; the reports of all processes are left in FOLDER.

A wrong access counts if fastgrad took part: in it, or in making or freeing the memory. A value that
is not initialised counts where fastgrad uses it. The rest is CPython's own: its int.from_bytes
multiplies an unset digit by 0, and its parser looks behind the end of a text.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VALGRIND = (
    "valgrind", "--quiet", "--leak-check=no", "--num-callers=40", "--fullpath-after=",
    "--trace-children=yes", "--trace-children-skip=*/git,*/file", "--child-silent-after-fork=yes",
)  # fmt: skip
TESTS = (
    "graph/test_state_machine", "memory/test_arena", "graph/test_custom_operations",
    "graph/test_network_edits", "memory/test_out_of_memory", "graph/test_reentrancy",
    "graph/test_backward", "graph/test_copies", "graph/test_value_objects",
)  # fmt: skip
NEAR = 2  # frames from the error, so that a memcpy is its caller's


def is_in_fastgrad(frame):
    return "src/fastgrad/" in frame


def errors(text):
    """Split a report into errors: text, kind, frames of the access and of the memory's life."""
    for part in re.split(r"^==\d+== \n", text, flags=re.MULTILINE):
        lines = [line.partition("== ")[2] for line in part.splitlines()]
        frames = [line for line in lines if re.match(r" +(at|by) 0x", line)]
        if frames:
            yield "\n".join(lines), "uninitialised" in lines[0], frames


def main(folder, *arguments):
    if not shutil.which("valgrind"):
        sys.exit("memcheck: expected valgrind on PATH; install it and run this again")
    folder = Path(folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tests = arguments or [f"tests/{name}.py" for name in TESTS]
    log = f"--log-file={folder}/%p.txt"
    command = [*VALGRIND, log, sys.executable, "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly"]
    environment = {**os.environ, "PYTHONMALLOC": "malloc", "HYPOTHESIS_PROFILE": "few"}
    status = subprocess.run([*command, *tests], env=environment, check=False).returncode
    found = harmless = 0
    reports = list(folder.glob("*.txt"))
    for path in reports:
        for report, uninitialised, frames in errors(path.read_text()):
            if any(map(is_in_fastgrad, frames[:NEAR] if uninitialised else frames)):
                found += 1
                print(report)
            else:
                harmless += 1
    print(f"memcheck: {found} errors in {len(reports)} processes, and {harmless} of CPython's own")
    sys.exit(status or bool(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
