from typing import Any

from typing_extensions import disjoint_base

from fastgrad.engine import Value

SIMD: str

@disjoint_base
class Shape:
    shape: tuple[int, ...]
    ndim: int
    start: int
    size: int
    name: str
    def __init__(self, shape: tuple[int, ...], start: int, name: str) -> None: ...

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
    def _first_nonfinite(
        self, args: tuple[Any, ...]
    ) -> tuple[int, int, list[float], float] | None: ...
    def _sizes(self) -> tuple[int, int, int, int, int, int]: ...
    def _operation(self, i: int) -> tuple[str, list[int], int]: ...
    def _constant(self, i: int) -> float: ...
    def _outputs(self) -> list[int]: ...
    def _shapes(self) -> list[Shape]: ...
    def _plan(self, batched: bytes) -> dict[str, int]: ...
    @property
    def nbytes(self) -> int: ...
