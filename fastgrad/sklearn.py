"""scikit-learn's multi-layer perceptrons, trained on tapes: the same names and parameters.

Needs the extra: ``pip install 'fastgrad[sklearn]'``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from fastgrad import optim
from fastgrad.engine import Value
from fastgrad.errors import FastgradValueError, MissingExtraError, explain, show
from fastgrad.functional import exp, logsumexp, softplus
from fastgrad.operations import take
from fastgrad.tape import Tape, record
from fastgrad.training import fit

try:
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    _REMEDY = "pip install 'fastgrad[sklearn]'"
    raise MissingExtraError(
        explain("scikit-learn of at least 1.6", f"no {error.name}", "fastgrad.sklearn", _REMEDY)
    ) from error

__all__ = ["MLPClassifier", "MLPRegressor"]

_SMALLEST_RATE = 1e-6  # where an adaptive learning rate ends


def _same(z: Any) -> Any:
    return z


# name: on Values, on arrays
_ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "identity": (_same, _same),
    "logistic": (Value.sigmoid, lambda z: 0.5 * (1 + np.tanh(0.5 * z))),
    "tanh": (Value.tanh, np.tanh),
    "relu": (Value.relu, lambda z: np.maximum(z, 0)),
}


def _softmax(z: Any) -> Any:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


_OUTPUTS: dict[str, Callable[[Any], Any]] = {
    "identity": _same,
    "exp": np.exp,
    "logistic": _ACTIVATIONS["logistic"][1],
    "softmax": _softmax,
}


def _cross_entropy(z: list[Any], target: Any) -> Any:
    return logsumexp(z) - take(z, target)


def _binary_cross_entropy(z: list[Any], target: list[Any]) -> Any:
    return sum(softplus(zi) - ti * zi for zi, ti in zip(z, target, strict=True))


def _squared_error(z: list[Any], target: list[Any]) -> Any:
    return sum((zi - ti) ** 2 for zi, ti in zip(z, target, strict=True)) / 2


def _poisson(z: list[Any], target: list[Any]) -> Any:
    """Return the loss less xlogy(t, t) - t, which no parameter changes."""
    return sum(exp(zi) - ti * zi for zi, ti in zip(z, target, strict=True))


_LOSSES = {
    "softmax": _cross_entropy,
    "logistic": _binary_cross_entropy,
    "identity": _squared_error,
    "exp": _poisson,
}


class _Network:
    """A network's parameters, its tapes, and the optimizer that goes on in the next fit."""

    def __init__(self, units: list[int], activation: str, output: str) -> None:
        self.shape = units, activation, output
        self.layers = [
            ([[Value(0.0) for _ in range(n)] for _ in range(m)], [Value(0.0) for _ in range(n)])
            for m, n in pairwise(units)
        ]
        self.weights = [w for rows, _ in self.layers for row in rows for w in row]
        self.biases = [b for _, row in self.layers for b in row]
        self.optimizer: optim.Optimizer | None = None
        self.tapes: dict[str, Tape] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the tapes are made from, not the tapes."""
        return _restored, (self.shape, self.arrays(), self.optimizer and self._optimizer_parts())

    def _optimizer_parts(self) -> tuple[Any, ...]:
        optimizer = self.optimizer
        assert optimizer is not None
        return type(optimizer), optimizer.defaults, optimizer.state_dict()

    def forward(self, x: list[Any]) -> list[Any]:
        """Return the outputs before their activation."""
        activation = _ACTIVATIONS[self.shape[1]][0]
        last = len(self.layers) - 1
        for k, (rows, biases) in enumerate(self.layers):
            sums = list(biases)
            for j in range(len(sums)):
                for i, xi in enumerate(x):
                    sums[j] = sums[j] + rows[i][j] * xi
            x = sums if k == last else [activation(z) for z in sums]
        return x

    def tape(self, name: str) -> Tape:
        """Return a tape by its name; it is recorded when it is first needed."""
        if name not in self.tapes:
            self.tapes[name] = getattr(self, f"_{name}")()
        return self.tapes[name]

    def _example(self) -> tuple[list[float], Any]:
        units, _, output = self.shape
        return [0.0] * units[0], 0.0 if output == "softmax" else [0.0] * units[-1]

    def _loss(self) -> Tape:
        loss = _LOSSES[self.shape[2]]
        parameters = [*self.weights, *self.biases]
        return record(
            lambda x, t: loss(self.forward(x), t), *self._example(), parameters=parameters
        )

    def _weighted_loss(self) -> Tape:
        loss = _LOSSES[self.shape[2]]
        return record(
            lambda x, t, w: w * loss(self.forward(x), t),
            *self._example(),
            1.0,
            parameters=[*self.weights, *self.biases],
        )

    def _outputs(self) -> Tape:
        return record(self.forward, self._example()[0])

    def _squares(self) -> Tape:
        return record(lambda: sum(w * w for w in self.weights))

    def read(self, coefs: list[Any], intercepts: list[Any]) -> None:
        """Take the parameters' numbers from arrays."""
        self.set(np.concatenate([np.ravel(part) for part in (*coefs, *intercepts)]))

    def set(self, numbers: Any) -> None:
        """Set all parameters: weights layer by layer, then the biases."""
        for p, number in zip([*self.weights, *self.biases], numbers.tolist(), strict=True):
            p.data = number

    def numbers(self) -> Any:
        """Return all parameters: weights layer by layer, then the biases."""
        return np.array([p.data for p in (*self.weights, *self.biases)])

    def arrays(self, numbers: Any = None) -> tuple[list[Any], list[Any]]:
        """Return what scikit-learn calls coefs_ and intercepts_."""
        numbers = self.numbers() if numbers is None else numbers
        coefs, intercepts, at = [], [], 0
        for m, n in pairwise(self.shape[0]):
            coefs.append(numbers[at : at + m * n].reshape(m, n).copy())
            at += m * n
        for n in self.shape[0][1:]:
            intercepts.append(numbers[at : at + n].copy())
            at += n
        return coefs, intercepts


