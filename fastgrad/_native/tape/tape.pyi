from typing import Any

from typing_extensions import disjoint_base

from fastgrad.engine import Value

SIMD: str

@disjoint_base
class TapeCore:
    parameters: list[Value]
    def __init__(
        self, inputs: list[Value], outputs: list[Value], arguments: list[Any], result: Any
    ) -> None: ...
    def __len__(self) -> int: ...
    def __call__(self, *args: Any, threads: int = 1, check: bool = False) -> Any: ...
    def backward(
        self, *args: Any, reduce: str = "mean", threads: int = 1, check: bool = False
    ) -> float: ...
    def value_and_grad(
        self,
        *args: Any,
        reduce: str | None = "mean",
        wrt: str = "parameters",
        threads: int = 1,
        check: bool = False,
    ) -> tuple[Any, Any]: ...
    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]: ...
    @property
    def nbytes(self) -> int: ...
