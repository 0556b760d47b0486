"""Benchmarks: workloads, their gradients, the table, the report, child processes.

Oracles: the plain Python class of fastgrad/command/bench; micrograd; central differences. Nothing
here looks at how long anything took.
"""

import io
import json
import math
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastgrad
from fastgrad import nn
from fastgrad.command import cli
from fastgrad.command.bench import cases, gpt, measure, peers, plain, recorded, table, workloads
from fastgrad.command.bench.cases import WORKLOADS, Case, Unsupported, Workload

ROOT = Path(__file__).resolve().parents[2]
FASTGRAD = workloads.Library("fastgrad", fastgrad.Value, nn.MLP)
SMALL = ("expression", "chain-1e4", "lecture", "lecture-loops", "rosenbrock-10")
POINTS = tuple(cases.POINTS)

repository = pytest.mark.skipif(
    not ((ROOT / "benchmarks").is_dir() and (ROOT / "fastgrad").is_dir()), reason="no source tree"
)


def gradients(library, name):
    return gradients_of(cases.eager_case(library, name))


def gradients_of(case):
    root = case.forward()
    if case.backward:
        case.backward(root)
    return case.gradients()


@pytest.mark.wide
@pytest.mark.parametrize("name", [*SMALL, "dag-1e4", "dense-1e4"])
def test_workload_gradients_equal_the_reference(name):
    reference = gradients(peers.REFERENCE, name)
    assert all(map(math.isfinite, reference))
    assert any(reference)
    assert measure.difference(gradients(FASTGRAD, name), reference) <= 1e-12


@pytest.mark.wide
def test_moons_gradients_equal_the_reference():
    pytest.importorskip("sklearn")
    reference = gradients(peers.REFERENCE, "moons")
    assert measure.difference(gradients(FASTGRAD, "moons"), reference) <= 1e-12


@pytest.mark.wide
@pytest.mark.parametrize("name", [*SMALL, "dag-1e4", "dense-1e4", "moons", *POINTS])
def test_tape_workload_gradients_equal_the_reference(name):
    if name == "moons":
        pytest.importorskip("sklearn")
    if name in {*POINTS, "rosenbrock-10"}:
        pytest.importorskip("numpy")
    reference = gradients(peers.REFERENCE, name)
    ran = 0
    for make in (recorded.tape_case, recorded.fit_case, recorded.recording_case):
        try:
            case = make(fastgrad, name)
        except Unsupported:
            continue
        assert measure.difference(gradients_of(case), reference) <= 1e-12
        ran += 1
    assert ran == (1 if name in {"expression", "rosenbrock-10", *POINTS} else 2)


@pytest.mark.wide
def test_kalman_filter_has_the_reference_gradients_of_its_likelihood(monkeypatch):
    pytest.importorskip("numpy")
    for module in (cases, recorded):
        monkeypatch.setattr(module, "STEPS", 200)
    reference = gradients(peers.REFERENCE, "kalman")
    assert measure.difference(gradients(FASTGRAD, "kalman"), reference) <= 1e-12
    tape = recorded.tape_case(fastgrad, "kalman")
    assert measure.difference(gradients_of(tape), reference) <= 1e-12


def test_workload_of_functions_that_a_library_lacks_is_unsupported():
    library = workloads.Library("floats", float)
    with pytest.raises(Unsupported, match=r"it lacks a function: .*'log'"):
        cases.eager_case(library, "black-scholes")


@pytest.mark.wide
def test_gpt_on_tapes_has_the_eager_gradients():
    case = recorded.tape_case(fastgrad, "gpt")
    assert measure.difference(gradients_of(case), gradients(FASTGRAD, "gpt")) <= 1e-12


@pytest.mark.wide
def test_large_batch_gradients_equal_the_reference(monkeypatch):
    """By one or two threads: the same bits."""
    pytest.importorskip("sklearn")
    for module in (cases, recorded):
        monkeypatch.setattr(module, "BATCH", 400)
    reference = gradients(peers.REFERENCE, "moons-batch")
    one, two = (gradients_of(recorded.tape_case(fastgrad, "moons-batch", n)) for n in (1, 2))
    assert measure.difference(one, reference) <= 1e-12
    assert measure.digest(one) == measure.digest(two) != measure.digest(reference[::-1])
    assert measure.difference(gradients(FASTGRAD, "moons-batch"), reference) <= 1e-12


