"""Value and what goes with it: the public face of the native engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fastgrad._native.graph.backward import after_fork
from fastgrad._native.graph.engine import NoGradScope
from fastgrad._native.graph.recording import debug_enter, debug_exit
from fastgrad._native.graph.value import Value, set_array_protocol

__all__ = ["Value", "arena_stats", "build_info", "debug", "no_grad"]


if hasattr(os, "register_at_fork"):  # pragma: no branch (not on Windows)
    os.register_at_fork(after_in_child=after_fork)


def _load_arrays() -> Any:
    from fastgrad import _arrays

    return _arrays


set_array_protocol(_load_arrays)


class _NeedsCall(type):
    """Tell what to write in place of `with no_grad:`."""

    def __enter__(cls) -> None:
        from fastgrad.errors import FastgradTypeError, explain

        name = cls.__name__
        raise FastgradTypeError(
            explain(f"{name}()", f"the class {name}", "with statement", f"write `with {name}():`")
        )

    def __exit__(cls, *error: object) -> None:
        """Needed beside `__enter__`; never called."""


class _Scope(metaclass=_NeedsCall):
    """A context manager that is a decorator, too."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that it runs inside it.

        Of generators, coroutines and asynchronous generators each step does: what their caller
        computes between two steps does not.
        """
        from functools import wraps

        from fastgrad._stepwise import run_stepwise

        if stepwise := run_stepwise(function, type(self)):
            return stepwise

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with type(self)():  # type: ignore[attr-defined]
                return function(*args, **kwargs)

        return inside


class no_grad(_Scope, NoGradScope):
    """Compute without recording: a context manager, or a decorator.

    Inside, an operation gives a leaf that holds its result, so nothing before it is kept alive.
    It concerns the thread and the asyncio task that entered it, and, while it lasts, tasks that
    this starts: other tasks that run while it awaits record as ever. Nesting is allowed.

    Examples
    --------
    >>> from fastgrad import Value, no_grad
    >>> with no_grad():
    ...     y = Value(3.0) * 2
    >>> y, y._prev
    (Value(data=6.0, grad=0.0), set())
    """


Value.no_grad = no_grad


def svg_in_notebook(self: Any) -> str | None:
    """Return what notebooks show of a Value, a Module or a tape; None where text has to do."""
    from importlib import import_module

    svg: str | None = import_module("fastgrad.viz.notebook").svg_of(self)  # a layer above
    return svg


def text_in_notebook(self: Any) -> str:
    """Return what marimo shows where there is no picture; Jupyter takes the repr by itself."""
    return repr(self)


Value._repr_svg_ = svg_in_notebook
Value._repr_text_ = text_in_notebook


class debug(_Scope):
    """Remember which line makes each operation: a context manager, or a decorator of functions.

    A ZeroDivisionError of `backward` then names the line that made the operation in question, if it
    was computed inside, and `backward` was called inside. It concerns the thread that entered it.

    Notes
    -----
    Cost: some 100 ns for each operation. Nesting is allowed.

    Examples
    --------
    >>> from fastgrad import Value, debug
    >>> with debug():
    ...     y = Value(2.0).sqrt()
    ...     y.backward()
    """

    def __enter__(self) -> None:
        debug_enter()

    def __exit__(self, *error: object) -> None:
        debug_exit()


def arena_stats() -> dict[str, int]:
    """Count what the arena holds.

    Returns
    -------
    dict
        ``live_nodes`` (operations and leaves that something still uses), ``live_leaves``,
        ``chunks`` (with memory, in use or free), ``free_chunks`` (kept for reuse), ``blocks``
        (operand lists of nodes with more than two operands), ``bytes`` (all native memory).

    Notes
    -----
    Cost: one visit of each chunk, about 1 us per million nodes.
    """
    from fastgrad._native.graph.check import arena_stats

    return arena_stats()


def build_info() -> dict[str, Any]:
    """Say how this installation was built.

    Returns
    -------
    dict
        ``version``, ``variant`` (release, debug, ...), ``compiler``, ``flags``, ``id_bits``,
        ``chunk_nodes``, ``node_bytes`` (a node with its slot for a handle), ``handle_bytes`` (what
        a Value held by Python takes on top).
    """
    from fastgrad._native.graph.check import sizes
    from fastgrad._native.graph.engine import BUILD_FLAGS, COMPILER, VARIANT, VERSION

    texts = {"version": VERSION, "variant": VARIANT, "compiler": COMPILER, "flags": BUILD_FLAGS}
    return {**texts, **sizes()}
