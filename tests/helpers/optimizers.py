"""Optimizers under test: parameters of several kinds, problems, random hyper-parameters.
hyper-parameters drawn.
"""

import random

from hypothesis import strategies as st

from fastgrad import Value, optim, rules

STEPS, N = 200, 3
RULES = rules.names()


class Micrograd:
    """As far as an optimizer knows micrograd's class."""

    def __init__(self, data):
        self.data, self.grad = data, 0


class Special(Value):
    pass


class Guarded(Value):
    """A subclass that keeps data and grad elsewhere."""

    def __init__(self, data):
        super().__init__(data)
        self.box = [data, 0.0]

    data = property(lambda self: self.box[0], lambda self, data: self.box.__setitem__(0, data))
    grad = property(lambda self: self.box[1], lambda self, grad: self.box.__setitem__(1, grad))


def problem(seed=0, n=N, steps=STEPS):
    """Return where to start, and gradients for each step."""
    rng = random.Random(seed)
    data = [rng.uniform(-2, 2) for _ in range(n)]
    return data, [[rng.gauss(0.3 * x, 1) for x in data] for _ in range(steps)]


def train(optimizer, params, gradients):
    for grads in gradients:
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad
        optimizer.step()
    return [p.data for p in params]


def make(rule, params, hyper):
    return getattr(optim, rule)(params, **hyper)


DEFAULTS = {row.name: {h.name: h.default for h in row.hyper} for row in rules.rows()}


def allowed(rule, hyper):
    """Switch off the flags whose demands the other hyper-parameters do not meet."""
    for flag, names, holds, _ in rules.TABLE[rule].constraints:
        hyper[flag] = hyper[flag] and holds(*(hyper[name] for name in names))
    return hyper


def all_in_use(rule):
    """Return hyper-parameters of which none is 0 or tiny, so that each counts; flags are off."""

    def noticeable(hyper):
        tiny = hyper.domain and not isinstance(hyper.default, tuple) and hyper.default < 1e-6
        return hyper.domain[1] / 10 if tiny else hyper.default

    return {hyper.name: noticeable(hyper) for hyper in rules.TABLE[rule].hyper}


def switched_on(rule):
    """Return hyper-parameters of a descent with all flags on, and none 0 but what flags demand."""
    hyper = all_in_use(rule)
    for _, names, holds, _ in rules.TABLE[rule].constraints:
        trials = [hyper, *({**hyper, name: 0} for name in names)]
        hyper = next(trial for trial in trials if holds(*(trial[name] for name in names)))
    return {name: True if x is False and name != "maximize" else x for name, x in hyper.items()}


def drawn(hyper):
    """Return a strategy for one hyper-parameter."""
    if isinstance(hyper.default, bool):
        return st.booleans()
    if isinstance(hyper.default, tuple):
        low, high, second_low, second_high = hyper.domain
        return st.tuples(st.floats(low, high), st.floats(second_low, second_high))
    inside = st.floats(*hyper.domain)
    return st.one_of(st.just(0), inside) if hyper.default == 0 else inside


@st.composite
def hypers(draw, rule=None):
    """Draw a rule and hyper-parameters that PyTorch would take."""
    rule = draw(st.sampled_from(RULES)) if rule is None else rule
    return rule, allowed(rule, {h.name: draw(drawn(h)) for h in rules.TABLE[rule].hyper})