def test_tape_cases_without_support_raise_unsupported():
    for make in (recorded.tape_case, recorded.fit_case, recorded.recording_case):
        with pytest.raises(Unsupported):
            make(fastgrad, "control")


@pytest.mark.parametrize("name", ["expression", "lecture-loops"])
def test_micrograd_gradients_equal_the_reference(name):
    pytest.importorskip("micrograd.engine")
    theirs = gradients(peers.micrograd(), name)
    assert measure.difference(theirs, gradients(peers.REFERENCE, name)) <= 1e-12


def test_readme_expression_gives_the_documented_values():
    a, b = plain.Value(-4.0), plain.Value(2.0)
    g = workloads.expression(a, b)
    g.backward()
    assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


def test_expression_of_plain_floats_takes_a_relu_function():
    def relu(x):
        return max(x, 0.0)

    assert workloads.expression(-4.0, 2.0, relu) == pytest.approx(24.70408163265306)


@pytest.mark.wide
def test_gpt_gradients_equal_central_differences():
    """One parameter of each matrix, by central differences."""
    model = gpt.GPT(fastgrad.Value)
    parameters = model.parameters()
    assert len(parameters) == 4192
    model.loss("ada").backward()
    rng = random.Random(8)
    for matrix in model.w.values():
        p = max(rng.choice(matrix[:27]), key=lambda p: abs(p.grad))
        x, h = p.data, 1e-4
        ends = []
        for p.data in (x + h, x - h):
            ends.append(model.loss("ada").data)
        p.data = x
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(p.grad, rel=1e-4, abs=1e-7)


