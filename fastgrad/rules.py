"""The table of optimizers: what each one is. Everything else about it is generated from its row."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

__all__ = ["TABLE", "Constraint", "Hyper", "Rule", "State", "names", "rows"]


class Hyper(NamedTuple):
    """One hyper-parameter, under PyTorch's name.

    Attributes
    ----------
    name : str
        Texts read a pair ``betas`` as ``beta1`` and ``beta2``.
    default : float, bool or pair of float
        Its type says which of the three it is.
    doc : str
        What it does; a phrase, which what is allowed is added to.
    domain : tuple of float
        Interval where the tests sample (0 besides where that is the default); of a pair, two of
        them. A flag has none.
    least, below : float
        What is allowed: ``least <= x < below``, for both of a pair.
    keyword : bool
        Whether it is given by keyword only.
    """

    name: str
    default: float | bool | tuple[float, float]
    doc: str
    domain: tuple[float, ...] = ()
    least: float = 0
    below: float = inf
    keyword: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of its numbers in the texts."""
        if isinstance(self.default, tuple):
            return f"{self.name[:-1]}1", f"{self.name[:-1]}2"
        return (self.name,)


class State(NamedTuple):
    """One number that is kept for each parameter, under PyTorch's name.

    Attributes
    ----------
    name : str
    when : str
        Condition over hyper-parameters; without it the number is not kept. The text of a rule uses
        it only behind an ``if`` of the same condition.
    initial : str
        What it is before the first step: a number or a hyper-parameter.
    """

    name: str
    when: str = ""
    initial: str = "0"


class Constraint(NamedTuple):
    """What a flag demands of other hyper-parameters."""

    flag: str
    of: tuple[str, ...]
    holds: Callable[..., bool]
    expected: str


