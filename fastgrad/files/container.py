"""Containers: named arrays and texts in one safetensors file, written and read with suspicion.

What a file says is checked before it is used: no number in it decides how much memory is taken, and
what does not fit raises FaultError, which a loader turns into FileFormatError with the file's name.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import struct
import sys
from array import array
from typing import Any, BinaryIO

from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FileFormatError,
    describe,
    explain,
)
from fastgrad.errors import show as show_any

__all__ = [
    "SIZES",
    "FaultError",
    "expect_count",
    "expect_keys",
    "expect_list",
    "expect_text",
    "header_and_data",
    "is_text",
    "little",
    "pack",
    "parse_json",
    "path_text",
    "read_file",
    "read_from",
    "show",
    "tensors",
    "write_file",
    "write_to",
]

HEADER_MAX = 100_000_000  # bytes: that of the safetensors package
FOR_BYTES = "a file opened for bytes"
PIECE = 4 << 20  # bytes that are written at once: some milliseconds
SIZES = {  # bytes of a number
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip
AXES_MAX = 64


class FaultError(Exception):
    """Carries what was expected, what came, where, and perhaps a remedy."""


# -- files -----------------------------------------------------------------------------------------


def path_text(path: str | os.PathLike[str]) -> str:
    """Return a path as a str; raise FastgradTypeError if it is none."""
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise FastgradTypeError(explain("a path", describe(path), "file")) from None
    if not name:
        raise FastgradValueError(explain("a path", describe(path), "file"))
    return name


def read_file(path: str) -> bytes:
    """Read a regular file; FileFormatError for a device or a pipe, which might never end."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a directory raises OSError
        raise FileFormatError(explain("a file", "a device, pipe or socket", path))
    with open(path, "rb") as file:
        return file.read()


def write_file(path: str, content: bytes) -> None:
    """Write a file beside its place and move it there; what is no regular file is written to."""
    given, path = path, os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            write_pieces(file, content)
        return
    temporary = os.path.join(os.path.dirname(path), f".fastgrad-{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            write_pieces(file, content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):  # it names the temporary file, of which nobody knows
            raise OSError(error.errno, error.strerror, given) from None
        raise


def write_pieces(file: BinaryIO, content: bytes) -> None:
    """Write piece by piece, so that Ctrl-C need not wait for the disk to take it all."""
    view = memoryview(content)
    file.writelines(view[begin : begin + PIECE] for begin in range(0, len(view), PIECE))


def read_from(source: str | os.PathLike[str] | BinaryIO) -> tuple[str, bytes]:
    """Return the name and the content of a path, or of what is left of a file that is open."""
    if not hasattr(source, "read"):
        name = path_text(source)
        return name, read_file(name)
    content = source.read()
    if not isinstance(content, bytes):
        raise FastgradTypeError(explain(FOR_BYTES, f"{describe(content)} from it", "file"))
    return str(getattr(source, "name", "an open file")), content


def write_to(target: str | os.PathLike[str] | BinaryIO, content: bytes) -> None:
    """Write to a path, which has all of it or what it had, or on in a file that is open."""
    if not hasattr(target, "write"):
        write_file(path_text(target), content)
        return
    view = memoryview(content)
    while view:
        try:
            written = target.write(view[:PIECE])
        except TypeError:
            raise FastgradTypeError(explain(FOR_BYTES, describe(target), "file")) from None
        view = view[PIECE if written is None else written :]  # a raw file may take a part


# -- the layout: length of the header, header, data ------------------------------------------------


def pack(
    metadata: dict[str, str],
    arrays: dict[str, bytes],
    dtypes: dict[str, str],
    shapes: dict[str, tuple[int, ...]] | None = None,
) -> bytes:
    """Return the bytes of a file of little-endian arrays, which are flat without shapes."""
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, data in arrays.items():
        begin, end = end, end + len(data)
        header[name] = {
            "dtype": dtypes[name],
            "shape": shapes[name] if shapes else [len(data) // SIZES[dtypes[name]]],
            "data_offsets": [begin, end],
        }
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *arrays.values()])


def header_and_data(content: bytes) -> tuple[dict[str, Any], memoryview, int]:
    """Return a file's header as an object, its data, and where they begin."""
    if len(content) < 8:
        raise FaultError("at least 8 bytes", f"{len(content)}", "length")
    (size,) = struct.unpack_from("<Q", content)
    most = min(len(content) - 8, HEADER_MAX)
    if size > most:
        raise FaultError(f"a header of at most {most} bytes", f"{size}", "bytes 0 to 7")
    try:
        text = content[8 : 8 + size].decode()
    except UnicodeDecodeError as error:
        raise FaultError("UTF-8", "other bytes", f"header, byte {8 + error.start}") from None
    header = parse_json(text, "header")
    if type(header) is not dict:
        raise FaultError("an object", show(header), "header")
    return header, memoryview(content)[8 + size :], 8 + size


