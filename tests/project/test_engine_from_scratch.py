"""docs/engine-from-scratch.md: its engine gives fastgrad's bits, and its table finds the sources.

Oracle: fastgrad, eagerly and on a tape, for random expressions of + - * relu.
"""

import random
import re
from pathlib import Path

import pytest
from helpers.tally import tally

import fastgrad

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "engine-from-scratch.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no documents beside the tests")


sources = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="no source tree")


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def engine(page):
    namespace = {"__name__": "engine_from_scratch"}
    exec("\n\n".join(BLOCK.findall(page)), namespace)
    return namespace


def choices(seed, length=30):
    """Return what `build` does: (kind, two places counted from the end, a number)."""
    rng = random.Random(seed)
    return [
        (rng.choice("+-*r+-*r#"), rng.randint(1, 5), rng.randint(1, 5), rng.uniform(-2, 2))
        for _ in range(length)
    ]


def build(steps, values):
    """Compute one Value from several, by either engine."""
    values = list(values)
    for kind, i, j, number in steps:
        a, b = values[-(i % len(values) + 1)], values[-(j % len(values) + 1)]
        if kind == "+":
            values.append(a + b)
        elif kind == "-":
            values.append(a - b)
        elif kind == "*":
            values.append(a * b * 0.5)
        elif kind == "r":
            values.append(a.relu() + number)
        else:
            values.append(number * a)
    return sum(values[-6:])


def bits(numbers):
    return [float(x).hex() for x in numbers]


@pytest.mark.wide
def test_page_gradients_have_the_bits_of_fastgrad(engine):
    for seed in range(100):
        steps, numbers = choices(seed), [random.Random(seed).uniform(-2, 2) for _ in range(4)]
        results = []
        for value in (engine["Value"], fastgrad.Value):
            leaves = [value(x) for x in numbers]
            root = build(steps, leaves)
            root.backward()
            results.append(bits([root.data, *(leaf.grad for leaf in leaves)]))
        assert results[0] == results[1]
    tally("engine from scratch: sweeps", 100)


@pytest.mark.wide
def test_page_replays_have_the_bits_of_fastgrad(engine):
    for seed in range(30):
        steps, rng = choices(seed), random.Random(seed)
        weights = [rng.uniform(-2, 2) for _ in range(3)]
        samples = [(rng.uniform(-2, 2), rng.uniform(-2, 2)) for _ in range(5)]
        small, large = engine["Value"], fastgrad.Value
        ours, theirs = [small(w) for w in weights], [large(w) for w in weights]

        tape = engine["record"](lambda x, y: build(steps, [*ours, x, y]), 0.5, 0.5)  # noqa: B023
        results, adjoints = engine["batch"](tape, samples)
        for s, sample in enumerate(samples):
            value, gradient = tape.value_and_grad(*sample)
            assert bits([value, *gradient]) == bits([results[s], *(row[s] for row in adjoints)])

            root = build(steps, [*theirs, *(inputs := [large(x) for x in sample])])
            for w in theirs:
                w.grad = 0
            root.backward()
            slots = {p: k for k, p in tape.parameters.items()}
            mine = [gradient[slots[w]] if w in slots else 0.0 for w in ours]
            expected = [root.data, *(x.grad for x in inputs), *(w.grad for w in theirs)]
            assert bits([value, *gradient[:2], *mine]) == bits(expected)


def test_constants_are_folded(engine):
    value = engine["Value"]
    tape = engine["record"](lambda x: x * ((value(2) + 3) * value(4) - 1), 1.0)
    assert [op for op, *_ in tape.program] == ["mul"]
    assert tape.value_and_grad(2.0)[0] == 38.0


def test_memory_is_given_back(engine):
    arena, value = engine["arena"], engine["Value"]
    chunks, leaves = len(arena.chunks), len(arena.leaves) - len(arena.free)
    total = value(0.0)
    for _ in range(5000):  # deep enough to end any recursion
        total = total + 1
    assert len(arena.chunks) > chunks + 5000 // engine["SIZE"] - 2
    del total
    assert len(arena.chunks) <= chunks + 1
    assert len(arena.leaves) - len(arena.free) == leaves


def test_page_has_at_most_150_lines_of_code(page):
    lines = "".join(BLOCK.findall(page)).splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 150


@sources
def test_page_ideas_are_found_in_the_sources(page):
    rows = re.findall(r"^\| (?!idea|---)(.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert len(rows) >= 12
    program = "".join(BLOCK.findall(page))
    for idea, above, sources in rows:
        for name in re.findall(r"`([\w.]+)`", above):
            assert name.split(".")[-1] in program, idea
        named = re.findall(r"`([^`]+)`", sources)
        waiting = []
        for name in named:
            if "/" not in name:
                waiting.append(name)
                continue
            assert (ROOT / name).is_file(), name
            text = (ROOT / name).read_text("utf-8")
            for word in waiting:
                assert re.search(rf"\b{word}\b", text), f"{word} in {name}"
            waiting.clear()
        assert named, idea
        assert not waiting, idea


@sources
def test_other_paths_on_the_page_exist(page):
    paths = set(re.findall(r"`((?:src|fastgrad|tools)/[\w./]+)`", page))
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []
