"""Turn a JSON file of run.py into README's table and picture, docs/benchmarks.md and its picture.

`python -m benchmarks.report [FILE] [--print | --pictures]`
"""

import argparse
import json
import re
import sys

from benchmarks.picture import pictures
from benchmarks.workloads import ROOT, WORKLOADS

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
MARKERS = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)
SCALE = {"ns": 1e9, "us": 1e6, "ms": 1e3}
# What the README shows: few rows, few columns.
README_ROWS = ("expression", "moons", "lecture-loops", "gpt")
README_ENGINES = (
    "fastgrad", "fastgrad_tape", "fastgrad_fit", "micrograd", "torch_batched", "jax",
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("file", nargs="?", default=str(RESULTS))
    parser.add_argument("--print", action="store_true", help="print the page, write nothing")
    parser.add_argument("--pictures", action="store_true", help="write the pictures only")
    options = parser.parse_args()
    with open(options.file, encoding="utf-8") as file:
        result = json.load(file)
    if options.print:
        print(page(result))
        return 0
    for name, text in pictures(result["rows"]).items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")
    if options.pictures:
        return 0
    (ROOT / "docs" / "benchmarks.md").write_text(page(result), encoding="utf-8")
    readme = ROOT / "README.md"
    text, count = MARKERS.subn(
        lambda m: m[1] + headline(result) + m[2], readme.read_text(encoding="utf-8")
    )
    if not count:
        print("README.md has no <!-- bench --> and <!-- /bench -->: left as it is", file=sys.stderr)
        return 2
    readme.write_text(text, encoding="utf-8")
    return 0


def figure(row, part=None):
    """Format a time, in its workload's unit, with three digits; nothing where there is none."""
    seconds = row.get("parts", {}).get(part) if part else row.get("seconds")
    if seconds is None:
        return ""
    unit = WORKLOADS[row["workload"]].unit
    return f"{number(seconds * SCALE[unit])} {unit.replace('us', 'µs')}"


def number(x):
    """Format with three digits, and no exponent."""
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.3g}" if x >= 1e-3 else f"{x:.1g}"


def table(head, lines):
    """Lay out a Markdown table."""
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*text, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def grid(rows, names, engines):
    """Lay out workloads against engines, with the engines that have any figure."""
    found = {(r["workload"], r["engine"]): r for r in rows if "seconds" in r}
    engines = [e for e in engines if any((name, e) in found for name in names)]
    labels = {r["engine"]: f"{r['label']} {_short(r)}".strip() for r in found.values()}
    lines = [
        [WORKLOADS[name].title, *(figure(found.get((name, e), {})) for e in engines)]
        for name in names
        if any((name, e) in found for e in engines)
    ]
    return table(["", *(labels[e] for e in engines)], lines)


def _short(row):
    if row["engine"].startswith("fastgrad_"):  # one version of ours is enough
        return ""
    return "" if row["version"] == row["python"].split()[-1] else row["version"].split("+")[0]


def headline(result):
    """Return what goes between README's markers."""
    meta = result["meta"]
    return (
        "\n"
        + grid(result["rows"], README_ROWS, README_ENGINES)
        + f"\nMedians, {meta['python']}, one core of {meta['machine']}, {meta['date']}. PyTorch "
        "and JAX compute all samples at once; gradients agree to 1e-9 before a time counts. More "
        "rows and columns: [docs/benchmarks.md](docs/benchmarks.md).\n\n"
    )


def page(result):
    """Return docs/benchmarks.md."""
    meta = result["meta"]
    rows = [r for r in result["rows"] if r["engine"] != "control"]
    control = sorted(r["seconds"] * 1e9 for r in result["rows"] if r["engine"] == "control")
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    parts = ("forward", "backward", "free")
    long = [r for r in rows if r.get("parts") and r["engine"] != "plain"]
    versions = sorted({f"{r['label']} {_short(r)} ({r['python']})" for r in rows if "seconds" in r})
    return f"""# Benchmarks

Written by `python -m benchmarks.report` from `benchmarks/results/latest.json`; do not edit.
Repeat with `make bench`, or `make bench-peers` with the other libraries.

{meta["machine"]}, {meta["system"]}, {meta["python"]}, one thread unless a column says two,
{meta["date"]}. Each library runs in a process of its own; their rounds take turns; a figure is the
median round, of one operation (W2), one point (batches of W1) or one step. A library's gradients
must equal the reference's to 1e-9 of their size, or it has no figure. What is done once is not
timed: compiling, CasADi's and JAX's building of a graph, recording a tape (which has a column of
its own: the function recorded anew each time). PyTorch, batched and compiled, and JAX run W3 to W5
as arrays, all samples at once: the same mathematics, another program. The loop around the steps is
Python's, but for fit and scan (1,000 steps a call for W3, 20 for W4) and JAX's 20 steps of W4.

![One training step of the moons demo](benchmarks.svg)

## All workloads

{grid(rows, list(WORKLOADS), engines)}
The control, an operation of a Python loop on floats, took {_range(control)} meanwhile.
{_load(meta)}

## Long graphs: building, backward, freeing, memory

An operation's share. What a library frees while it builds is in the first column; bytes are the
growth of the process at its peak, all Python objects included. A tape's forward is a call of it,
its backward what value_and_grad takes longer than a call.

{
        table(
            ["workload", "library", *parts, "bytes a node"],
            [
                [
                    r["workload"],
                    r["label"],
                    *(figure(r, p) for p in parts),
                    f"{r['bytes_per_node']:.0f}" if r.get("bytes_per_node") else "",
                ]
                for r in long
            ],
        )
    }
## Promises

A time is judged as it would be on the machine that the promises were made on, by the ratio of what
one operation of the control loop costs on both ("scaled").

{
        table(
            ["", "what", "promised", "measured", "scaled", "kept", "beside: theirs over ours"],
            [
                [
                    m["id"],
                    m["what"],
                    f"{'>=' if m.get('least') else '<='} {m['promised']:g} {m['unit']}",
                    f"{number(m['measured'])} {m['unit']}",
                    f"{number(m['scaled'])}" if m["scaled"] else "",
                    "yes" if m["met"] else "**no**",
                    ", ".join(f"{e} {number(x)}" for e, x in m["beside"].items()),
                ]
                for m in result.get("promises", [])
            ],
        )
    }
## Who took part

{"".join(f"- {version}{chr(10)}" for version in versions)}
Spread (distance of the quartiles over the median): {_spread(rows)}.
"""


def _load(meta):
    """Say how busy the machine was, ourselves included: above 1 or so, others took their share."""
    if not meta.get("load"):
        return ""
    return f"Load average {meta['load'][-1]} on {meta['cores']} cores at the end."


def _range(figures):
    return f"{number(figures[0])} to {number(figures[-1])} ns" if figures else "an unknown time"


def _spread(rows):
    spreads = sorted(r["spread"] for r in rows if "seconds" in r)
    middle = spreads[len(spreads) // 2] if spreads else 0
    return f"{middle:.0%} in the middle, {max(spreads, default=0):.0%} at worst"


if __name__ == "__main__":
    sys.exit(main())
