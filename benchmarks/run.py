"""Time fastgrad and what else is installed; write JSON: `python -m benchmarks.run --json FILE`."""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.promises import judge
from benchmarks.rounds import ONE_THREAD, Runner, measure_workload
from benchmarks.workloads import ROOT, WORKLOADS

OURS = (
    "fastgrad", "fastgrad_tape", "fastgrad_fit", "fastgrad_threads", "fastgrad_recording",
    "python_floats", "plain",
)  # fmt: skip
PEERS = (
    "micrograd", "torch_scalar", "torch_batched", "torch_compiled", "jax", "jax_scan", "xad",
    "casadi", "casadi_c", "cppad", "ddx", "autograd",
)  # fmt: skip
TIMED = tuple(name for name in WORKLOADS if name != "control")
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=OURS + PEERS, default=OURS + PEERS)
    parser.add_argument("--workloads", nargs="+", choices=TIMED, default=TIMED)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--budget", type=float, default=12, metavar="S", help="seconds for an engine and workload"
    )
    parser.add_argument("--peers", default=str(PEERS_PYTHON), metavar="PYTHON")
    parser.add_argument("--json", metavar="FILE", help="where to write; the screen by default")
    parser.add_argument("--no-promises", action="store_true", help="times only")
    options = parser.parse_args()

    engines = [e for e in OURS + PEERS if e in options.engines or e == "plain"]
    peers = [options.peers] * Path(options.peers).is_file() + [sys.executable]
    runners = [Runner(e, [sys.executable] if e in OURS else peers) for e in engines]
    rows = []
    for workload in options.workloads:
        rows += measure_workload(workload, runners, options.rounds, options.budget, _progress)
    _progress("")
    result = {"meta": _meta(options), "rows": rows}
    if not options.no_promises:
        result["promises"] = judge(rows)
    text = json.dumps(result, indent=1) + "\n"
    if options.json:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(text, encoding="utf-8")
    else:
        print(text)


def _progress(what):
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
    elif what:
        print(what, file=sys.stderr)


def _meta(options):
    return {
        "date": dt.date.today().isoformat(),
        "machine": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "threads": 1,
        "load": [round(x, 1) for x in os.getloadavg()] if hasattr(os, "getloadavg") else [],
        "cores": os.cpu_count(),
        "environment": ONE_THREAD,
        "rounds": options.rounds,
        "budget": options.budget,
    }


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
