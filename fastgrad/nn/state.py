"""State files: a model's numbers by name, as safetensors; and a table of what a model has."""

from __future__ import annotations

import os
import struct
from array import array
from typing import Any

from fastgrad.errors import FastgradTypeError, FileFormatError, describe, explain
from fastgrad.files import container
from fastgrad.files.container import FaultError
from fastgrad.nn.module import IncompatibleKeys, Module, flat_of, nested

__all__ = ["load", "read_state", "save", "summary", "write_state"]


def write_state(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write nested lists of numbers by name, as float64: see `save`."""
    arrays, dtypes, shapes = {}, {}, {}
    for name, item in state.items():
        numbers, shapes[name] = flat_of(item, name)
        arrays[name] = container.little(array("d", numbers).tobytes(), 8)
        dtypes[name] = "F64"
    content = container.pack({"format": "pt"}, arrays, dtypes, shapes)
    container.write_file(container.path_text(path), content)


def save(model: Module, path: str | os.PathLike[str]) -> None:
    """Write a model's state to a file, which `load` and ``safetensors`` read.

    Parameters
    ----------
    model : Module
        Its `Module.state_dict` is written.
    path : str or path
        It is replaced when the whole file has been written.

    Raises
    ------
    FastgradTypeError
        If the model is no Module, or the path none.
    OSError
        If the file cannot be written.

    Notes
    -----
    The file holds float64 arrays under PyTorch's names, no code: ``safetensors.torch.load_file``
    gives what a PyTorch module of the same names loads. The same state gives the same bytes.
    """
    write_state(path, _expect_module(model, "save").state_dict())


def load(model: Module, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
    """Set a model's parameters and buffers to those of a safetensors file.

    Parameters
    ----------
    model : Module
        Of the file's names and shapes.
    path : str or path
        A file of `save`, or of PyTorch's; float64, float32, float16 or bfloat16, or integers.
    strict : bool
        As for `Module.load_state_dict`.

    Returns
    -------
    (missing_keys, unexpected_keys)

    Raises
    ------
    FileFormatError
        If it is no such file, or damaged.
    FastgradValueError
        If names do not fit, and `strict` asks for it; ShapeError if shapes do not. Nothing has been
        set then.
    FastgradTypeError
        If the model is no Module, or the path none.
    OSError
        If the file cannot be read.

    Notes
    -----
    Safe with a stranger's file: it is checked before it is used, and holds no code.
    """
    return _expect_module(model, "load").load_state_dict(read_state(path), strict)


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read nested lists of floats by name: see `load`."""
    text = container.path_text(path)
    content = container.read_file(text)
    try:
        header, data, start = container.header_and_data(content)
        metadata = header.pop("__metadata__", {})
        if type(metadata) is not dict:
            raise FaultError("an object", container.show(metadata), "__metadata__")
        dtypes = {name: _dtype(entry, name) for name, entry in header.items()}
        arrays = container.tensors(header, data, start, dtypes, axes=None)
    except FaultError as fault:
        expected, got, where, *remedy = fault.args
        raise FileFormatError(explain(expected, got, f"{text}: {where}", *remedy)) from None
    return {
        name: nested(_floats(arrays[name], dtypes[name]), tuple(header[name]["shape"]))
        for name in header
    }


_CODES = {"F64": "d", "F32": "f", "I64": "q", "I32": "i", "U8": "B"}


def _dtype(entry: Any, name: str) -> str:
    """Return the type of a tensor that can be read."""
    container.expect_keys(entry, {"dtype", "shape", "data_offsets"}, name)
    known = (*_CODES, "F16", "BF16")
    if entry["dtype"] not in known:
        expected, got = f"one of {', '.join(known)}", container.show(entry["dtype"])
        raise FaultError(expected, got, f"dtype of {name}")
    return str(entry["dtype"])


def _floats(data: bytes, dtype: str) -> list[float]:
    """Return the numbers in little-endian bytes."""
    if dtype == "F16":
        return [number for (number,) in struct.iter_unpack("<e", data)]
    if dtype == "BF16":  # the upper half of a float32
        data = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
        dtype = "F32"
    return [float(number) for (number,) in struct.iter_unpack(f"<{_CODES[dtype]}", data)]


def _expect_module(model: Any, name: str) -> Module:
    if not isinstance(model, Module):
        got = describe(model)
        raise FastgradTypeError(explain("a Module", got, f"model of nn.{name}"))
    return model


def summary(model: Module) -> str:
    """List a model's modules and parameters.

    Parameters
    ----------
    model : Module
        Any.

    Returns
    -------
    str
        A line for each entry of `Module.named_parameters`: its name, its shape, how many Values.

    Raises
    ------
    FastgradTypeError
        If the model is no Module.

    Examples
    --------
    >>> from fastgrad import nn
    >>> print(nn.summary(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))))
    name      shape   parameters
    0.weight  (3, 2)           6
    0.bias    (3,)             3
    2.weight  (1, 3)           3
    2.bias    (1,)             1
    Sequential                13
    """
    rows = [("name", "shape", "parameters")]
    for name, item in _expect_module(model, "summary").named_parameters():
        numbers, shape = flat_of(item, name)
        rows.append((name, str(shape), f"{len(numbers):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        f"{name:{widths[0]}}  {shape:{widths[1]}}  {count:>{widths[2]}}"
        for name, shape, count in rows
    ]
    total = f"{model.num_parameters():,}"
    kind = type(model).__name__
    width = sum(widths) + 4
    lines.append(f"{kind}{total:>{max(width - len(kind), len(total) + 2)}}")
    return "\n".join(lines)
