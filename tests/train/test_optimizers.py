"""Optimizers against the papers and PyTorch, for Values and for any other objects.

Oracles: the papers' equations in 120 bits; PyTorch's algorithm, operation by operation, in Python
floats: the same bits; PyTorch itself, where it is installed. 200 steps each.
"""

import math
import re

import mpmath
import pytest
from helpers.optimizer_references import PAPERS, PYTORCH
from helpers.optimizers import (
    DEFAULTS,
    RULES,
    Guarded,
    Micrograd,
    Special,
    all_in_use,
    hypers,
    make,
    problem,
    switched_on,
    train,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastgrad import Value, optim, rules
from fastgrad._native.train import optim as _optim
from fastgrad.errors import FastgradError


def papers(rule, hyper, x, gradients):
    """Optimize one parameter by the equations, in as many bits as mpmath is set to."""
    exact = {
        name: tuple(map(mpmath.mpf, v)) if isinstance(v, tuple) else mpmath.mpf(v)
        for name, v in hyper.items()
    }
    return PAPERS[rule](exact, mpmath.mpf(x), map(mpmath.mpf, gradients))


def test_each_optimizer_has_its_references():
    assert set(PAPERS) == set(PYTORCH) == set(RULES), "write them in tests/helpers"


def train_and_scale(rule, hyper, data, gradients):
    """Train Values; also return, for each, an ulp of the largest it was and was changed by."""
    values = list(map(Value, data))
    optimizer, most = make(rule, values, hyper), list(map(abs, data))
    for grads in gradients:
        before = [v.data for v in values]
        train(optimizer, values, [grads])
        after = [v.data for v in values]
        most = [max(m, abs(x), abs(x - b)) for m, x, b in zip(most, after, before, strict=True)]
    return [v.data for v in values], list(map(math.ulp, most))


FEW = 48  # ulp: 200 steps are a random walk of 400 roundings, and 17 the most in 700 examples


def tolerance(hyper):
    """Return the ulp to allow for: what cancels leaves its roundings, as much greater."""
    few = FEW * (8 if hyper.get("centered") else 1)  # square - mean**2
    if "betas" in hyper:
        few += 4 * hyper.get("lr", 1e-3) / (1 - hyper["betas"][1])  # 1 - b2**t
    return few


def worst_error(rule, hyper, seed=0, oracle_hyper=None):
    """Return the error against the papers after 200 steps, in ulp of the largest on the way."""
    data, gradients = problem(seed)
    found, scales = train_and_scale(rule, hyper, data, gradients)
    with mpmath.workprec(120):
        h = {**DEFAULTS[rule], **(oracle_hyper or hyper)}
        exact = [papers(rule, h, x, grads) for x, *grads in zip(data, *gradients, strict=True)]
        columns = zip(exact, found, scales, strict=True)
        return max(float(abs(x - y) / scale) for x, y, scale in columns)


@settings(max_examples=60)
@given(hypers(), st.integers(0, 2**32))
@example(("Adam", {"lr": 0.03125, "betas": (0.0, 0.9999), "eps": 0.0078125}), 18407)
def test_steps_equal_the_equations_of_the_papers(drawn, seed):
    rule, hyper = drawn
    assert worst_error(rule, hyper, seed) <= tolerance(hyper)


@pytest.mark.parametrize("rule", RULES)
def test_default_hyper_parameters_equal_the_documented_ones(rule):
    assert worst_error(rule, {}) <= FEW
    optimizer = make(rule, [Value(1)], {})
    assert optimizer.defaults == DEFAULTS[rule]


NUMBERS = [
    pytest.param(row.name, hyper, id=f"{row.name}-{hyper.name}")
    for row in rules.rows()
    for hyper in row.hyper
    if not isinstance(hyper.default, bool)
]
FLAGS = [
    (row.name, hyper.name)
    for row in rules.rows()
    for hyper in row.hyper
    if isinstance(hyper.default, bool)
]


@pytest.mark.parametrize(("rule", "hyper"), NUMBERS)
def test_the_test_fails_a_number_that_is_off(rule, hyper):
    used = all_in_use(rule)
    x = used[hyper.name]
    planted = (x[0], x[1] * 0.9995) if isinstance(x, tuple) else x * 0.9995
    assert worst_error(rule, used) <= FEW
    assert worst_error(rule, used, oracle_hyper={**used, hyper.name: planted}) > 1e6


@pytest.mark.parametrize(("rule", "flag"), FLAGS)
def test_the_test_fails_a_flag_that_is_wrong(rule, flag):
    used = switched_on(rule)
    assert worst_error(rule, used) <= tolerance(used)
    assert worst_error(rule, used, oracle_hyper={**used, flag: not used[flag]}) > 1e6


@given(hypers(), st.integers(0, 2**32))
def test_steps_have_the_bits_of_the_pytorch_formula(drawn, seed):
    rule, hyper = drawn
    data, gradients = problem(seed)
    params = list(map(Value, data))
    found = train(make(rule, params, hyper), params, gradients)
    h = {**DEFAULTS[rule], **hyper}
    expected = [PYTORCH[rule](h, x, grads) for x, *grads in zip(data, *gradients, strict=True)]
    assert found == expected


@given(hypers(), st.integers(0, 2**32), st.integers(1, 19))
def test_steps_have_the_same_bits_at_any_vector_width(drawn, seed, n):
    data, gradients = problem(seed, n, steps=10)
    found = []
    try:
        for wide in (False, True):
            _optim.set_avx2(wide)
            params = list(map(Value, data))
            found.append(train(make(drawn[0], params, drawn[1]), params, gradients))
    finally:
        _optim.set_avx2(True)
    assert found[0] == found[1]


@settings(max_examples=30)
@given(hypers(), st.integers(0, 2**32))
def test_steps_equal_pytorch(drawn, seed):
    torch = pytest.importorskip("torch")
    rule, hyper = drawn
    data, gradients = problem(seed)
    found, scales = train_and_scale(rule, hyper, data, gradients)
    tensor = torch.tensor(data, dtype=torch.float64)
    theirs = getattr(torch.optim, rule)([tensor], foreach=False, **hyper)
    for grads in gradients:
        tensor.grad = torch.tensor(grads, dtype=torch.float64)
        theirs.step()
    for x, y, scale in zip(found, tensor.tolist(), scales, strict=True):
        assert abs(x - y) <= tolerance(hyper) * scale


# Whose parameters ---------------------------------------------------------------------------------

KINDS = {
    "subclass": lambda x: Special(x),
    "properties": lambda x: Guarded(x),
    "micrograd": lambda x: Micrograd(x),
    "results": lambda x: Value(x) + 0,
    "mixed": lambda x: (Value if x > 0 else Micrograd)(x),
}


@pytest.mark.parametrize("kind", KINDS)
@given(hypers(), st.integers(0, 2**32))
@settings(max_examples=20)
def test_steps_on_any_kind_of_object_have_the_same_bits(kind, drawn, seed):
    data, gradients = problem(seed, n=8, steps=5)
    params, values = [KINDS[kind](x) for x in data], [Value(x) for x in data]
    assert train(make(drawn[0], params, drawn[1]), params, gradients) == train(
        make(drawn[0], values, drawn[1]), values, gradients
    )


def test_data_patched_on_value_is_used_by_the_step(monkeypatch):
    seen = []
    plain = Value.__dict__.get("data", Value.data)
    data, gradients = problem(steps=4)
    params, values = list(map(Value, data)), list(map(Value, data))
    optimizer = optim.Adam(params)
    expected = train(optim.Adam(values), values, gradients)
    train(optimizer, params, gradients[:2])
    with monkeypatch.context() as patch:
        spy = property(plain.__get__, lambda p, x: (seen.append(p), plain.__set__(p, x)))
        patch.setattr(Value, "data", spy, raising=False)
        train(optimizer, params, gradients[2:3])
    assert seen == params
    assert train(optimizer, params, gradients[3:]) == expected
    assert seen == params


def test_value_initialised_after_the_optimizer_is_updated():
    late, other = Value.__new__(Value), Value(1.0)
    optimizer = optim.SGD([late, other], lr=1)
    late.__init__(3.0)
    late.grad = other.grad = 0.5
    optimizer.step()
    assert (late.data, other.data) == (2.5, 0.5)
    with pytest.raises(TypeError):  # it may not become another node
        late.__init__(1.0, (other,))


def test_training_lowers_the_loss(sound_arena):
    a, b = Value(1.0), Value(-3.0)
    optimizer = optim.SGD(iter([a, b]), lr=0.1, momentum=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (a - 2) ** 2 + (b + a) ** 2
        loss.backward()
        return loss

    losses = [optimizer.step(closure).data for _ in range(60)]
    assert losses[-1] < 1e-6 < losses[0]
    assert optimizer.step() is None


def test_zero_grad_clears_all_kinds_of_parameters():
    plain, special, foreign = Value(1.0), Special(2.0), Micrograd(3.0)
    product = plain * 2
    for params in ([plain], [special, foreign], [product, plain]):
        optimizer = optim.SGD(params)
        for p in params:
            p.grad = 5.0
        optimizer.zero_grad()
        assert [p.grad for p in params] == [0.0] * len(params)


def test_nan_and_inf_gradients_pass_into_data():
    for rule in RULES:
        values = [Value(1.0), Value(1.0), Value(1.0)]
        optimizer = make(rule, values, switched_on(rule))
        train(optimizer, values, [[math.nan, math.inf, 1.0], [1.0, 1.0, 1.0]])
        assert math.isnan(values[0].data)
        assert not math.isfinite(values[1].data)
        assert math.isfinite(values[2].data)


# Hyper-parameters ---------------------------------------------------------------------------------


def test_changed_lr_is_used_from_the_next_step():
    x = Value(0.0)
    optimizer = optim.SGD([x], lr=1)
    for lr in (1, 0.5, Value(0.25)):
        optimizer.param_groups[0]["lr"] = lr
        train(optimizer, [x], [[-1.0]])
    assert x.data == 1.75
    optimizer.lr = 2
    train(optimizer, [x], [[-1.0]])
    assert (x.data, optimizer.lr, optimizer.param_groups[0]["lr"]) == (3.75, 2, 2)


def test_parameter_groups_have_their_own_hyper_parameters():
    a, b, c = Value(0.0), Value(0.0), Micrograd(0.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": iter([b]), "lr": 0.5}], lr=1)
    optimizer.add_param_group({"params": c, "maximize": True})
    train(optimizer, [a, b, c], [[-1.0] * 3])
    assert (a.data, b.data, c.data) == (1.0, 0.5, -1.0)
    optimizer.lr = 0.25
    train(optimizer, [a, b, c], [[-1.0] * 3])
    assert (a.data, b.data, c.data) == (1.25, 0.75, -1.25)
    optimizer.param_groups[1] = {**optimizer.param_groups[1], "lr": 4}
    train(optimizer, [a, b, c], [[-1.0] * 3])
    assert (a.data, b.data, c.data) == (1.5, 4.75, -1.5)


LATER = [(row.name, state.name) for row in rules.rows() for state in row.state if state.when]


@pytest.mark.parametrize(("rule", "state"), LATER)
def test_state_enabled_later_is_added_and_kept(rule, state):
    data, gradients = problem(steps=8)
    params = list(map(Value, data))
    optimizer = make(rule, params, {})
    train(optimizer, params, gradients[:4])
    group = optimizer.param_groups[0]
    before = optimizer.state_dict()["state"]
    assert state not in before.get(0, {})
    off = dict(group)
    group.update({name: x for name, x in switched_on(rule).items() if name in when(rule, state)})
    train(optimizer, params, gradients[4:])
    after = optimizer.state_dict()["state"]
    assert after[0].keys() == {*before.get(0, ()), state}
    group.update(off)
    train(optimizer, params, gradients)
    kept = optimizer.state_dict()["state"]
    assert [kept[i][state] for i in kept] == [after[i][state] for i in after], "kept, though off"


def when(rule, state):
    """Return the names in the condition of a state."""
    (text,) = [s.when for s in rules.TABLE[rule].state if s.name == state]
    return set(re.findall(r"[a-z]\w*", text))


def test_the_first_gradient_that_a_momentum_meets_is_its_direction():
    data, gradients = problem(steps=8)
    params, fresh = list(map(Value, data)), list(map(Value, data))
    optimizer = optim.SGD(params)
    train(optimizer, params, gradients[:4])
    optimizer.param_groups[0]["momentum"] = 0.9
    train(optimizer, params, gradients[4:])
    for p, x in zip(fresh, train(optim.SGD(fresh), fresh, gradients[:4]), strict=True):
        p.data = x
    late = optim.SGD(fresh, momentum=0.9)
    train(late, fresh, gradients[4:])
    assert late.state_dict()["state"] == optimizer.state_dict()["state"]


def wrong_of(hyper):
    """Yield what a hyper-parameter may not be."""
    pair = isinstance(hyper.default, tuple)
    least = [hyper.least - 0.1] if math.isfinite(hyper.least) else []
    for x in (None, "0.1", math.nan, hyper.below, *least):
        yield from ((x, hyper.default[1]), (hyper.default[0], x)) if pair else (x,)
    yield from [(hyper.default[0],), hyper.default[0]] if pair else [[1.0]]


@pytest.mark.parametrize(("rule", "hyper"), NUMBERS)
def test_wrong_hyper_parameters_are_refused(rule, hyper):
    for x in wrong_of(hyper):
        with pytest.raises(FastgradError, match=hyper.name):
            make(rule, [Value(1.0)], {hyper.name: x})
        optimizer = make(rule, [Value(1.0)], {})
        with pytest.raises(FastgradError, match=hyper.name):
            optimizer.add_param_group({"params": [Value(1.0)], hyper.name: x})
        assert len(optimizer.param_groups) == 1
        optimizer.step()


@pytest.mark.parametrize(
    ("rule", "flag"), [(row.name, c.flag) for row in rules.rows() for c in row.constraints]
)
def test_flags_with_unmet_demands_are_refused(rule, flag):
    with pytest.raises(FastgradError, match=flag):
        make(rule, [Value(1.0)], {**DEFAULTS[rule], flag: True})


def test_nesterov_with_dampening_is_refused():
    with pytest.raises(ValueError, match="nesterov"):
        optim.SGD([Value(1.0)], momentum=0.9, dampening=0.5, nesterov=True)


@pytest.mark.parametrize("x", ["1", None, [1]])
@pytest.mark.parametrize(("rule", "hyper"), NUMBERS)
def test_hyper_parameters_edited_wrongly_are_refused_by_the_step(rule, hyper, x):
    name = hyper.name
    value = Value(1.0)
    optimizer = make(rule, [value], {"lr": 1})
    train(optimizer, [value], [[0.0]])
    before = value.data, optimizer.state_dict()["state"]
    right = optimizer.param_groups[0][name]
    optimizer.param_groups[0][name] = (x, x) if isinstance(right, tuple) and x else x
    with pytest.raises(TypeError, match=name):
        optimizer.step()
    del optimizer.param_groups[0][name]
    with pytest.raises(ValueError, match=name):
        optimizer.step()
    assert before == (value.data, optimizer.state_dict()["state"])
    optimizer.param_groups[0][name] = right
    optimizer.step()
    with pytest.raises((TypeError, ValueError), match="lr"):
        optimizer.lr = -1


def test_wrong_parameters_are_refused():
    a, b = Value(1.0), Value(2.0)
    for wrong, error, text in [
        ([], ValueError, "at least one parameter"),
        (a, TypeError, "iterable of parameters"),
        ({a, b}, TypeError, "in an order"),
        (5, TypeError, "in an order"),
        ([a, 1.0], TypeError, "data and grad"),
        ([a, b, a], ValueError, "twice"),
        ([{"params": [a]}, {"params": [b, a]}], ValueError, "twice"),
        ([{"params": []}], ValueError, "at least one"),
        ([{"lr": 1.0}], TypeError, "params"),
        ([{"params": [a]}, b], TypeError, "params"),
    ]:
        with pytest.raises(error, match=text):
            optim.SGD(wrong)
    with pytest.raises(TypeError, match=", ".join(RULES)):
        optim.Optimizer([a], {})


def test_edited_parameter_lists_are_refused():
    values = list(map(Value, (1.0, 2.0)))
    optimizer = optim.SGD(values, lr=1)
    for p in values:
        p.grad = 1.0
    params = optimizer.param_groups[0]["params"]
    for edit in (
        lambda: params.__setitem__(0, Value(5.0)),
        lambda: params.append(Value(5.0)),
        lambda: optimizer.param_groups[0].__setitem__("params", tuple(values)),
        lambda: optimizer.param_groups.append({"params": [Value(1.0)]}),
    ):
        edit()
        with pytest.raises(RuntimeError, match="param_group"):
            optimizer.step()
        assert [p.data for p in values] == [1.0, 2.0]
        params[:] = values
        optimizer.param_groups[:] = optimizer.param_groups[:1]
        optimizer.param_groups[0]["params"] = params
    optimizer.step()
    assert [p.data for p in values] == [0.0, 1.0]


def test_repr_shows_groups_and_hyper_parameters():
    optimizer = optim.SGD([Value(1.0), Value(2.0)], lr=0.1)
    assert repr(optimizer) == (
        "SGD(2 parameters, lr=0.1, momentum=0, dampening=0, weight_decay=0, nesterov=False, "
        "maximize=False)"
    )
    optimizer.add_param_group({"params": [Value(1.0)], "lr": 1})
    assert repr(optimizer).splitlines()[1].startswith("SGD(1 parameters, lr=1, ")


# All or nothing -----------------------------------------------------------------------------------


class Fragile(Micrograd):
    """Reading or writing an attribute fails when `failing` says so."""

    failing = None

    def __init__(self, data):
        self.box = {"data": data, "grad": 1.0}

    def read(self, name):
        self.fail("read", name)
        return self.box[name]

    def write(self, name, x):
        self.box[name] = x  # even a setter that fails may have written
        self.fail("write", name)

    def fail(self, *what):
        if Fragile.failing == (self, *what):
            raise KeyError("fragile")

    data = property(lambda self: self.read("data"), lambda self, x: self.write("data", x))
    grad = property(lambda self: self.read("grad"), lambda self, x: self.write("grad", x))


@pytest.mark.parametrize("what", [("read", "data"), ("read", "grad"), ("write", "data")])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("rule", RULES)
def test_failed_step_changes_nothing(rule, at, what, monkeypatch):
    data, gradients = problem(n=6, steps=6)
    expected = list(map(Value, data))
    train(make(rule, expected, {"weight_decay": 0.1}), expected, gradients)

    plain, fragile = list(map(Value, data[:2])), list(map(Fragile, data[2:]))
    params = [*plain, *fragile]
    groups = [{"params": plain}, {"params": fragile[:2]}, {"params": fragile[2:]}]
    optimizer = make(rule, groups, {"weight_decay": 0.1})
    for k in (0, 1, 2):
        train(optimizer, params, gradients[k : k + 1])
        for p, grad in zip(params, gradients[k + 1], strict=True):
            p.grad = grad
        before = [p.data for p in params], optimizer.state_dict()
        monkeypatch.setattr(Fragile, "failing", (fragile[at], *what))
        with pytest.raises(KeyError, match="fragile"):
            optimizer.step()
        monkeypatch.setattr(Fragile, "failing", None)
        assert before == ([p.data for p in params], optimizer.state_dict())
    train(optimizer, params, gradients[3:])
    assert [p.data for p in params] == [p.data for p in expected]


@pytest.mark.parametrize("what", [("read", "grad"), ("write", "grad")])
def test_failed_zero_grad_changes_nothing(what, monkeypatch):
    plain, fragile = [Value(1.0)], [Fragile(1.0), Fragile(2.0)]
    optimizer = optim.SGD([{"params": plain}, {"params": fragile}])
    plain[0].grad = 1.0
    monkeypatch.setattr(Fragile, "failing", (fragile[1], *what))
    with pytest.raises(KeyError, match="fragile"):
        optimizer.zero_grad()
    monkeypatch.setattr(Fragile, "failing", None)
    assert [p.grad for p in plain + fragile] == [1.0] * 3
    optimizer.zero_grad()
    assert [p.grad for p in plain + fragile] == [0.0] * 3


@pytest.mark.parametrize("wrong", ["1.0", None, 1j])
def test_data_or_grad_that_is_no_number_is_refused(wrong):
    params = [Micrograd(1.0), Micrograd(2.0)]
    optimizer = optim.Adam(params)
    for name in ("data", "grad"):
        setattr(params[1], name, wrong)
        with pytest.raises(TypeError, match=f"{name} of a parameter"):
            optimizer.step()
        setattr(params[1], name, 1.0)
    assert params[0].data == 1.0
    assert optimizer.state_dict()["state"] == {}


class Nested(Micrograd):
    """Does something else whenever data is read or written."""

    action = staticmethod(lambda: None)

    def __init__(self, data):
        self.number, self.grad = data, 1.0

    @property
    def data(self):
        self.action()
        return self.number

    @data.setter
    def data(self, x):
        self.action()
        self.number = x


def test_step_inside_a_step_is_refused():
    params = [Nested(1.0), Nested(2.0)]
    optimizer = optim.SGD(params, lr=0.5)
    refused = []

    def action():
        with pytest.raises(RuntimeError, match="one step of an optimizer at a time"):
            optimizer.step()
        refused.append(1)

    params[1].action = action
    optimizer.step()
    params[1].action = lambda: None
    assert (len(refused), [p.data for p in params]) == (2, [0.5, 1.5])
    optimizer.step()
    assert [p.data for p in params] == [0.0, 1.0]


def test_step_may_run_other_optimizer_methods():
    params = [Nested(1.0), Nested(2.0)]
    optimizer = optim.Adam([{"params": params}], lr=0.5)
    saved = optimizer.state_dict()
    added = []

    def action():
        added.append(Value(1.0))
        optimizer.load_state_dict(saved)
        optimizer.add_param_group({"params": added[-1:]})
        optimizer.param_groups.pop()
        optimizer._updaters.pop()
        optimizer.zero_grad()

    params[1].action = action
    optimizer.step()
    assert len(added) == 2
    assert params[0].number == pytest.approx(0.5)
    assert optimizer.state_dict()["state"] == {}, "the state that was loaded"


def test_an_optimizer_in_a_circle_is_collected():
    import gc
    import weakref

    x = Value(1.0)
    optimizer = optim.Adam([x])
    x.optimizer = optimizer
    train(optimizer, [x], [[1.0]])
    gone = weakref.ref(optimizer)
    del x, optimizer
    gc.collect()
    assert gone() is None
