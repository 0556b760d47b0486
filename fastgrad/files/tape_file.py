"""Tape files: a tape as one safetensors file, and back; docs/tape-format.md has the format.

A file is never believed and never run: names, sizes and structure are checked here, every index in
`_program.restore`. A part that does not fit raises FileFormatError, which names it.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from fastgrad._native.base.errors import items_expect
from fastgrad._native.graph.engine import VERSION as FASTGRAD
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.inspect import dropouts
from fastgrad._native.tape.program import VALUES_MAX, bind, export, opcodes, restore, structure
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FileFormatError,
    ShapeError,
    TapeError,
    describe,
    explain,
)
from fastgrad.files.container import (
    SIZES,
    FaultError,
    expect_count,
    expect_keys,
    expect_list,
    expect_text,
    header_and_data,
    is_text,
    little,
    pack,
    parse_json,
    read_from,
    show,
    tensors,
    write_to,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from fastgrad._native.tape.replay import Replay

__all__ = ["dumped", "load", "loads", "packed", "save"]

FORMAT, VERSION, VERSIONS = "fastgrad.tape", "2", ("1", "2")  # written; read
KEYS = "text, 64-bit integers, bool, None"
EMPTY_MAX = 1 << 16  # of a shape without numbers: lists are made of it all the same
DEPTH = 64  # of structures, and of arrays: NumPy's limit
TENSORS = {  # in the order of the file: aligned, and by name, as the safetensors package writes
    "constants": "F64", "parameters": "F64",
    "a": "U32", "b": "U32", "outputs": "U32", "sources": "U32", "terms": "U32",
    "operations": "U16", "inputs": "U8",
}  # fmt: skip
OPTIONAL = {"sources"}
METADATA = {"format", "version", "fastgrad", "crc32", "tape"}


# -- save ------------------------------------------------------------------------------------------


def dumped(tape: Any, where: str) -> bytes:
    """Return the bytes of a tape's file, if a file can hold it: see `Tape.dumps`."""
    for operation in tape.custom_operations:
        got = f"the custom operation {operation.name!r}"
        remedy = "pickle the tape, or write it with fastgrad.functional and without partials"
        raise TapeError(explain("operations that a file can hold", got, where, remedy))
    return packed(tape)


def save(tape: Any, target: str | os.PathLike[str] | BinaryIO) -> None:
    """Write a tape to a file: see `Tape.save`."""
    write_to(target, dumped(tape, "save"))


def packed(tape: Any) -> bytes:
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
    if tape.decisions:
        described["decisions"] = [_described(decision) for decision in tape.decisions]
    if drawn := dropouts(tape):
        described["random"] = [["dropout", p, n] for p, n in drawn]
        described["training"] = tape.training
    text = json.dumps(described, separators=(",", ":"))
    arrays = {name: _turned(name, arrays[name]) for name in TENSORS if name in arrays}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "fastgrad": FASTGRAD,
        "crc32": _checksum(text, *arrays.values()),
        "tape": text,
    }
    return pack(metadata, arrays, TENSORS)


def _described(decision: Any) -> list[Any]:
    if decision.place is None:
        return [_writable(decision.what), None]
    file, line, function = decision.place
    return [_writable(decision.what), [_writable(file), line or 0, _writable(function)]]


def _encoded(spec: Any, depth: int = 0) -> dict[str, Any]:
    """Return the structure of an argument or a result in terms of JSON."""
    if type(spec) is Shape:
        if spec.ndim > DEPTH or max(spec.shape, default=0) > VALUES_MAX:
            expected = f"at most {DEPTH} axes of at most {VALUES_MAX}"
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
            got = describe(key)
            remedy = "rename the keys"
            raise FastgradTypeError(explain(f"keys: {KEYS}", got, f"save, {name:.80}", remedy))
    return {"dict": [[key, part] for key, part in zip(keys, parts, strict=True)]}


def _is_key(key: Any) -> bool:
    if type(key) is str:
        return is_text(key)
    return key is None or type(key) is bool or (type(key) is int and -(2**63) <= key < 2**63)


def _writable(name: Any) -> str:
    """Return a name, less what UTF-8 cannot encode: it is only shown."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def _turned(name: str, data: bytes) -> bytes:
    """Turn a tensor from the machine's byte order to the file's, or back."""
    return little(data, SIZES[TENSORS[name]])


def _checksum(text: str, *data: bytes | memoryview) -> str:
    found = zlib.crc32(text.encode())
    for part in data:
        found = zlib.crc32(part, found)
    return f"{found:08x}"


# -- load ------------------------------------------------------------------------------------------


def load(
    tape: Replay,
    source: str | os.PathLike[str] | BinaryIO,
    parameters: Sequence[Value] | None,
) -> Any:
    """Fill an empty tape from a file; return its name, its arguments' names, places, decisions."""
    name, content = read_from(source)
    return loads(tape, content, parameters, name)


