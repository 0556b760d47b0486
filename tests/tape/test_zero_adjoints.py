"""What has no influence contributes nothing: 0 times an infinite or unknown partial is 0.

Oracle: the branch that is chosen, alone; it has the same derivative whatever the other one does.
"""

import itertools
import math

import pytest
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, nn, where
from fastgrad.ops import rows

np = pytest.importorskip("numpy")

ODD = (0.0, -0.0, 1.0, -1.0, 2.5, 1e200, 800.0, math.inf, -math.inf, math.nan)
ROWS = [row for row in rows() if not row.variant_of]
SAMPLES = (1, 3, 8, 20)


def by_name(row):
    """Return a function of x and y that uses a row, and the operands that it has."""
    function = getattr(functional, row.name)
    if row.name == "acosh":  # the example is below 1
        return lambda x, y: function(x + 1.0)
    if row.parameter:
        return lambda x, y: function(x, row.domain[-1][1])
    return (lambda x, y: function(x, y)) if row.arity == 2 else (lambda x, y: function(x))


def derivatives(function, x, y):
    """Return all derivatives in x that a tape gives at a point: every way, in batches too."""
    tape = fg.record(function, 0.5, 0.75)
    yield tape.value_and_grad(x, y, wrt="inputs")[1][0]
    yield tape.jvp((x, y), (1.0, 0.0))[1]
    for n in SAMPLES:
        yield from tape.value_and_grad([x] * n, [y] * n, wrt="inputs", reduce="sum")[1][0]
        yield from tape.value_and_grad([x] * n, y, wrt="inputs", reduce="sum")[1][0]
        yield tape.value_and_grad(x, [y] * n, wrt="inputs", reduce="sum")[1][0] / n
    w = Value(0.5)
    tape = fg.record(lambda y: function(w, y), 0.75)
    w.data = x
    yield tape.value_and_grad(y)[1][0]
    yield tape.value_and_grad([y] * 20, reduce="sum")[1][0] / 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_branch_not_chosen_contributes_nothing_at_any_point(row):
    operation = by_name(row)

    def function(x, y):
        return where(functional.lt(x, 1e9) * 0.0, operation(x, y) * operation(y, x), x * 3.0)

    for x, y in itertools.product(ODD, ODD[:5]):
        assert set(derivatives(function, x, y)) == {3.0}, (x, y)
        tally("zero adjoint: rows of the table at odd points")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_branch_not_chosen_raises_nothing_in_eager_backward(row):
    operation = by_name(row)
    tried = 0
    for x, y in itertools.product(ODD, repeat=2):
        a, b = Value(x), Value(y)
        try:
            other = operation(a, b)
        except (ArithmeticError, ValueError):
            continue
        where(Value(0.0), other * math.inf, a * 3.0).backward()
        assert (a.grad, b.grad) == (3.0, 0.0), (x, y)
        tried += 1
    assert tried > 8


@pytest.mark.parametrize("choose", ["where", "max", "min", "relu", "abs", "lt"])
def test_operand_without_influence_gets_exactly_zero_at_an_infinite_adjoint(choose):
    def function(x, y):
        chosen = {
            "where": lambda: where(functional.lt(y, 1.0), y, x),
            "max": lambda: functional.max(y, x - 1.0),
            "min": lambda: functional.min(y, x + 1.0),
            "relu": lambda: y + (x - 5.0).relu(),
            "abs": lambda: y + functional.abs(x * 0.0),
            "lt": lambda: y + functional.lt(x, -1.0),
        }[choose]()
        return chosen**0.5

    assert set(derivatives(function, 0.25, 0.0)) == {0.0}
    swapped = set(derivatives(lambda x, y: function(y, x), 0.0, 0.25))
    assert swapped == {math.inf}


@pytest.mark.parametrize("huge", [math.inf, math.nan])
def test_zero_adjoint_reaches_no_weight_of_a_neuron_beside_an_infinite_input(huge):
    model = nn.MLP(2, [3, 1], activation="tanh")

    def function(x, y):
        return where(functional.lt(y, 0.0), model([x, y]), x * 3.0 + model([y, y]))

    tape = fg.record(function, 0.5, -0.5)
    calm = fg.record(lambda x, y: x * 3.0 + model([y, y]), 0.5, 0.5)
    _, expected = calm.value_and_grad(0.0, 0.5)
    places = {id(p): g for p, g in zip(calm.parameters, expected, strict=True)}
    expected = [places[id(p)] for p in tape.parameters]
    for n in SAMPLES:
        xs, ys = np.full(n, huge), np.full(n, 0.5)
        _, gradient = tape.value_and_grad(xs, ys)
        assert gradient == pytest.approx(expected, rel=1e-12)
        _, (gx, _) = tape.value_and_grad(xs, ys, wrt="inputs", reduce="sum")
        assert set(gx) == {3.0}
    assert tape.value_and_grad(huge, 0.5)[1] == pytest.approx(expected, rel=1e-12)
    x = Value(huge)
    for p in model.parameters():
        p.grad = 0.0
    function(x, Value(0.5)).backward()
    assert x.grad == 3.0
    assert [p.grad for p in tape.parameters] == pytest.approx(expected, rel=1e-12)


