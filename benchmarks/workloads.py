"""The workloads: fastgrad/command/bench of this tree, whatever fastgrad is being timed.

Loaded by its path, as the package `shared_bench`: no build is needed, two builds run one code.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = ROOT / "fastgrad" / "command" / "bench"

if "shared_bench" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "shared_bench", _PACKAGE / "__init__.py", submodule_search_locations=[str(_PACKAGE)]
    )
    sys.modules["shared_bench"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["shared_bench"])

from shared_bench import cases, gpt, measure, peers, plain, recorded, workloads  # noqa: E402
from shared_bench.cases import WORKLOADS, Case, Unsupported, eager_case  # noqa: E402
from shared_bench.workloads import (  # noqa: E402
    Library,
    black_scholes,
    chain,
    dag,
    dag_leaves,
    dag_program,
    expression,
    kalman,
    kalman_step,
    moons,
    observations,
    options,
    rosenbrock,
    rosenbrock_point,
)

__all__ = [
    "ROOT", "WORKLOADS", "Case", "Library", "Unsupported", "black_scholes", "cases", "chain", "dag",
    "dag_leaves", "dag_program", "eager_case", "expression", "gpt", "kalman", "kalman_step",
    "measure", "moons", "observations", "options", "peers", "plain", "recorded", "rosenbrock",
    "rosenbrock_point", "workloads",
]  # fmt: skip
