"""Children side by side: one process for each engine, rounds in turn, gradients checked first."""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field

from benchmarks.workloads import ROOT, WORKLOADS, measure

PATIENCE = 600  # seconds without an answer before a child is given up
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}
REFERENCE = "plain"


@dataclass
class Runner:
    """An engine, the interpreters that may have it, and the tree that fastgrad comes from."""

    engine: str
    pythons: list[str] = field(default_factory=lambda: [sys.executable])
    tree: str = str(ROOT)
    name: str = ""  # in the rows; the engine's unless given
    rounds: int | None = None  # at most; 0 for an engine that only gives the reference


class Child:
    """A running benchmarks/child.py."""

    def __init__(self, runner, workload):
        self.runner, self.workload = runner, workload
        self.rounds, self.spent, self.process = [], 0.0, None
        for python in runner.pythons:
            self.close()
            self.process = subprocess.Popen(
                [python, str(ROOT / "benchmarks" / "child.py"), runner.engine, workload,
                 "--tree", runner.tree],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": ""},
            )  # fmt: skip
            self.facts = self.listen()
            if "missing" not in self.facts:
                break
        self.why = next((f"{k}: {v}" for k, v in self.facts.items() if k in _REASONS), "")
        if self.why:
            self.close()

    def listen(self):
        """Read one line of JSON; a child that dies or hangs has failed."""
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.process.kill()
        last = self.process.stderr.read().strip().splitlines()[-1:]
        if not ready:
            return {"failed": f"no answer in {PATIENCE} s"}
        return {"failed": last[0] if last else f"it ended with status {self.process.wait()}"}

    def ask(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.listen()

    def round(self):
        start = time.perf_counter()
        answer = self.ask("round")
        self.spent += time.perf_counter() - start
        if "failed" in answer:
            self.why = f"failed: {answer['failed']}"
            return
        self.rounds.append(answer)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.communicate()

    def wants(self, rounds, budget):
        """One more round, unless it has had its number, or its time (but two at least)."""
        most = rounds if self.runner.rounds is None else self.runner.rounds
        if self.why or len(self.rounds) >= most:
            return False
        return len(self.rounds) < 2 or self.spent * (1 + 1 / len(self.rounds)) < budget

    def row(self, error):
        """Return the JSON row, once the rounds are over."""
        facts = self.facts
        row = {"workload": self.workload, "engine": self.runner.name or self.runner.engine}
        if self.why or not self.rounds:
            return {**row, "why": self.why}
        row |= {key: facts[key] for key in ("label", "version", "flags", "python")}
        row |= measure.summary(self.rounds)
        size = WORKLOADS[self.workload].size
        long = size and "-" in self.workload  # one graph of a known size
        return row | {
            "gradient_error": error,
            "gradient_digest": facts["gradients"] and measure.digest(facts["gradients"]),
            "peak_bytes": self.ask("end").get("peak", 0),
            "bytes_per_node": facts["growth"] / size if long else None,
        }


_REASONS = ("missing", "unsupported", "failed")


def measure_workload(workload, runners, rounds, budget, say=lambda _: None):
    """Return the rows of one workload, in the order of the runners, and the control's last.

    The reference engine's gradients judge the others': it must be among the runners. The control
    loop takes its turn as engine "control": it says how fast the machine was meanwhile.
    """
    children = []
    try:
        for runner in runners:
            say(f"{workload}: {runner.name or runner.engine}")
            children.append(Child(runner, workload))
        children.append(Child(Runner("python_floats", name="control"), "control"))
        reference = next(
            (c.facts["gradients"] for c in children
             if c.runner.engine == REFERENCE and not c.why), None
        )  # fmt: skip
        errors = [_check(child, reference) for child in children]
        say(f"{workload}: rounds")
        while waiting := [child for child in children if child.wants(rounds, budget)]:
            for child in waiting:
                child.round()
        rows = [child.row(error) for child, error in zip(children, errors, strict=True)]
        return [{**row, "workload": workload} for row in rows]
    finally:
        for child in children:
            child.close()


def _check(child, reference):
    """Give up a child whose gradients are wrong; None where it has none."""
    gradients = child.facts.get("gradients")
    if child.why or not gradients:
        return None
    if reference is None:
        child.why = "unchecked: the reference did not run"
        return None
    error = measure.difference(gradients, reference)
    if not error <= measure.SAME:
        child.why = f"wrong: gradients differ by {error:.0e}"
    return error
