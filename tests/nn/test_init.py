"""Initialisers and the generator behind them.

Oracle: the published test vectors of Philox4x32-10; bounds and moments of the distributions.
"""

import copy
import math
import pickle
import random
import statistics
import threading

import numpy as np
import pytest

from fastgrad import Value, manual_seed, nn
from fastgrad._native.graph.functional import philox_uniforms
from fastgrad._random import default_generator
from fastgrad.errors import (
    FastgradOverflowError,
    FastgradTypeError,
    FastgradValueError,
    ShapeError,
)
from fastgrad.functional import dropout
from fastgrad.nn import init


def rows(nout, nin):
    return [[Value(0.0) for _ in range(nin)] for _ in range(nout)]


def data(tensor):
    return [value.data for value in np.array(tensor, dtype=object).flat]


def double(high, low):
    return ((high >> 5) * 2**26 + (low >> 6)) / 2**53


def test_random_bits_are_those_of_philox():
    """Random123's known answers for a counter and a key of zeros."""
    words = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox_uniforms(0, 0, 2) == [double(*words[:2]), double(*words[2:])]


def reference(counter, seed):
    """Philox4x32-10 as published, in Python."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (q >> 32) ^ counter[1] ^ key[0], q & 0xFFFFFFFF,
            (p >> 32) ^ counter[3] ^ key[1], p & 0xFFFFFFFF,
        ]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


@pytest.mark.parametrize(("seed", "call"), [(1, 0), (2**64 - 1, 2**40 + 7), (12345678901, 3)])
def test_random_numbers_are_counted_by_call_and_draw(seed, call):
    expected = []
    for block in range(3):
        words = reference([block, 0, call & 0xFFFFFFFF, call >> 32], seed)
        expected += [double(*words[:2]), double(*words[2:])]
    assert philox_uniforms(seed, call, 5) == expected[:5]


def test_seed_decides_all_that_follows():
    manual_seed(3)
    one = [nn.Linear(2, 2).state_dict(), nn.Embedding(2, 3).state_dict(), dropout([1.0] * 20)]
    assert manual_seed(3) is default_generator
    assert one == [
        nn.Linear(2, 2).state_dict(),
        nn.Embedding(2, 3).state_dict(),
        dropout([1.0] * 20),
    ]
    assert nn.Linear(2, 2).state_dict() != nn.Linear(2, 2).state_dict()


def test_seed_leaves_the_generators_of_others_alone():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.getstate()
    manual_seed(3)
    nn.LSTMCell(2, 2)
    assert random.getstate() == expected
    manual_seed(3)
    random.seed(5)
    one = nn.MLP(2, [1]).state_dict()
    random.seed(5)
    assert nn.MLP(2, [1]).state_dict() == one


def test_state_of_the_generator_can_be_kept():
    generator = init.Generator(9)
    generator.uniform(3)
    state = generator.state
    assert state == (9, 1)
    expected = generator.normal(5)
    generator.state = state
    assert generator.normal(5) == expected
    generator.state = state
    for other in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert other.normal(5) == expected


def test_threads_never_draw_the_same_numbers():
    generator, found = init.Generator(1), []
    threads = [
        threading.Thread(target=lambda: found.extend(generator.uniform(1) for _ in range(200)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({drawn for (drawn,) in found}) == 800


@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, FastgradOverflowError), (2**64, FastgradOverflowError), (1.5, FastgradTypeError)],
)
def test_seed_that_is_none_is_refused(seed, error):
    with pytest.raises(error, match="seed of random numbers"):
        manual_seed(seed)
    with pytest.raises(error, match="seed of random numbers"):
        init.Generator(seed)


def test_too_many_random_numbers_are_refused():
    with pytest.raises(FastgradValueError, match="random numbers"):
        philox_uniforms(0, 0, -1)
    with pytest.raises(FastgradValueError, match="random numbers"):
        philox_uniforms(0, 0, 2**40)


def test_uniform_and_normal_have_their_moments():
    generator = init.Generator(4)
    uniform = data(init.uniform_(rows(60, 50), -2.0, 4.0, generator))
    assert (min(uniform) >= -2.0, max(uniform) < 4.0) == (True, True)
    assert statistics.mean(uniform) == pytest.approx(1.0, abs=0.1)
    assert statistics.stdev(uniform) == pytest.approx(6 / math.sqrt(12), rel=0.05)
    normal = data(init.normal_(rows(60, 50), 3.0, 2.0, generator))
    assert statistics.mean(normal) == pytest.approx(3.0, abs=0.15)
    assert statistics.stdev(normal) == pytest.approx(2.0, rel=0.05)
    assert len(init.Generator(4).normal(3)) == 3


def test_constants_are_set_in_place():
    tensor = rows(2, 3)
    assert init.ones_(tensor) is tensor
    assert data(tensor) == [1.0] * 6
    assert data(init.eye_(tensor)) == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert data(init.constant_(tensor, 0.5)) == [0.5] * 6
    assert data(init.zeros_(tensor)) == [0.0] * 6
    assert init.ones_(Value(3.0)).data == 1.0
    assert data(init.ones_(np.array([Value(2.0)]))) == [1.0]


@pytest.mark.parametrize(
    ("call", "bound", "std"),
    [
        (lambda t: init.xavier_uniform_(t), math.sqrt(6 / 100), math.sqrt(2 / 100)),
        (lambda t: init.xavier_normal_(t, gain=3.0), None, 3 * math.sqrt(2 / 100)),
        (lambda t: init.kaiming_uniform_(t), math.sqrt(6 / 60), math.sqrt(2 / 60)),
        (
            lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)),
            1 / math.sqrt(60),
            1 / math.sqrt(3 * 60),
        ),
        (
            lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh"),
            None,
            5 / 3 / math.sqrt(40),
        ),
    ],
)
def test_spread_follows_the_fans(call, bound, std):
    manual_seed(8)
    found = data(call(rows(40, 60)))
    assert statistics.stdev(found) == pytest.approx(std, rel=0.05)
    assert bound is None or 0.98 * bound < max(map(abs, found)) <= bound


def test_gains_are_pytorchs():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 1.0) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: init.ones_([1.0]), FastgradTypeError, "Values, got float 1.0"),
        (lambda: init.xavier_uniform_([Value(1.0)]), ShapeError, "tensor of xavier_uniform_"),
        (lambda: init.eye_([]), ShapeError, "tensor of eye_"),
        (lambda: init.eye_([[]]), ShapeError, "tensor of eye_"),
        (lambda: init.eye_(Value(1.0)), ShapeError, "tensor of eye_"),
        (
            lambda: init.kaiming_normal_(rows(1, 1), mode="in"),
            FastgradValueError,
            "mode of kaiming",
        ),
        (lambda: init.calculate_gain("elu"), FastgradValueError, "nonlinearity of calculate_gain"),
    ],
)
def test_argument_that_does_not_fit_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