def tensors(
    header: dict[str, Any],
    data: memoryview,
    start: int,
    dtypes: dict[str, str],
    axes: int | None = 1,
) -> dict[str, bytes]:
    """Return the little-endian arrays that a header, less its metadata, names.

    They lie one after another, fill the data, and have the types of `dtypes` and so many axes; None
    stands for any number.
    """
    arrays, end = {}, 0
    placed = [(*_placed(name, entry, dtypes[name], axes), name) for name, entry in header.items()]
    for begin, stop, name in sorted(placed):
        if begin != end:
            where = f"data_offsets of {name}"
            raise FaultError(f"{end}, where the tensor before ends", f"{begin}", where)
        if stop > len(data):
            where = f"data_offsets of {name}"
            raise FaultError(f"an end within {len(data)} bytes", f"{stop}", where)
        arrays[name] = bytes(data[begin:stop])
        end = stop
    if end != len(data):
        raise FaultError(f"{end} bytes of data", f"{len(data)}", f"end, byte {start + end}")
    return arrays


def _placed(name: str, entry: Any, dtype: str, axes: int | None) -> tuple[int, int]:
    """Return where a tensor's data begin and end, its type and shape checked."""
    expect_keys(entry, {"dtype", "shape", "data_offsets"}, name)
    if entry["dtype"] != dtype:
        raise FaultError(f"dtype {dtype!r}", show(entry["dtype"]), name)
    shape = expect_list(entry["shape"], f"shape of {name}", axes)
    if len(shape) > AXES_MAX:
        raise FaultError(f"at most {AXES_MAX} axes", f"{len(shape)}", f"shape of {name}")
    n = math.prod(expect_count(extent, 2**53, f"shape of {name}") for extent in shape)
    where = f"data_offsets of {name}"
    offsets = expect_list(entry["data_offsets"], where, 2)
    begin, end = (expect_count(offset, 2**63, where) for offset in offsets)
    if end - begin != n * SIZES[dtype]:
        expected = f"{n * SIZES[dtype]} bytes, as shape and dtype say"
        raise FaultError(expected, f"{end - begin}", where)
    return begin, end


def little(data: bytes, size: int, order: str = sys.byteorder) -> bytes:
    """Turn the machine's byte order into the file's, or back."""
    if order == "little" or size == 1:
        return data
    code = next(code for code in "HIQ" if array(code).itemsize == size)
    numbers = array(code, data)
    numbers.byteswap()
    return numbers.tobytes()


# -- the header: JSON, piece by piece --------------------------------------------------------------


def parse_json(text: str, where: str) -> Any:
    """Parse JSON without duplicate keys, NaN or Infinity."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise FaultError("different keys", f"{show(key)} twice", where)
            found[key] = value
        return found

    def refuse(constant: str) -> Any:
        raise FaultError("JSON", constant, where)

    try:
        return json.loads(text, object_pairs_hook=distinct, parse_constant=refuse)
    except json.JSONDecodeError as error:
        got = f"text that is none: {error.msg}"
        raise FaultError("JSON", got, f"{where}, character {error.pos}") from None
    except RecursionError:
        raise FaultError("JSON", "too many levels of nesting", where) from None
    except ValueError:  # thousands of digits
        raise FaultError("JSON", "a number with too many digits", where) from None


def is_text(text: Any) -> bool:
    """Tell a str that UTF-8 can encode."""
    try:
        return type(text) is str and text.encode() is not None
    except UnicodeEncodeError:
        return False


def show(value: Any) -> str:
    """Show part of a value of any size and depth."""
    if isinstance(value, str):
        return repr(value[:60]) + ("..." if len(value) > 60 else "")
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return show_any(value)


def expect_keys(found: Any, expected: Any, where: str) -> None:
    """Raise FaultError unless an object has these keys and no others."""
    if type(found) is not dict:
        raise FaultError("an object", show(found), where)
    for key in expected:
        if key not in found:
            raise FaultError(f"the key {key!r}", "none", where)
    for key in found:
        if key not in expected:
            raise FaultError("known keys only", show(key), where)


def expect_text(text: Any, where: str) -> str:
    """Return a text; raise FaultError for anything else."""
    if not is_text(text):
        raise FaultError("text", show(text), where)
    return str(text)


def expect_list(found: Any, where: str, length: int | None = None) -> list[Any]:
    """Return a list, of that length if one is given; raise FaultError for anything else."""
    if type(found) is not list or length not in (None, len(found)):
        expected = "a list" if length is None else f"a list of {length}"
        raise FaultError(expected, show(found), where)
    return found


def expect_count(number: Any, most: int, where: str) -> int:
    """Return a whole number of 0 to most; raise FaultError for anything else, a bool too."""
    if type(number) is not int or not 0 <= number <= most:
        raise FaultError(f"a whole number of 0 to {most}", show(number), where)
    return number
