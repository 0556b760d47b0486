"""Generators and coroutines of which each step runs inside a context.

A context entered before the first step and left after the last would hold between the steps too,
for the caller and for whatever else an event loop runs then.
"""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager

__all__ = ["run_stepwise"]

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # bits of co_flags, as in inspect


def run_stepwise(
    function: Callable[..., Any], context: Callable[[], AbstractContextManager[Any]]
) -> Callable[..., Any] | None:
    """Wrap a function that makes a generator, a coroutine or an asynchronous generator.

    Parameters
    ----------
    function : callable
        Any function.
    context : callable
        Makes the context that a step runs in.

    Returns
    -------
    callable or None
        A function of the same kind; None if the function is of no such kind.
    """
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
    if flags & _GENERATOR:

        @wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _steps(function(*args, **kwargs), context))

        return generate
    if flags & _COROUTINE:

        @wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            return await _Steps(function(*args, **kwargs), context)

        return wait
    if flags & _ASYNC_GENERATOR:

        @wraps(function)
        async def generate_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            inner = function(*args, **kwargs)
            step: Any = inner.asend
            given: Any = None
            while True:
                try:
                    out = await _Steps(step(given).__await__(), context)
                except StopAsyncIteration:
                    return
                try:
                    step, given = inner.asend, (yield out)
                except BaseException as error:
                    step, given = inner.athrow, error

        return generate_async
    return None


def _steps(
    inner: Any, context: Callable[[], AbstractContextManager[Any]]
) -> Generator[Any, Any, Any]:
    """Pass on what is sent and thrown, as `yield from` does, but run each step in the context."""
    step: Any = inner.send
    given: Any = None
    while True:
        try:
            with context():
                out = step(given)
        except StopIteration as stop:
            return stop.value
        try:
            step, given = inner.send, (yield out)
        except BaseException as error:  # GeneratorExit too: the inner one ends with it
            step, given = inner.throw, error


class _Steps:
    """What `await` takes: a coroutine, step by step."""

    def __init__(self, coroutine: Any, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self.coroutine, self.context = coroutine, context

    def __await__(self) -> Generator[Any, Any, Any]:
        return _steps(self.coroutine, self.context)
