"""Print which lines of src/fastgrad ran, after the tests have run on coverage builds.

Usage: native_coverage.py MINIMUM BUILD ..., the folders that hold the .gcda files. Exits with 1 if
fewer than MINIMUM percent of all lines have run, in whichever build.

gcov counts lines of C. Cython writes above each statement's C, in a comment, the line that it came
from; its #line marks would not do, since they number the following C lines on and on.
"""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = re.compile(r' */\* "(?:src/)?(fastgrad/[\w/]+\.p(?:yx|xd|xi))":(\d+)$')


def origins(path):
    """Return {line of C: (source, line)}: Cython's C is mapped back, other C is itself."""
    text = (ROOT / path).read_text("utf-8").splitlines()
    if not (path.startswith("build/") and path.endswith(".c")):
        return {n: (path.partition("src/")[2], n) for n in range(1, len(text) + 1)}
    found, origin = {}, None
    for number, line in enumerate(text, start=1):
        if match := ORIGIN.match(line):
            origin = match[1], int(match[2])
        elif line.startswith("}"):
            origin = None  # what follows, until the next comment, is glue
        elif origin:
            found[number] = origin
    return found


def line_counts(builds):
    """Return {path under src: Counter {line number: times run}}."""
    counts = defaultdict(Counter)
    for notes in [path for build in builds for path in build.rglob("*.gcda")]:
        command = ["gcov", "--json-format", "--stdout", notes]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        for report in map(json.loads, done.stdout.splitlines()):
            for file in report["files"]:
                if not file["file"].startswith(("build/", "src/")):
                    continue  # Python's headers
                origin = origins(file["file"])
                for line in file["lines"]:
                    if line["line_number"] in origin:
                        name, number = origin[line["line_number"]]
                        counts[name][number] = max(counts[name][number], line["count"])
    return counts


def ranges(numbers):
    """`[3, 4, 5, 9]` reads `3-5 9`."""
    runs = groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    ends = ([number for _, number in run] for _, run in runs)
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in ends)


def main(minimum, builds):
    counts = line_counts(builds)
    if not counts:
        sys.exit(f"native_coverage: expected .gcda files under {builds}: run the tests first")
    print(f"{'native source':32} {'lines':>6} {'missed':>6} {'cover':>7}  missing")
    total = total_missed = 0
    for name, lines in sorted(counts.items()):
        missed = [number for number, count in lines.items() if not count]
        total, total_missed = total + len(lines), total_missed + len(missed)
        print(row(name, len(lines), len(missed)), ranges(missed))
    print(row("TOTAL", total, total_missed))
    if 100 * (total - total_missed) < minimum * total:
        sys.exit(f"native_coverage: expected {minimum} % of the lines to run")


def row(name, lines, missed):
    return f"{name:32} {lines:6} {missed:6} {1 - missed / lines:7.1%} "


if __name__ == "__main__":
    main(float(sys.argv[1]), [Path(build) for build in sys.argv[2:]])