@pytest.mark.wide
def test_gpt_steps_equal_the_reference_and_lower_the_loss():
    losses = []
    for Value in (fastgrad.Value, plain.Value):
        model = gpt.GPT(Value)
        optimizer = gpt.Adam(model.parameters())
        losses.append([gpt.gpt_step(model, optimizer, "al") for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert losses[0][2] < losses[0][0]


@pytest.mark.wide
def test_gpt_graph_sizes_match_the_documented_ones():
    counts = [len(gpt.GPT(plain.Value).loss(gpt.NAMES[k]).graph()) for k in (0, -1)]
    assert 30_000 < counts[0] < counts[1] < 90_000
    assert [len(name) + 1 for name in gpt.NAMES] == [5, 6, 7, 8, 9]


def test_random_graph_is_deterministic_and_of_the_stated_shape():
    program = workloads.dag_program(5_000)
    assert program == workloads.dag_program(5_000)
    leaves = sum(j < 100 for _, j in program[1_500:])
    near = sum(k + 100 - 1000 <= j for k, (_, j) in enumerate(program[1_500:], 1_500))
    assert 0.08 < leaves / 3_500 < 0.2
    assert 0.4 < near / 3_500 < 0.75
    assert 0.3 < sum(product for product, _ in program) / 5_000 < 0.7
    assert math.isfinite(workloads.dag(workloads.dag_leaves(), program))


def test_difference_of_wrong_gradients_is_large_or_infinite():
    assert measure.difference([1.0, 2.0], [1.0, 2.0]) == 0
    assert measure.difference([1.0, 2.001], [1.0, 2.0]) == pytest.approx(5e-4)
    assert measure.difference([math.nan, 2.0], [1.0, 2.0]) == math.inf
    assert measure.difference([1.0], [1.0, 2.0]) == math.inf
    assert measure.difference([], []) == 0


def test_clock_measures_parts_and_summarises_rounds():
    calls = []
    case = Case(lambda: calls.append("f"), lambda: [1.0], lambda _: calls.append("b"))
    clock = measure.Clock(case, Workload("x", "x", 10, "ns"))
    assert clock.warm() == [1.0]
    clock.repeats = 2
    calls.clear()
    parts = clock.round()
    assert calls == ["f", "b"] * 2
    assert parts["total"] == pytest.approx(sum(parts[k] for k in ("forward", "backward", "free")))
    halves = Case(lambda: calls.append("both"), list, apart=lambda: calls.append("half"), times=7)
    clock = measure.Clock(halves, Workload("x", "x", 10, "ns"))
    clock.warm()
    clock.repeats = 1
    calls.clear()
    parts = clock.round()
    assert calls == ["half", "both"]
    assert parts["total"] == pytest.approx(parts["forward"] + parts["backward"])
    rounds = [{"total": t, "forward": t / 2} for t in (1.0, 2.0, 3.0, 4.0, 100.0)]
    facts = measure.summary(rounds)
    assert (facts["seconds"], facts["parts"], facts["best"]) == (3.0, {"forward": 1.5}, 1.0)
    assert measure.summary(rounds[:1])["spread"] == 0


@pytest.mark.wide
def test_bench_command_prints_a_table(capsys):
    words = ["control", "expression", "lecture"]
    assert cli.main(["bench", "--seconds", "1", "--workloads", *words]) == 0
    out = capsys.readouterr().out
    assert "a Python loop on floats, no engine: " in out
    assert "W1 README expression" in out
    assert " x" in out
    assert [name in out.splitlines()[4] for name in ("fastgrad 0", " tape ", " fit ")] == [True] * 3


def test_bench_command_with_json_prints_json(capsys):
    assert cli.main(["bench", "--seconds", "1", "--json", "--workloads", "expression"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["fastgrad"] == fastgrad.__version__
    ours = facts["rows"][0]
    assert ours["library"].startswith("fastgrad ")
    assert ours["gradient_error"] <= 1e-12
    assert ours["seconds"] > 0
    rows = {row["library"]: row for row in facts["rows"]}
    assert rows["tape"]["seconds"] > 0
    assert rows["fit"]["why"] == "no loop over one tape"


def test_bench_command_refuses_unknown_workloads(capsys):
    assert cli.main(["bench", "--workloads", "moon"]) == 2
    assert "expected workloads out of control, expression" in capsys.readouterr().err


def test_library_with_wrong_gradients_gets_no_figure(monkeypatch):
    class Wrong(plain.Value):
        __slots__ = ()

        def __mul__(self, other):
            out = super().__mul__(other)
            out.partials = tuple(1.0005 * p for p in out.partials)
            return out

    wrong = workloads.Library("wrong", Wrong)
    monkeypatch.setattr(table, "installed", lambda: [wrong, peers.REFERENCE])
    rows = table._workload("expression", [FASTGRAD, wrong, peers.REFERENCE], 0.1, False)
    assert [row.get("why") for row in rows] == [None, "its gradients differ", None]
    assert "seconds" not in rows[1]


@pytest.mark.wide
def test_library_without_mlp_leaves_a_gap_in_the_table():
    rows = table._workload("lecture", [FASTGRAD, workloads.Library("bare", plain.Value),
                                       peers.REFERENCE], 0.1, False)  # fmt: skip
    assert rows[1]["why"] == "it has no MLP"


@pytest.mark.parametrize(
    ("name", "why"), [("moons", "it has no MLP"), ("control", "no engine takes part")]
)
def test_workload_unsupported_by_a_library_raises_the_reason(name, why):
    with pytest.raises(cases.Unsupported, match=why):
        cases.eager_case(workloads.Library("bare", plain.Value), name)


def test_failing_peer_is_a_gap_but_failing_fastgrad_raises(monkeypatch):
    class Failing(plain.Value):
        __slots__ = ()

        def __mul__(self, other):
            raise RuntimeError("not today")

    failing = workloads.Library("failing", Failing)
    rows = table._workload("expression", [failing, peers.REFERENCE], 1e-3, False)
    assert rows[0]["why"] == "RuntimeError: not today"
    monkeypatch.setattr(table, "FASTGRAD_LIBRARIES", (failing,))
    with pytest.raises(RuntimeError, match="not today"):
        table._workload("expression", [failing, peers.REFERENCE], 1e-3, False)


@pytest.mark.parametrize(
    ("budget", "turns"), [(1e9, table._ROUNDS), (1e-12, 1)], ids=["plenty", "too little"]
)
def test_rounds_end_with_the_time_budget_or_at_the_maximum(monkeypatch, budget, turns):
    """Each library has one turn anyway."""
    monkeypatch.setattr(table, "perf_counter", lambda: 0.0)  # as if no time went by
    monkeypatch.setattr(measure, "_ROUND", 1e-6)
    rows = table._workload("expression", [FASTGRAD, peers.REFERENCE], budget, False)
    assert [row["rounds"] for row in rows] == [table._TURN * turns] * 2


def test_progress_is_shown_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    table._workload("expression", [peers.REFERENCE], 1e-3, True)
    title = WORKLOADS["expression"].title
    assert sys.stderr.getvalue() == f"\r\033[K{title}: {peers.REFERENCE.name}\r\033[K"


@pytest.mark.wide
def test_workload_that_cannot_run_is_explained_below_the_table(monkeypatch, capsys):
    def moons():
        raise ImportError("needs something else")

    monkeypatch.setattr(cases, "moons", moons)
    monkeypatch.setattr(table, "installed", lambda: [peers.REFERENCE])
    table.run_bench(["moons"], 1e-3)
    title = WORKLOADS["moons"].title
    *_, line, reason = capsys.readouterr().out.splitlines()
    assert line.split("   ")[0] == title
    assert line.split()[-2:] == ["-", "-"]
    assert reason == f"{title}: needs something else"


@pytest.mark.wide
def test_gpt_workload_gradients_equal_the_reference(monkeypatch):
    monkeypatch.setattr(cases, "NAMES", ("al",))
    ours, theirs = (gradients(library, "gpt") for library in (FASTGRAD, peers.REFERENCE))
    assert len(ours) == 4192
    assert measure.difference(ours, theirs) <= 1e-12


# -- other libraries ------------------------------------------------------------------------------


def test_micrograd_aliased_to_fastgrad_is_not_benchmarked(monkeypatch):
    monkeypatch.setattr(peers, "_micrograd_copy", lambda: (fastgrad.Value, nn.MLP))
    with pytest.raises(ImportError, match="import micrograd gives another library"):
        peers.micrograd()
    assert peers.REFERENCE in peers.installed()


def test_micrograd_peer_keeps_methods_that_it_defines(monkeypatch):
    class Value:
        __module__ = "micrograd.engine"

        def tanh(self):
            return "its own"

    monkeypatch.setattr(peers, "_micrograd_copy", lambda: (Value, None))
    monkeypatch.setattr(peers, "_version", lambda name: "")
    library = peers.micrograd()
    assert (library.name, library.Value.tanh(None)) == ("micrograd", "its own")
    assert hasattr(Value, "exp")


def test_library_without_metadata_has_an_empty_version():
    assert peers._version("no distribution has such a name") == ""
    assert peers._version("pytest")


def test_torch_scalars_use_one_thread_and_float64(monkeypatch):
    threads = []
    torch = SimpleNamespace(
        set_num_threads=threads.append, float64="f8", __version__="2.x",
        tensor=lambda x, dtype, requires_grad: (x, dtype, requires_grad),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", torch)
    library = peers.torch_scalars()
    assert (library.name, library.Value(2), library.MLP, threads) == (
        "PyTorch 2.x, scalars", (2.0, "f8", True), None, [1],
    )  # fmt: skip


# -- the clock and the memory ---------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "runs"), [(3.0, 1), (0.5, 2)])
def test_warm_up_runs_slow_work_once_and_fast_work_twice(monkeypatch, seconds, runs):
    now, calls = [0.0], []

    def work():
        now[0] += seconds
        calls.append(1)

    monkeypatch.setattr(measure, "perf_counter", lambda: now[0])
    clock = measure.Clock(Case(work, lambda: [1.0]), Workload("x", "x", 1, "ms"))
    clock.warm()
    assert (len(calls), clock.first, clock.repeats) == (runs, seconds, 1)


@pytest.fixture
def files(monkeypatch):
    """Stand in for files that a system may have: a name that is missing cannot be opened."""
    found = {}

    def open_(name, mode="r", encoding=None):
        if name not in found:
            raise FileNotFoundError(name)
        return found[name]

    monkeypatch.setattr(measure, "open", open_, raising=False)
    return found


def test_memory_is_read_from_proc_status(files):
    for read, kilobytes in ((measure.memory_resident, 12), (measure.memory_peak, 20)):
        files["/proc/self/status"] = io.StringIO("Name:\tx\nVmHWM:\t  20 kB\nVmRSS:\t  12 kB\n")
        assert read() == kilobytes * 1024
    files["/proc/self/status"] = io.StringIO("Name:\tx\n")
    assert measure.memory_resident() == 0


def test_memory_reset_clears_the_peak(files):
    class Kept(io.StringIO):
        def close(self):
            self.text = self.getvalue()

    file = files["/proc/self/clear_refs"] = Kept()
    measure.memory_reset()
    assert file.text == "5"
    del files["/proc/self/clear_refs"]
    measure.memory_reset()  # nothing to do elsewhere


def test_memory_without_proc_comes_from_getrusage(files, monkeypatch):
    resource = SimpleNamespace(
        RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=7 if who == 0 else 1)
    )
    monkeypatch.setitem(sys.modules, "resource", resource)
    assert measure.memory_resident() == 0
    for platform, peak in (("linux", 7 * 1024), ("darwin", 7)):
        monkeypatch.setattr(sys, "platform", platform)
        assert measure.memory_peak() == peak
    monkeypatch.setitem(sys.modules, "resource", None)
    assert measure.memory_peak() == 0


@repository
class TestRepositoryBenchmarks:
    """benchmarks/: children, promises, report, instructions."""

    @pytest.fixture(autouse=True)
    def path(self, monkeypatch):
        monkeypatch.syspath_prepend(str(ROOT))

    def test_child_processes_are_measured_in_turns(self, monkeypatch):
        from benchmarks.rounds import Runner, measure_workload

        tree = str(Path(fastgrad.__file__).parent.parent)
        runners = [Runner("fastgrad", tree=tree), Runner("plain"), Runner("python_floats")]
        ours, reference, floats, control = measure_workload("expression", runners, 2, 5)
        assert control["seconds"] > 0
        assert ours["gradient_error"] <= 1e-12
        assert ours["rounds"] == reference["rounds"] == 2
        assert "unsupported" in floats["why"]

    def test_child_with_wrong_gradients_is_given_up(self):
        from benchmarks.rounds import _check

        class Fake:
            why = ""
            facts = {"gradients": [1.0, 2.0001]}  # noqa: RUF012

        child = Fake()
        assert _check(child, [1.0, 2.0]) > 1e-9
        assert child.why.startswith("wrong: ")

    def test_report_contains_table_notes_and_picture(self, tmp_path, monkeypatch):
        from benchmarks import promises, report

        row = {"engine": "fastgrad", "label": "fastgrad", "version": "1", "python": "CPython 3.11",
               "parts": {}, "spread": 0.1, "rounds": 3}  # fmt: skip
        rows = [
            {**row, "workload": "moons", "seconds": 4e-4},
            {**row, "workload": "moons", "seconds": 1.0, "engine": "micrograd", "label": "<mg>"},
            {**row, "workload": "moons", "seconds": 23e-9, "engine": "control"},
            {"workload": "moons", "engine": "jax", "why": "missing: jax"},
        ]
        monkeypatch.setattr(promises, "_memory", list)
        monkeypatch.setattr(promises, "_import", list)
        monkeypatch.setattr(promises, "_wheel", list)
        judged = promises.judge(rows)
        assert [(m["id"], m["met"], m["scaled"]) for m in judged] == [("E4", True, 0.2)]
        assert judged[0]["beside"] == {"micrograd": 2500.0}
        meta = {"date": "2026-01-01", "machine": "M", "system": "S", "python": "CPython 3.11"}
        (tmp_path / "docs").mkdir()
        (tmp_path / "README.md").write_text("a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n")
        (tmp_path / "r.json").write_text(
            json.dumps({"meta": meta, "rows": rows, "promises": judged})
        )
        monkeypatch.setattr(report, "ROOT", tmp_path)
        monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "r.json")])
        assert report.main() == 0
        readme = (tmp_path / "README.md").read_text()
        assert readme.startswith("a\n<!-- bench -->\n")
        assert readme.endswith("<!-- /bench -->\nb\n")
        assert "0.4 ms" in readme
        assert "old" not in readme
        assert "2,500" in (tmp_path / "docs" / "benchmarks.md").read_text("utf-8")
        assert "&lt;mg&gt;" in (tmp_path / "docs" / "benchmarks.svg").read_text("utf-8")
        (tmp_path / "README.md").write_text("no markers\n")
        assert report.main() == 2

    def test_tape_promises_are_judged_from_measured_rows(self, monkeypatch, capsys):
        from benchmarks import promises

        faster = 1.9  # on two threads
        monkeypatch.setattr(
            promises, "_python",
            lambda *words: SimpleNamespace(returncode=0, stdout=json.dumps({"median": faster})),
        )  # fmt: skip

        def row(workload, engine, seconds, digest="a", **parts):
            return {"workload": workload, "engine": engine, "seconds": seconds, "parts": parts,
                    "gradient_digest": digest}  # fmt: skip

        rows = [
            row("moons", "fastgrad_tape", 20e-6),
            row("moons", "fastgrad_fit", 7e-6),
            row("moons", "jax_scan", 14e-6),
            row("moons", "control", 23e-9),  # half the speed of the machine of the promises
            row("lecture-loops", "fastgrad_fit", 61e-6),
            row("dag-1e6", "fastgrad_tape", 8e-9, forward=3e-9, backward=7e-9),
            row("moons-batch", "fastgrad_tape", 2.0),
            row("moons-batch", "fastgrad_threads", 1.0),
        ]
        judged = promises.judge(rows)
        assert [(m["id"], m["met"]) for m in judged] == [
            ("T1", True), ("T2", True), ("T3", False), ("T5", True), ("T5", False),
            ("T8", True), ("T8", True),
        ]  # fmt: skip
        assert judged[0]["scaled"] == pytest.approx(10)
        assert judged[1]["beside"] == {"jax_scan": pytest.approx(2.0)}
        rows[-1] |= {"gradient_digest": "b"}
        faster = 1.7
        assert [m["met"] for m in promises.judge(rows) if m["id"] == "T8"] == [False, False]

        failed = SimpleNamespace(returncode=1, stderr="out of luck\n")
        monkeypatch.setattr(promises, "_python", lambda *words: failed)
        assert [m["promised"] for m in promises.judge(rows) if m["id"] == "T8"] == [0]
        assert capsys.readouterr().err == "not measured: benchmarks.threads: out of luck\n"

        eager = row("chain-1e6", "fastgrad", 30e-9, forward=22e-9, backward=4e-9, free=4e-9)
        for ns, met in ((175, [True, True]), (180, [False, True]), (1100, [False, False])):
            recording = row("chain-1e6", "fastgrad_recording", ns * 1e-9)
            found = {("chain-1e6", r["engine"]): r for r in (eager, recording)}
            assert [m["met"] for m in promises._recording(found, "chain-1e6")] == met

    def test_killed_child_is_reported_as_failed(self):
        from benchmarks import rounds

        child = rounds.Child(rounds.Runner("python_floats"), "control")
        child.process.kill()
        child.round()
        child.close()
        assert child.why == "failed: it ended with status -9"

    def test_instruction_counts_are_judged_against_stored_ones(self, capsys):
        from benchmarks.instructions import judge

        assert judge("here", {"a": 1029}, {"here": {"a": 1000}}) == 0
        assert judge("here", {"a": 1031}, {"here": {"a": 1000}}) == 1
        assert judge("here", {"a": 900}, {"here": {"a": 1000}}) == 0
        assert judge("there", {"a": 900}, {"here": {"a": 1000}}) == 0
        assert "skipped" in capsys.readouterr().out

    def test_every_engine_exports_label_version_and_build(self):
        import importlib

        for path in (ROOT / "benchmarks" / "engines").glob("[!_]*.py"):
            engine = importlib.import_module(f"benchmarks.engines.{path.stem}")
            assert isinstance(engine.label, str)
            assert callable(engine.version)
            assert callable(engine.build)

    def test_workloads_module_is_the_same_under_both_names(self):
        from benchmarks.workloads import WORKLOADS as THEIRS

        assert THEIRS.keys() == WORKLOADS.keys()
