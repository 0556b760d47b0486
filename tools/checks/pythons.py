"""Check every CPython found: a wheel that it builds passes the suite, with nothing else there.

Usage: pythons.py [interpreter ...]; without arguments, each python3.11 or later on PATH.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sdist import make_sdist

VERSIONS = range(11, 16)  # 3.11 is the oldest that pyproject.toml allows
SEEN_BY_TESTS = ("tests", "pyproject.toml")  # as in cibuildwheel's table there
ASK = (
    "import sys, sysconfig as s; assert sys.version_info >= (3, 11)\n"
    "assert sys.implementation.name == 'cpython' and not s.get_config_var('Py_GIL_DISABLED')\n"
    "assert not hasattr(sys, 'gettotalrefcount')\n"
    "import ensurepip; print(sys.version.split()[0], sys.executable)"
)


def environment_for_search():
    """Let pyenv's launchers find every version that it has, not only the chosen one."""
    environment = dict(os.environ)
    if shutil.which("pyenv"):
        pyenv = ["pyenv", "versions", "--bare"]
        listed = subprocess.run(pyenv, capture_output=True, text=True, check=False).stdout
        environment["PYENV_VERSION"] = ":".join(listed.split())
    return environment


def find_pythons(names):
    """Return {version: interpreter} of those that answer, in order of version."""
    found = {}
    for name in names:
        command, environment = [name, "-c", ASK], environment_for_search()
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
        except OSError:
            continue
        if answer.returncode == 0:
            version, _, path = answer.stdout.strip().partition(" ")
            found.setdefault(version, path)
    return found


def run(log, *command, **options):
    log.write(f"$ {' '.join(map(str, command))}\n")
    log.flush()
    subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, **options)


def test_wheel(python, tree, scratch, log):
    """Build a wheel, install it, run the suite; raise CalledProcessError if something fails."""
    run(log, python, "-m", "venv", scratch / "env")
    fresh, dist = scratch / "env" / "bin" / "python", scratch / "dist"
    run(log, fresh, "-m", "pip", "wheel", "-q", "--no-deps", "-w", dist, tree)
    (wheel,) = dist.glob("*.whl")
    run(log, fresh, "-m", "pip", "install", "-q", f"{wheel}[test]")
    place = scratch / "place"
    place.mkdir()
    for name in SEEN_BY_TESTS:
        copy = shutil.copytree if (tree / name).is_dir() else shutil.copy
        copy(tree / name, place / name)
    environment = {"PATH": os.defpath, "HOME": str(scratch), "FASTGRAD_EXPECT": "release"}
    run(log, fresh, "-m", "pytest", "-q", "-n", "2", cwd=place, env=environment)


def main(names):
    pythons = find_pythons(names or [f"python3.{minor}" for minor in VERSIONS])
    if not pythons:
        sys.exit("pythons: no CPython of 3.11 or later found")
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        _, tree = make_sdist(Path(temporary))
        for version, python in pythons.items():
            scratch, started = Path(temporary) / version, time.monotonic()
            scratch.mkdir()
            with (scratch / "log").open("w+") as log:
                try:
                    test_wheel(python, tree, scratch, log)
                except subprocess.CalledProcessError:
                    failed.append(version)
                log.seek(0)
                lines = log.read().splitlines()
            print(*(lines if version in failed else lines[-1:]), sep="\n")
            verdict = "FAILED" if version in failed else "passed"
            print(f"CPython {version}: {verdict} in {time.monotonic() - started:.0f} s", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
