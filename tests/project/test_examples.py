"""The scripts of examples/: each runs without a warning, and what it prints is so.

Oracle: the textbook's formula, the exact solution or the true parameters, computed here.
"""

import math
import re
from pathlib import Path

import pytest
from helpers.processes import python

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))

pytestmark = [
    pytest.mark.skipif(not EXAMPLES, reason="no source tree"),
    pytest.mark.wide,
]


def printed(name, folder):
    process = python(FOLDER / name, cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def numbers(pattern, text):
    """Return the numbers in the groups of the first match, thousands' commas taken out."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, pattern
    return [float(group.replace(",", "")) for group in match.groups()]


def losses(text):
    return [float(found) for found in re.findall(r"(?:loss|mean square) ([\d.]+)", text)]


def check_gradient_descent_1d(text):
    assert numbers(r"backward: (\S+), error (\S+)", text) == [14.0, 0.0]
    assert numbers(r"found x = (\S+);", text)[0] == pytest.approx(2 / 3, abs=1e-6)
    away = [float(x) for x in re.findall(r": (\S+) from the minimum", text)]
    assert away[1] < away[2] < away[0] < 1 < away[3]
    errors = [float(x) for x in re.findall(r"^   1e-\d\d .* (\S+)$", text, re.MULTILINE)]
    assert min(errors) not in (errors[0], errors[-1])


def check_house_price(text):
    source = (FOLDER / "house_price.py").read_text("utf-8")
    houses = [
        (float(a.replace("_", "")), float(b.replace("_", "")))
        for a, b in re.findall(r"\(([\d_]+), ([\d_]+)\)[,\n]", source)
    ]
    n = len(houses)
    mean_x, mean_y = (sum(house[i] for house in houses) / n for i in (0, 1))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in houses) / sum(
        (x - mean_x) ** 2 for x, _ in houses
    )
    assert n == 10
    found = numbers(r"price = (\S+) dollars a square foot \+ (\S+) dollars", text)
    assert found == pytest.approx([slope, mean_y - slope * mean_x], rel=1e-2)
    assert numbers(r"one more square foot costs (\S+)", text)[0] == found[0]
    assert losses(text)[-1] < losses(text)[0]


def check_line_fit(text):
    for name in "mb":
        by_hand, by_backward = numbers(rf"slope by {name}: (\S+) by hand, (\S+) by backward", text)
        assert by_hand == by_backward != 0
    assert numbers(r"on a tape: y = (\S+) x \+ (\S+), after (\d+) steps", text) == pytest.approx(
        [1.97, 1.08, 401], abs=0.1
    )
    assert numbers(r"largest difference: (\S+)", text)[0] < 1e-12


def check_linear_regression(text):
    lines = re.findall(r"^(?:true|normal|gradient).*?:((?: +[+-][\d.]+){4})", text, re.MULTILINE)
    true, exact, descent = ([float(x) for x in line.split()] for line in lines)
    assert exact == pytest.approx(true, abs=0.03)
    assert exact != true
    assert descent == exact
    assert numbers(r"largest slope .*: (\S+)$", text)[0] < 1e-12


def check_micrograd_lecture(text):
    grads = dict(re.findall(r"^ +([a-fL]) +data +\S+ +grad +(\S+)", text, re.MULTILINE))
    assert {k: float(v) for k, v in grads.items()} == {
        "L": 1, "d": -2, "c": -2, "e": -2, "a": 6, "b": -4, "f": 4,
    }  # fmt: skip
    assert numbers(r"neuron: (\S+), slope at its sum (\S+)", text) == [0.7071, 0.5]
    parts, whole = numbers(r"from its parts: (\S+); in one: (\S+)", text)
    assert parts == whole
    assert losses(text)[-1] < 0.01 < 1 < losses(text)[0]


def check_moons(text):
    assert numbers(r"before: .* accuracy (\d+)%", text)[0] < 70
    assert numbers(r"after: .* accuracy (\d+)%", text)[0] >= 99
    picture = text[text.index("accuracy", text.index("after")) :]
    assert all(picture.count(mark) > 20 for mark in "ox. ")


def check_black_scholes(text):
    for name in ("delta", "vega", "rho", "theta"):
        ours, book = numbers(rf"{name}: +(\S+) by backward, +(\S+) by the book", text)
        assert ours == book != 0
    share, strike, volatility, rate, years = 100.0, 105.0, 0.2, 0.03, 0.5
    root = volatility * math.sqrt(years)
    d1 = (math.log(share / strike) + (rate + volatility**2 / 2) * years) / root
    n1, n2 = ((1 + math.erf(d / math.sqrt(2))) / 2 for d in (d1, d1 - root))
    exact = share * n1 - strike * math.exp(-rate * years) * n2
    assert numbers(r"share at 100: (\S+)", text)[0] == pytest.approx(exact, abs=1e-4)
    assert numbers(r"implied volatility \S+: price (\S+)", text) == [6.5]


def check_lotka_volterra(text):
    by_backward, by_pushing = numbers(r"slope by a: (\S+); by pushing (\S+)", text)
    assert by_backward == pytest.approx(by_pushing, rel=1e-5)
    for found, true in re.findall(r"^. = (\S+), in truth (\S+)", text, re.MULTILINE):
        assert float(found) == pytest.approx(float(true), rel=0.05)
    noise = numbers(r"true laws have a loss of (\S+):", text)[0]
    assert losses(text)[3] < noise < losses(text)[0]


def check_digits(text):
    before, guessed = numbers(r"^untrained: loss (\S+), (\S+)% of", text)
    after, right = numbers(r"^trained: loss (\S+), (\S+)% of", text)
    assert before == pytest.approx(math.log(10), abs=0.2)
    assert guessed < 25
    assert right > 93
    assert after < 0.3
    assert "this is a 0" in text


def check_makemore_mlp(text):
    nothing, untrained = numbers(r"nothing costs (\S+), this model (\S+)", text)
    assert untrained == pytest.approx(nothing, abs=0.3)
    learnt, unseen = numbers(r"^loss (\S+), on names not shown (\S+)", text)
    assert learnt < unseen < nothing - 0.5
    rates = [float(x) for x in re.findall(r"loss (\S+) after 40 steps", text)]
    assert min(rates) not in (rates[0], rates[-1])


def check_gpt(text):
    before, after = numbers(r"loss of all names: (\S+) before, (\S+) after", text)
    assert before == pytest.approx(
        math.log(numbers(r"names of (\d+) letters", text)[0] + 1), abs=0.1
    )
    assert after < before - 1
    assert "the first letter moves the last scores: True" in text
    assert "the last letter moves the first scores: False" in text
    assert len((FOLDER / "gpt.py").read_text("utf-8").splitlines()) < 200


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_prints_what_holds(name, tmp_path):
    if name == "digits.py":
        pytest.importorskip("sklearn")
    text = printed(name, tmp_path)
    globals()[f"check_{name.removesuffix('.py')}"](text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_opens_with_how_it_is_run(name):
    text = (FOLDER / name).read_text("utf-8")
    docstring = text.split('"""')[1]
    assert docstring.strip().endswith(f"python examples/{name}")
