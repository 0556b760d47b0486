"""Two builds of fastgrad in turn, this tree and a revision: `python -m benchmarks.compare BASE`.

BASE is built in a worktree under build/; both run this tree's workloads, so that nothing but the
library differs.
"""

import argparse
import json
import os
import subprocess
import sys

from benchmarks.rounds import Runner, measure_workload
from benchmarks.workloads import ROOT

DEFAULT = (
    "expression", "chain-1e5", "chain-1e6", "dag-1e6", "dense-1e6", "moons", "lecture",
    "lecture-loops", "gpt",
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("base", help="git revision to compare with")
    parser.add_argument("--workloads", nargs="+", default=DEFAULT)
    parser.add_argument("--engine", default="fastgrad", help="or fastgrad_tape, fastgrad_fit, ...")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--budget", type=float, default=10, metavar="S")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()

    tree, revision = build(options.base)
    runners = [
        Runner("plain", rounds=0),  # for its gradients
        Runner(options.engine, tree=tree, name="base"),
        Runner(options.engine, name="here"),
    ]
    print(f"{'':28}{revision:>14}{'this tree':>14}{'ratio':>9}{'spread':>9}")
    rows = []
    for workload in options.workloads:
        _, *both, _ = measure_workload(workload, runners, options.rounds, options.budget)
        rows += both
        print("\n".join(lines(workload, *both)), flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"base": revision, "rows": rows}, file, indent=1)


def lines(workload, base, here):
    """Return a line for the whole, and one for each part."""
    for row in (base, here):
        if "seconds" not in row:
            yield f"{workload:28}{row['engine']}: {row['why']}"
            return
    spread = max(base["spread"], here["spread"])
    yield _line(workload, base["seconds"], here["seconds"], f"{spread:9.0%}")
    for part, seconds in base["parts"].items():
        yield _line(f"  {part}", seconds, here["parts"][part], "")


def _line(name, base, here, rest):
    return f"{name:28}{base * 1e6:12.4f}us{here * 1e6:12.4f}us{here / base:9.3f}{rest}"


def build(base):
    """Return the path of a built worktree of a revision, and its short name."""
    revision = _git("rev-parse", "--short", f"{base}^{{commit}}")
    tree = ROOT / "build" / f"compare-{revision}"
    if not tree.is_dir():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", str(tree), revision)
    print(f"building {revision} in {tree.relative_to(ROOT)}", file=sys.stderr)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTGRAD_")}
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tree, check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return str(tree), revision


def _git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
