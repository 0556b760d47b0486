"""What runs the pages' JavaScript outside a browser: Node.js, and the bits that it gives."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastgrad

PAGES = Path(fastgrad.__file__).resolve().parent / "pages"
HOST = Path(__file__).with_name("engine_host.js")


def node():
    """Return the path of Node.js, 18 or later; skips where there is none."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("no Node.js on PATH")
    return path


def packed(numbers):
    """Return numbers as the host reads them."""
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()


def unpacked(found):
    """Return what the host has written: arrays by name."""
    return {
        key: None if text is None else np.frombuffer(base64.b64decode(text), dtype="<f8")
        for key, text in found.items()
    }


def asked(requests):
    """Return the engine's answers to requests: what was found, or the error's text."""
    process = subprocess.run(
        [node(), HOST, PAGES],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return [answer.get("found", answer.get("error")) for answer in json.loads(process.stdout)]


def tape_text(tape, folder):
    """Return a tape's file as the host reads it."""
    tape.save(folder / "tape")
    return base64.b64encode((folder / "tape").read_bytes()).decode()


def same_bits(one, other):
    """Tell whether arrays have the same bits; a nan is any nan."""
    one, other = (np.asarray(x, dtype="<f8").reshape(-1) for x in (one, other))
    return len(one) == len(other) and bool(
        np.all((one.view("<u8") == other.view("<u8")) | (np.isnan(one) & np.isnan(other)))
    )
