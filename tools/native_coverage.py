"""Print which lines of src/fastgrad ran, after the tests have run on the coverage build.

Usage: native_coverage.py BUILD, the folder that holds the .gcda files.
Layer: tools.  May import: the standard library; runs gcov.

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

ROOT = Path(__file__).resolve().parent.parent
ORIGIN = re.compile(r' */\* "(fastgrad/[\w/]+\.p(?:yx|xd))":(\d+)$')


def origins(path):
    """Return {line of C: (source, line)}: generated C is mapped back, hand-written C is itself."""
    text = (ROOT / path).read_text("utf-8").splitlines()
    if not path.startswith("build/"):
        return {number: (path.removeprefix("src/"), number) for number in range(1, len(text) + 1)}
    found, origin = {}, None
    for number, line in enumerate(text, start=1):
        if match := ORIGIN.match(line):
            origin = match[1], int(match[2])
        elif line.startswith("}"):
            origin = None  # what follows, until the next comment, is glue
        elif origin:
            found[number] = origin
    return found


def line_counts(build):
    """Return {path under src: Counter {line number: times run}}."""
    counts = defaultdict(Counter)
    for notes in build.rglob("*.gcda"):
        command = ["gcov", "--json-format", "--stdout", notes]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        for report in map(json.loads, done.stdout.splitlines()):
            for file in report["files"]:
                if not file["file"].startswith(("build/", "src/")) or "generated" in file["file"]:
                    continue  # Python's headers, and C made from the table
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


def main(build):
    counts = line_counts(build)
    if not counts:
        sys.exit(
            f"native_coverage: expected .gcda files under {build}, got none: run the tests first"
        )
    print(f"{'native source':32} {'lines':>6} {'missed':>6} {'cover':>6}  missing")
    for name, lines in sorted(counts.items()):
        missed = [number for number, count in lines.items() if not count]
        cover = 1 - len(missed) / len(lines)
        print(f"{name:32} {len(lines):6} {len(missed):6} {cover:6.0%}  {ranges(missed)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
