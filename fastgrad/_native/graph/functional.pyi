from typing import Any

def __getattr__(name: str) -> Any: ...  # as fastgrad.functional has them
