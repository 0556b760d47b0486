"""Damaged tape files and other content: refused with a message, in bounded memory.

Oracles: the tape that was saved; zlib and struct, which take files apart.
"""

import contextlib
import json
import random
import struct
import tracemalloc

import hypothesis
import pytest
from helpers.processes import SANITIZED
from helpers.tally import tally
from helpers.tape_files import (
    TAPES,
    computed,
    damage,
    joined,
    loaded,
    number_from,
    numbers,
    random_tape,
    raw,
    replaced,
    same,
    saved,
    split,
    structured_tape,
    with_checksum,
)

import fastgrad as fg
from fastgrad.errors import FileFormatError
from fastgrad.files import tape_file

resource = pytest.importorskip("resource", reason="limits the address space")

DAMAGED = min(20 * hypothesis.settings.default.max_examples, 20_000)

pytestmark = pytest.mark.usefixtures("sound_arena")


def refused(content, file, match):
    with pytest.raises(FileFormatError, match=match) as caught:
        loaded(content, file)
    text = str(caught.value)
    assert text.startswith("expected ")
    assert str(file) in text
    assert "\n" not in text
    assert len(text) < 600 + len(str(file))
    tally("tape files: damaged by hand, each with its message")


HEADERS = {
    b"": "expected at least 8 bytes, got 0",
    b"\1\0\0": "expected at least 8 bytes, got 3",
    b"\0" * 8: "expected JSON, got text that is none",
    b"\xff" * 8: "header of at most 0 bytes, got 18446744073709551615",
    struct.pack("<Q", 100) + b"{}": "header of at most 2 bytes, got 100",
    struct.pack("<Q", 2**63) + b"{}" * 50: "header of at most 100 bytes, got 9223372036854775808",
    raw(b"{}", b""): "expected format 'fastgrad.tape', got none: a file of something else",
    raw(b"[]", b""): "expected an object, got a list of 0",
    raw(b"1e400", b""): "expected an object, got inf",
    raw(b"null", b""): "expected an object, got None",
    raw(b"{", b"}"): "expected JSON, got text that is none: .*character 1",
    raw(b"{}}", b""): "expected JSON, got text that is none: Extra data",
    raw(b'{"a": NaN}', b""): "expected JSON, got NaN",
    raw(b'{"a": -Infinity}', b""): "expected JSON, got -Infinity",
    raw(b'{"a": "\xff"}', b""): "expected UTF-8, got other bytes .header, byte 15",
    raw(b"\xef\xbb\xbf{}", b""): "expected JSON, got text that is none",
    raw(b"[" * 100_000, b""): "expected JSON, got too many levels of nesting",
    raw(b'{"a":' * 100_000, b""): "expected JSON, got too many levels of nesting",
    raw(b'{"a": ' + b"9" * 5000 + b"}", b""): "expected JSON, got a number with too many digits",
    raw(b'{"a": 1, "b": 2, "a": 1}', b""): "expected different keys, got 'a' twice",
    raw(b'{"' + b"x" * 999 + b'": [], "__metadata__": 3}', b""): "expected format",
    b"PK\3\4" + b"\0" * 100: "header of at most 96 bytes",
    b"\x80\4\x95\5" + b"cos\nsystem\n(S'true'\ntR.": "header of at most",
}


@pytest.mark.parametrize("content", HEADERS, ids=lambda content: repr(content[:20])[2:-1])
def test_content_that_is_no_container_is_refused(content, file):
    refused(content, file, HEADERS[content])


