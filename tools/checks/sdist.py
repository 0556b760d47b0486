"""Check the sdist: it holds every tracked file, installs, and passes its own tests once installed.

Usage: sdist.py [argument of pytest ...]
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_SHIPPED = (".github/",)


def check_complete(names):
    git = ["git", "ls-files"]  # fails outside a git checkout, and then lists nothing
    tracked = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    missing = [
        name
        for name in tracked.splitlines()
        if name not in names and not name.startswith(NOT_SHIPPED)
    ]
    if missing:
        sys.exit(f"sdist: MANIFEST.in leaves out {missing}")


def make_sdist(scratch):
    """Make the sdist and unpack it; return archive and tree."""
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", scratch]
    subprocess.run(command, cwd=ROOT, check=True)
    (sdist,) = scratch.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        check_complete({name.partition("/")[2] for name in archive.getnames()})
    shutil.unpack_archive(sdist, scratch)
    return sdist, scratch / sdist.name.removesuffix(".tar.gz")


def main(arguments):
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        sdist, tree = make_sdist(scratch)
        home = scratch / "env"
        venv.create(home, symlinks=True, with_pip=True)
        python = home / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", f"{sdist}[test]"], check=True)
        # What was not installed cannot be imported by accident: the sources go, the tests stay.
        shutil.rmtree(tree / "fastgrad")
        shutil.rmtree(tree / "src")
        environment = {**os.environ, "FASTGRAD_EXPECT": "release"}
        environment.pop("PYTHONPATH", None)
        pytest = [python, "-m", "pytest", "-q", "-n", "2", *arguments]
        subprocess.run(pytest, cwd=tree, env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
