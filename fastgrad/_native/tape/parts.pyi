from typing import Any, TypeAlias

from fastgrad._native.tape.replay import Replay
from fastgrad._native.tape.tape import TapeCore

# groups from the first to the second, what `sums` gave of them, and whether with rows added up
_Part: TypeAlias = tuple[int, int, bytes, bool]

# the parameters' data; seed, call, sample, whether dropouts draw
_State: TypeAlias = tuple[bytes, tuple[int, int, int, int]]

def state_of(tape: Replay, draws: tuple[int, int, int, int] | None = None) -> _State: ...
def dropouts_of(tape: Replay) -> int: ...
def batch_of(tape: Replay, args: tuple[Any, ...]) -> tuple[int, bytes]: ...
def starts(tape: Replay, args: tuple[Any, ...], of: int, wrt: Any) -> list[int]: ...
def sums(
    tape: Replay,
    args: tuple[Any, ...],
    first: int,
    end: int,
    of: int,
    mean: bool,
    wrt: Any,
    threads: int,
    data: _State | None,
    added: bool,
    start: int = 0,
) -> tuple[bytes, int, bool]: ...
def finish(
    tape: TapeCore,
    args: tuple[Any, ...],
    parts: list[_Part],
    of: int,
    mean: bool,
    wrt: Any,
    data: _State | None,
    added_to_grad: bool,
) -> Any: ...
def call(
    tape: TapeCore, args: tuple[Any, ...], first: int, threads: int, data: _State | None
) -> Any: ...
def call_each(
    tape: TapeCore, args: tuple[Any, ...], first: int, wrt: Any, threads: int, data: _State | None
) -> Any: ...
