"""Explorer pages: what is in the file, what is refused, that no text in it is markup.

Oracle: the graph that was given. What the page does with it, tests/pages/test_browser.py asks.
"""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import Value, functional, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, TapeError
from fastgrad.pages import explorer
from fastgrad.pages.page import Page

HOSTILE = "</script><script>alert(1)</script> \"'|{}<!-- \n\u202e & <img src=x onerror=alert(2)>"


def data_of(page):
    """Return the data in a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html)
    return json.loads(text)


def network():
    random.seed(3)
    model = nn.MLP(2, [4, 4, 1])
    loss = (model([Value(1.0), Value(-2.0)]) - 1.0) ** 2
    return model, loss


def test_nodes_are_those_of_the_graph():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    data = data_of(fg.explore((a * b + a**3).tanh()))
    assert [(n["label"], n["op"], n["operands"], n["data"]) for n in data["nodes"]] == [
        ("a", "", [], "2.0"), ("b", "", [], "-3.0"), ("", "mul", [0, 1], None),
        ("", "pow_number", [0], None), ("", "add", [2, 3], None), ("", "tanh", [4], None),
    ]  # fmt: skip
    assert data["root"] == 5
    assert data["nodes"][3]["parameter"] == "3.0"
    assert data["formulas"]["tanh"] == ["tanh(a)", "1 - y * y"]
    assert [n["learns"] for n in data["nodes"]] == [True, True, False, False, False, False]


def test_sums_of_neurons_open_and_close():
    model, loss = network()
    data = data_of(fg.explore(loss, parameters=model))
    assert len(data["sums"]) == 9
    first = data["sums"][0]
    inside = [i for i, node in enumerate(data["nodes"]) if node.get("inside") == first["node"]]
    assert len(inside) == 3  # two products, and the sum of one of them
    assert [data["nodes"][first["node"]]["operands"][0], data["nodes"][inside[1]]["operands"]] == [
        inside[1], [first["operands"][0], inside[0]]]  # fmt: skip
    for name in ("LR", "TD"):
        assert all(data["layouts"][f"{name} open"]["boxes"])
        closed = data["layouts"][f"{name} closed"]["boxes"]
        assert [i for i, box in enumerate(closed) if box is None and i < first["node"]] == inside
    learning = [node for node in data["nodes"] if node["learns"]]
    assert len(learning) == len(model.parameters())
    assert {"L0.b[0]", "L1.w[3,2]", "L2.w[0,1]"} <= {node["label"] for node in learning}


def test_tape_is_shown_where_it_is_called():
    w = Value(0.5, label="w")
    tape = fg.record(lambda x, y: (w * x - y) ** 2, 1.0, 1.0)
    data = data_of(fg.explore(tape, args=(3.0, 4.0)))
    leaves = {n["label"]: n["data"] for n in data["nodes"] if n["kind"] in ("input", "parameter")}
    assert leaves == {"x": "3.0", "y": "4.0", "w": "0.5"}
    assert [n["label"] for n in data["nodes"] if n["learns"]] == ["w"]
    assert data["title"] == tape.name
    unknown = data_of(fg.explore(tape))
    assert {n["data"] for n in unknown["nodes"] if n["kind"] == "input"} == {"1.0"}


def test_entries_of_take_are_operands():
    entries = [Value(float(i)) for i in range(3)]
    data = data_of(fg.explore(fg.take(entries, Value(1.0)) * 2.0))
    (node,) = [n for n in data["nodes"] if n["op"] == "take"]
    assert len(node["operands"]) == 4


def test_parameters_may_be_listed():
    a, b = Value(2.0, label="a"), Value(3.0)
    data = data_of(fg.explore(a * b, parameters=[b]))
    assert [n["learns"] for n in data["nodes"]] == [False, True, False]
    unlabelled = data_of(fg.explore(Value(1.0) * Value(2.0)))
    assert [n["learns"] for n in unlabelled["nodes"]] == [True, True, False]


def test_module_names_its_single_parameters_too():
    class Line(nn.Module):
        def __init__(self):
            self.slope = Value(2.0)

        def parameters(self):
            return [self.slope]

    line = Line()
    data = data_of(fg.explore(line.slope * 3.0, parameters=line))
    assert data["nodes"][0]["label"] in ("slope", "")
    assert data["nodes"][0]["learns"]


def test_no_text_is_markup():
    a = Value(1.0, label=HOSTILE)
    out = a * 2.0
    out.label = HOSTILE
    page = fg.explore(out)
    assert data_of(page)["nodes"][0]["label"] == HOSTILE
    assert data_of(page)["title"] == HOSTILE
    assert "alert(1)</script>" not in page.html
    assert "<img src=x" not in page.html
    assert page.html.count("<script") == 3


def test_page_asks_for_nothing():
    page = fg.explore(Value(1.0) * 2.0)
    assert "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'" in page.html
    assert not re.search(r"(?:src|href)=\"(?!data:)", page.html)
    assert "@@" not in page.html
    for name in ("musl", "wasi-libc", "compiler-rt"):
        assert name in page.html


def test_page_of_a_hundred_values_is_at_most_350_kb():
    model, loss = network()
    page = fg.explore(loss, parameters=model)
    assert len(data_of(page)["nodes"]) >= 100
    assert len(page.html.encode()) <= 350_000


def test_page_saves_and_shows_itself(tmp_path):
    page = fg.explore(Value(2.0) * 3.0, tmp_path / "page.html")
    assert isinstance(page, Page)
    assert (tmp_path / "page.html").read_text("utf-8") == page.html
    assert "sandbox" in page._repr_html_()
    assert "<script" not in page._repr_html_()
    assert repr(page).startswith("<fastgrad page of ")


def test_what_no_page_can_run_is_refused_by_name():
    twice = fg.custom("twice")(lambda a: 2 * a)
    twice.partials(lambda a, y: (2.0,))
    with pytest.raises(TapeError, match="the operation 'twice', a Python function"):
        fg.explore(twice(Value(1.0)) * 2.0)
    with pytest.raises(TapeError, match="'twice'"):
        fg.explore(fg.record(lambda x: twice(x), 1.0))


def test_what_is_no_graph_or_too_much_is_refused(monkeypatch):
    with pytest.raises(FastgradTypeError, match="expected a Value or a tape, got int 1"):
        fg.explore(1)
    with pytest.raises(FastgradTypeError, match="a Module or Values"):
        fg.explore(Value(1.0), parameters=3)
    monkeypatch.setattr(explorer, "LIMIT", 20)
    a, b = Value(1.0), Value(2.0)
    with pytest.raises(FastgradValueError, match=r"at most 20 nodes, got 2\d"):
        fg.explore(functional.dot([a] * 11, [b] * 11))  # one node, of which a page shows 21
    with pytest.raises(FastgradValueError, match="at most 20 nodes, got more"):
        fg.explore(sum(Value(1.0) for _ in range(11)))


def test_licences_in_pages_are_those_of_the_package():
    pages = Path(explorer.__file__).parent
    root = pages.parents[1]
    if not (root / "licenses").is_dir():
        pytest.skip("no source tree")
    text = (root / "licenses" / "THIRD_PARTY.txt").read_text("utf-8")
    assert (pages / "THIRD_PARTY.txt").read_text("utf-8") == text


def test_numbers_of_every_kind_are_json():
    data = data_of(
        fg.explore(Value(float("nan")) * Value(float("-inf")) * Value(np.float64(1e-300)))
    )
    assert [n["data"] for n in data["nodes"] if not n["op"]] == ["nan", "-inf", "1e-300"]
