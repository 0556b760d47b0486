"""Portable wheels run on a Linux with glibc 2.17: what is newer is bound to an older version.

Oracle: the versions that this build's modules ask for. `make wheels` asks auditwheel.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fastgrad import engine

HEADER = Path(__file__).parents[2] / "tools" / "checks" / "headers" / "old_glibc.h"
OLDEST = (2, 17)
RELEASE = getattr(engine, "build_info", dict)().get("variant") == "release"

pytestmark = [
    pytest.mark.skipif(not HEADER.exists(), reason="the header is in the repository only"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the header is for x86-64"),
    pytest.mark.skipif(not shutil.which("nm"), reason="it takes nm"),
    pytest.mark.skipif(not RELEASE, reason="other builds link what a release does not"),
]


def test_functions_newer_than_glibc_2_17_are_bound_to_an_older_version():
    bound = set(re.findall(r"^BIND\((\w+), ", HEADER.read_text("utf-8"), re.MULTILINE))
    newer = set()
    for module in Path(engine.__file__).parent.rglob("_native/**/*.so"):
        command = ["nm", "-D", "--undefined-only", module]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, version in re.findall(r"(\w+)@GLIBC_([\d.]+)$", listed, re.MULTILINE):
            if tuple(map(int, version.split("."))) > OLDEST:
                newer.add(name)
    assert newer <= bound, f"bind {sorted(newer - bound)} in {HEADER.name}"
