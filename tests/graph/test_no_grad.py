"""no_grad: its thread records nothing until the block ends.

Oracle: Python's own arithmetic; the arena's own count of what is alive.
"""

import asyncio
import contextvars
import inspect
import math
import sys
import threading
from functools import partial

import pytest
from helpers.graphs import square

from fastgrad import Value, no_grad
from fastgrad.engine import arena_stats

pytestmark = pytest.mark.usefixtures("sound_arena")


def records():
    """Tell whether operations are recorded."""
    return bool((Value(1.0) * 2)._prev)


def test_no_grad_records_nothing():
    x = Value(3.0)
    before = arena_stats()["live_nodes"]
    with no_grad():
        y = x * 2 + 1 - x / 3 + x**2 + x.exp() + abs(x) + x.maximum(1.0) + 2**x + sum([x, x])
        custom = Value(9.0, (x,), "square")
        total = -x
    assert arena_stats()["live_nodes"] == before + 3
    expected = 3.0 * 2 + 1 + 3.0 * (1 / 3) * -1 + 9.0 + math.exp(3.0) + 3.0 + 3.0 + 8.0 + 6.0
    assert y.data == pytest.approx(expected)
    for v in (y, custom, total):
        assert (v._prev, type(v)) == (set(), Value)
    y.backward()
    assert (x.grad, y.grad) == (0.0, 1.0)
    (y * x).backward()
    assert x.grad == y.data
    assert records()


def test_no_grad_nests():
    with no_grad():
        with no_grad():
            assert not records()
        assert not records()
        with no_grad():
            pass
        assert not records()
    assert records()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        Value(1.0) / 0
    assert records()
    with pytest.raises(KeyError), no_grad(), no_grad():
        raise KeyError
    assert records()


def test_no_grad_works_as_a_decorator():
    @no_grad()
    def quiet(x, *, k=1):
        """Multiply."""
        return x * k

    assert (quiet.__name__, quiet.__doc__) == ("quiet", "Multiply.")
    assert (quiet(Value(2.0), k=3).data, quiet(Value(2.0))._prev) == (6.0, set())
    assert records()


def test_no_grad_object_can_be_used_again():
    quiet = no_grad()
    for _ in range(2):
        with quiet:
            assert not records()
            with quiet:
                assert not records()
        assert records()


def test_no_grad_affects_its_thread_only():
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        seen.append(records())
        with no_grad():
            seen.append(records())
        seen.append(records())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        done.wait()
        assert not records()
    thread.join()
    assert seen == [True, False, True]
    assert records()


def test_no_grad_allows_backward_of_a_recorded_graph():
    x = Value(3.0)
    y = x * x
    with no_grad():
        y.backward()
        z = square(x)
        z.backward()
    assert (x.grad, z._prev) == (12.0, set())  # the function of z still runs: z is its own root
    z._backward = lambda: None


def test_no_grad_leaves_no_nodes_after_failed_operations():
    x = Value(3.0)
    before = arena_stats()["live_nodes"]
    with no_grad():
        for bad in (lambda: x / 0, lambda: x + "a", lambda: x - object(), lambda: (x - 3) ** -1):
            with pytest.raises((ZeroDivisionError, TypeError)):
                bad()
    sys.last_value = None
    assert arena_stats()["live_nodes"] == before


@no_grad()
def generator(seen):
    """Yield whether operations are recorded; note what comes in."""
    try:
        while True:
            seen.append((yield records()))
    except KeyError:
        seen.append(("thrown", records()))
        yield "caught"
    finally:
        seen.append(("ended", records()))
    return "result"


def test_no_grad_generator_runs_each_step_inside():
    seen = []
    steps = generator(seen)
    assert inspect.isgeneratorfunction(generator)
    assert (next(steps), records()) == (False, True)
    assert (steps.send("sent"), records()) == (False, True)
    assert (steps.throw(KeyError), records()) == ("caught", True)
    with pytest.raises(StopIteration, match="result"):
        next(steps)
    assert seen == ["sent", ("thrown", False), ("ended", False)]
    assert records()


