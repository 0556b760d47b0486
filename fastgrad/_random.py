"""Random numbers of fastgrad's own: for new modules, `nn.init` and dropout, the same everywhere.

Neuron, Layer and MLP draw from Python's `random`, as micrograd's do.
"""

from __future__ import annotations

import math
import operator
from _thread import allocate_lock
from typing import Any

from fastgrad._native.graph.functional import cos, log, philox_uniforms, sin, sqrt
from fastgrad.errors import FastgradOverflowError, FastgradTypeError, describe, explain, show

__all__ = ["Generator", "default_generator", "manual_seed"]


class Generator:
    """A stream of random numbers: Philox4x32-10, keyed by a seed, counted by calls.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.

    Attributes
    ----------
    state : tuple of int
        Seed and number of calls; set it to go on from there.

    Raises
    ------
    FastgradTypeError, FastgradOverflowError
        If the seed is no such integer.

    Notes
    -----
    The bits are the same on every machine. Cost: 50 ns for each uniform number.

    Examples
    --------
    >>> from fastgrad.nn.init import Generator
    >>> one, two = Generator(7), Generator(7)
    >>> one.uniform(3) == two.uniform(3)
    True
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = allocate_lock()
        self.state = (seed, 0)

    @property
    def state(self) -> tuple[int, int]:
        """Seed and number of calls."""
        return self._seed, self._calls

    @state.setter
    def state(self, state: tuple[int, int]) -> None:
        seed, calls = state
        seed, calls = _whole(seed, "seed"), _whole(calls, "calls")
        with self._lock:
            self._seed, self._calls = seed, calls

    def uniform(self, n: int) -> list[float]:
        """Return n numbers of 0 to 1, without 1."""
        with self._lock:
            seed, call = self._seed, self._calls
            self._calls = (call + 1) % 2**64
        drawn: list[float] = philox_uniforms(seed, call, n)
        return drawn

    def normal(self, n: int) -> list[float]:
        """Return n numbers of the normal distribution of mean 0 and deviation 1."""
        drawn = self.uniform(n + n % 2)
        found: list[float] = []
        for u, v in zip(drawn[::2], drawn[1::2], strict=True):  # Box and Muller 1958
            radius, angle = sqrt(-2.0 * log(1.0 - u)), 2.0 * math.pi * v
            found += (radius * cos(angle), radius * sin(angle))
        return found[:n]

    def __reduce__(self) -> tuple[Any, ...]:
        return _generator, self.state


def _generator(seed: int, calls: int) -> Generator:
    made = Generator()
    made.state = (seed, calls)
    return made


def _whole(number: Any, name: str) -> int:
    try:
        whole = operator.index(number)
    except TypeError:
        got = describe(number)
        raise FastgradTypeError(explain("an integer", got, f"{name} of random numbers")) from None
    if not 0 <= whole < 1 << 64:
        where = f"{name} of random numbers"
        raise FastgradOverflowError(explain("0 to 2**64 - 1", show(number), where))
    return whole


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed fastgrad's own random numbers: of new modules, `nn.init` and dropout.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1. A new process begins with 0.

    Returns
    -------
    fastgrad.nn.init.Generator
        The generator; its ``state`` can be kept and set.

    Raises
    ------
    FastgradTypeError, FastgradOverflowError
        If the seed is no such integer.

    Notes
    -----
    `Neuron`, `Layer` and `MLP` draw from Python's `random`, as micrograd's do: seed that with
    ``random.seed``. `fit` has a seed of its own.

    Examples
    --------
    >>> import fastgrad
    >>> from fastgrad import nn
    >>> _ = fastgrad.manual_seed(1)
    >>> one = nn.Linear(2, 2)
    >>> _ = fastgrad.manual_seed(1)
    >>> nn.Linear(2, 2).state_dict() == one.state_dict()
    True
    """
    default_generator.state = (seed, 0)
    return default_generator
