from typing import Any

from fastgrad._native.tape.replay import Replay

VALUES_MAX: int

def opcodes() -> dict[str, int]: ...
def structure(tape: Replay) -> tuple[list[Any], Any, int]: ...
def export(tape: Replay) -> tuple[dict[str, bytes], list[int]]: ...
def restore(
    tape: Replay,
    arrays: dict[str, bytes],
    codes: list[int],
    recorded: int,
    places: int,
    custom_operations: tuple[Any, ...] = (),
    dropouts: list[tuple[float, int]] | None = ...,
) -> tuple[str, str, str] | None: ...
def bind(
    tape: Replay, parameters: list[Any], data: bytes, arguments: list[Any], result: Any
) -> None: ...
