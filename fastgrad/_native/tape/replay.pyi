from typing import Any

from typing_extensions import disjoint_base

from fastgrad._decisions import Decision
from fastgrad.engine import Value

SIMD: str

def use_compiled(tape: Replay, value: int, gradient: int, work: int, library: object) -> None: ...
def use_groups(when: str) -> str: ...

@disjoint_base
class Replay:
    captured: tuple[Value, ...]
    listed: list[Value] | None
    name: str
    names: list[str]
    custom_operations: tuple[Any, ...]
    training: bool
    places: list[tuple[str, int, str]]
    decisions: list[Decision]
    derived: dict[Any, Any] | None
    def __init__(
        self,
        inputs: list[Value],
        outputs: list[Value],
        arguments: list[Any],
        result: Any,
        fixed: tuple[Value, ...] = ...,
        dropouts: list[tuple[float, int]] | None = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
