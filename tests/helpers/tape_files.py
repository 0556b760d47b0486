"""Tapes of many kinds, their files taken apart, damaged and compared."""

import copy
import json
import math
import random
import struct
import warnings
import zlib

from helpers.random_graphs import step

import fastgrad as fg
from fastgrad import nn, ops
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.program import structure
from fastgrad.engine import Value

NUMBERS = (0, 1, 2, 3, 7, 8, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
ODD = (
    *NUMBERS, -1, 2**53, 2**63, 2**64, 10**400, 0.5, 1e400, True, None, "", "a", "dot", "take",
    [], {},
    [0], [[]], [1, 2, 3], {"shape": []}, {"shape": [0]}, {"shape": [2**31 - 1]}, {"list": []},
    {"dict": [["k", {"shape": []}]]}, {"tuple": [{"shape": []}]}, "\ud800",
)  # fmt: skip


# -- tapes -----------------------------------------------------------------------------------------


def record_without_warnings(function, *example):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fg.errors.FastgradWarning)
        tape = fg.record(function, *example)
    tape.decisions = []  # they hold wherever it is called, and nan and inf are welcome
    return tape


def random_tape(codes, prologue=(1.5, -0.8, 2.25)):
    """Record a random program of random_graphs.py; what it makes on its way becomes parameters."""
    kept = []

    def program(x, y, z):
        nodes = [x, y, z]
        for code in codes:
            step(Value, nodes, code)
        kept.extend(node for node in nodes[3:] if not node._op)
        return nodes[-1]

    return record_without_warnings(program, *prologue)


def table_tape():
    """Record every operation of the table, some of them nested, and takes."""
    w = [Value(0.1 * i) for i in range(1, 6)]

    def program(x):
        results = []
        for row in ops.native():
            function = getattr(fg.functional, row.functions[0] if row.functions else "pow")
            extra = () if row.parameter is None else (3.0,)
            a = x["a"] + 1.0 if row.name == "acosh" else x["a"]  # which begins at 1
            results.append(function(*[a, x["b"]][: row.arity], *extra))
        chosen = fg.take([w[0], results[0], 2.5, x["a"]], x["i"])
        return {
            "all": results,
            "one": (chosen, fg.take(w, x["i"])),
            7: [[w[4] * x["a"], w[3]]],
            None: {True: w[2]},
        }

    return record_without_warnings(program, {"a": 0.25, "b": 0.5, "i": 1.0})


def model_tape():
    random.seed(3)
    model = nn.MLP(2, [4, 4, 1])
    return fg.record(
        lambda x, y: (1 - y * model(x)).relu() + 1e-4 * sum(p * p for p in model.parameters()),
        [0.1, 0.2], 1.0,
    )  # fmt: skip


def structured_tape():
    w = Value(3.0)

    def program(x, m):
        (a, b), d = x["p"], x[True]
        return {"u": [a * w, b * m[0][1]], -5: (d[0] * d[1], {"v": m[1][0] / w})}

    return record_without_warnings(
        program, {"p": (1.0, 2.0), True: [3.0, 4.0]}, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    )


def dropout_tape():
    w = [Value(0.5), Value(-2.0)]

    def program(x):
        row = fg.functional.dropout([w[0] * v + w[1] for v in x], 0.4)
        return fg.functional.dropout([fg.functional.sum(row) ** 2], 0.1)[0]

    return fg.record(program, [1.0, 2.0, 3.0], parameters=[Value(9.0), *w])  # the first is not read


TAPES = {
    "model": model_tape,
    "structured": structured_tape,
    "table": table_tape,
    "dropout": dropout_tape,
    "input": lambda: fg.record(lambda x, y: x, 1.0, [2.0]),
    "constant": lambda: fg.record(lambda x: Value(math.nan), [1.0]),
}


# -- what a tape computes --------------------------------------------------------------------------


def arguments(tape, number, batch=0):
    """Make arguments of a tape's structure; number() gives each number."""

    def rectangle(extents):
        return [rectangle(extents[1:]) for _ in range(extents[0])] if extents else number()

    def make(spec):
        if type(spec) is Shape:
            return rectangle((batch, *spec.shape) if batch else spec.shape)
        kind, keys, children, _ = spec
        parts = [make(child) for child in children]
        return dict(zip(keys, parts, strict=True)) if kind is dict else kind(parts)

    return [make(spec) for spec in structure(tape)[0]]


def computed(tape, number):
    """Return everything that a tape computes, for one sample and for batches."""
    found = []
    tape.generator = nn.init.Generator(5)
    for batch in (0, 3, 9):
        args = arguments(tape, number, batch)
        found.append(tape(*args))
        if type(structure(tape)[1]) is Shape and not structure(tape)[1].ndim:
            found += [tape.value_and_grad(*args), tape.value_and_grad(*args, wrt="inputs")]
            found.append(tape.value_and_grad(*args, reduce=None))
    return found


def bits(found):
    """Turn results into what tells -0.0 from 0.0 and one nan from another."""
    if isinstance(found, float):
        return struct.pack("<d", found)
    if isinstance(found, dict):
        return {key: bits(part) for key, part in found.items()}
    return type(found)(map(bits, found))


# -- files -----------------------------------------------------------------------------------------


def split(content):
    """Take a file apart: header, description of the tape, data."""
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["tape"]), content[8 + size :]


def raw(header, data):
    if not isinstance(header, bytes):
        header = json.dumps(header).replace("Infinity", "1e400").encode()
    return struct.pack("<Q", len(header)) + header + data


