"""Tape.save and load_tape: a loaded tape equals the saved one bit for bit.

Oracles: the tape that was saved; zlib and struct, which take files apart; the safetensors package.
"""

import copy
import gc
import io
import math
import os
import pickle
import random
import re
import struct
from pathlib import Path

import pytest
from helpers.random_graphs import CODES
from helpers.tally import tally
from helpers.tape_files import (
    TAPES,
    joined,
    loaded,
    model_tape,
    numbers,
    random_tape,
    record_without_warnings,
    replaced,
    same,
    saved,
    split,
    structured_tape,
)
from hypothesis import example, given, settings

import fastgrad as fg
from fastgrad._native.tape import inspect
from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    FileFormatError,
    NonFiniteError,
    ShapeError,
)
from fastgrad.files import container

KINDS = pytest.mark.parametrize("kind", TAPES)

pytestmark = pytest.mark.usefixtures("sound_arena")


# -- round trips -----------------------------------------------------------------------------------


@KINDS
def test_tape_saved_and_loaded_is_the_same(kind, file):
    tape = TAPES[kind]()
    content = saved(tape, file)
    again = fg.load_tape(file)
    same(tape, again)
    assert saved(again, file) == content


# -- versions --------------------------------------------------------------------------------------

VERSION_1 = Path(__file__).parent


def test_file_of_version_1_is_loaded_and_computes_what_it_did(file):
    """Written by the fastgrad before version 2; the oracle is the function that was recorded."""
    content = (VERSION_1 / "version_1_structured.tape").read_bytes()
    assert split(content)[0]["__metadata__"]["version"] == "1"
    tape = loaded(content, file)
    assert [p.data for p in tape.parameters] == [0.5, -0.25, 0.125, 1.5, 2.0, -1.0]
    assert tape.inputs == [("x", (2,)), ("i", ()), ("table", (3,))]
    x, i, table = [0.3, -1.5], -1, [4.0, 5.0, 6.0]
    h = [
        fg.functional.tanh(fg.functional.dot(row, x) + b)
        for row, b in (([0.5, -0.25], 0.125), ([1.5, 2.0], -1.0))
    ]
    assert tape(x, i, table) == {
        "score": sum(h) * table[i],
        "parts": (h[0] / 3.0, [fg.functional.leaky_relu(h[1], 0.1), x[0] ** 2]),
    }
    again = saved(tape, file)
    assert split(again)[0]["__metadata__"]["version"] == "2"
    assert split(again)[1:] == split(content)[1:]


def test_file_of_version_1_keeps_decisions_and_parameters_that_nothing_reads(file):
    tape = loaded((VERSION_1 / "version_1_decided.tape").read_bytes(), file)
    assert [str(d) for d in tape.decisions] == [
        "model.py:9 in loss: the truth of a comparison or a Value (if, while, and, in, max, ...)"
    ]
    assert tape.value_and_grad(2.0, 3.0) == (4.0, [-8.0, 0.0])
    with pytest.raises(NonFiniteError, match=r"model\.py:9"):
        tape(math.inf, 3.0)


def test_file_of_a_tape_without_random_numbers_has_no_word_of_them(file):
    assert b"random" not in saved(model_tape(), file)
    content = saved(TAPES["dropout"](), file)
    _, described, _ = split(content)
    assert (described["random"], described["training"]) == (
        [["dropout", 0.4, 3], ["dropout", 0.1, 1]],
        True,
    )
    assert numbers(content, "inputs")[0] == [1] * 7
    assert numbers(content, "parameters")[0][0] == 9.0
    assert saved(fg.load_tape(file).eval(), file) != content
    assert not fg.load_tape(file).training


@pytest.mark.wide
@settings(max_examples=200)
@example([5910236, 5910236, 5910236, 160, 5910236])  # more constants than operations
@given(CODES)
def test_random_program_saved_and_loaded_is_the_same(tmp_path_factory, codes):
    file = tmp_path_factory.getbasetemp() / "random.tape"
    tape = random_tape(codes)
    content = saved(tape, file)
    again = fg.load_tape(str(file))
    same(tape, again)
    assert saved(again, file) == content
    tally("tape files: random programs saved and loaded")


def test_loaded_tape_trains_as_the_original(file):
    tape = model_tape()
    tape.save(file)
    again = fg.load_tape(file)
    for one in (tape, again):
        for _ in range(3):
            for p in one.parameters:
                p.grad = 0.0
            one.backward([[0.3, 0.4], [1.0, -2.0]], [1.0, -1.0])
            for p in one.parameters:
                p.data -= 0.1 * p.grad
    assert [p.data for p in tape.parameters] == [p.data for p in again.parameters]
    assert tape([0.5, 0.5], 1.0) == again([0.5, 0.5], 1.0)


