"""Optimisers under test: objects that they know, problems, hyper-parameters drawn."""

import random

from hypothesis import strategies as st

from fastgrad import Value, optim

STEPS, N = 200, 3
RULES = ("SGD", "Adam", "AdamW", "RMSprop")


class Micrograd:
    """As far as an optimiser knows micrograd's class."""

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


DEFAULTS = {
    "SGD": {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False},
    "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False},
    "AdamW": {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False
    },
    "RMSprop": {
        "lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False
    },
}  # fmt: skip


def unit(low, high):
    return st.one_of(st.just(0), st.floats(low, high))


@st.composite
def hypers(draw, rule=None):
    """Draw a rule and hyper-parameters that PyTorch would take."""
    rule = draw(st.sampled_from(RULES)) if rule is None else rule
    h = {"lr": draw(st.floats(1e-5, 0.2)), "weight_decay": draw(unit(1e-4, 0.2))}
    h["maximize"] = draw(st.booleans())
    if rule == "SGD":
        h["momentum"] = draw(unit(0.1, 0.99))
        h["nesterov"] = bool(h["momentum"]) and draw(st.booleans())
        h["dampening"] = 0 if h["nesterov"] else draw(unit(0.1, 0.9))
    else:
        h["eps"] = draw(st.floats(1e-10, 1e-2))
    if rule == "RMSprop":
        h["alpha"] = draw(st.floats(0.2, 0.999))
        h["momentum"] = draw(unit(0.1, 0.95))
        h["centered"] = draw(st.booleans())
    elif rule != "SGD":
        h["betas"] = draw(st.floats(0.1, 0.99)), draw(st.floats(0.5, 0.9999))
        h["amsgrad"] = draw(st.booleans())
    return rule, h
