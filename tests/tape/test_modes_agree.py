"""Forward and reverse mode agree: at ties, kinks, zeros, singular points, in masked branches.

Oracles: each mode for the other, one sample for batches, the eager sweep for tapes; central
differences where the function is smooth on both sides.
"""

import math
import os
import random

import pytest
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, where

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]
PROGRAMS = {"nightly": 12_500, "few": 100}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 1_250)
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 0.25, -3.0)
UNARY = ("abs", "relu", "sqrt", "square", "log", "exp", "tanh", "neg", "asin", "acos", "log1p")
BINARY = ("add", "mul", "sub", "div", "max", "min", "hypot", "atan2", "lt", "le", "ge")
POWERS = (-1, 0, 0.5, 1, 2, 3, -0.5)


def draw(rng):
    """Draw the steps of a program: names with the places of their operands."""
    steps = []
    for n in range(3, 3 + rng.randint(2, 9)):
        kind = rng.random()
        near = [n - 1 - rng.randrange(min(n, 5)) for _ in range(3)]
        if rng.random() < 0.15:
            near = [near[0]] * 3  # equal operands
        if kind < 0.35:
            steps.append((rng.choice(UNARY), near[:1]))
        elif kind < 0.7:
            steps.append((rng.choice(BINARY), near[:2]))
        elif kind < 0.85:
            steps.append((rng.choice(POWERS), near[:1]))
        else:
            steps.append(("where", near))
    return steps


def run(steps, leaves):
    made = list(leaves)
    for name, places in steps:
        operands = [made[p] for p in places]
        if name == "where":
            made.append(where(functional.gt(operands[0], 0.5), *operands[1:]))
        elif isinstance(name, str):
            made.append(getattr(functional, name)(*operands))
        else:
            made.append(operands[0] ** name)
    return made[-1] + made[-2] * 0.5


def same(a, b, size=1.0):
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= 1e-11 * (size + abs(a) + abs(b))


def eagerly(steps, point):
    leaves = [Value(x) for x in point]
    try:
        run(steps, leaves).backward()
    except (ArithmeticError, ValueError):
        return None
    return [leaf.grad for leaf in leaves]


def slope(tape, point, i):
    """Return the central difference, or None where the function does not look smooth."""
    found = []
    for h in (1e-4, 5e-5, -1e-4):
        up, down = list(point), list(point)
        up[i] += h
        down[i] -= h
        found.append((tape(*up) - tape(*down)) / (2 * h))
        found.append((tape(*up) - tape(*point)) / h)
    if not all(map(math.isfinite, found)):
        return None
    wide = max(found) - min(found)
    return found[0] if wide <= 1e-2 * (1 + abs(found[0])) else None


@pytest.mark.parametrize("chunk", range(4))
def test_all_modes_give_the_same_derivatives_at_edges(chunk):
    rng = random.Random(chunk)
    done = infinite = 0
    while done < PROGRAMS:
        steps = draw(rng)
        example = [rng.uniform(0.1, 0.9) for _ in range(3)]
        try:
            tape = fg.record(lambda a, b, c, steps=steps: run(steps, (a, b, c)), *example)
        except (ArithmeticError, ValueError):
            continue
        done += 1
        points = [example, *([rng.choice(EDGES) for _ in range(3)] for _ in range(2))]
        _, batch = tape.value_and_grad(*zip(*points, strict=True), wrt="inputs", reduce="sum")
        for s, point in enumerate(points):
            value, gradient = tape.value_and_grad(*point, wrt="inputs")
            size = 1.0 + sum(abs(g) for g in gradient if math.isfinite(g))
            eager = eagerly(steps, point)
            for i in range(3):
                where_ = (chunk, done, steps, point, i)
                direction = tuple(float(i == j) for j in range(3))
                again, forward = tape.jvp(tuple(point), direction)
                assert same(again, value), where_
                assert same(batch[i][s], gradient[i], size), where_
                # Infinities may cancel: x - x passes an adjoint of 0, a tangent of inf - inf.
                if math.isfinite(forward) and math.isfinite(gradient[i]):
                    assert same(forward, gradient[i], size), where_
                    tally("modes: forward against reverse")
                else:
                    infinite += 1
                if eager is not None:
                    assert same(eager[i], gradient[i], size), where_
                    tally("modes: eager against tape")
                # Where eager raises, a value may have passed through inf: a / (1 / b) at b = 0.
                if eager is not None and math.isfinite(value) and math.isfinite(gradient[i]):
                    difference = slope(tape, point, i)
                    if difference is not None:
                        bound = 2e-2 * (1 + abs(difference))
                        assert abs(difference - gradient[i]) <= bound, where_
                        tally("modes: central differences")
    assert infinite < 0.2 * 9 * PROGRAMS
