from typing import Any

from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.replay import Replay

OPERATIONS_MAX: int
SEED_ONE: int

def sizes(tape: Replay) -> tuple[int, int, int]: ...
def wanted(tape: Replay, wrt: Any) -> tuple[Any, list[Shape]]: ...
def derive(
    made: Replay,
    tape: Replay,
    forward: bool,
    values: bool,
    n_arguments: int,
    live: bytes,
    seeds: bytes,
    picks: bytes,
    arguments: list[Any],
    result: Any,
    what: str,
    most: int = ...,
) -> None: ...
