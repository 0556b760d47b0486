from typing_extensions import disjoint_base

@disjoint_base
class Shape:
    shape: tuple[int, ...]
    ndim: int
    start: int
    size: int
    name: str
    def __init__(self, shape: tuple[int, ...], start: int, name: str) -> None: ...

def expect_unmasked(array: object, name: str) -> None: ...