def loads(
    tape: Replay,
    content: bytes,
    parameters: Sequence[Value] | None,
    name: str = "the bytes of a tape",
    custom_operations: tuple[Any, ...] = (),
) -> Any:
    """The same from a file's bytes; custom operations, which no file has, come with a pickle."""
    try:
        return _fill(tape, content, parameters, custom_operations)
    except FaultError as fault:
        expected, got, where, *remedy = fault.args
        raise FileFormatError(explain(expected, got, f"{where} of {name}", *remedy)) from None


def _fill(
    tape: Replay,
    content: bytes,
    parameters: Sequence[Value] | None,
    custom_operations: tuple[Any, ...],
) -> Any:
    """Check everything, in the order in which one part relies on another, then bind."""
    metadata, arrays = _unpacked(content)
    described = parse_json(metadata["tape"], "tape")
    keys = {"name", "arguments", "result", "operations", "recorded"}
    if "sources" in arrays:
        keys.add("sources")
    if type(described) is dict:
        keys |= described.keys() & {"decisions"}  # not in the first files of version 1
        if "random" in described and metadata["version"] != "1":
            keys |= {"random", "training"}
    expect_keys(described, keys, "tape")
    name = expect_text(described["name"], "name")
    codes = _codes(described["operations"], custom_operations)
    recorded = expect_count(described["recorded"], 2**32 - 1, "recorded")
    names, arguments, n_inputs = _arguments(described["arguments"])
    result, n_outputs = _decoded(described["result"], "result", 0, least=1)
    drawn, n_drawn = _random(described.get("random", []))
    training = _flag(described.get("training", True), "training")
    owners = "the arguments have" if not drawn else "arguments and random numbers have"
    _expect_length(arrays, "inputs", n_inputs + n_drawn, owners)
    _expect_length(arrays, "outputs", n_outputs, "the result has")
    n = _length(arrays, "operations")
    for other in ("a", "b", "sources"):
        if other in arrays:
            _expect_length(arrays, other, n, "operations has")
    slots = n + sum(_length(arrays, other) for other in ("inputs", "parameters", "constants"))
    for what, count in (("slots", slots), ("terms", _length(arrays, "terms"))):
        if count > VALUES_MAX:
            raise FaultError(f"at most {VALUES_MAX} {what}", f"{count}", "tape")
    places = _places(described.get("sources", []))
    decisions = _decisions(described.get("decisions", []))
    fault = restore(tape, arrays, codes, recorded, len(places), custom_operations, drawn)
    if fault is not None:
        raise FaultError(*fault)
    bind(tape, _bound(parameters, arrays), arrays["parameters"], arguments, result)
    tape.training = training
    return name, names, places, decisions


