"""An optimizer's state: saved, loaded, copied, pickled, damaged; PyTorch's layout.

Oracle: the optimizer that goes on.
"""

import contextlib
import random

import pytest
from helpers.optimizers import (
    DEFAULTS,
    hypers,
    make,
    problem,
    train,
)
from helpers.tally import tally
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgrad import Value, optim
from fastgrad._native.train import optim as _optim
from fastgrad.errors import FastgradError


def continue_by_state_dict(optimizer, params, make_new):
    import json

    saved = optimizer.state_dict()
    text = json.loads(json.dumps(saved))  # plain data; JSON has text for keys and lists for tuples
    text["state"] = {int(i): state for i, state in text["state"].items()}
    copies = [Value(p.data) for p in params]
    new = make_new(copies)
    new.load_state_dict(text)
    assert {**new.state_dict(), "param_groups": 0} == {**saved, "param_groups": 0}
    return new, copies


def continue_by_pickle(optimizer, params, make_new):
    import pickle

    return pickle.loads(pickle.dumps((optimizer, params)))


def continue_by_deepcopy(optimizer, params, make_new):
    import copy

    return copy.deepcopy((optimizer, params))


@pytest.mark.parametrize("way", [continue_by_state_dict, continue_by_pickle, continue_by_deepcopy])
@settings(max_examples=30)
@given(hypers(), st.integers(0, 2**32), st.integers(0, 3))
def test_training_continued_from_a_state_gives_the_same_bits(way, drawn, seed, done):
    rule, hyper = drawn
    data, gradients = problem(seed, n=4, steps=8)
    params = list(map(Value, data))

    def make_new(params):
        return make(rule, [{"params": params[:1]}, {"params": params[1:], "lr": 0.01}], hyper)

    optimizer = make_new(params)
    optimizer.note = ["note"]
    train(optimizer, params, gradients[:done])
    new, copies = way(optimizer, params, make_new)
    assert way is continue_by_state_dict or new.note == ["note"] != optimizer.note.clear()
    expected = train(optimizer, params, gradients[done:])
    assert train(new, copies, gradients[done:]) == expected
    assert new.state_dict()["state"] == optimizer.state_dict()["state"]


def test_copied_optimizer_shares_parameters_only():
    import copy

    x = Value(1.0)
    optimizer = optim.SGD([x], lr=1, momentum=0.5)
    train(optimizer, [x], [[1.0]])
    other = copy.copy(optimizer)
    other.lr = 0.5
    train(other, [x], [[1.0]])
    assert (optimizer.lr, x.data, other.param_groups[0]["params"][0]) == (1, -0.75, x)
    assert optimizer.state_dict()["state"] == {0: {"momentum_buffer": 1.0}}
    assert other.state_dict()["state"] == {0: {"momentum_buffer": 1.5}}


def test_state_dict_has_the_layout_of_pytorch():
    values = [Value(1.0), Value(2.0)]
    groups = [{"params": values[:1]}, {"params": values[1:], "lr": 0.5}]
    optimizer = optim.AdamW(groups, amsgrad=True)
    hyper = {**DEFAULTS["AdamW"], "amsgrad": True}
    groups = [{**hyper, "params": [0]}, {**hyper, "lr": 0.5, "params": [1]}]
    assert optimizer.state_dict() == {"state": {}, "param_groups": groups}
    train(optimizer, values, [[1.0, 2.0]])
    state = optimizer.state_dict()["state"]
    assert state[1] == {
        "step": 1,
        "exp_avg": pytest.approx(0.2),
        "exp_avg_sq": pytest.approx(0.004),
        "max_exp_avg_sq": pytest.approx(0.004),
    }


def test_state_dict_with_further_pytorch_entries_is_loaded():
    x, y = Value(1.0), Value(1.0)
    optimizer = optim.SGD([x], lr=0.5)
    group = {**optimizer.state_dict()["param_groups"][0], "foreach": None, "fused": None}
    saved = {"state": {7: {"momentum_buffer": None}}, "param_groups": [{**group, "params": [7]}]}
    optimizer.load_state_dict(saved)
    train(optimizer, [x], [[1.0]])
    assert (x.data, optimizer.param_groups[0]["foreach"]) == (0.5, None)
    assert saved["param_groups"][0]["params"] == [7]
    adam = optim.Adam([y])
    train(adam, [y], [[1.0]])
    saved = adam.state_dict()
    saved["state"][0]["step"] = 1.0  # PyTorch's is a float
    adam.load_state_dict(saved)
    assert adam.state_dict()["state"][0]["step"] == 1


