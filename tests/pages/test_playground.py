"""The playground's file: what is in it, its size, that it asks for nothing.

Oracle: the table of optimizers. What it does, tests/pages/test_playground_in_browser.py asks.
"""

import json
import re

from fastgrad import rules
from fastgrad.pages.playground import playground


def test_file_has_every_optimizer_and_asks_for_nothing(tmp_path):
    page = playground(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page.html == playground().html
    (text,) = re.findall(
        r'<script type="application/json" id="settings-data">(.*?)</script>', page.html
    )
    optimizers = json.loads(text)["optimizers"]
    assert list(optimizers) == list(rules.names())
    assert optimizers["Adam"]["betas"] == [0.9, 0.999]
    assert "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'" in page.html
    assert not re.search(r"(?:src|href)=\"(?!data:)", page.html)
    assert "@@" not in page.html
    assert len(page.html.encode()) <= 350_000