def _restored(shape: Any, arrays: Any, optimizer: Any) -> _Network:
    network = _Network(*shape)
    network.read(*arrays)
    if optimizer is not None:
        kind, defaults, state = optimizer
        groups = [{"params": network.weights}, {"params": network.biases}]
        network.optimizer = kind(groups, **defaults)
        network.optimizer.load_state_dict(state)
    return network


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return bool(_is_number(value) and 0 <= value < 1)


def _is_one_of(*names: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: isinstance(value, str) and value in names), f"one of {', '.join(names)}"


def _is_at_least_0(value: Any) -> bool:
    return bool(_is_number(value) and value >= 0)


# parameter: what it must be, in code and in words
_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "activation": _is_one_of(*_ACTIVATIONS),
    "solver": _is_one_of("lbfgs", "sgd", "adam"),
    "alpha": (_is_at_least_0, "a number of at least 0"),
    "batch_size": (lambda v: _is_one_of("auto")[0](v) or _is_count(v), '"auto" or a count'),
    "learning_rate": _is_one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": (lambda v: _is_number(v) and v > 0, "a positive number"),
    "power_t": (_is_at_least_0, "a number of at least 0"),
    "max_iter": (_is_count, "a positive integer"),
    "tol": (_is_at_least_0, "a number of at least 0"),
    "momentum": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 to 1"),
    "validation_fraction": (_is_share, "a number from 0 to below 1"),
    "beta_1": (_is_share, "a number from 0 to below 1"),
    "beta_2": (_is_share, "a number from 0 to below 1"),
    "epsilon": (lambda v: _is_number(v) and v > 0, "a positive number"),
    "n_iter_no_change": (lambda v: v == np.inf or _is_count(v), "a positive integer, or inf"),
    "max_fun": (_is_count, "a positive integer"),
    "loss": _is_one_of("log_loss", "squared_error", "poisson"),
}