class Rule(NamedTuple):
    """Describe one optimizer.

    The two texts are assignments, and ``if`` with ``else``, over the expressions of the table of
    operations (`tools/ops/expression.py`). They are compiled as they stand, so their order and
    grouping decide how a step rounds: they are PyTorch's for one float64 tensor.

    Attributes
    ----------
    name : str
        Name of the class in `fastgrad.optim`.
    doc : str
        A sentence.
    hyper : tuple of Hyper
        In the order of the arguments; ``lr`` is the first.
    once : str
        Computed once a step: names for later, from the hyper-parameters, ``t``, which is the number
        of the step from 1 on, and ``first``: no state is kept yet.
    each : str
        Computed for each parameter: new ``data`` and state from ``data``, ``grad``, state, and what
        `once` may read and has computed. An ``if`` depends on the latter alone, and the loop is
        compiled for each combination of them; what depends on numbers of the parameter is written
        ``x if c else y``.
    notes : str
        The formula, for the documentation.
    references : str
        Where it was published.
    state : tuple of State
    constraints : tuple of Constraint
    counts : bool
        Whether the number of steps is part of the state, as PyTorch saves it.
    base : str
        Rule whose class this one's derives from.
    example : str
        A doctest for the documentation.
    """

    name: str
    doc: str
    hyper: tuple[Hyper, ...]
    once: str
    each: str
    notes: str
    references: str = ""
    state: tuple[State, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    counts: bool = True
    base: str = ""
    example: str = ""


def _lerp(to: str, end: str, weight: str, margin: str = "") -> str:
    """Return the text of torch.lerp: the form that is exact at the end which is nearer."""
    return f"""\
{margin}if {weight} < 0.5:
{margin}    {to} = {to} + {weight} * ({end} - {to})
{margin}else:
{margin}    {to} = {end} - ({end} - {to}) * (1 - {weight})
"""


_SIGN = """\
sign = -1 if maximize else 1
"""
_DECAYED = """\
g = sign * grad
if weight_decay != 0:
    g = g + weight_decay * data
"""
_ADAM_ONCE = """\
new_mean = 1 - beta1
new_square = 1 - beta2
step_size = lr / (1 - power(beta1, t))
root = sqrt(1 - power(beta2, t))
"""
_ADAM_EACH = f"""\
{_lerp("exp_avg", "g", "new_mean")}\
exp_avg_sq = exp_avg_sq * beta2 + new_square * g * g
square = exp_avg_sq
if amsgrad:
    max_exp_avg_sq = (
        max_exp_avg_sq if max_exp_avg_sq >= square or max_exp_avg_sq != max_exp_avg_sq else square
    )
    square = max_exp_avg_sq
data = data + -step_size * exp_avg / (sqrt(square) / root + eps)
"""

_LR = Hyper("lr", 1e-3, "Learning rate", (1e-5, 0.2))
_EPS = Hyper("eps", 1e-8, "Added to the root", (1e-10, 1e-2))
_WEIGHT_DECAY = Hyper(
    "weight_decay", 0, "Times the parameter, is added to its gradient", (1e-4, 0.2)
)
_SHRINKING = _WEIGHT_DECAY._replace(
    default=1e-2, doc="Times lr, is the share of a parameter that a step takes off first"
)
_MOMENTUM = Hyper("momentum", 0, "Share of the last step's direction that is kept", (0.1, 0.95))
_MAXIMIZE = Hyper("maximize", False, "Ascend instead", keyword=True)

_ADAM = Rule(
    "Adam",
    "Descend along a mean of gradients, over the root of a mean of their squares.",
    hyper=(
        _LR,
        Hyper("betas", (0.9, 0.999), "How slowly the two means forget", (0.1, 0.99, 0.5, 0.9999),
              below=1),
        _EPS,
        _WEIGHT_DECAY,
        Hyper("amsgrad", False, "Divide by the largest mean of squares so far"),
        _MAXIMIZE,
    ),
    once=_SIGN + _ADAM_ONCE,
    each=_DECAYED + _ADAM_EACH,
    state=(State("exp_avg"), State("exp_avg_sq"), State("max_exp_avg_sq", when="amsgrad")),
    notes="``m = b1*m + (1 - b1)*g``, ``v = b2*v + (1 - b2)*g*g``, and in step t"
    " ``data -= lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)``.",
    references="Kingma and Ba, Adam: a method for stochastic optimization, 2014. Reddi, Kale and"
    " Kumar, On the convergence of Adam and beyond, 2018 (amsgrad).",
)  # fmt: skip

_ROWS = (
    Rule(
        "SGD",
        "Descend along the gradient, with momentum if wanted.",
        hyper=(
            _LR,
            _MOMENTUM,
            Hyper("dampening", 0, "Share of the gradient that does not enter the direction",
                  (0.1, 0.9), least=-inf),
            _WEIGHT_DECAY,
            Hyper("nesterov", False, "Look ahead along the direction"),
            _MAXIMIZE,
        ),
        constraints=(
            Constraint("nesterov", ("momentum", "dampening"),
                       lambda momentum, dampening: momentum > 0 and dampening == 0,
                       "a momentum and zero dampening"),
        ),
        once=_SIGN,
        each=f"""\
{_DECAYED}\
if momentum != 0:
    if first:
        momentum_buffer = g
    else:
        momentum_buffer = momentum_buffer * momentum + (1 - dampening) * g
    if nesterov:
        g = g + momentum * momentum_buffer
    else:
        g = momentum_buffer
data = data + -lr * g
""",
        state=(State("momentum_buffer", when="momentum != 0"),),
        counts=False,
        notes="``b = momentum * b + (1 - dampening) * g`` (at first ``b = g``), then"
        " ``data -= lr * b``; with Nesterov's ``data -= lr * (g + momentum * b)``.",
        example="""\
>>> from fastgrad import Value
>>> from fastgrad.optim import SGD
>>> x = Value(1.0)
>>> optimizer = SGD([x], lr=0.25)
>>> for _ in range(3):
...     optimizer.zero_grad()
...     (x**2).backward()
...     optimizer.step()
>>> x.data
0.125
""",
    ),
    Rule(
        "Adagrad",
        "Divide the gradient by the root of the sum of all its squares.",
        hyper=(
            _LR._replace(default=1e-2),
            Hyper("lr_decay", 0, "Times the steps made, is what the rate is divided by, less 1",
                  (1e-4, 0.2)),
            _WEIGHT_DECAY,
            Hyper("initial_accumulator_value", 0, "What the sum starts from", (0.01, 1.0)),
            _EPS._replace(default=1e-10),
            _MAXIMIZE,
        ),
        once=f"{_SIGN}rate = lr / (1 + (t - 1) * lr_decay)\n",
        each=f"{_DECAYED}sum = sum + g * g\ndata = data + -rate * g / (sqrt(sum) + eps)\n",
        state=(State("sum", initial="initial_accumulator_value"),),
        notes="``s = s + g*g``, and in step t"
        " ``data -= lr / (1 + (t - 1)*lr_decay) * g / (sqrt(s) + eps)``.",
        references="Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and"
        " stochastic optimization, 2011.",
    ),
    _ADAM,
    _ADAM._replace(
        name="AdamW",
        base="Adam",
        doc="`Adam`, whose weight decay shrinks the parameters and leaves the gradients alone.",
        hyper=tuple(_SHRINKING if h is _WEIGHT_DECAY else h for h in _ADAM.hyper),
        once=f"{_SIGN}shrink = 1 - lr * weight_decay\n{_ADAM_ONCE}",
        each=f"data = data * shrink\ng = sign * grad\n{_ADAM_EACH}",
        notes="As `Adam`, after ``data *= 1 - lr * weight_decay``.",
        references="Loshchilov and Hutter, Decoupled weight decay regularization, 2017.",
    ),
    Rule(
        "RMSprop",
        "Divide the gradient by the root of a mean of its squares.",
        hyper=(
            _LR._replace(default=1e-2),
            Hyper("alpha", 0.99, "Share of the mean of squares that is kept", (0.2, 0.999)),
            _EPS,
            _WEIGHT_DECAY,
            _MOMENTUM,
            Hyper("centered", False, "Divide by the root of the variance instead"),
            _MAXIMIZE,
        ),
        once=f"{_SIGN}new_square = 1 - alpha\n",
        each=f"""\
{_DECAYED}\
square_avg = square_avg * alpha + new_square * g * g
spread = square_avg
if centered:
{_lerp("grad_avg", "g", "new_square", margin="    ")}\
    spread = spread - grad_avg * grad_avg
spread = sqrt(spread) + eps
if momentum > 0:
    momentum_buffer = momentum_buffer * momentum + g / spread
    data = data + -lr * momentum_buffer
else:
    data = data + -lr * g / spread
""",
        state=(
            State("square_avg"),
            State("momentum_buffer", when="momentum > 0"),
            State("grad_avg", when="centered"),
        ),
        notes="``v = alpha*v + (1 - alpha)*g*g``, then ``data -= lr * g / (sqrt(v) + eps)``; with"
        " momentum ``b = momentum*b + g / (sqrt(v) + eps)`` and ``data -= lr * b``.",
        references="Hinton, Neural networks for machine learning, lecture 6e, 2012. Graves,"
        " Generating sequences with recurrent neural networks, 2013 (centered).",
    ),
)  # fmt: skip

TABLE = {rule.name: rule for rule in _ROWS}


def rows() -> tuple[Rule, ...]:
    """Return all rows, in the order of the table."""
    return _ROWS


def names() -> tuple[str, ...]:
    """Return the names of all rows, for test and benchmark ids."""
    return tuple(TABLE)