# Steps into the header or into the description of the tape, a new value, part of the message.
DESCRIPTIONS = [
    ("header __metadata__", None, "expected format"),
    ("header __metadata__ format", "pt", "expected format 'fastgrad.tape', got 'pt'"),
    (
        "header __metadata__ version",
        "3",
        "expected version '1' or '2', got '3' .*written by fastgrad",
    ),
    ("header __metadata__ version", 1, "expected version '1' or '2', got 1"),
    ("header __metadata__ fastgrad", 3, "expected text, got 3 .__metadata__, fastgrad"),
    ("header __metadata__ extra", "x", "expected known keys only, got 'extra'"),
    ("header __metadata__ fastgrad", ..., "expected the key 'fastgrad', got none"),
    ("header extra", {}, "expected known keys only, got 'extra' .header"),
    ("header terms", ..., "expected the key 'terms', got none"),
    ("header terms", 3, "expected an object, got 3 .terms"),
    ("header terms dtype", "F64", "expected dtype 'U32', got 'F64' .terms"),
    ("header terms dtype", "I32", "expected dtype 'U32', got 'I32' .terms"),
    ("header terms dtype", [], "expected dtype 'U32', got a list of 0"),
    ("header terms dtype", ..., "expected the key 'dtype', got none .terms"),
    ("header terms more", 1, "expected known keys only, got 'more' .terms"),
    ("header terms shape", [2, 3], "expected a list of 1, got a list of 2 .shape of terms"),
    ("header terms shape", [], "expected a list of 1, got a list of 0 .shape of terms"),
    ("header terms shape", [-1], "expected a whole number of 0 to .*, got -1 .shape of terms"),
    ("header terms shape", [1e400], "whole number .* got inf .shape of terms"),
    ("header terms shape", [3.0], "whole number .* got 3.0"),
    ("header terms shape", [True], "whole number .* got True"),
    ("header terms shape", [2**60], "whole number .* got 1152921504606846976"),
    ("header terms shape", [2**40], "expected 4398046511104 bytes, as shape and dtype say"),
    ("header terms data_offsets", [0, 4], "expected [0-9]* bytes, as shape and dtype say, got 4"),
    ("header terms data_offsets", [0], "expected a list of 2, got a list of 1"),
    ("header terms data_offsets", ["0", 4], "whole number .* got '0'"),
    ("header terms data_offsets", [-4, 0], "whole number .* got -4"),
    ("header terms data_offsets", [0, 10**30], "whole number .* got 1000000"),
    ("header terms data_offsets", None, "expected a list of 2, got None"),
    ("tape name", 3, "expected text, got 3 .name"),
    ("tape name", "\ud800", "expected text, got '.ud800'"),
    ("tape more", 3, "expected known keys only, got 'more' .tape"),
    ("tape recorded", ..., "expected the key 'recorded', got none .tape"),
    ("tape recorded", -1, "whole number of 0 to 4294967295, got -1 .recorded"),
    ("tape recorded", 2**32, "whole number of 0 to 4294967295, got 4294967296"),
    ("tape recorded", 10**500, "whole number of 0 to 4294967295, got 1000"),
    ("tape sources", [], r"expected one of 0 places, or 0, got \d+ .sources\[0"),
    ("tape decisions", {}, "expected a list, got a dict of 0 .decisions"),
    ("tape decisions", None, "expected a list, got None .decisions"),
    ("tape decisions", ["bool"], "expected a list of 2, got 'bool' .decisions.0"),
    ("tape decisions", [["bool", None], [1, None]], "expected text, got 1 .decisions.1"),
    ("tape decisions", [["bool", []]], "expected a list of 3, got a list of 0 .decisions.0"),
    ("tape decisions", [["bool", ["f", -1, "g"]]], "whole number .* got -1 .decisions.0"),
    ("tape decisions", [["bool", ["f", 1, 2]]], "expected text, got 2 .decisions.0"),
    ("tape operations", "dot", "expected a list, got 'dot' .operations"),
    ("tape operations 0", "sum", "expected a known operation, got 'sum' .operations.0. .*newer"),
    ("tape operations 0", "custom", "expected a known operation, got 'custom'"),
    ("tape operations 0", "leaf", "expected a known operation, got 'leaf'"),
    ("tape operations 0", 5, "expected a known operation, got 5"),
    ("tape operations 0", [], "expected a known operation, got a list"),
    ("tape operations 1", "dot", "expected different operations, got 'dot' twice .operations.1"),
    ("tape operations", [], "expected one of 0 operations, got number 0 .operations.0"),
    ("tape operations", ["dot", "relu"], "expected one of 2 operations, got number 2 .operations"),
    ("tape arguments", {}, "expected a list, got a dict of 0 .arguments"),
    ("tape arguments", [], "expected 0 numbers, as the arguments have, got 3 .inputs"),
    ("tape arguments 0", "x", "expected a list of 2, got 'x' .arguments.0"),
    ("tape arguments 0", ["x"], "expected a list of 2, got a list of 1"),
    ("tape arguments 0 0", 3, "expected text, got 3 .arguments.0"),
    ("tape arguments 0 1", [], "a shape, list, tuple or dict, got a list of 0 .structure of x"),
    ("tape arguments 0 1", {}, "a shape, list, tuple or dict, got a dict of 0 .structure of x"),
    ("tape arguments 0 1", {"set": []}, "a shape, list, tuple or dict, got 'set'"),
    ("tape arguments 0 1 shape", 2, "expected a list, got 2 .structure of x"),
    ("tape arguments 0 1 shape", [3], "expected 4 numbers, as the arguments have, got 3 .inputs"),
    ("tape arguments 0 1 shape", [-2], "whole number .* got -2 .shape of x"),
    ("tape arguments 0 1 shape", [2**31], "whole number .* got 2147483648 .shape of x"),
    ("tape arguments 0 1 shape", [2**31 - 1] * 2, "at most 2147483647 numbers, got 46116860141"),
    ("tape arguments 0 1 shape", [2**31 - 2], "expected 2147483647 numbers, as the arguments have"),
    ("tape arguments 0 1 shape", [1] * 65, "expected at most 64 axes, got 65 .shape of x"),
    ("tape arguments 0 1", {"dict": [["k"]]}, "expected a list of 2, got a list of 1"),
    ("tape arguments 0 1", {"dict": [[1.5, {"shape": []}]]}, "different keys: .* got 1.5"),
    ("tape arguments 0 1", {"dict": [[[], {"shape": []}]]}, "different keys: .* got a list of 0"),
    ("tape arguments 0 1", {"dict": [[2**63, {"shape": []}]]}, "different keys: .* got 922337"),
    ("tape arguments 0 1", {"dict": [["k", {"shape": []}]] * 2}, "different keys: .* got 'k'"),
    ("tape arguments 0 1", {"dict": [[1, {"shape": []}], [True, {"shape": []}]]}, "got True"),
    ("tape result", {"shape": [0]}, "expected at least 1, got 0 .shape of result"),
    ("tape result", {"shape": [2]}, "expected 2 numbers, as the result has, got 1 .outputs"),
    ("tape result", {"tuple": []}, "expected 0 numbers, as the result has, got 1 .outputs"),
    ("tape result", None, "expected a shape, list, tuple or dict, got None .structure of result"),
]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Return the files of all kinds of tapes."""
    folder = tmp_path_factory.mktemp("tapes")
    return {kind: saved(make(), folder / kind) for kind, make in TAPES.items()}


@pytest.mark.parametrize(("place", "value", "match"), DESCRIPTIONS)
def test_header_that_fits_no_tape_is_refused(place, value, match, contents, file):
    header, described, data = split(contents["model"])
    at = {"header": header, "tape": described}
    *steps, last = place.split()
    for key in steps:
        at = at[int(key) if isinstance(at, list) else key]
    if value is ...:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    try:
        content = joined(header, described, data)
    except TypeError:
        content = raw(header, data)
    refused(content, file, match)


# The same of the description of a tape that draws.
RANDOM = [
    ("random", ..., "expected known keys only, got 'training' .tape"),
    ("random", "dropout", "expected a list, got 'dropout' .random"),
    ("random", [], "expected 3 numbers, as the arguments have, got 7 .inputs"),
    ("random 0", ["dropout", 0.5], "expected a list of 3, got a list of 2 .random.0"),
    ("random 1", [], "expected a list of 3, got a list of 0 .random.1"),
    ("random 0 0", "normal", "known random numbers, dropout, got 'normal' .random.0.*; a newer"),
    ("random 0 0", None, "expected known random numbers, dropout, got None .random.0"),
    ("random 0 1", 1.5, "expected a probability, got 1.5 .random.0"),
    ("random 0 1", -1, "expected a probability, got -1 .random.0"),
    ("random 0 1", True, "expected a probability, got True .random.0"),
    ("random 0 1", "0.5", "expected a probability, got '0.5' .random.0"),
    ("random 0 1", 10**400, "expected a probability, got 1000.* .random.0"),
    ("random 1 2", -1, "whole number of 0 to 2147483647, got -1 .random.1"),
    ("random 1 2", 2.0, "whole number of 0 to 2147483647, got 2.0 .random.1"),
    ("random 1 2", 2, "expected 8 numbers, as arguments and random numbers have, got 7 .inputs"),
    ("random 1 2", 2**31 - 1, "expected 2147483653 numbers, as arguments and random"),
    ("training", ..., "expected the key 'training', got none .tape"),
    ("training", 1, "expected true or false, got 1 .training"),
    ("training", None, "expected true or false, got None .training"),
]


@pytest.mark.parametrize(("place", "value", "match"), RANDOM)
def test_random_numbers_that_no_tape_draws_are_refused(place, value, match, contents, file):
    header, at, data = split(contents["dropout"])
    described = at
    *steps, last = place.split()
    for key in steps:
        at = at[int(key) if isinstance(at, list) else key]
    if value is ...:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    refused(joined(header, described, data), file, match)


def test_random_numbers_in_a_file_of_version_1_are_refused(contents, file):
    header, described, data = split(contents["dropout"])
    header["__metadata__"]["version"] = "1"
    refused(joined(header, described, data), file, "expected known keys only, got 'random' .tape")


def test_structure_nested_too_deep_is_refused(contents, file):
    header, described, data = split(contents["model"])
    for kind, levels, match in (("list", 65, "at most 64 levels"), ("tuple", 400, "at most 64")):
        spec = {"shape": [2]}
        for _ in range(levels):
            spec = {kind: [spec]}
        described["arguments"][0][1] = spec
        refused(joined(header, described, data), file, match)
    text = json.dumps(described).replace('{"shape": [2]}', "[" * 50_000 + "]" * 50_000)
    refused(joined(header, text, data), file, "expected JSON, got too many levels of nesting .tape")
    text = json.dumps(described)[:-1] + ', "name": "x"}'
    refused(joined(header, text, data), file, "expected different keys, got 'name' twice .tape")
    for text in ("", "3", "nonsense"):
        refused(joined(header, text, data), file, "expected (JSON|an object), got")


def test_tensors_that_overlap_or_leave_gaps_are_refused(contents, file):
    header, described, data = split(contents["model"])
    begin, end = header["a"]["data_offsets"]
    for shift, match in ((-4, "expected [0-9]*, where the tensor before ends"), (4, "before ends")):
        header["a"]["data_offsets"] = [begin + shift, end + shift]
        refused(joined(header, described, data), file, match)
    header["a"]["data_offsets"] = [begin, end]
    gap = json.loads(json.dumps(header))
    for entry in (entry for name, entry in gap.items() if name != "__metadata__"):
        entry["data_offsets"] = [n + 4 * (n >= begin and n > 0) for n in entry["data_offsets"]]
    gap["parameters"]["data_offsets"][1] = begin
    content = joined(gap, described, data[:begin] + b"gap!" + data[begin:])
    refused(content, file, rf"expected {begin}, where the tensor before ends, got {begin + 4} ")
    header["a"]["data_offsets"] = header["b"]["data_offsets"]
    refused(
        joined(header, described, data), file, "where the tensor before ends, got [0-9]* .data_off"
    )
    header["a"]["data_offsets"] = [begin, end]
    refused(joined(header, described, data + b"\0"), file, "expected [0-9]* bytes of data, got")
    refused(joined(header, described, data[:-1]), file, "expected an end within [0-9]* bytes, got")
    refused(joined(header, described, b""), file, "expected an end within 0 bytes, got")
    assert loaded(joined(header, described, data), file)


def test_damage_to_valid_data_fails_the_checksum(contents, file):
    header, described, data = split(contents["model"])
    changed = bytearray(data)
    changed[header["parameters"]["data_offsets"][0]] ^= 1
    refused(raw(header, bytes(changed)), file, "expected crc32 '[0-9a-f]{8}', got")
    metadata = header["__metadata__"]
    metadata["tape"] = metadata["tape"].replace("relu", "tanh")
    refused(raw(header, data), file, "expected crc32 .* .data and description")
    assert loaded(joined(header, described, bytes(changed)), file)


def changed(content, tensor, at, value):
    values, code = numbers(content, tensor)
    values[at] = value
    return replaced(content, tensor, values, code)


def test_operand_slots_out_of_range_or_forward_are_refused(contents, file):
    content = contents["model"]
    count = {name: len(numbers(content, name)[0]) for name in split(content)[0] if name[0] != "_"}
    leaves = count["inputs"] + count["parameters"] + count["constants"]
    last = count["operations"] - 1
    slots = leaves + count["operations"]
    maps = [i for i, k in enumerate(numbers(content, "operations")[0]) if k]  # 0 is dot
    for i in maps:
        for tensor in "ab":
            for slot in (leaves + i, slots - 1, slots, 2**31, 2**32 - 1):
                match = rf"a slot below {leaves + i}, got {slot} \({tensor}\[{i}\] of"
                if slot >= leaves + i:
                    refused(changed(content, tensor, i, slot), file, match)
    for at, slot in ((0, leaves), (1, leaves), (2, slots), (-1, 2**32 - 1)):
        refused(changed(content, "terms", at, slot), file, rf"a slot below .* got {slot} \(terms\[")
    for slot in (slots, 2**31, 2**32 - 1):
        refused(
            changed(content, "outputs", 0, slot),
            file,
            rf"slot below {slots}, got {slot} .outputs.0",
        )
    assert loaded(changed(content, "outputs", 0, 0), file)([0.5, 0.0], 1.0) == 0.5
    refused(changed(content, "operations", last, 99), file, r"one of 4 operations, got number 99")
    refused(changed(content, "inputs", 0, 0), file, r"expected 1, for an input that is read, got 0")
    refused(
        changed(content, "inputs", 2, 255), file, r"expected 1, for an input that is read, got 255"
    )


def test_operand_lists_that_overlap_or_leave_gaps_are_refused(contents, file):
    content = contents["model"]
    a, b = numbers(content, "a")[0], numbers(content, "b")[0]
    refused(
        changed(content, "a", 1, a[1] + 1),
        file,
        r"expected 5, where the list before ends, got 6 .a.1",
    )
    refused(
        changed(content, "a", 1, 0), file, r"expected 5, where the list before ends, got 0 .a.1"
    )
    refused(changed(content, "b", 0, 0), file, r"at least 1 pair or entry, got 0 .b.0")
    refused(
        changed(content, "b", 0, b[0] - 1), file, r"expected 3, where the list before ends, got 5"
    )
    for pairs in (10_000, 2**30, 2**31, 2**32 - 1):
        match = rf"a list within [0-9]* terms, got {pairs} pairs or entries from 0 on"
        refused(changed(content, "b", 0, pairs), file, match)
    terms = numbers(content, "terms")[0]
    match = rf"expected {len(terms)} terms, as operations have, got {len(terms) + 1} .terms"
    refused(replaced(content, "terms", [*terms, 0], "I"), file, match)
    refused(replaced(content, "terms", terms[:-1], "I"), file, "a list within")
    for tensor in "ab":
        values = numbers(content, tensor)[0]
        refused(
            replaced(content, tensor, values[:-1], "I"),
            file,
            rf"as operations has, got .* .{tensor} ",
        )


def test_operands_beyond_the_arity_are_refused(contents, file):
    content = contents["table"]
    names = split(content)[1]["operations"]
    operations, a, b = (numbers(content, name)[0] for name in ("operations", "a", "b"))
    at = {names[k]: i for i, k in reversed(list(enumerate(operations)))}
    match = rf"expected {a[at['sin']]} as in a, for sin of one operand, got {a[at['sin']] + 1}"
    refused(changed(content, "b", at["sin"], a[at["sin"]] + 1), file, match)
    match = rf"expected the slot of a constant, for leaky_relu, got 0 .b.{at['leaky_relu']}"
    refused(changed(content, "b", at["leaky_relu"], 0), file, match)
    match = r"the slot of a constant, for pow_number, got [0-9]* .b."
    n = b[at["pow_number"]]
    first = len(numbers(content, "inputs")[0]) + len(numbers(content, "parameters")[0])
    leaves = first + len(numbers(content, "constants")[0])
    assert first <= n < leaves
    refused(changed(content, "b", at["pow_number"], first - 1), file, match)
    refused(
        changed(content, "b", at["leaky_relu"], leaves),
        file,
        match.replace("pow_number", "leaky_relu"),
    )
    refused(changed(content, "b", at["take"], 0), file, "at least 1 pair or entry, got 0")


def test_unread_input_marked_as_read_is_refused(contents, file):
    assert numbers(contents["input"], "inputs")[0] == [1, 0]
    match = "expected 0, for an input that is not read, got 1"
    refused(changed(contents["input"], "inputs", 1, 1), file, match)


# -- memory ----------------------------------------------------------------------------------------


def bombs(content):
    """Yield files that name much more than they hold, or make a lot of little."""
    header, described, data = split(content)
    shape = {"shape": [0]}
    n = 6_000
    yield content
    yield raw(b"[" + b"[]," * n, b"")
    yield raw(b'{"a":[' + b"{}," * n + b"{}]}", b"")
    yield raw(b"{" + b",".join(b'"%x":0' % i for i in range(n)) + b"}", b"")
    for spec in (
        {"list": [shape] * n},
        {"list": [{"list": []}] * n},
        {"dict": [["k" * n, {"list": [shape] * n}]]},  # names of parts hold the key
        {"dict": [[i, shape] for i in range(n)]},
        {"shape": [2**31 - 1, 0]},
        {"shape": [2**31 - 1]},
    ):
        arguments = [*described["arguments"], ["z" * 5_000, spec]]
        yield joined(header, {**described, "arguments": arguments}, data)
        yield joined(header, {**described, "result": spec}, data)
    yield joined(header, {**described, "operations": ["add"] * n}, data)
    yield joined(header, {**described, "operations": ["x" * n] * 3}, data)


def test_memory_of_loading_is_proportional_to_the_file(contents, file):
    for number, content in enumerate(bombs(contents["table"])):
        file.write_bytes(content)
        tracemalloc.start()
        with contextlib.suppress(FileFormatError):
            fg.load_tape(file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100 * len(content) + 200_000, number
    assert number == 17


def test_more_slots_than_the_limit_are_refused(contents, file, monkeypatch):
    """The limit is 2**31, and such a file has gigabytes: here it is small."""
    file.write_bytes(contents["table"])
    header = json.loads(contents["table"][8 : 8 + int.from_bytes(contents["table"][:8], "little")])
    n = {name: tensor["shape"][0] for name, tensor in header.items() if name != "__metadata__"}
    slots = n["inputs"] + n["parameters"] + n["constants"] + n["operations"]
    monkeypatch.setattr(tape_file, "VALUES_MAX", slots)
    assert len(fg.load_tape(file)) == n["operations"]
    monkeypatch.setattr(tape_file, "VALUES_MAX", slots - 1)
    with pytest.raises(FileFormatError, match=f"expected at most {slots - 1} slots, got {slots}"):
        fg.load_tape(file)


# -- damage at random ------------------------------------------------------------------------------


@pytest.fixture
def little_memory():
    """Let nobody take more than half a gigabyte on top of what is in use."""
    if SANITIZED:  # shadow memory takes terabytes of addresses
        yield
        return
    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def test_randomly_damaged_file_is_refused_or_runs(contents, file, little_memory):
    """Damage files in many ways: each is refused, or is a tape that runs."""
    rng = random.Random(DAMAGED)
    originals = [*contents.values()] + [
        saved(random_tape([rng.getrandbits(40) for _ in range(n)]), file) for n in (1, 4, 9, 30)
    ]
    messages, tapes = set(), 0
    for case in range(DAMAGED):
        content = damage(rng, rng.choice(originals), rng.choice(originals))
        try:
            tape = loaded(content, file)
        except FileFormatError as error:
            messages.add(str(error)[:20])
            continue
        tapes += content not in originals
        number = number_from(case)
        try:
            computed(tape, number)
            str(tape)
        except IndexError as error:
            assert "index of take" in str(error)  # noqa: PT017
        tape.save(file)
        assert fg.load_tape(file).stats() == tape.stats()
    tally("tape files: damaged at random", DAMAGED)
    tally("tape files: damaged at random, and valid tapes", tapes)
    assert len(messages) > min(30, DAMAGED / 20)
    assert DAMAGED / 50 < tapes < DAMAGED / 2


def test_truncated_file_or_flipped_bit_is_refused(contents, file):
    content = contents["structured"]
    for n in range(len(content)):
        with pytest.raises(FileFormatError):
            loaded(content[:n], file)
    survivors = 0
    for n in range(len(content)):
        damaged = bytearray(content)
        damaged[n] ^= 1 << n % 8
        try:
            tape = loaded(bytes(damaged), file)
        except FileFormatError:
            continue
        same(structured_tape(), tape)
        survivors += 1  # a digit or a letter of the version that wrote it
    tally("tape files: truncated, or one byte flipped", 2 * len(content))
    assert survivors < 16


def test_repaired_checksum_lets_damage_reach_the_checks(contents, file):
    """Make sure that damage gets past the checksum to what is behind it."""
    content = contents["model"]
    broken = changed(content, "outputs", 0, 2**32 - 1)
    header, described, data = split(broken)
    header["__metadata__"]["crc32"] = "00000000"
    with_wrong_checksum = joined(header, described, data).replace(
        split(broken)[0]["__metadata__"]["crc32"].encode(), b"00000000"
    )
    refused(with_wrong_checksum, file, "crc32")
    refused(with_checksum(with_wrong_checksum), file, "outputs")
