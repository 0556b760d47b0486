from array import array

from fastgrad._native.tape.replay import Replay

def pattern(tape: Replay, first: int, n: int) -> list[array[int]]: ...
def colour_columns(
    row_starts: array[int],
    columns: array[int],
    column_starts: array[int],
    rows: array[int],
    order: array[int],
) -> array[int]: ...
def colour_star(starts: array[int], edges: array[int], order: array[int]) -> array[int]: ...