def test_loaded_tape_takes_numpy_arguments(file):
    np = pytest.importorskip("numpy")
    w = Value(2.0)
    tape = fg.record(lambda x: (x * w).sum(axis=0), np.ones((2, 3)))
    tape.save(file)
    again = fg.load_tape(file)
    for x in (np.arange(6.0).reshape(2, 3), np.arange(30.0).reshape(5, 2, 3)):
        got, expected = again(x), tape(x)
        assert type(got) is type(expected)
        assert np.array_equal(got, expected)


def test_numbers_keep_every_bit_in_a_file(file):
    patterns = [0x7FF8000000000123, 0xFFF8DEADBEEF0000, 0x7FF0000000000000, 0x8000000000000000, 1]
    w = [Value(struct.unpack("<d", struct.pack("<Q", pattern))[0]) for pattern in patterns]
    k = struct.unpack("<d", struct.pack("<Q", 0x7FF800000000ABCD))[0]
    tape = fg.record(lambda x: [v * x for v in w] + [x * 0.1, x * k], 1.0)
    content = saved(tape, file)
    assert struct.pack("<5Q", *patterns) in content
    same(tape, fg.load_tape(file))
    (constants, code) = numbers(content, "constants")
    assert struct.pack(f"<{code}", k) in struct.pack(f"<{len(constants)}{code}", *constants)


def deciding_tape():
    with pytest.warns(FastgradWarning):
        return fg.record(lambda x: 1 / x if x > 0 and random.random() >= 0 else x * 2, 1.0)


@pytest.mark.parametrize(
    "travel",
    [
        lambda tape, file: (tape.save(file), fg.load_tape(file))[1],
        lambda tape, _: pickle.loads(pickle.dumps(tape)),
        lambda tape, _: copy.deepcopy(tape),
        lambda tape, _: copy.copy(tape),
    ],
    ids=["file", "pickle", "deepcopy", "copy"],
)
def test_loaded_tape_keeps_its_decisions_and_raises_where_results_are_not_finite(travel, file):
    tape = deciding_tape()
    again = travel(tape, file)
    assert [d.what for d in tape.decisions] == ["bool", "random"]
    assert again.decisions == tape.decisions
    assert again(2.0) == 0.5
    for call in (lambda: again(0.0), lambda: again([1.0, 0.0])):
        with pytest.raises(NonFiniteError, match=r"test_tape_file.py:\d+ in .*<lambda>: the truth"):
            call()
    again.decisions = []
    again = travel(again, file)
    assert (again.decisions, again(0.0)) == ([], math.inf)


def test_file_of_a_tape_without_decisions_has_no_word_of_them(file):
    assert b"decisions" not in saved(model_tape(), file)
    assert b"decisions" in saved(deciding_tape(), file)


def test_decision_that_a_file_invented_is_shown_without_control_characters(file):
    header, described, data = split(saved(deciding_tape(), file))
    described["decisions"] = [["\x1b[2J", None], ["a", ["\x1b[31m", 7, "\n"]]]
    tape = loaded(joined(header, described, data), file)
    assert list(map(str, tape.decisions)) == [
        r"\x1b[2J of a Value", r"\x1b[31m:7 in \n: a of a Value"
    ]  # fmt: skip


def test_equal_tapes_are_saved_as_equal_bytes(tmp_path):
    assert saved(model_tape(), tmp_path / "one") == saved(model_tape(), tmp_path / "two")


def test_parameters_given_to_load_tape_are_bound(file):
    tape = model_tape()
    tape.save(file)
    mine = [Value(0.0) for _ in tape.parameters]
    again = fg.load_tape(file, parameters=mine)
    assert all(one is other for one, other in zip(again.parameters, mine, strict=True))
    assert [v.data for v in mine] == [p.data for p in tape.parameters]
    value = again.backward([0.1, 0.2], 1.0)
    assert value == tape.backward([0.1, 0.2], 1.0)
    assert [v.grad for v in mine] == [p.grad for p in tape.parameters]


def test_loaded_parameters_live_as_long_as_the_tape(file):
    model_tape().save(file)
    gc.collect()
    before = fg.arena_stats()["live_nodes"]
    tape = fg.load_tape(file)
    file.unlink()
    assert fg.arena_stats()["live_nodes"] == before + len(tape.parameters)
    del tape
    assert fg.arena_stats()["live_nodes"] == before


def test_file_written_in_pieces_has_the_same_bytes(file, monkeypatch):
    tape = fg.record(lambda x: x.tanh() * 2.0, 1.0)
    tape.save(file)
    whole = file.read_bytes()
    monkeypatch.setattr(container, "PIECE", 7)
    tape.save(file)
    assert file.read_bytes() == whole


