"""Run some of the tests as nobody, from a read-only checkout with a space in its path and no git.

Usage: unprivileged.py [argument of pytest ...]

HOME is not set. Root becomes nobody; who is nobody special already stays so. Where nobody may not
run this interpreter (it is below /root, say), the check is skipped, and says so.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", ".*_cache", ".hyp*"
)
# What keeps files of its own, or starts programs that do.
TESTS = (
    "test_smoke.py", "command", "files", "graph/test_random_graphs.py",
    "graph/test_state_machine.py", "project", "train/test_fit.py",
)  # fmt: skip


def other_user():
    """Return the arguments of subprocess.run that make root nobody."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def why_not(user):
    """Say why that user cannot run this interpreter with what the tests need, or return ""."""
    command = [sys.executable, "-c", "import pytest"]
    options = {"cwd": "/", "env": {}, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, check=False, **options, **user)
    except OSError as error:
        return f"{sys.executable}: {error.strerror}"
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def make_read_only(tree):
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o555 | 0o444)


def make_writable(tree):
    for path in (tree, *tree.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def main(arguments):
    user = other_user()
    if reason := why_not(user):
        print(f"test-unprivileged: SKIPPED, for nobody cannot run the interpreter: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        scratch.chmod(0o755)
        tree = shutil.copytree(ROOT, scratch / "a checkout", ignore=LEFT_OUT)
        room = scratch / "tmp"
        room.mkdir()
        room.chmod(0o777)
        make_read_only(tree)
        tests = arguments or [f"tests/{name}" for name in TESTS]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *tests]
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(room)}
        try:
            done = subprocess.run(command, cwd=tree, env=environment, check=False, **user)
            return done.returncode
        finally:
            make_writable(tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
