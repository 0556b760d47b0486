from collections.abc import Callable
from typing import Any

from fastgrad.engine import Value as Value

def set_array_protocol(load: Callable[[], Any]) -> None: ...
def set_scalar_functions(functions: dict[Any, Callable[..., Any]]) -> None: ...
