"""Tape files: a tape as one safetensors file, and back; docs/tape-format.md has the format.

Layer: above _program, below tape.  May import: _engine, _program, _tape, engine, errors.

A file is never believed and never run: names, sizes and structure are checked here, every index in
`_program.restore`. A part that does not fit raises FileFormatError, which names it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import struct
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Any

from fastgrad._engine import VERSION as FASTGRAD
from fastgrad._program import VALUES_MOST, bind, export, opcodes, restore, structure
from fastgrad._tape import Shape
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FileFormatError,
    ShapeError,
    explain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastgrad._tape import TapeCore

__all__ = ["load", "save"]

FORMAT, VERSION = "fastgrad.tape", "1"
DEPTH = 64  # of structures, and of arrays: NumPy's limit
HEADER_MOST = 100_000_000  # bytes: that of safetensors
SIZES = {"F64": 8, "U32": 4, "U16": 2, "U8": 1}
TENSORS = {  # in the order of the file: aligned, and by name, as the safetensors package writes
    "constants": "F64", "parameters": "F64",
    "a": "U32", "b": "U32", "outputs": "U32", "sources": "U32", "terms": "U32",
    "operations": "U16", "inputs": "U8",
}  # fmt: skip
OPTIONAL = {"sources"}
METADATA = {"format", "version", "fastgrad", "crc32", "tape"}


class _FaultError(Exception):
    """Carries what was expected, what came, where, and perhaps a remedy."""


# -- save ------------------------------------------------------------------------------------------


def save(tape: Any, path: str | os.PathLike[str]) -> None:
    """Write a tape to a file, which appears complete or not at all: see `Tape.save`."""
    _replace(_name(path), _packed(tape))


def _packed(tape: Any) -> bytes:
    """Return the bytes of a tape's file: the same for the same tape."""
    arrays, codes = export(tape)
    arguments, result, recorded = structure(tape)
    names = {code: name for name, code in opcodes().items()}
    described = {
        "name": _writable(tape.name),
        "arguments": [
            [_writable(name), _encoded(spec)]
            for name, spec in zip(tape.names, arguments, strict=True)
        ],
        "result": _encoded(result),
        "operations": [names[code] for code in codes],
        "recorded": recorded,
    }
    if tape.places:
        described["sources"] = [[_writable(f), line, _writable(g)] for f, line, g in tape.places]
    else:
        del arrays["sources"]
    text = json.dumps(described, separators=(",", ":"))
    data = b"".join(_little(arrays[name], SIZES[TENSORS[name]]) for name in TENSORS if name in arrays)
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT, "version": VERSION, "fastgrad": FASTGRAD,
            "crc32": _checksum(text, data), "tape": text,
        }
    }  # fmt: skip
    end = 0
    for name, dtype in TENSORS.items():
        if name in arrays:
            begin, end = end, end + len(arrays[name])
            shape = [(end - begin) // SIZES[dtype]]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def _encoded(spec: Any, depth: int = 0) -> dict[str, Any]:
    """Return the structure of an argument or a result in terms of JSON."""
    if type(spec) is Shape:
        if spec.ndim > DEPTH or max(spec.shape, default=0) > VALUES_MOST:
            expected = f"at most {DEPTH} axes of at most {VALUES_MOST}"
            raise FastgradValueError(explain(expected, f"shape {spec.shape}", f"save, {spec.name}"))
        return {"shape": [int(extent) for extent in spec.shape]}
    kind, keys, children, name = spec
    if depth == DEPTH:
        expected = f"at most {DEPTH} levels of nesting"
        raise FastgradValueError(explain(expected, "more", f"save, {name:.80}"))
    parts = [_encoded(child, depth + 1) for child in children]
    if kind is not dict:
        return {kind.__name__: parts}
    for key in keys:
        if not _is_key(key):
            expected = "keys that are text, 64-bit integers, bool or None"
            got = f"{type(key).__name__} {key!r:.80}"
            raise FastgradTypeError(explain(expected, got, f"save, {name}", "rename the keys"))
    return {"dict": [[key, part] for key, part in zip(keys, parts, strict=True)]}


def _is_key(key: Any) -> bool:
    if type(key) is str:
        return _is_text(key)
    return key is None or type(key) is bool or (type(key) is int and -(2**63) <= key < 2**63)


def _is_text(text: Any) -> bool:
    """Tell a str that UTF-8 can encode."""
    return type(text) is str and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _writable(name: Any) -> str:
    """Return a name, less what UTF-8 cannot encode: it is only shown."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def _little(data: bytes, size: int, order: str = sys.byteorder) -> bytes:
    """Turn the machine's byte order into the file's, or back."""
    if order == "little" or size == 1:
        return data
    code = next(code for code in "HIQ" if array(code).itemsize == size)
    numbers = array(code, data)
    numbers.byteswap()
    return numbers.tobytes()


def _checksum(text: str, data: bytes | memoryview) -> str:
    return f"{zlib.crc32(data, zlib.crc32(text.encode())):08x}"


def _name(path: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise FastgradTypeError(
            explain("a path", f"{type(path).__name__} {path!r:.80}", "file of a tape")
        ) from None


def _replace(path: str, content: bytes) -> None:
    """Write a file beside its place and move it there; what is no regular file is written to."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            file.write(content)
        return
    temporary = os.path.join(os.path.dirname(path), f".fastgrad-{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


# -- load ------------------------------------------------------------------------------------------


def load(tape: TapeCore, path: str | os.PathLike[str], parameters: Sequence[Value] | None) -> Any:
    """Fill an empty tape from a file; return its name, its arguments' names, its places."""
    name = _name(path)
    content = _content(name)
    try:
        return _fill(tape, content, parameters)
    except _FaultError as fault:
        expected, got, where, *remedy = fault.args
        raise FileFormatError(explain(expected, got, f"{where} of {name}", *remedy)) from None


def _content(path: str) -> bytes:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a directory raises OSError
        raise FileFormatError(explain("a file", "a device, pipe or socket", path))
    with open(path, "rb") as file:
        return file.read()


def _fill(tape: TapeCore, content: bytes, parameters: Sequence[Value] | None) -> Any:
    """Check everything, in the order in which one part relies on another, then bind."""
    metadata, arrays = _unpacked(content)
    described = _json(metadata["tape"], "tape")
    keys = {"name", "arguments", "result", "operations", "recorded"}
    if "sources" in arrays:
        keys.add("sources")
    _expect_keys(described, keys, "tape")
    name = _expect_text(described["name"], "name")
    codes = _codes(described["operations"])
    recorded = _expect_count(described["recorded"], 2**32 - 1, "recorded")
    names, arguments, n_inputs = _arguments(described["arguments"])
    result, n_outputs = _decoded(described["result"], "result", 0, least=1)
    _expect_length(arrays, "inputs", n_inputs, "the arguments have")
    _expect_length(arrays, "outputs", n_outputs, "the result has")
    n = _length(arrays, "operations")
    for other in ("a", "b", "sources"):
        if other in arrays:
            _expect_length(arrays, other, n, "operations has")
    slots = n + sum(_length(arrays, other) for other in ("inputs", "parameters", "constants"))
    for what, count in (("slots", slots), ("terms", _length(arrays, "terms"))):
        if count > VALUES_MOST:
            raise _FaultError(f"at most {VALUES_MOST} {what}", f"{count}", "tape")
    places = _places(described.get("sources", []))
    fault = restore(tape, arrays, codes, recorded, len(places))
    if fault is not None:
        raise _FaultError(*fault)
    bind(tape, _bound(parameters, arrays), arrays["parameters"], arguments, result)
    return name, names, places


def _unpacked(content: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Take a file apart: the metadata, and the tensors' data in the machine's byte order."""
    if len(content) < 8:
        raise _FaultError("at least 8 bytes", f"{len(content)}", "length")
    (size,) = struct.unpack_from("<Q", content)
    if size > min(len(content) - 8, HEADER_MOST):
        most = min(len(content) - 8, HEADER_MOST)
        raise _FaultError(f"a header of at most {most} bytes", f"{size}", "header length, bytes 0 to 7")
    try:
        header = _json(content[8 : 8 + size].decode(), "header")
    except UnicodeDecodeError as error:
        raise _FaultError("UTF-8", "other bytes", f"header, byte {8 + error.start}") from None
    metadata = header.pop("__metadata__", None) if type(header) is dict else None
    _expect_format(metadata)
    _expect_keys(metadata, METADATA, "__metadata__")
    for key, text in metadata.items():
        _expect_text(text, f"__metadata__, {key}")
    _expect_keys(header, TENSORS.keys() - (OPTIONAL - header.keys()), "header")
    data = memoryview(content)[8 + size :]
    places = [(*_placed(name, entry), name) for name, entry in header.items()]
    arrays, end = {}, 0
    for begin, stop, name in sorted(places):
        if begin != end:
            raise _FaultError(f"{end}, where the tensor before ends", f"{begin}", f"data_offsets of {name}")
        if stop > len(data):
            raise _FaultError(f"an end within {len(data)} bytes", f"{stop}", f"data_offsets of {name}")
        arrays[name] = _little(bytes(data[begin:stop]), SIZES[TENSORS[name]])
        end = stop
    if end != len(data):
        raise _FaultError(f"{end} bytes of data", f"{len(data)}", f"end, byte {8 + size + end}")
    found = _checksum(metadata["tape"], data)
    if metadata["crc32"] != found:
        raise _FaultError(f"crc32 {_shown(metadata['crc32'])}", f"{found!r}", "data and description")
    return metadata, arrays


def _json(text: str, where: str) -> Any:
    """Parse JSON without duplicate keys, NaN or Infinity."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            double = next(key for i, key in enumerate(keys) if key in keys[:i])
            raise _FaultError("different keys", f"{_shown(double)} twice", where)
        return found

    def refuse(constant: str) -> Any:
        raise _FaultError("JSON", constant, where)

    try:
        return json.loads(text, object_pairs_hook=distinct, parse_constant=refuse)
    except json.JSONDecodeError as error:
        got = f"text that is none: {error.msg}"
        raise _FaultError("JSON", got, f"{where}, character {error.pos}") from None
    except RecursionError:
        raise _FaultError("JSON", "too many levels of nesting", where) from None
    except ValueError:  # thousands of digits
        raise _FaultError("JSON", "a number with too many digits", where) from None


def _shown(value: Any) -> str:
    """Show part of a value of any size and depth."""
    if isinstance(value, str):
        return repr(value[:60]) + ("..." if len(value) > 60 else "")
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r:.80}"


def _expect_format(metadata: Any) -> None:
    found = metadata if type(metadata) is dict else {}
    if found.get("format") != FORMAT:
        got = _shown(found["format"]) if "format" in found else "none: a file of something else"
        raise _FaultError(f"format {FORMAT!r}", got, "__metadata__")
    if found.get("version") != VERSION:
        got = _shown(found["version"]) if "version" in found else "none"
        remedy = f"it was written by fastgrad {_shown(found.get('fastgrad'))}; this is {FASTGRAD}"
        raise _FaultError(f"version {VERSION!r}", got, "__metadata__", remedy)


def _expect_keys(found: Any, expected: Any, where: str) -> None:
    if type(found) is not dict:
        raise _FaultError("an object", _shown(found), where)
    for key in expected:
        if key not in found:
            raise _FaultError(f"the key {key!r}", "none", where)
    for key in found:
        if key not in expected:
            raise _FaultError("known keys only", _shown(key), where)


def _expect_text(text: Any, where: str) -> str:
    if not _is_text(text):
        raise _FaultError("text", _shown(text), where)
    return str(text)


def _expect_list(found: Any, where: str, length: int | None = None) -> list[Any]:
    if type(found) is not list or length not in (None, len(found)):
        expected = "a list" if length is None else f"a list of {length}"
        raise _FaultError(expected, _shown(found), where)
    return found


def _expect_count(number: Any, most: int, where: str) -> int:
    if type(number) is not int or not 0 <= number <= most:
        raise _FaultError(f"a whole number of 0 to {most}", _shown(number), where)
    return number


def _placed(name: str, entry: Any) -> tuple[int, int]:
    """Return where a tensor's data begin and end, its type and shape checked."""
    _expect_keys(entry, {"dtype", "shape", "data_offsets"}, name)
    if entry["dtype"] != TENSORS[name]:
        raise _FaultError(f"dtype {TENSORS[name]!r}", _shown(entry["dtype"]), name)
    shape = _expect_list(entry["shape"], f"shape of {name}", 1)
    n = _expect_count(shape[0], 2**53, f"shape of {name}")
    where = f"data_offsets of {name}"
    begin, end = (
        _expect_count(offset, 2**63, where) for offset in _expect_list(entry["data_offsets"], where, 2)
    )
    if end - begin != n * SIZES[TENSORS[name]]:
        expected = f"{n * SIZES[TENSORS[name]]} bytes, as shape and dtype say"
        raise _FaultError(expected, f"{end - begin}", where)
    return begin, end


def _length(arrays: dict[str, bytes], name: str) -> int:
    return len(arrays[name]) // SIZES[TENSORS[name]]


def _expect_length(arrays: dict[str, bytes], name: str, expected: int, why: str) -> None:
    if _length(arrays, name) != expected:
        raise _FaultError(f"{expected} numbers, as {why}", f"{_length(arrays, name)}", name)


def _codes(names: Any) -> list[int]:
    known, found = opcodes(), {}
    for i, name in enumerate(_expect_list(names, "operations")):
        if type(name) is not str or name not in known:
            remedy = "a newer fastgrad may know it"
            raise _FaultError("a known operation", _shown(name), f"operations[{i}]", remedy)
        if name in found:
            raise _FaultError("different operations", f"{name!r} twice", f"operations[{i}]")
        found[name] = known[name]
    return list(found.values())


def _arguments(entries: Any) -> tuple[list[str], list[Any], int]:
    """Return the arguments' names, their structures, and how many inputs they have."""
    names, specs, start = [], [], 0
    for i, entry in enumerate(_expect_list(entries, "arguments")):
        name, described = _expect_list(entry, f"arguments[{i}]", 2)
        names.append(_expect_text(name, f"arguments[{i}]"))
        spec, start = _decoded(described, name, start)
        specs.append(spec)
    return names, specs, start


def _decoded(described: Any, name: str, start: int, least: int = 0, depth: int = 0) -> Any:
    """Return a structure, whose numbers start at `start`, and where they end.

    Names are cut short: a long one would otherwise be there again for each of its parts.
    """
    if depth > DEPTH:
        raise _FaultError(f"at most {DEPTH} levels of nesting", "more", name[:100])
    if type(described) is not dict or len(described) != 1:
        raise _FaultError("a shape, list, tuple or dict", _shown(described), f"structure of {name[:100]}")
    ((kind, parts),) = described.items()
    parts = _expect_list(parts, f"structure of {name[:100]}")
    if kind == "shape":
        return _shape(parts, name, start, least)
    children: list[Any] = []
    if kind in ("list", "tuple"):
        for i, part in enumerate(parts):
            child, start = _decoded(part, f"{name[:100]}[{i}]", start, least, depth + 1)
            children.append(child)
        return (list if kind == "list" else tuple, None, children, name), start
    if kind != "dict":
        raise _FaultError("shape, list, tuple or dict", _shown(kind), f"structure of {name[:100]}")
    keys: dict[Any, None] = {}
    for part in parts:
        key, described = _expect_list(part, f"structure of {name[:100]}", 2)
        if not _is_key(key) or key in keys:
            expected = "different keys: text, 64-bit integers, bool, null"
            raise _FaultError(expected, _shown(key), f"structure of {name[:100]}")
        keys[key] = None
        child, start = _decoded(described, f"{name[:100]}[{key!r:.80}]", start, least, depth + 1)
        children.append(child)
    return (dict, list(keys), children, name), start


def _shape(extents: list[Any], name: str, start: int, least: int) -> tuple[Shape, int]:
    where = f"shape of {name[:100]}"
    if len(extents) > DEPTH:
        raise _FaultError(f"at most {DEPTH} axes", f"{len(extents)}", where)
    for extent in extents:
        if _expect_count(extent, VALUES_MOST, where) < least:
            raise _FaultError("at least 1", "0", where)
    end = start + math.prod(extents)
    if end > VALUES_MOST:
        raise _FaultError(f"at most {VALUES_MOST} numbers", f"{end}", where)
    return Shape(tuple(extents), start, name), end


def _places(entries: Any) -> list[tuple[str, int, str]]:
    """Return the places in the user's program that operations came from."""
    places = []
    for i, entry in enumerate(_expect_list(entries, "sources")):
        file, line, function = _expect_list(entry, f"sources[{i}]", 3)
        for text in (file, function):
            _expect_text(text, f"sources[{i}]")
        places.append((file, _expect_count(line, 2**31 - 1, f"sources[{i}]"), function))
    return places


def _bound(parameters: Sequence[Value] | None, arrays: dict[str, bytes]) -> list[Value]:
    """Return the Values that become the tape's parameters: those given, or new ones."""
    n = _length(arrays, "parameters")
    if parameters is None:
        return [Value(0.0) for _ in range(n)]
    where = "parameters of load_tape"
    found = list(parameters)
    for value in found:
        if not isinstance(value, Value) or value._prev:
            got = f"{type(value).__name__} {value!r:.80}"
            raise FastgradTypeError(explain("Values that are no results", got, where))
    if len(found) != n or len(set(map(id, found))) != n:
        got = f"{len(found)}" + (", some of them twice" if len(found) == n else "")
        raise ShapeError(explain(f"{n} different Values, as the tape has", got, where))
    return found
