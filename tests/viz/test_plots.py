"""Plots: what stands on the axes is what the engine computes.

Oracles: derivatives by hand, the data of Values, and the artists that matplotlib keeps.
"""

import math
import random
import sys

import pytest

from fastgrad import Value, functional, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, MissingExtraError
from fastgrad.viz import (
    plot_activations,
    plot_boundary,
    plot_fit,
    plot_function,
    plot_gradients,
    plot_landscape,
    plot_loss,
    plot_parameters,
)

np = pytest.importorskip("numpy")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_plot_function_draws_tangent_and_secant(ax):
    assert plot_function(lambda x: 3 * x**2 - 4 * x + 5, 1.0, h=0.5, span=2.0, ax=ax) is ax
    assert labels(ax) == ["f, f(1) = 4", "secant, h = 0.5: slope 3.5", "tangent: slope 2"]
    curve, secant, _, tangent, _ = ax.lines
    x, y = curve.get_data()
    assert (x[0], x[-1]) == (-1, 3)
    assert y == pytest.approx(3 * x**2 - 4 * x + 5)
    assert tangent.get_ydata() == pytest.approx(4 + 2 * (x - 1))
    assert secant.get_ydata() == pytest.approx(4 + 3.5 * (x - 1))


def test_plot_function_leaves_gaps_where_there_is_no_value():
    ax = plot_function(lambda x: x.log(), 1.0, h=None)
    assert labels(ax) == ["f, f(1) = 0", "tangent: slope 1"]
    assert np.isnan(ax.lines[0].get_ydata()).any()
    assert ax is plt.gcf().axes[0]


def test_plot_loss_draws_each_curve(ax):
    plot_loss([4.0, 2.0, 0.1], ax=ax)
    assert (ax.get_yscale(), labels(ax)) == ("log", ["0.1 at the end"])
    assert list(ax.lines[0].get_ydata()) == [4.0, 2.0, 0.1]
    other = plot_loss({"sgd": [4.0, 3.0], "adam": []})
    assert (other.get_yscale(), labels(other)) == (
        "linear", ["sgd: 3 at the end", "adam: none at the end"]
    )  # fmt: skip
    assert plot_loss([4.0, 3.0], log=True).get_yscale() == "log"
    assert plot_loss([4.0, -1.0]).get_yscale() == "linear"


def test_plot_fit_draws_points_curve_and_errors(ax):
    plot_fit(lambda x: 2 * x + 1, [0.0, 1.0, 2.0], [1.0, 4.0, 5.0], ax=ax)
    assert labels(ax) == [f"mean squared error {1 / 3:.4g}"]
    points, curve = ax.lines
    assert points.get_xydata().tolist() == [[0, 1], [1, 4], [2, 5]]
    assert curve.get_ydata() == pytest.approx(2 * curve.get_xdata() + 1)
    (errors,) = ax.collections
    assert [segment.tolist() for segment in errors.get_segments()][1] == [[1, 4], [1, 3]]


def test_plot_boundary_of_two_classes_counts_what_is_right(ax):
    X, y = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [-1, -1, 1, -1]
    plot_boundary(lambda x: x[1] - 0.5, X, y, points=11, ax=ax)
    assert ax.get_title() == "3 of 4 right"
    *_, samples = ax.collections
    assert samples.get_offsets().tolist() == X
    assert samples.get_facecolors()[2, 2] > samples.get_facecolors()[2, 0]  # blue: positive
    assert samples.get_facecolors()[0, 0] > samples.get_facecolors()[0, 2]  # red
    line = ax.collections[1].get_paths()[0].vertices
    assert line[:, 1] == pytest.approx(0.5)


def test_plot_boundary_of_several_classes_takes_the_largest():
    X, y = [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]], ["a", "b", "c"]
    model = lambda x: [1 - x[0], x[1] * 0 + 0.5, x[0] - 1]  # noqa: E731
    assert plot_boundary(model, X, y, points=9).get_title() == "3 of 3 right"
    assert plot_boundary(lambda x: x[0] * 0 + 1.0, X, y, points=5).get_title() == ""


def test_plot_boundary_follows_decisions_of_the_model():
    """A tape would keep the branch of its example."""
    model = lambda x: x[0] - 0.5 if x[1].data > 0.5 else 0.5 - x[0]  # noqa: E731
    X, y = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1, 0, 0, 1]
    assert plot_boundary(model, X, y, points=5).get_title() == "4 of 4 right"
    several = lambda x: [model(x), -model(x)]  # noqa: E731
    assert plot_boundary(several, X, [0, 1, 1, 0], points=5).get_title() == "4 of 4 right"


def test_plot_fit_takes_a_model_that_no_tape_can_be_made_of():
    def model(x):
        out = Value(2 * x.data, (x,), "mine")
        out._backward = lambda: None
        return out

    assert labels(plot_fit(model, [1.0, 2.0], [2.0, 5.0])) == ["mean squared error 0.5"]