def test_dots_of_two_inputs_follow_the_rule_in_batches():
    def function(x, y):
        pairs = zip(x, y, strict=True)
        total = sum((a * b for a, b in pairs), 0.5)
        return where(functional.lt(x[0], 0.0), total, y[1] * 3.0)

    tape = fg.record(function, [0.1, 0.2], [0.3, 0.4])
    x, y = [0.5, math.inf], [math.nan, 2.0]
    for n in SAMPLES:
        for call in ([[x] * n, [y] * n], [x, [y] * n], [[x] * n, y]):
            _, gradients = tape.value_and_grad(*call, wrt="inputs", reduce="sum")
            gx, gy = (np.reshape(g, (-1, 2)) for g in gradients)
            assert not gx.any()
            assert set((gy / (1 if len(gy) > 1 or n == 1 else n)).ravel()) == {0.0, 3.0}


def test_other_samples_of_a_batch_keep_their_bits_beside_an_odd_one():
    w = Value(0.7)
    tape = fg.record(
        lambda x: where(functional.gt(x, 0.0), (2.0 / x) * (w / x) * w.exp(), x * w), 0.5
    )
    xs = np.random.default_rng(3).uniform(0.1, 2, 3000)
    _, (calm,) = tape.value_and_grad(xs, wrt="inputs", reduce="sum")
    odd = xs.copy()
    odd[[0, 700, 2999]] = 0.0
    for threads in (1, 2):
        _, (found,) = tape.value_and_grad(odd, wrt="inputs", reduce="sum", threads=threads)
        assert found[[0, 700, 2999]].tolist() == [0.7] * 3
        kept = np.delete(np.arange(3000), [0, 700, 2999])
        assert (found[kept] == calm[kept]).all()
    _, one = tape.value_and_grad(odd, reduce="sum")
    _, other = tape.value_and_grad(odd, reduce="sum", threads=2)
    assert list(one) == list(other)
    assert math.isfinite(one[0])


PROGRAM = """
import math
import fastgrad as fg
from fastgrad import Value, functional as F, nn, where
import random
random.seed(1)
model = nn.MLP(2, [5, 5, 1])
def f(x, y):
    other = model([1 / x, y / x]) * (y / x) + x.log() * y
    return where(F.gt(x, 0.0), other, model([x, y]) * y)
tape = fg.record(f, 0.5, 0.5)
xs = [random.choice([0.0, -1.0, random.random()]) for _ in range(700)]
ys = [random.random() for _ in range(700)]
digest = []
for _ in range(2):
    digest += tape.value_and_grad(xs, ys)[1]
    digest += tape.value_and_grad(xs, ys, reduce="sum", wrt="inputs")[1][0]
assert all(map(math.isfinite, digest))
import hashlib
print(hashlib.sha256(repr(digest).encode()).hexdigest())
"""


def test_gradients_of_zero_adjoints_have_the_same_bits_at_every_simd_level(monkeypatch, tmp_path):
    found = set()
    for level in ("baseline", "avx2", "avx512"):
        monkeypatch.setenv("FASTGRAD_SIMD", level)
        process = python("-c", PROGRAM, cwd=tmp_path)
        if process.returncode and "as this processor has" in process.stderr:
            continue
        assert process.stderr == ""
        found.add(process.stdout)
    assert len(found) == 1


def test_custom_operation_is_not_asked_for_partials_at_a_zero_adjoint():
    asked = []

    @fg.custom("inverse")
    def inverse(x):
        return math.inf if x == 0 else 1 / x

    @inverse.partials
    def inverse(x, y):
        asked.append(x)
        return -1 / (x * x)

    x = Value(0.0)
    where(Value(0.0), inverse(x), x * 3.0).backward()
    assert (x.grad, asked) == (3.0, [])
    x = Value(2.0)
    inverse(x).backward()
    assert (x.grad, asked) == (-0.25, [2.0])


def test_infinite_partial_at_an_adjoint_that_counts_still_raises():
    x = Value(0.0)
    with pytest.raises(ZeroDivisionError, match="sqrt"):
        where(Value(1.0), x.sqrt(), x).backward()
    tape = fg.record(lambda x: where(functional.ge(x, 0.0), x.sqrt(), x), 1.0)
    assert tape.value_and_grad(0.0, wrt="inputs")[1] == (math.inf,)
