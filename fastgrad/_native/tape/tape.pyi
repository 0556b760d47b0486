from collections.abc import Callable, Sequence
from typing import Any

from fastgrad._native.tape.replay import Replay
from fastgrad.engine import Value

def use_executors(more: int) -> None: ...
def set_elsewhere(function: Callable[..., Any]) -> None: ...

class TapeCore(Replay):
    def __call__(
        self, *args: Any, threads: int = 1, check: bool = False, executor: Any = None
    ) -> Any: ...
    def backward(
        self,
        *args: Any,
        reduce: str = "mean",
        threads: int = 1,
        check: bool = False,
        executor: Any = None,
    ) -> float: ...
    def value_and_grad(
        self,
        *args: Any,
        reduce: str | None = "mean",
        wrt: str | int | Value | Sequence[str | int | Value] = "parameters",
        threads: int = 1,
        check: bool = False,
        executor: Any = None,
    ) -> tuple[Any, Any]: ...
    def jvp(
        self,
        args: tuple[Any, ...],
        tangents: Any,
        *,
        wrt: str | int | Value | Sequence[str | int | Value] = "inputs",
        threads: int = 1,
    ) -> tuple[Any, Any]: ...
