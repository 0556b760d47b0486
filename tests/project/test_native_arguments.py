"""No argument of any kind crashes native code, by whatever private name it is reached.

Oracle: the process goes on. tests/helpers/odd_arguments.py makes the calls.
"""

import os
import pkgutil
from pathlib import Path

import pytest
from helpers import odd_arguments
from helpers.processes import SANITIZED, python
from helpers.tally import tally

import fastgrad._native

PROGRAM = Path(odd_arguments.__file__)
MEMORY = 8 << 30  # of addresses: absurd sizes then raise MemoryError
MODULES = [
    module.name
    for module in pkgutil.walk_packages(fastgrad._native.__path__, "fastgrad._native.")
    if not module.ispkg
]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each callable has a process of its own")
@pytest.mark.parametrize("name", MODULES)
def test_private_callables_survive_any_arguments(name, tmp_path):
    memory = 0 if SANITIZED else MEMORY
    done = python(PROGRAM, name, 7, tmp_path / "last", memory, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    tally("private callables: called with odd arguments", int(done.stdout))