DAMAGE = {
    "no dict": lambda d: [],
    "no state": lambda d: d.pop("state") and d,
    "state is a list": lambda d: {**d, "state": []},
    "groups are a dict": lambda d: {**d, "param_groups": {}},
    "a group too few": lambda d: {**d, "param_groups": d["param_groups"][:1]},
    "a group is no dict": lambda d: {**d, "param_groups": [1, 2]},
    "no lr": lambda d: d["param_groups"][0].pop("lr") and d,
    "wrong lr": lambda d: d["param_groups"][0].update(lr=-1) or d,
    "lr is text": lambda d: d["param_groups"][1].update(lr="1") or d,
    "params missing": lambda d: d["param_groups"][1].update(params=[1]) or d,
    "params no list": lambda d: d["param_groups"][1].update(params=2) or d,
    "params no indices": lambda d: d["param_groups"][1].update(params=[[1], 2]) or d,
    "state of another": lambda d: d["state"].update({9: d["state"][0]}) or d,
    "state of one missing": lambda d: d["state"].pop(1) and d,
    "state is no dict": lambda d: d["state"].update({1: 5}) or d,
    "unknown state": lambda d: d["state"].update({0: {"momentum": 1.0}}) or d,
    "array missing": lambda d: d["state"][0].pop("exp_avg") and d,
    "array of one missing": lambda d: d["state"][1].pop("exp_avg") and d,
    "another step": lambda d: d["state"][1].update(step=7) or d,
    "no whole step": lambda d: d["state"][0].update(step=1.5) or d,
    "negative step": lambda d: d["state"][0].update(step=-1) or d,
    "huge step": lambda d: d["state"][0].update(step=2.0**60) or d,
    "step is text": lambda d: d["state"][0].update(step="1") or d,
    "state is text": lambda d: d["state"][2].update(exp_avg="1") or d,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_state_dict_is_refused_and_changes_nothing(damage):
    data, gradients = problem(n=3, steps=6)
    params = list(map(Value, data))
    optimizer = optim.Adam([{"params": params[:1]}, {"params": params[1:]}], lr=0.1)
    train(optimizer, params, gradients[:2])
    saved = optimizer.state_dict()
    train(optimizer, params, gradients[2:4])
    before, groups = optimizer.state_dict(), optimizer.param_groups
    with pytest.raises((ValueError, TypeError), match="expected"):
        optimizer.load_state_dict(DAMAGE[damage](saved))
    assert optimizer.state_dict() == before
    assert optimizer.param_groups is groups
    train(optimizer, params, gradients[4:])


ODD = (
    None,
    -1,
    0,
    2**63,
    10**400,
    0.5,
    float("nan"),
    "x",
    (),
    [],
    {},
    [1.0],
    {"a": 1},
    1j,
    object(),
)


def damaged(rng, thing):
    """Return a copy of a state, one part of it replaced, left out or put elsewhere."""
    if isinstance(thing, dict) and thing and rng.random() < 0.8:
        key = rng.choice([*thing])
        rest = {k: x for k, x in thing.items() if k != key}
        way = rng.random()
        if way < 0.15:
            return rest
        return {**rest, rng.choice(ODD[:4]): thing[key]} if way < 0.3 else {
            **rest, key: damaged(rng, thing[key])}  # fmt: skip
    if isinstance(thing, list) and thing and rng.random() < 0.8:
        i = rng.randrange(len(thing))
        middle = [] if rng.random() < 0.2 else [damaged(rng, thing[i])]
        return [*thing[:i], *middle, *thing[i + 1 :]]
    return rng.choice(ODD)


@pytest.mark.parametrize("rule", DEFAULTS)
def test_state_damaged_at_random_is_refused_and_changes_nothing(rule):
    rng = random.Random(rule)
    data, gradients = problem(n=3, steps=4)
    params = list(map(Value, data))
    optimizer = getattr(optim, rule)([{"params": params[:1]}, {"params": params[1:]}])
    train(optimizer, params, gradients[:2])
    good = optimizer.state_dict()
    refused = []
    for _ in range(300):
        before = repr(optimizer.state_dict())
        try:
            optimizer.load_state_dict(damaged(rng, good))
        except FastgradError as error:
            refused.append((str(error)[:9], repr(optimizer.state_dict()) == before))
            continue
        with contextlib.suppress(FastgradError, ArithmeticError):  # an lr of 10**400
            train(optimizer, params, gradients[2:])
        optimizer.load_state_dict(good)
    assert set(refused) == {("expected ", True)}
    assert len(refused) > 150
    tally("optimizers: states damaged at random", 300)


def test_updater_refuses_state_of_the_wrong_length():
    updater = _optim.Updater("SGD", {"params": [Value(1.0), Value(2.0)]})
    with pytest.raises(ValueError, match="expected 2 numbers"):
        updater.write_state(1, [[1.0]])
    updater.write_state(1, [[1.0, 2.0]])
    assert updater.read_state() == (1, [[1.0, 2.0]])