class _Perceptron(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor have in common; each has its targets and its outputs."""

    coefs_: list[Any]
    intercepts_: list[Any]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def _expect_parameters(self) -> list[int]:
        """Check all parameters, and return the hidden sizes."""
        name = type(self).__name__
        for parameter, (is_right, expected) in _EXPECTED.items():
            value = getattr(self, parameter, None)
            if hasattr(self, parameter) and not is_right(value):
                got = show(value)
                raise FastgradValueError(explain(expected, got, f"{parameter} of {name}"))
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if not all(map(_is_count, hidden)):
            where = f"hidden_layer_sizes of {name}"
            raise FastgradValueError(explain("positive integers", show(sizes), where))
        return [int(size) for size in hidden]

    def _validated(self, X: Any, y: Any, first: bool, **how: bool) -> tuple[Any, Any]:
        """Let scikit-learn check the data; a single column of targets becomes one dimension."""
        X, y = validate_data(self, X, y, multi_output=True, dtype=np.float64, reset=first, **how)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on data.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Dense numbers.
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
            Classes, or indicators of labels; for a regressor numbers.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each sample in the loss.

        Returns
        -------
        self

        Raises
        ------
        FastgradValueError
            If a parameter is of no use, or the data do not fit to those of before.
        NonFiniteError
            If a loss or its gradient became nan or inf.
        ValueError
            As scikit-learn says of the data.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _may_fit_in_parts(self) -> bool:
        if self.solver not in ("sgd", "adam"):
            raise AttributeError(f"partial_fit needs solver sgd or adam, not {self.solver!r}")
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        hidden = self._expect_parameters()
        if incremental and self.early_stopping:
            expected = "early_stopping=False, with partial_fit"
            raise FastgradValueError(explain(expected, "True", type(self).__name__))
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._read(X, y, first, first and not incremental)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        rng = check_random_state(self.random_state)
        targets, n_outputs, output = self._targets(y)
        units = [X.shape[1], *hidden, n_outputs]
        network = self._network_of(units, output, first)
        if first:
            self._begin(network, rng)
        elif [c.shape for c in self.coefs_] == [*pairwise(units)]:
            network.read(self.coefs_, self.intercepts_)
        else:
            got = f"{[self.coefs_[0].shape[0], *(c.shape[1] for c in self.coefs_)]}"
            where = f"warm_start or partial_fit of {type(self).__name__}"
            raise FastgradValueError(explain(f"layers of {units} units, as before", got, where))
        train = _Training(self, network, rng, incremental)
        if self.solver == "lbfgs":
            train.by_lbfgs(X, targets, weight)
        else:
            train.by_steps(X, y, targets, weight)
        self.coefs_, self.intercepts_ = network.arrays(train.best)
        self._network = network
        self.n_outputs_, self.out_activation_, self.n_layers_ = n_outputs, output, len(units)
        return self

    def _network_of(self, units: list[int], output: str, first: bool) -> _Network:
        """Return the network of the fit before, where that goes on, else a new one."""
        kept = getattr(self, "_network", None)
        if not first and kept is not None and kept.shape == (units, self.activation, output):
            network: _Network = kept
            return network
        return _Network(units, self.activation, output)

    def _begin(self, network: _Network, rng: Any) -> None:
        """Draw the initial parameters as scikit-learn does (Glorot and Bengio)."""
        coefs, intercepts = [], []
        for m, n in pairwise(network.shape[0]):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (m + n))
            coefs.append(rng.uniform(-bound, bound, (m, n)))
            intercepts.append(rng.uniform(-bound, bound, n))
        network.read(coefs, intercepts)
        self.t_ = 0
        self.loss_curve_: list[float] = []
        self._stale = 0  # epochs without improvement
        stops = self.early_stopping and self.solver != "lbfgs"
        self.validation_scores_: list[float] | None = [] if stops else None
        self.best_validation_score_ = -np.inf if stops else None
        self.best_loss_ = None if stops else np.inf

    def _forward(self, X: Any) -> Any:
        """Return the activated outputs for each row, of the arrays coefs_ and intercepts_."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._activated(self._sums(X))

    def _sums(self, X: Any) -> Any:
        activation = _ACTIVATIONS[self.activation][1]
        last = len(self.coefs_) - 1
        for k, (w, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            X = X @ w + b
            if k < last:
                X = activation(X)
        return X

    def _activated(self, sums: Any) -> Any:
        return _OUTPUTS[self.out_activation_](sums)


class _Training:
    """One call of fit or partial_fit: epochs of mini-batches, or L-BFGS."""

    def __init__(self, owner: Any, network: _Network, rng: Any, incremental: bool) -> None:
        self.owner, self.network, self.rng, self.incremental = owner, network, rng, incremental
        self.validation: Any = None
        self.best: Any = None  # the parameters of the best validation score

    # -- mini-batches

    def by_steps(self, X: Any, y: Any, targets: Any, weight: Any) -> None:
        owner = self.owner
        if owner.early_stopping:
            X, y, targets, weight = self._split(X, y, targets, weight)
        n = len(X)
        self.batch = self._batch_size(n)
        self.epoch = -(-n // self.batch)  # steps
        self.n, self.scale = n, 1.0
        arguments = [X, targets]
        if weight is not None:
            self.scale = weight.sum() / n
            arguments.append(weight / self.scale)
        self.decay = owner.alpha / (self.batch * self.scale)
        optimizer = self._optimizer()
        self.best = self.network.numbers() if owner.early_stopping else None
        owner.n_iter_ = 0
        epochs = 1 if self.incremental else owner.max_iter
        self.converged = self.incremental
        seed = int(self.rng.randint(1 << 31)) + (owner.t_ if self.incremental else 0)
        try:
            fit(
                self.network.tape("loss" if weight is None else "weighted_loss"),
                *arguments,
                optimizer=optimizer,
                steps=epochs * self.epoch,
                batch_size=self.batch,
                seed=seed,
                shuffle=owner.shuffle,
                callback=self._end_epoch,
                every=self.epoch,
            )
        except KeyboardInterrupt:
            self.converged = True
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if not self.converged:
            text = (
                f"Stochastic Optimizer: Maximum iterations ({owner.max_iter}) reached and the "
                "optimization hasn't converged yet."
            )
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _split(self, X: Any, y: Any, targets: Any, weight: Any) -> tuple[Any, Any, Any, Any]:
        """Set the samples for validation aside, and return the others."""
        owner = self.owner
        index = np.arange(len(X))
        train, held = train_test_split(
            index,
            random_state=self.rng,
            test_size=owner.validation_fraction,
            stratify=owner._strata(y),
        )
        if len(held) < 2:
            expected = "at least 2 samples for validation"
            remedy = "increase validation_fraction, or the data"
            raise FastgradValueError(
                explain(expected, f"{len(held)}", type(owner).__name__, remedy)
            )
        weights = (None, None) if weight is None else (weight[train], weight[held])
        self.validation = X[held], y[held], weights[1]
        return X[train], y[train], targets[train], weights[0]

    def _batch_size(self, n: int) -> int:
        size = self.owner.batch_size
        if size == "auto":
            return min(200, n)
        if size > n:
            text = (
                f"Got batch_size {size} larger than the sample size {n}. It is going to be clipped"
            )
            warnings.warn(text, stacklevel=5)
        return min(int(size), n)

    def _optimizer(self) -> optim.Optimizer:
        """Return the optimizer: that of the calls before, in partial_fit."""
        owner, network = self.owner, self.network
        kept = network.optimizer
        if kept is None or not self.incremental:
            groups = [{"params": network.weights}, {"params": network.biases}]
            rate = owner.learning_rate_init
            if owner.solver == "adam":
                betas = owner.beta_1, owner.beta_2
                kept = optim.Adam(groups, lr=rate, betas=betas, eps=owner.epsilon)
            else:
                nesterov = bool(owner.nesterovs_momentum and owner.momentum > 0)
                kept = optim.SGD(groups, lr=rate, momentum=owner.momentum, nesterov=nesterov)
            network.optimizer = kept
        kept.param_groups[0]["weight_decay"] = self.decay  # the gradient of the penalty
        return kept

    def _end_epoch(self, _: int, losses: list[float]) -> bool:
        """Note an epoch's loss or score; tell whether training is over."""
        owner = self.owner
        counts = [self.batch] * (self.epoch - 1) + [self.n - self.batch * (self.epoch - 1)]
        loss = sum(map(float.__mul__, losses, map(float, counts))) / self.n
        if owner.alpha:
            loss += 0.5 * self.decay * self.network.tape("squares")()
        owner.loss_ = loss
        owner.n_iter_ += 1
        owner.t_ += self.n
        owner.loss_curve_.append(loss)
        if owner.verbose:
            print(f"Iteration {owner.n_iter_}, loss = {loss:.8f}")
        if self.validation is None:
            self._note_loss(loss)
        else:
            self._note_score()
        if owner.solver == "sgd" and owner.learning_rate == "invscaling":
            rate = owner.learning_rate_init / (owner.t_ + 1) ** owner.power_t
            self.network.optimizer.lr = rate  # type: ignore[union-attr]
        if owner._stale > owner.n_iter_no_change:
            return self._stops()
        return False

    def _note_loss(self, loss: float) -> None:
        owner = self.owner
        owner._stale = owner._stale + 1 if loss > owner.best_loss_ - owner.tol else 0
        owner.best_loss_ = min(owner.best_loss_, loss)

    def _note_score(self) -> None:
        owner = self.owner
        X, y, weight = self.validation
        sums = np.asarray(self.network.tape("outputs")(X)).reshape(len(X), -1)
        score = owner._score(y, _OUTPUTS[self.network.shape[2]](sums), weight)
        owner.validation_scores_.append(score)
        if owner.verbose:
            print(f"Validation score: {score:f}")
        enough = owner.best_validation_score_ + owner.tol
        owner._stale = owner._stale + 1 if score < enough else 0
        if score > owner.best_validation_score_:
            owner.best_validation_score_ = score
            self.best = self.network.numbers()

    def _stops(self) -> bool:
        """Tell whether training ends for want of progress, or goes on with a smaller rate."""
        owner, optimizer = self.owner, self.network.optimizer
        what = "Training loss" if self.validation is None else "Validation score"
        text = (
            f"{what} did not improve more than tol={owner.tol:f} for {owner.n_iter_no_change} "
            "consecutive epochs."
        )
        adaptive = owner.solver == "sgd" and owner.learning_rate == "adaptive"
        if adaptive and optimizer.lr > _SMALLEST_RATE:  # type: ignore[union-attr]
            optimizer.lr /= 5.0  # type: ignore[union-attr]
            owner._stale = 0
            text, over = f"{text} Setting learning rate to {optimizer.lr:f}", False  # type: ignore[union-attr]
        else:
            self.converged = over = True
            text += " Stopping."
        if owner.verbose:
            print(text)
        return over

    # -- L-BFGS

    def by_lbfgs(self, X: Any, targets: Any, weight: Any) -> None:
        from scipy.optimize import minimize

        owner, network = self.owner, self.network
        arguments, total = [X, targets], float(len(X))
        if weight is not None:
            total = weight.sum()
            arguments.append(weight * (len(X) / total))
        tape = network.tape("loss" if weight is None else "weighted_loss")
        n_weights = len(network.weights)
        decay = owner.alpha / total

        def loss_and_gradient(numbers: Any) -> tuple[float, Any]:
            network.set(numbers)
            loss, gradient = tape.value_and_grad(*arguments)
            gradient = np.array(gradient)
            weights = numbers[:n_weights]
            gradient[:n_weights] += decay * weights
            return loss + 0.5 * decay * (weights @ weights), gradient

        found = minimize(
            loss_and_gradient,
            network.numbers(),
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": owner.max_fun, "maxiter": owner.max_iter, "gtol": owner.tol},
        )
        network.set(found.x)
        owner.n_iter_ = min(int(found.nit), owner.max_iter)
        owner.loss_ = float(found.fun)
        owner.t_ += len(X) * int(found.nit)
        if not found.success:
            text = f"lbfgs failed to converge (status={found.status}): {found.message}"
            warnings.warn(text, ConvergenceWarning, stacklevel=4)


class MLPClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """Classify with a multi-layer perceptron that trains on a tape.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As of ``sklearn.neural_network.MLPClassifier``, with its defaults.

    Attributes
    ----------
    classes_ : array
        The classes, in the order of `predict_proba`.
    coefs_, intercepts_ : list of array, shapes (n_in, n_out) and (n_out,)
        Of each layer; `predict` reads them.
    loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_, \
n_layers_, n_outputs_, out_activation_
        As scikit-learn's.

    Notes
    -----
    The initial parameters are those that scikit-learn draws from the same `random_state`; the order
    of mini-batches is fastgrad's. All is computed in float64. Sparse X is refused. Where the
    learning rate changes, momentum follows it, as PyTorch's does.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from fastgrad.sklearn import MLPClassifier
    >>> X, y = make_moons(100, noise=0.1, random_state=1)
    >>> model = MLPClassifier((16, 16), learning_rate_init=0.02, random_state=1).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _read(self, X: Any, y: Any, first: bool, fresh: bool) -> tuple[Any, Any]:
        """Check the data, and the classes against those of before, unless these are fresh."""
        X, y = self._validated(X, y, first)
        if fresh:
            self._binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._binarizer.classes_
            return X, y
        classes = unique_labels(y)
        if np.setdiff1d(classes, self.classes_).size:
            expected = f"the classes of before, {self.classes_.tolist()}"
            where = "warm_start or partial_fit of MLPClassifier"
            raise FastgradValueError(explain(expected, f"{classes.tolist()}", where))
        return X, y

    def _targets(self, y: Any) -> tuple[Any, int, str]:
        """Return the loss's targets, the number of outputs, and their activation."""
        columns = self._binarizer.transform(y)
        if self._binarizer.y_type_ == "multiclass":
            return columns.argmax(axis=1).astype(float), columns.shape[1], "softmax"
        return columns.astype(float), columns.shape[1], "logistic"

    def _strata(self, y: Any) -> Any:
        """Return what a split keeps in proportion: classes, unless there are several labels."""
        return y if y.ndim == 1 else None

    def _score(self, y: Any, probabilities: Any, weight: Any) -> float:
        return float(accuracy_score(y, self._decided(probabilities), sample_weight=weight))

    def _decided(self, probabilities: Any) -> Any:
        if probabilities.shape[1] == 1:
            probabilities = probabilities.ravel()
        return self._binarizer.inverse_transform(probabilities)

    @available_if(_Perceptron._may_fit_in_parts)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Make one pass over data, going on from the fit before.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array-like, optional
            All classes that will come; needed in the first call.

        Returns
        -------
        self

        Raises
        ------
        FastgradValueError
            As of `fit`; if classes are missing in the first call, or others come later.
        """
        if not hasattr(self, "_binarizer"):
            if classes is None:
                where = "first partial_fit of MLPClassifier"
                raise FastgradValueError(explain("all classes, as classes=", "None", where))
            self._binarizer = LabelBinarizer().fit(y if np.ndim(y) == 2 else classes)
            self.classes_ = self._binarizer.classes_
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            expected = f"the classes of before, {self.classes_.tolist()}"
            raise FastgradValueError(explain(expected, show(classes), "classes"))
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """Return the most likely class of each row, or its labels.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Dense numbers.

        Returns
        -------
        array, shape (n_samples,), or (n_samples, n_labels)
        """
        return self._decided(self._forward(X))

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class in each row; of several labels, of each label.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Dense numbers.

        Returns
        -------
        array, shape (n_samples, n_classes)
        """
        out = self._forward(X)
        return np.hstack([1 - out, out]) if out.shape[1] == 1 else out

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Dense numbers.

        Returns
        -------
        array, shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))


class MLPRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """Predict numbers with a multi-layer perceptron that trains on a tape.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}
        What is minimised.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As of ``sklearn.neural_network.MLPRegressor``, with its defaults.

    Attributes
    ----------
    coefs_, intercepts_ : list of array, shapes (n_in, n_out) and (n_out,)
        Of each layer; `predict` reads them.
    loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_, \
n_layers_, n_outputs_, out_activation_
        As scikit-learn's; but the loss of several outputs is the sum of theirs, and a Poisson loss
        leaves out what no parameter changes.

    Notes
    -----
    As of `MLPClassifier`.
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.loss = loss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _read(self, X: Any, y: Any, first: bool, _: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, first, y_numeric=True)
        return X, y.astype(float)

    def _targets(self, y: Any) -> tuple[Any, int, str]:
        if self.loss == "poisson" and (y < 0).any():
            where = "y of MLPRegressor with loss='poisson'"
            raise FastgradValueError(explain("numbers of at least 0", f"{y.min()}", where))
        columns = y.reshape(len(y), -1)
        output = "exp" if self.loss == "poisson" else "identity"
        return columns, columns.shape[1], output

    def _strata(self, _: Any) -> None:
        return None

    def _score(self, y: Any, outputs: Any, weight: Any) -> float:
        return float(r2_score(y, outputs.reshape(y.shape), sample_weight=weight))

    @available_if(_Perceptron._may_fit_in_parts)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Make one pass over data, going on from the fit before.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        self

        Raises
        ------
        FastgradValueError
            As of `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """Return the number of each row, or its numbers.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Dense numbers.

        Returns
        -------
        array, shape (n_samples,), or (n_samples, n_outputs)
        """
        out = self._forward(X)
        return out.ravel() if out.shape[1] == 1 else out
