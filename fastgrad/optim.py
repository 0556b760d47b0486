"""Optimizers, with PyTorch's names, defaults and arithmetic: a class for each row of the table.

An optimizer knows `.data` and `.grad` of its parameters, whatever they are; for plain Values both
are read and written natively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from fastgrad._native.base.errors import flag_expect, items_expect
from fastgrad._native.train.optim import Updater, adopt, step, zero_grad
from fastgrad.errors import FastgradTypeError, FastgradValueError, describe, explain, show
from fastgrad.rules import TABLE, Hyper, Rule


class Optimizer:
    """What all optimizers have in common; use one of its subclasses.

    Parameters
    ----------
    params : iterable
        Objects with ``data`` and ``grad``, such as `Value`; or dicts with a list of them under
        "params" and hyper-parameters of their own.
    defaults : dict
        The hyper-parameters of groups that do not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        Hyper-parameters by name, and the parameters under "params". What is set here counts from
        the next step on: ``optimizer.param_groups[0]["lr"] = 0.01``.
    defaults : dict

    Notes
    -----
    A step is done on all parameters or, if it raises, on none.
    """

    _RULE: ClassVar[str] = ""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if not self._RULE:
            names = ", ".join(TABLE)
            raise FastgradTypeError(explain(f"one of {names}", "their base class", "Optimizer"))
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._updaters: list[Updater] = []
        if _is_parameter(params):
            got = f"a {type(params).__name__}"
            remedy = "pass a list of parameters"
            raise FastgradTypeError(explain("an iterable of parameters", got, "params", remedy))
        _expect_hyper(TABLE[self._RULE], defaults)
        groups = _listed(params)
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    @property
    def lr(self) -> float:
        """The learning rate: of the first group when read, of every group when set."""
        lr: float = self.param_groups[0]["lr"]
        return lr

    @lr.setter
    def lr(self, lr: float) -> None:
        expect_number("lr", lr)
        for group in self.param_groups:
            group["lr"] = lr

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters from their grads.

        Parameters
        ----------
        closure : callable, optional
            Called first; it may compute the gradients.

        Returns
        -------
        object
            What the closure returned.

        Notes
        -----
        Cost: 2 to 3 ns for each plain Value, and about 60 for anything else. One thread at a
        time.
        """
        if closure is not None and not callable(closure):
            raise FastgradTypeError(explain("a function", describe(closure), "closure of step"))
        loss = None if closure is None else closure()
        step(self._updaters, self.param_groups)
        return loss

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        zero_grad(self._updaters)

    def updaters(self) -> list[Updater]:
        """Return the native rules of the groups as they stand now; `fastgrad.fit` runs them."""
        adopt(self._updaters, self.param_groups)
        return self._updaters

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to optimize, with hyper-parameters of their own.

        Parameters
        ----------
        param_group : dict
            The parameters under "params", and hyper-parameters that differ from the defaults.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            got = describe(param_group)
            raise FastgradTypeError(explain('a dict with "params"', got, "param_group"))
        given = param_group["params"]
        params = [given] if _is_parameter(given) else _listed(given)
        for p in params:
            if not _is_parameter(p):
                got = describe(p)
                raise FastgradTypeError(explain("parameters with data and grad", got, "params"))
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if len({id(p) for p in params} | known) < len(params) + len(known):
            remedy = "pass list(dict.fromkeys(params))"
            raise FastgradValueError(explain("each parameter once", "some twice", "params", remedy))
        group = {**self.defaults, **param_group, "params": params}
        _expect_hyper(TABLE[self._RULE], group)
        updaters = [*self._updaters, Updater(self._RULE, group)]
        self.param_groups.append(group)
        self._updaters = updaters

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here.

        Returns
        -------
        dict
            In PyTorch's layout, of plain numbers: ``"state"`` has a dict of the parameter's state
            for each index of a parameter that has any, ``"param_groups"`` the hyper-parameters of
            each group, with indices for parameters.
        """
        rule = TABLE[self._RULE]
        state: dict[int, dict[str, Any]] = {}
        groups = []
        first = 0
        for group, updater in zip(self.param_groups, self.updaters(), strict=True):
            indices = range(first, first + updater.n)
            first += updater.n
            groups.append({**group, "params": list(indices)})
            t, arrays = updater.read_state()
            names = [state.name for state in rule.state]
            named = [(name, array) for name, array in zip(names, arrays, strict=True) if array]
            if named:
                steps = {"step": t} if rule.counts else {}
                for place, i in enumerate(indices):
                    state[i] = {**steps, **{name: array[place] for name, array in named}}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called, on parameters in the same order.

        Parameters
        ----------
        state_dict : dict
            As `state_dict` returns it; PyTorch's own is of the same layout. It is not kept.

        Raises
        ------
        FastgradValueError, FastgradTypeError
            If it does not fit; the optimizer is then as it was.
        """
        _expect_keys(state_dict, {"state", "param_groups"}, "state_dict")
        saved, state = state_dict["param_groups"], state_dict["state"]
        if not isinstance(saved, list) or not isinstance(state, dict):
            got = f"{type(state).__name__} and {type(saved).__name__}"
            raise FastgradTypeError(explain("a dict of state and a list of groups", got))
        if len(saved) != len(self.param_groups):
            expected = f"{len(self.param_groups)} parameter groups"
            raise FastgradValueError(explain(expected, f"{len(saved)}", "state_dict"))
        groups, updaters, known = [], [], set()
        for i, (old, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            where = f"param_groups[{i}] of state_dict"
            _expect_keys(new, {*self.defaults, "params"}, where)
            indices, n = new["params"], len(old["params"])
            given = list(map(type, indices)) if isinstance(indices, list) else []
            if given != [int] * n:
                expected = f"a list of {n} indices as params"
                raise FastgradValueError(explain(expected, show(indices), where))
            known.update(indices)
            group = {**new, "params": list(old["params"])}
            _expect_hyper(TABLE[self._RULE], group)
            updater = Updater(self._RULE, group)
            updater.write_state(*self._state_of(state, indices))
            groups.append(group)
            updaters.append(updater)
        if not state.keys() <= known:
            got = show(list(state.keys() - known))
            expected = "state of parameters in its groups"
            raise FastgradValueError(explain(expected, got, "state of state_dict"))
        self.param_groups, self._updaters = groups, updaters

    def _state_of(
        self, state: dict[Any, Any], indices: list[int]
    ) -> tuple[int, list[list[float] | None]]:
        """Read the state of a group's parameters as an `Updater` takes it."""
        where = "state of state_dict"
        entries = []
        for i in indices:
            entry = state.get(i, {})
            if not isinstance(entry, dict):
                raise FastgradTypeError(explain("a dict", show(entry), where))
            entries.append({name: x for name, x in entry.items() if x is not None})
        rule = TABLE[self._RULE]
        names = [state.name for state in rule.state]
        counted = {"step"} if rule.counts else set()
        needed = {*(state.name for state in rule.state if not state.when), *counted}
        kept = entries[0].keys()
        if kept and not needed <= kept <= {*names, *counted}:
            expected = f"state called {', '.join(sorted(needed) or names)}"
            raise FastgradValueError(explain(expected, ", ".join(map(str, kept)), where))
        t = entries[0].get("step", 0)
        expect_number("step", t, 0, 2**53)
        for entry in entries:
            if entry.keys() != kept or entry.get("step", 0) != t or t != int(t):
                expected = "the same state and whole step for all parameters of a group"
                raise FastgradValueError(explain(expected, show(entry), where))
        return int(t), [[e[name] for e in entries] if name in kept else None for name in names]

    def __getstate__(self) -> dict[str, Any]:
        state = {**vars(self), "defaults": dict(self.defaults)}
        state["param_groups"] = [{**g, "params": list(g["params"])} for g in self.param_groups]
        state["_updaters"] = [updater.read_state() for updater in self._updaters]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._updaters = [Updater(self._RULE, group) for group in self.param_groups]
        for updater, saved in zip(self._updaters, state["_updaters"], strict=True):
            updater.write_state(*saved)

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            hyper = ", ".join([f"{name}={x!r}" for name, x in group.items() if name != "params"])
            lines.append(f"{type(self).__name__}({len(group['params'])} parameters, {hyper})")
        return "\n".join(lines)


# <generated by tools/ops/generate.py>
__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
]


