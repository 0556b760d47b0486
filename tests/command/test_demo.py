"""`python -m fastgrad demo`: the notebook's training, the comparison, the picture.

Oracle: the loss that micrograd's demo.ipynb prints at step 0, and micrograd's own steps; for the
tape, the eager steps.
"""

import importlib.metadata
import random
import re
import subprocess
import sys

import pytest

from fastgrad.command import cli, demo
from fastgrad.command.demo import FASTGRAD, Library, total_loss, training_step
from fastgrad.errors import FastgradValueError

for extra in ("numpy", "matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(extra, reason="needs fastgrad[demo]")

pytestmark = pytest.mark.wide  # the notebook's model alone has 337 parameters
STEP_0 = 0.8958441028683222
PNG = b"\x89PNG\r\n\x1a\n"
QUICK = ["demo", "--steps", "3", "--spacing", "1"]


@pytest.fixture
def moons():
    import numpy as np
    from sklearn.datasets import make_moons

    np.random.seed(1337)  # noqa: NPY002
    X, y = make_moons(n_samples=100, noise=0.1)
    return X, y * 2 - 1


@pytest.fixture
def micrograd():
    engine = pytest.importorskip("micrograd.engine")
    return Library("micrograd", engine.Value, pytest.importorskip("micrograd.nn").MLP)


@pytest.mark.wide
def test_first_loss_equals_the_notebook(moons):
    random.seed(1337)
    loss, accuracy = total_loss(FASTGRAD, FASTGRAD.MLP(2, [16, 16, 1]), *moons)
    assert (loss.data, accuracy) == (STEP_0, 0.5)


def test_training_steps_equal_micrograd(moons, micrograd):
    X, y = moons[0][::10], moons[1][::10]
    losses = []
    for library in (FASTGRAD, micrograd):
        random.seed(1)
        model = library.MLP(2, [4, 1])
        losses.append([training_step(library, model, X, y, 0.5) for _ in range(5)])
    for (ours, our_share), (theirs, their_share) in zip(*losses, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)
        assert our_share == their_share


@pytest.mark.wide
def test_demo_trains_compares_and_draws(tmp_path, capsys, micrograd):
    picture = tmp_path / "moons.png"
    assert cli.main([*QUICK, "--rounds", "1", "--output", str(picture)]) == 0
    out = capsys.readouterr().out
    assert f"step 0: loss {STEP_0!r}, accuracy 50%" in out
    assert "step 2: loss " in out
    assert len(re.findall("times as fast; losses differ by .*e-1. at most", out)) == 2
    assert "337 parameters" in out
    assert f"micrograd {importlib.metadata.version('micrograd')}" in out
    lines = re.findall(r"^    (.*?) +[\d.]+ ms a step(.*)$", out, re.MULTILINE)
    assert [name for name, _ in lines] == [
        "fastgrad", "fastgrad, tape", f"micrograd {importlib.metadata.version('micrograd')}",
    ]  # fmt: skip
    assert [rest.endswith(" times as fast") for _, rest in lines] == [True, True, False]
    data = picture.read_bytes()
    assert data.startswith(PNG)
    assert len(data) > 10_000
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (900, 750)


@pytest.mark.wide
def test_recorded_training_equals_eager_training(moons, capsys):
    random.seed(1337)
    model = FASTGRAD.MLP(2, [16, 16, 1])
    losses = [training_step(FASTGRAD, model, *moons, demo._rate(k))[0] for k in range(4)]
    taped = demo._Recorded(*moons, 1337)
    taped.train(losses, 1.0)
    loop, fit = re.findall(r"losses differ by (\S+) at most", capsys.readouterr().out)
    assert float(loop) < 1e-12
    assert float(fit) < 1e-12
    for p, eager in zip(taped.model.parameters(), model.parameters(), strict=True):
        assert p.data == pytest.approx(eager.data, rel=1e-9, abs=1e-12)
    taped.train([loss + 0.5 for loss in losses], 1.0)
    loop, fit = re.findall(r"losses differ by (\S+) at most", capsys.readouterr().out)
    assert min(float(loop), float(fit)) > 0.4


@pytest.mark.wide
def test_demo_without_micrograd_option_compares_nothing(tmp_path, capsys):
    picture = str(tmp_path / "moons.svg")
    assert cli.main([*QUICK, "--no-micrograd", "--no-recorded", "--output", picture]) == 0
    assert "comparison" not in (out := capsys.readouterr().out)
    assert "times as fast" not in out
    assert "recorded" not in out
    assert "<svg" in (tmp_path / "moons.svg").read_text("utf-8")


@pytest.mark.wide
@pytest.mark.parametrize("blocked", ["micrograd.engine", "micrograd.nn"])
def test_demo_says_when_micrograd_is_not_installed(tmp_path, capsys, monkeypatch, blocked):
    monkeypatch.setitem(sys.modules, blocked, None)
    assert cli.main([*QUICK, "--output", str(tmp_path / "moons.png")]) == 0
    assert "no comparison: micrograd is not installed" in capsys.readouterr().out


def test_micrograd_aliased_to_fastgrad_is_not_compared(monkeypatch, micrograd):
    from fastgrad import engine, nn

    monkeypatch.setitem(sys.modules, "micrograd.engine", engine)
    monkeypatch.setitem(sys.modules, "micrograd.nn", nn)
    assert demo._micrograd() is None


def test_micrograd_from_a_checkout_is_named_by_its_path(monkeypatch, micrograd):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert demo._micrograd().name.startswith("micrograd from ")


@pytest.mark.wide
def test_comparison_with_different_gradients_shows_no_speedup(moons, capsys, monkeypatch):
    class Wrong(FASTGRAD.MLP):
        def __call__(self, x):
            return super().__call__(x) * 1.0005

    monkeypatch.setattr(demo, "_micrograd", lambda: Library("wrong", FASTGRAD.Value, Wrong))
    demo._compare(*moons, 1337, 1, lambda iterable, **_: iterable)
    out = capsys.readouterr().out
    assert out.startswith("no comparison: gradients of fastgrad and wrong differ by ")
    assert "times as fast" not in out


def test_picture_of_a_constant_model_has_no_boundary(moons):
    from matplotlib.figure import Figure

    figure = Figure()
    demo._draw(figure, lambda point: FASTGRAD.Value(1.0), *moons, spacing=1.0)
    (axes,) = figure.axes
    assert len(axes.collections) == 2  # the plane and the points, without a boundary


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["--output", "moons.txt"], "expected a file name ending in one of "),
        (["--output", "no/such/folder/moons.png"], "expected a folder that exists"),
    ],
)
def test_wrong_options_are_refused_before_training(
    options, fragment, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fastgrad: error: ")
    assert fragment in captured.err


def test_picture_without_a_grid_is_refused_before_training(tmp_path):
    with pytest.raises(FastgradValueError, match=r"a positive grid spacing, got 0\.0"):
        demo.run_demo(output=str(tmp_path / "moons.png"), spacing=0.0)


@pytest.mark.parametrize("extra", ["sklearn", "matplotlib", "tqdm", "numpy"])
def test_missing_extra_names_what_to_install(extra):
    code = (
        f"import sys; sys.modules[{extra!r}] = None; from fastgrad.command.cli import main;"
        "sys.exit(main(['demo']))"
    )
    root = str(demo.Path(demo.__file__).parents[2])  # not the package: it has a sklearn of its own
    process = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); {code}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("fastgrad: error: expected scikit-learn, matplotlib and tqdm")
    assert "pip install 'fastgrad[demo]'" in process.stderr
    assert "Traceback" not in process.stderr
