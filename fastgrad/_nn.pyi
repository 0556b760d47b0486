from collections.abc import Iterable
from typing import Any

from fastgrad.engine import Value

LINEAR: int
ACTIVATIONS: dict[str, tuple[int, str]]

class NeuronCore:
    w: list[Value]
    b: Value
    nonlin: bool
    activation: str
    def __call__(self, x: Iterable[Any]) -> Value: ...
    def __setstate__(self, state: dict[str, Any]) -> None: ...

def call_layer(neurons: list[Any], inputs: list[Any]) -> Any: ...
def call_layers(layers: list[Any], inputs: list[Any]) -> Any: ...
def set_layer_call(function: object) -> None: ...
def zero_grads(parameters: Iterable[Any]) -> None: ...