def test_parameter_initialised_later_is_saved_by_value(file):
    w = Value.__new__(Value)
    tape = fg.record(lambda x: x * w, 1.0)
    w.__init__(5.0)
    clutter = [Value(7.0) for _ in range(50)]
    tape.save(file)
    assert fg.load_tape(file)(2.0) == tape(2.0) == 10.0
    assert {v.data for v in clutter} == {7.0}


def test_unsuitable_parameters_are_refused_and_unchanged(file):
    tape = model_tape()
    tape.save(file)
    mine = [Value(7.0) for _ in tape.parameters]
    for wrong in (mine[1:], [*mine, Value(7.0)], [*mine[1:], mine[1]]):
        with pytest.raises(ShapeError, match=rf"expected {len(mine)} different Values"):
            fg.load_tape(file, wrong)
    for wrong in (None, 1.0, mine[0] * 2):
        with pytest.raises(FastgradTypeError, match="expected Values that are leaves"):
            fg.load_tape(file, [*mine[1:], wrong])
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FileFormatError):
        fg.load_tape(file, mine)
    assert {v.data for v in mine} == {7.0}


def test_source_lines_are_kept_in_a_file(file):
    recorded = model_tape()
    tape = loaded(saved(recorded, file), file)
    assert tape.places == recorded.places != []
    n = len(tape)
    sources = [i % 3 for i in range(n)]
    header, described, data = split(saved(recorded, file))
    described["sources"] = [["model.py", 12, "loss"], ["é.py", 0, ""]]
    content = replaced(joined(header, described, data), "sources", sources, "I")
    tape = loaded(content, file)
    assert tape.places == [("model.py", 12, "loss"), ("é.py", 0, "")]
    assert [inspect.operation(tape, i)[2] for i in range(n)] == sources
    assert numbers(saved(tape, file), "sources") == (sources, "I")
    same(tape, fg.load_tape(file))
    with pytest.raises(
        FileFormatError, match=r"expected one of 2 places, or 0, got 3 \(sources\[1\]"
    ):
        loaded(replaced(content, "sources", [0, 3, *sources[2:]], "I"), file)


def test_safetensors_package_reads_and_writes_tape_files(file):
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file, save_file

    for make in TAPES.values():
        tape = make()
        content = saved(tape, file)
        with safetensors.safe_open(file, "np") as opened:
            metadata = opened.metadata()
            assert metadata["format"] == "fastgrad.tape"
        arrays = load_file(file)
        assert arrays.keys() == split(content)[0].keys() - {"__metadata__"}
        for name, array in arrays.items():
            values, code = numbers(content, name)
            assert array.tobytes() == struct.pack(f"<{len(values)}{code}", *values)
        save_file(arrays, file, metadata=metadata)
        same(tape, fg.load_tape(file))


def test_big_endian_arrays_are_written_little_endian():
    assert container.little(b"\1\2\3\4", 2, "big") == b"\2\1\4\3"
    assert container.little(b"\1\2\3\4", 4, "big") == b"\4\3\2\1"
    assert container.little(bytes(range(8)), 8, "big") == bytes(range(7, -1, -1))
    assert container.little(b"\1\2", 1, "big") == container.little(b"\1\2", 2, "little") == b"\1\2"


# -- save ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [1.5, (1, 2), 2**63, "\ud800", b"a", math.nan])
def test_keys_that_json_cannot_hold_are_refused_by_save(key, file):
    with pytest.raises(FastgradTypeError, match="expected keys: text, 64-bit integers, bool, None"):
        fg.record(lambda x: x[key], {key: 1.0}).save(file)
    with pytest.raises(FastgradTypeError, match="save, result"):
        fg.record(lambda x: {key: x}, 1.0).save(file)
    assert not file.exists()


def test_structures_are_saved_up_to_64_levels_of_nesting(file):
    def array(axes):
        return [array(axes - 1)] if axes else 1.0

    def first(x):
        while not isinstance(x, Value):
            x = x["k"] if isinstance(x, dict) else x[0]
        return x

    for deepest in (array(64), _wrapped(1.0, 64), _wrapped(array(64), 64)):
        fg.record(first, deepest).save(file)
        assert fg.load_tape(file)(deepest) == 1.0
    fg.record(lambda x: _wrapped(x, 64), 2.0).save(file)
    assert fg.load_tape(file)(2.0) == _wrapped(2.0, 64)
    file.unlink()
    for deeper in (array(65), _wrapped(1.0, 65)):
        with pytest.raises(FastgradValueError, match=r"expected at most 64 (axes|levels)"):
            fg.record(first, deeper).save(file)
    with pytest.raises(FastgradValueError, match="expected at most 64 levels of nesting"):
        fg.record(lambda x: _wrapped(x, 65), 1.0).save(file)
    assert not file.exists()