class SGD(Optimizer):
    """Descend along the gradient, with momentum if wanted.

    Parameters
    ----------
    params : iterable
        What to optimize: see `Optimizer`.
    lr : float
        Learning rate, 0 or more.
    momentum : float
        Share of the last step's direction that is kept, 0 or more.
    dampening : float
        Share of the gradient that does not enter the direction.
    weight_decay : float
        Times the parameter, is added to its gradient, 0 or more.
    nesterov : bool
        Look ahead along the direction.
    maximize : bool
        Ascend instead.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If a hyper-parameter is out of range, or ``params`` is empty or names one twice.

    Notes
    -----
    ``b = momentum * b + (1 - dampening) * g`` (at first ``b = g``), then ``data -= lr * b``; with
    Nesterov's ``data -= lr * (g + momentum * b)``.

    Examples
    --------
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
    """

    _RULE = "SGD"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class Adagrad(Optimizer):
    """Divide the gradient by the root of the sum of all its squares.

    Parameters
    ----------
    params : iterable
        What to optimize: see `Optimizer`.
    lr : float
        Learning rate, 0 or more.
    lr_decay : float
        Times the steps made, is what the rate is divided by, less 1, 0 or more.
    weight_decay : float
        Times the parameter, is added to its gradient, 0 or more.
    initial_accumulator_value : float
        What the sum starts from, 0 or more.
    eps : float
        Added to the root, 0 or more.
    maximize : bool
        Ascend instead.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If a hyper-parameter is out of range, or ``params`` is empty or names one twice.

    Notes
    -----
    ``s = s + g*g``, and in step t ``data -= lr / (1 + (t - 1)*lr_decay) * g / (sqrt(s) + eps)``.

    References
    ----------
    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
    optimization, 2011.
    """

    _RULE = "Adagrad"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class Adam(Optimizer):
    """Descend along a mean of gradients, over the root of a mean of their squares.

    Parameters
    ----------
    params : iterable
        What to optimize: see `Optimizer`.
    lr : float
        Learning rate, 0 or more.
    betas : pair of float
        How slowly the two means forget, each 0 or more and below 1.
    eps : float
        Added to the root, 0 or more.
    weight_decay : float
        Times the parameter, is added to its gradient, 0 or more.
    amsgrad : bool
        Divide by the largest mean of squares so far.
    maximize : bool
        Ascend instead.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If a hyper-parameter is out of range, or ``params`` is empty or names one twice.

    Notes
    -----
    ``m = b1*m + (1 - b1)*g``, ``v = b2*v + (1 - b2)*g*g``, and in step t ``data -= lr * (m / (1 -
    b1**t)) / (sqrt(v / (1 - b2**t)) + eps)``.

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, 2014. Reddi, Kale and Kumar, On the
    convergence of Adam and beyond, 2018 (amsgrad).
    """

    _RULE = "Adam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class AdamW(Adam):
    """`Adam`, whose weight decay shrinks the parameters and leaves the gradients alone.

    Parameters
    ----------
    params : iterable
        What to optimize: see `Optimizer`.
    lr : float
        Learning rate, 0 or more.
    betas : pair of float
        How slowly the two means forget, each 0 or more and below 1.
    eps : float
        Added to the root, 0 or more.
    weight_decay : float
        Times lr, is the share of a parameter that a step takes off first, 0 or more.
    amsgrad : bool
        Divide by the largest mean of squares so far.
    maximize : bool
        Ascend instead.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If a hyper-parameter is out of range, or ``params`` is empty or names one twice.

    Notes
    -----
    As `Adam`, after ``data *= 1 - lr * weight_decay``.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, 2017.
    """

    _RULE = "AdamW"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """Divide the gradient by the root of a mean of its squares.

    Parameters
    ----------
    params : iterable
        What to optimize: see `Optimizer`.
    lr : float
        Learning rate, 0 or more.
    alpha : float
        Share of the mean of squares that is kept, 0 or more.
    eps : float
        Added to the root, 0 or more.
    weight_decay : float
        Times the parameter, is added to its gradient, 0 or more.
    momentum : float
        Share of the last step's direction that is kept, 0 or more.
    centered : bool
        Divide by the root of the variance instead.
    maximize : bool
        Ascend instead.

    Raises
    ------
    FastgradValueError, FastgradTypeError
        If a hyper-parameter is out of range, or ``params`` is empty or names one twice.

    Notes
    -----
    ``v = alpha*v + (1 - alpha)*g*g``, then ``data -= lr * g / (sqrt(v) + eps)``; with momentum ``b
    = momentum*b + g / (sqrt(v) + eps)`` and ``data -= lr * b``.

    References
    ----------
    Hinton, Neural networks for machine learning, lecture 6e, 2012. Graves, Generating sequences
    with recurrent neural networks, 2013 (centered).
    """

    _RULE = "RMSprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