def joined(header, described, data):
    """Put a file together, with the checksum that fits."""
    text = described if isinstance(described, str) else json.dumps(described)
    crc = zlib.crc32(data, zlib.crc32(text.encode()))
    metadata = {**header["__metadata__"], "tape": text, "crc32": f"{crc:08x}"}
    return raw({**header, "__metadata__": metadata}, data)


def with_checksum(content):
    """Give a damaged file the right checksum, if it still has a place for one."""
    try:
        return joined(*split(content))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return content


def replaced(content, tensor, values, code):
    """Put other numbers into a tensor, as many or not, offsets and checksum to fit."""
    header, described, data = split(content)
    parts, end = {}, 0
    for name, entry in header.items():
        if name != "__metadata__":
            parts[name] = data[slice(*entry["data_offsets"])]
    parts[tensor] = struct.pack(f"<{len(values)}{code}", *values)
    for name, part in parts.items():
        size = {"F64": 8, "U32": 4, "U16": 2, "U8": 1}[header[name]["dtype"]]
        header[name]["shape"] = [len(part) // size]
        header[name]["data_offsets"] = [end, end := end + len(part)]
    return joined(header, described, b"".join(parts.values()))


def numbers(content, tensor):
    header, _, data = split(content)
    code = {"F64": "d", "U32": "I", "U16": "H", "U8": "B"}[header[tensor]["dtype"]]
    part = data[slice(*header[tensor]["data_offsets"])]
    return list(struct.unpack(f"<{header[tensor]['shape'][0]}{code}", part)), code


# -- damage ----------------------------------------------------------------------------------------


def flip(rng, content, _):
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def truncate(rng, content, _):
    return content[: rng.randrange(len(content))]


def splice(rng, content, other):
    """Copy a piece of this file or another over, into, or out of this one."""
    begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    at, source = rng.randrange(len(other)), rng.choice((content, other))
    piece = source[at : at + rng.randrange(64)]
    return content[:begin] + piece + content[rng.choice((begin, begin + len(piece), end)) :]


def overwrite(rng, content, _):
    """Put an interesting number into a tensor of indices, or make it longer or shorter."""
    tensor = rng.choice(("a", "b", "terms", "outputs", "operations", "inputs"))
    values, code = numbers(content, tensor)
    most = {"I": 2**32 - 1, "H": 2**16 - 1, "B": 255}[code]
    small = rng.choice((4, 40, 400))
    for _ in range(rng.choice((1, 1, 2, 5))):
        number = rng.choice((rng.choice(NUMBERS), rng.randrange(small))) & most
        if values and rng.random() < 0.95:
            values[rng.randrange(len(values))] = number
        else:
            values.insert(rng.randrange(len(values) + 1), number)
    if values and rng.random() < 0.03:
        del values[rng.randrange(len(values))]
    return replaced(content, tensor, values, code)


def places(value, found):
    """Collect each container with each of its keys, at every depth."""
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            places(value[key], found)
    return found


def edit(rng, content, _):
    """Edit the header or the description: other values, missing and new keys, swapped values."""
    header, described, data = split(content)
    for _ in range(rng.choice((1, 1, 2))):
        found = places(rng.choice((header, described)), [])
        if not found:
            continue
        container, key = rng.choice(found)
        what = rng.randrange(5)
        if what == 0 and isinstance(container, dict):
            container[rng.choice(("new", "sources", "shape", "list"))] = copy.deepcopy(
                rng.choice(ODD)
            )
        elif what == 0:
            container.insert(key, copy.deepcopy(rng.choice(ODD)))
        elif what == 1:
            del container[key]
        elif what == 2:
            other, at = rng.choice(found)
            other[at] = json.loads(json.dumps(container[key]))
        elif what == 3 and type(container[key]) is int:
            container[key] += rng.choice((-8, -4, -1, 1, 4, 8))
        else:
            container[key] = copy.deepcopy(rng.choice(ODD))
    try:
        return joined(header, described, data)
    except (KeyError, TypeError, UnicodeEncodeError, AttributeError):
        return raw(header, data)


def damage(rng, content, other):
    """Return a damaged copy of a file; often with a checksum that hides it."""
    how = rng.choice(
        (flip, truncate, splice, overwrite, overwrite, overwrite, overwrite, edit, edit)
    )
    try:
        damaged = how(rng, content, other)
        if rng.random() < 0.2:
            damaged = rng.choice((flip, splice, edit))(rng, damaged, other)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error):
        damaged = flip(rng, content, other)  # what is damaged already may not come apart
    return with_checksum(damaged) if rng.random() < 0.8 else damaged


# -- whole files -----------------------------------------------------------------------------------


def saved(tape, file):
    tape.save(file)
    return file.read_bytes()


def loaded(content, file):
    file.unlink(missing_ok=True)  # ten times as fast as writing over it, on some file systems
    file.write_bytes(content)
    return fg.load_tape(file)


def number_from(seed):
    rng = random.Random(seed)
    return lambda: float(rng.choice((0, 1, 2, 0.5, -0.25, 3.0)))


def same(tape, other):
    """Compare two tapes in everything that they show and compute; indices may be out of range."""
    assert str(tape) == str(other)
    assert tape.stats() == other.stats()
    assert tape.inputs == other.inputs
    assert bits([p.data for p in tape.parameters]) == bits([p.data for p in other.parameters])

    def outcome(one):
        try:
            return bits(computed(one, number_from(1)))
        except IndexError as error:
            return str(error)

    assert outcome(tape) == outcome(other)
