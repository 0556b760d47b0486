from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import disjoint_base

from fastgrad._native.tape.inspect import Found
from fastgrad._native.tape.replay import Replay
from fastgrad._native.train.optim import Updater

@disjoint_base
class Group: ...

@disjoint_base
class Member: ...

@disjoint_base
class Loop:
    done: int
    steps: int
    stopped_at: float
    def __init__(
        self,
        tapes: tuple[Replay, ...],
        data: Sequence[Any],
        source: Callable[[], list[Updater]],
        steps: int,
        batch_size: int | None,
        seed: int,
        mean: bool,
        threads: int,
        shuffled: bool = True,
        chosen: Sequence[int] | None = None,
    ) -> None: ...
    def shared(self) -> tuple[int, int, int]: ...
    def advance(self, count: int) -> bool: ...
    def close(self) -> None: ...
    def history(self, first: int = 0) -> list[float]: ...
    def skip(self, count: int) -> None: ...
    def found(self) -> Found | None: ...
    def last(self) -> float | None: ...
