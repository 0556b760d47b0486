from typing import Any

from typing_extensions import disjoint_base

VERSION: str
VARIANT: str
BUILD_FLAGS: str
COMPILER: str

class NoGradScope:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

@disjoint_base
class CustomCore:
    number: int

def register_custom(operation: CustomCore) -> int: ...
def numbers_of(operands: tuple[Any, ...]) -> list[float]: ...
def apply_take(operands: tuple[Any, ...]) -> Any: ...
def apply_custom(operation: CustomCore, operands: tuple[Any, ...], result: float) -> Any: ...