def test_plot_landscape_draws_a_map_and_the_way(ax):
    f = lambda a, b: a**2 + 10 * b**2 + 0.01  # noqa: E731
    plot_landscape(f, (-2, 2), (-1, 1), path=[(-2.0, 1.0), (0.0, 0.0)], points=21, ax=ax)
    assert labels(ax) == ["14.01 to 0.01 in 1 steps"]
    assert ax.lines[1].get_xydata().tolist() == [[-2, 1], [0, 0]]
    drawn = ax.collections[0]
    assert (drawn.norm.vmin, drawn.norm.vmax) == pytest.approx((0.01, 14.01))
    assert type(drawn.norm).__name__ == "LogNorm"


def test_plot_landscape_of_negative_numbers_has_even_colours():
    ax = plot_landscape(lambda a, b: a + b, (-1, 1), (-1, 1), points=5)
    assert type(ax.collections[0].norm).__name__ == "Normalize"
    assert ax.get_legend() is None
    flat = plot_landscape(lambda a, b: 0 * a + 0 * b - 1, (-1, 1), (-1, 1), points=5)
    assert (flat.collections[0].norm.vmin, flat.collections[0].norm.vmax) == (-1, 0)


@pytest.mark.parametrize("offset", [0.01, -5.0])
def test_plot_landscape_in_three_dimensions(offset):
    f = lambda a, b: a**2 + b**2 + offset  # noqa: E731
    way = [(-1.0, 1.0), (0.0, 0.0)]
    ax = plot_landscape(f, (-1, 1), (-1, 1), path=way, surface=True, points=7)
    assert ax.name == "3d"
    heights = [f(*point) for point in way]
    expected = np.log10(heights) if offset > 0 else heights
    assert ax.lines[-1].get_data_3d()[2] == pytest.approx(expected)
    assert ax.get_zlabel() == ("log10 of loss" if offset > 0 else "loss")
    assert len(plot_landscape(f, (-1, 1), (-1, 1), surface=True, points=5).lines) == 0


def rows(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_plot_parameters_and_gradients_have_a_row_for_each_group(ax):
    random.seed(1)
    model = nn.MLP(2, [3, 1])
    model([1.0, 2.0]).backward()
    assert plot_parameters(model, ax=ax) is ax
    weights = [w.data for neuron in model.layers[0].neurons for w in neuron.w]
    shown = rows(ax)
    assert [row.split("\n")[0] for row in shown[::-1]] == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"
    ]  # fmt: skip
    assert shown[-1].split("\n")[1] == f"6: {np.mean(weights):.2g} ± {np.std(weights):.2g}"
    grads = [w.grad for neuron in model.layers[0].neurons for w in neuron.w]
    about = rows(plot_gradients(model))[-1].split("\n")[1]
    assert about == f"6: {np.mean(grads):.2g} ± {np.std(grads):.2g}"


def test_plot_parameters_takes_values_and_skips_what_is_not_finite():
    assert rows(plot_parameters([Value(1.0), Value(math.nan)])) == ["all\n2: 1 ± 0"]
    ax = plot_parameters({"w": [[Value(1.0)], [Value(3.0)]], "b": Value(math.inf), "none": []})
    assert rows(ax) == ["b\n1: none finite", "w\n2: 2 ± 1"]


def test_plot_activations_has_a_row_for_each_layer(ax):
    random.seed(1)
    model = nn.MLP(2, [3, 1])
    X = [[1.0, 2.0], [-1.0, 0.5]]
    plot_activations(model, X, ax=ax)
    first = [out.data for x in X for out in model.layers[0](x)]
    assert rows(ax)[-1] == f"0: 3 x ReLU\n6: {np.mean(first):.2g} ± {np.std(first):.2g}"
    assert rows(ax)[0].startswith("1: 1 x Linear\n2: ")
    other = plot_activations(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), X)
    assert [row.split("\n")[0] for row in rows(other)] == ["1: Tanh", "0: Linear"]


def test_plots_refuse_what_they_cannot_draw():
    for call, error, words in (
        (lambda: plot_function(functional.exp, 0.0, h=0), FastgradValueError, "h other than 0"),
        (lambda: plot_function(functional.exp, 0.0, span=0), FastgradValueError, "span=0"),
        (lambda: plot_loss([]), FastgradValueError, "expected losses"),
        (lambda: plot_fit(abs, [], []), FastgradValueError, "got 0 and 0"),
        (lambda: plot_fit(abs, [1.0], []), FastgradValueError, "got 1 and 0"),
        (lambda: plot_boundary(abs, [[1.0]], [1]), FastgradValueError, "n pairs and n classes"),
        (lambda: plot_landscape(max, (1, 1), (0, 1)), FastgradValueError, "a smaller and a larger"),
        (lambda: plot_landscape(max, (0, 1), (0,)), FastgradValueError, r"\(y\)"),
        (lambda: plot_parameters(3), FastgradTypeError, "a Module or Values"),
        (lambda: plot_gradients([]), FastgradTypeError, "a Module or Values"),
        (lambda: plot_activations(nn.Neuron(2), []), FastgradTypeError, "an MLP or a Sequential"),
        (lambda: plot_activations(nn.MLP(2, [1]), []), FastgradValueError, "expected samples"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_plots_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="expected matplotlib and NumPy, got no matplotlib"):
        plot_loss([1.0])
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingExtraError, match="got no numpy"):
        plot_boundary(abs, [[1.0, 2.0]], [1])