def _unpacked(content: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Take a file apart: the metadata, and the tensors' data in the machine's byte order."""
    header, data, start = header_and_data(content)
    metadata = header.pop("__metadata__", None)
    _expect_format(metadata)
    expect_keys(metadata, METADATA, "__metadata__")
    for key, text in metadata.items():
        expect_text(text, f"__metadata__, {key}")
    expect_keys(header, TENSORS.keys() - (OPTIONAL - header.keys()), "header")
    arrays = tensors(header, data, start, TENSORS)
    found = _checksum(metadata["tape"], data)
    if metadata["crc32"] != found:
        expected = f"crc32 {show(metadata['crc32'])}"
        raise FaultError(expected, f"{found!r}", "data and description")
    return metadata, {name: _turned(name, array) for name, array in arrays.items()}


def _expect_format(metadata: Any) -> None:
    found = metadata if type(metadata) is dict else {}
    if found.get("format") != FORMAT:
        got = show(found["format"]) if "format" in found else "none: a file of something else"
        raise FaultError(f"format {FORMAT!r}", got, "__metadata__")
    if found.get("version") not in VERSIONS:
        got = show(found["version"]) if "version" in found else "none"
        remedy = f"it was written by fastgrad {show(found.get('fastgrad'))}; this is {FASTGRAD}"
        raise FaultError("version " + " or ".join(map(repr, VERSIONS)), got, "__metadata__", remedy)


def _length(arrays: dict[str, bytes], name: str) -> int:
    return len(arrays[name]) // SIZES[TENSORS[name]]


def _expect_length(arrays: dict[str, bytes], name: str, expected: int, why: str) -> None:
    if _length(arrays, name) != expected:
        raise FaultError(f"{expected} numbers, as {why}", f"{_length(arrays, name)}", name)


def _codes(names: Any, custom_operations: tuple[Any, ...]) -> list[int]:
    known, found = opcodes(), {}
    if not custom_operations:  # as of every file
        del known["custom"]
    for i, name in enumerate(expect_list(names, "operations")):
        if type(name) is not str or name not in known:
            remedy = "a newer fastgrad may know it"
            raise FaultError("a known operation", show(name), f"operations[{i}]", remedy)
        if name in found:
            raise FaultError("different operations", f"{name!r} twice", f"operations[{i}]")
        found[name] = known[name]
    return list(found.values())


def _arguments(entries: Any) -> tuple[list[str], list[Any], int]:
    """Return the arguments' names, their structures, and how many inputs they have."""
    names, specs, start = [], [], 0
    for i, entry in enumerate(expect_list(entries, "arguments")):
        name, described = expect_list(entry, f"arguments[{i}]", 2)
        names.append(expect_text(name, f"arguments[{i}]"))
        spec, start = _decoded(described, name, start)
        specs.append(spec)
    return names, specs, start


def _decoded(described: Any, name: str, start: int, least: int = 0, depth: int = 0) -> Any:
    """Return a structure, whose numbers start at `start`, and where they end.

    Names are cut short: a long one would otherwise be there again for each of its parts.
    """
    short = name[:100]
    where = f"structure of {short}"
    if depth > DEPTH:
        raise FaultError(f"at most {DEPTH} levels of nesting", "more", where)
    if type(described) is not dict or len(described) != 1:
        raise FaultError("a shape, list, tuple or dict", show(described), where)
    ((kind, parts),) = described.items()
    expect_list(parts, where)
    if kind == "shape":
        return _shape(parts, short, start, least)
    if kind not in ("list", "tuple", "dict"):
        raise FaultError("a shape, list, tuple or dict", show(kind), where)
    keys: dict[Any, None] = {}
    children: list[Any] = []
    for i, part in enumerate(parts):
        key, inner = expect_list(part, where, 2) if kind == "dict" else (i, part)
        if not _is_key(key) or key in keys:
            raise FaultError(f"different keys: {KEYS}", show(key), where)
        keys[key] = None
        child, start = _decoded(inner, f"{short}[{key!r}]", start, least, depth + 1)
        children.append(child)
    if kind == "dict":
        return (dict, list(keys), children, short), start
    return (list if kind == "list" else tuple, None, children, short), start


def _shape(extents: list[Any], name: str, start: int, least: int) -> tuple[Shape, int]:
    where = f"shape of {name}"
    if len(extents) > DEPTH:
        raise FaultError(f"at most {DEPTH} axes", f"{len(extents)}", where)
    for extent in extents:
        if expect_count(extent, VALUES_MAX, where) < least:
            raise FaultError("at least 1", "0", where)
    end = start + math.prod(extents)
    if end > VALUES_MAX:
        raise FaultError(f"at most {VALUES_MAX} numbers", f"{end}", where)
    if end == start and math.prod(extent or 1 for extent in extents) > EMPTY_MAX:
        raise FaultError(f"at most {EMPTY_MAX} empty lists", f"shape {extents}", where)
    return Shape(tuple(extents), start, name), end


def _random(entries: Any) -> tuple[list[tuple[float, int]], int]:
    """Return the dropouts, p and a number of factors each, and how many inputs they are."""
    found, total = [], 0
    for i, entry in enumerate(expect_list(entries, "random")):
        where = f"random[{i}]"
        if type(entry) is list and entry and entry[0] != "dropout":
            remedy = "a newer fastgrad may know it"
            raise FaultError("known random numbers, dropout", show(entry[0]), where, remedy)
        _, p, n = expect_list(entry, where, 3)
        if type(p) not in (int, float) or not 0 <= p <= 1:
            raise FaultError("a probability", show(p), where)
        total += expect_count(n, VALUES_MAX, where)
        found.append((float(p), n))
    return found, total


def _flag(flag: Any, where: str) -> bool:
    if type(flag) is not bool:
        raise FaultError("true or false", show(flag), where)
    return flag


def _places(entries: Any) -> list[tuple[str, int, str]]:
    """Return the places in the user's program that operations came from."""
    entries = expect_list(entries, "sources")
    return [_place(entry, f"sources[{i}]") for i, entry in enumerate(entries)]


def _place(entry: Any, where: str) -> tuple[str, int, str]:
    file, line, function = expect_list(entry, where, 3)
    for text in (file, function):
        expect_text(text, where)
    return file, expect_count(line, 2**31 - 1, where), function


def _decisions(entries: Any) -> list[tuple[str, tuple[str, int, str] | None]]:
    """Return what the recording has frozen: a word for it, and its place if it has one."""
    decisions = []
    for i, entry in enumerate(expect_list(entries, "decisions")):
        what, place = expect_list(entry, f"decisions[{i}]", 2)
        expect_text(what, f"decisions[{i}]")
        decisions.append((what, None if place is None else _place(place, f"decisions[{i}]")))
    return decisions


def _bound(parameters: Sequence[Value] | None, arrays: dict[str, bytes]) -> list[Value]:
    """Return the Values that become the tape's parameters: those given, or new ones."""
    n = _length(arrays, "parameters")
    if parameters is None:
        return [Value(0.0) for _ in range(n)]
    where = "parameters of load_tape"
    found = items_expect(parameters, "a list of Values", where)
    for value in found:
        if not isinstance(value, Value) or value._prev:
            got = describe(value)
            raise FastgradTypeError(explain("Values that are leaves", got, where))
    if len(found) != n or len(set(map(id, found))) != n:
        got = f"{len(found)}" + (", some of them twice" if len(found) == n else "")
        raise ShapeError(explain(f"{n} different Values, as the tape has", got, where))
    return found