def _wrapped(x, depth):
    return {"k": _wrapped(x, depth - 1)} if depth else x


def test_odd_names_are_saved_with_surrogates_replaced(file):
    program = record_without_warnings(lambda x: x * 2, 1.0)
    for name in ("", "π\n\0", "\ud800", 'a"b\\'):
        program.name = name
        program.names = [name]
        program.save(file)
        assert fg.load_tape(file).name == name.replace("\ud800", "?")


def test_failed_save_leaves_the_old_file(file, monkeypatch):
    content = saved(model_tape(), file)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        structured_tape().save(file)
    assert file.read_bytes() == content
    assert os.listdir(file.parent) == [file.name]


def test_save_over_a_file_keeps_its_mode_and_its_symlink(file, tmp_path):
    tape = model_tape()
    content = saved(tape, file)
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file.name)
    structured_tape().save(link)
    assert link.is_symlink()
    assert file.read_bytes() != content
    assert file.stat().st_mode & 0o777 == 0o640
    tape.save(os.fsencode(file))
    assert file.read_bytes() == content
    tape.save("/dev/null")
    assert not os.path.isfile("/dev/null")


def _umask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def test_an_error_of_the_system_names_the_path_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "no" / "a.tape", "no/a.tape"):
        with pytest.raises(FileNotFoundError) as caught:
            fg.record(lambda x: x * 2.0, 1.0).save(path)
        assert caught.value.filename == str(path)


def test_arguments_that_are_no_paths_are_refused(tmp_path):
    tape = model_tape()
    for path in (None, 1, 1.5, [tmp_path]):
        with pytest.raises(FastgradTypeError, match="expected a path, got"):
            tape.save(path)
        with pytest.raises(FastgradTypeError, match="expected a path, got"):
            fg.load_tape(path)
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "none" / "file", FileNotFoundError),
        ("a\0b", ValueError),
    ):
        with pytest.raises(error):
            tape.save(path)
        with pytest.raises(error):
            fg.load_tape(path)
    assert os.listdir(tmp_path) == []


class Trickle(io.RawIOBase):
    """A raw file that takes a few bytes at a time."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, piece):
        self.content += bytes(piece[:7])
        return min(7, len(piece))


class Answerless:
    """What writes all, and says nothing."""

    def __init__(self):
        self.content = b""

    def write(self, piece):
        self.content += bytes(piece)


def test_tape_saved_to_an_open_file_is_the_same(file):
    tape = model_tape()
    content = saved(tape, file)
    assert tape.dumps() == content
    held = io.BytesIO(b"before")
    held.seek(0, io.SEEK_END)
    tape.save(held)
    assert held.getvalue() == b"before" + content
    for odd in (Trickle(), Answerless()):
        tape.save(odd)
        assert odd.content == content
    held.seek(len(b"before"))
    same(tape, fg.load_tape(held))
    same(tape, fg.loads_tape(content))
    with open(file, "rb") as opened:
        same(tape, fg.load_tape(opened))


def test_open_files_that_are_not_for_bytes_are_refused(file):
    tape = model_tape()
    with pytest.raises(FastgradTypeError, match="a file opened for bytes, got StringIO"):
        tape.save(io.StringIO())
    with pytest.raises(FastgradTypeError, match="expected a file opened for bytes, got str"):
        fg.load_tape(io.StringIO("text"))
    saved(tape, file)
    with open(file, "r+b") as opened:
        opened.truncate(100)
        with pytest.raises(FileFormatError, match=re.escape(str(file))):
            fg.load_tape(opened)
    with pytest.raises(FileFormatError, match="of an open file"):
        fg.load_tape(io.BytesIO(b"x"))


def test_full_disk_while_a_tape_is_saved_to_an_open_file_raises():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        model_tape().save(full)


def test_devices_and_unreadable_files_are_refused(file):
    os.mkfifo(file)
    for path in (file, "/dev/zero"):
        with pytest.raises(FileFormatError, match="expected a file, got a device, pipe or socket"):
            fg.load_tape(path)
    file.unlink()
    saved(model_tape(), file)
    file.chmod(0)
    if os.geteuid():  # root reads everything
        with pytest.raises(PermissionError):
            fg.load_tape(file)


def test_save_that_is_interrupted_leaves_the_file_that_was_there(linear, file, monkeypatch):
    def interrupted(source, target):
        raise KeyboardInterrupt

    file.write_bytes(b"before")
    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        linear.save(file)
    assert file.read_bytes() == b"before"
    assert [path.name for path in file.parent.iterdir()] == [file.name]