@pytest.mark.parametrize("kind", ["method", "partial application", "both"])
def test_no_grad_holds_in_whatever_makes_a_generator(kind):
    class Model:
        def steps(self, n):
            for _ in range(n):
                yield records()

    function = {
        "method": Model().steps,
        "partial application": partial(Model.steps, Model()),
        "both": partial(partial(Model().steps)),
    }[kind]
    steps = no_grad()(function)(2)
    assert (next(steps), records(), next(steps)) == (False, True, False)


def test_no_grad_generator_that_is_closed_ends_inside():
    seen = []
    steps = generator(seen)
    next(steps)
    steps.close()
    assert (seen, records()) == ([("ended", False)], True)


def test_no_grad_coroutine_runs_each_step_inside_and_no_other_task():
    turns = []

    @no_grad()
    async def quiet(result):
        for _ in range(3):
            turns.append(("quiet", records()))
            await asyncio.sleep(0)
        return result

    async def other():
        for _ in range(3):
            turns.append(("other", records()))
            await asyncio.sleep(0)

    async def both():
        return await asyncio.gather(quiet("result"), other())

    assert inspect.iscoroutinefunction(quiet)
    assert asyncio.run(both()) == ["result", None]
    assert turns == [("quiet", False), ("other", True)] * 3
    assert records()


def test_no_grad_block_that_awaits_concerns_its_task_only():
    turns = []

    async def quiet(scope):
        with scope:
            for _ in range(3):
                turns.append(("quiet", records()))
                await asyncio.sleep(0)
        turns.append(("after", records()))

    async def other():
        for _ in range(4):
            turns.append(("other", records()))
            await asyncio.sleep(0)

    async def both():
        await asyncio.gather(quiet(no_grad()), other())

    asyncio.run(both())
    assert turns == [
        *[("quiet", False), ("other", True)] * 3, ("after", True), ("other", True)
    ]  # fmt: skip
    assert records()


def test_no_grad_object_that_two_tasks_share_ends_each_by_itself():
    scope, seen = no_grad(), {}

    async def task(name, rounds):
        with scope:
            for _ in range(rounds):
                await asyncio.sleep(0)
            seen[name, "inside"] = records()
        seen[name, "after"] = records()

    async def both():
        await asyncio.gather(task("short", 1), task("long", 3))

    asyncio.run(both())
    assert seen == {
        ("short", "inside"): False, ("short", "after"): True,
        ("long", "inside"): False, ("long", "after"): True,
    }  # fmt: skip


def test_no_grad_block_holds_in_tasks_that_it_starts_while_it_lasts():
    seen = []

    async def started(event):
        seen.append(records())
        await event.wait()
        seen.append(records())

    async def start():
        event = asyncio.Event()
        with no_grad():
            with no_grad():
                task = asyncio.create_task(started(event))
                await asyncio.sleep(0)
            assert not records()
            await asyncio.sleep(0)
        with no_grad():  # another block, of which the task is no part
            event.set()
            await task

    asyncio.run(start())
    assert seen == [False, True]


def test_no_grad_generator_finished_in_another_context_ends_its_block():
    def quiet():
        with no_grad():
            yield records()

    steps = quiet()
    assert contextvars.copy_context().run(next, steps) is False
    assert records(), "that was another context"
    steps.close()
    with no_grad():
        steps = contextvars.copy_context().run(quiet)
        assert next(steps) is False
    assert not records(), "a generator that waits inside its block, in this context"
    steps.close()
    assert records()


def test_no_grad_coroutine_that_is_cancelled_ends_inside():
    ended = []

    @no_grad()
    async def quiet():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(records())

    async def cancel():
        task = asyncio.create_task(quiet())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert (ended, records()) == ([False], True)


def test_no_grad_asynchronous_generator_runs_each_step_inside():
    seen = []

    @no_grad()
    async def quiet():
        try:
            while True:
                await asyncio.sleep(0)
                seen.append((yield records()))
                if seen[-1] == "end":
                    return
        except KeyError:
            yield "caught"

    async def use():
        steps = quiet()
        assert (await anext(steps), records()) == (False, True)
        assert (await steps.asend("sent"), records()) == (False, True)
        with pytest.raises(StopAsyncIteration):
            await steps.asend("end")
        steps = quiet()
        await anext(steps)
        assert (await steps.athrow(KeyError), records()) == ("caught", True)
        await steps.aclose()

    assert inspect.isasyncgenfunction(quiet)
    asyncio.run(use())
    assert (seen, records()) == (["sent", "end"], True)