# </generated>


def _is_parameter(p: object) -> bool:
    try:
        return hasattr(p, "data") and hasattr(p, "grad")
    except Exception:  # such as of NumPy's dates, whose data no buffer holds
        return False


def _listed(params: Iterable[Any]) -> list[Any]:
    remedy = "pass a list of parameters"
    if isinstance(params, (set, frozenset)) or not hasattr(params, "__iter__"):
        got = f"a {type(params).__name__}"
        raise FastgradTypeError(explain("parameters in an order", got, "params", remedy))
    listed = items_expect(params, "parameters in an order", "params")
    if not listed:
        raise FastgradValueError(explain("at least one parameter", "none", "params"))
    return listed


def _expect_keys(given: Any, keys: set[str], where: str) -> None:
    if not isinstance(given, dict):
        raise FastgradTypeError(explain("a dict", describe(given), where))
    missing = keys - given.keys()
    if missing:
        got = ", ".join(map(repr, given)) or "nothing"
        raise FastgradValueError(explain(f"{', '.join(map(repr, sorted(missing)))}", got, where))


def expect_number(name: str, value: Any, least: float = 0, below: float = float("inf")) -> None:
    number = hasattr(type(value), "__float__") or hasattr(type(value), "__index__")
    try:
        fits = bool(least <= value < below) if number else False
    except (TypeError, ValueError, ArithmeticError):  # arrays; numbers that have no order
        number = fits = False
    if not number:
        raise FastgradTypeError(explain("a number", describe(value), name))
    if not fits:
        expected = f"a number of at least {least} and below {below}"
        raise FastgradValueError(explain(expected, show(value), name))


def _expect_hyper(rule: Rule, group: dict[str, Any]) -> None:
    """Check the hyper-parameters of a group, those that it has."""
    for hyper in rule.hyper:
        value = group.get(hyper.name, hyper.default)
        if isinstance(hyper.default, tuple):
            _expect_pair(hyper, value)
        elif isinstance(hyper.default, bool):
            flag_expect(value, hyper.name)
        else:
            expect_number(hyper.name, value, hyper.least, hyper.below)
    for flag, names, holds, expected in rule.constraints:
        if group.get(flag) and not holds(*[group[name] for name in names]):
            got = ", ".join([f"{name}={group[name]!r}" for name in names])
            raise FastgradValueError(explain(expected, got, flag))


def _expect_pair(hyper: Hyper, pair: Any) -> None:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        got = describe(pair)
        raise FastgradTypeError(explain("a pair of numbers", got, hyper.name))
    for number in pair:
        expect_number(hyper.name, number, hyper.least, hyper.below)
