"""State files: written, read, damaged, of others; the summary.

Oracle: the layout of safetensors, written out here.
"""

import json
import math
import struct

import pytest

from fastgrad import MLP, nn
from fastgrad.errors import FastgradTypeError, FastgradValueError, FileFormatError, ShapeError


def file_of(path, entries, data, metadata=None):
    header = {"__metadata__": {} if metadata is None else metadata, **entries}
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)
    return path


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("make", [lambda: MLP(2, [3, 1]), lambda: nn.BatchNorm1d(3)])
def test_file_gives_back_what_was_saved(make, tmp_path):
    one, two = make(), make()
    for i, value in enumerate(one.parameters()):
        value.data = i / 3
    nn.save(one, tmp_path / "model")
    assert nn.load(two, tmp_path / "model") == ([], [])
    assert two.state_dict() == one.state_dict()


def test_file_is_safetensors_with_the_shapes(tmp_path):
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]})
    nn.save(model, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    assert json.loads(content[8 : 8 + size]) == {
        "__metadata__": {"format": "pt"},
        "weight": entry("F64", [1, 2], 0, 16),
        "bias": entry("F64", [1], 16, 24),
    }
    assert content[8 + size :] == struct.pack("<3d", 1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("dtype", "code"),
    [("F64", "d"), ("F32", "f"), ("F16", "e"), ("I64", "q"), ("I32", "i"), ("U8", "B")],
)
def test_file_of_another_type_loads(dtype, code, tmp_path):
    data = struct.pack(f"<3{code}", 1, 2, 3)
    size = len(data) // 3
    entries = {
        "bias": entry(dtype, [1], 2 * size, 3 * size),
        "weight": entry(dtype, [1, 2], 0, 2 * size),
    }
    model = nn.Linear(2, 1)
    nn.load(model, file_of(tmp_path / "model", entries, data))
    assert model.state_dict() == {"weight": [[1.0, 2.0]], "bias": [3.0]}


def test_file_of_bfloat16_loads(tmp_path):
    data = b"".join(struct.pack("<f", x)[2:] for x in (1.0, -2.5, math.inf))
    entries = {"weight": entry("BF16", [1, 2], 0, 4), "bias": entry("BF16", [1], 4, 6)}
    model = nn.Linear(2, 1)
    nn.load(model, file_of(tmp_path / "model", entries, data))
    assert model.state_dict() == {"weight": [[1.0, -2.5]], "bias": [math.inf]}


def test_file_of_a_wrong_model_is_refused_with_the_names(tmp_path):
    nn.save(nn.Linear(2, 1), tmp_path / "model")
    with pytest.raises(
        FastgradValueError, match=r"none for layers.0.weight, .*; unknown weight, bias"
    ):
        nn.load(MLP(2, [1]), tmp_path / "model")
    with pytest.raises(ShapeError, match=r"shape \(1, 3\), got \(1, 2\) .weight"):
        nn.load(nn.Linear(3, 1), tmp_path / "model")
    model = nn.Linear(2, 1, bias=False)
    assert nn.load(model, tmp_path / "model", strict=False) == ([], ["bias"])


@pytest.mark.parametrize(
    ("entries", "data", "text"),
    [
        ({"w": entry("F8", [1], 0, 1)}, b"1", "one of F64, .*got 'F8' .*dtype of w"),
        ({"w": entry(["F64"], [1], 0, 1)}, b"1", "got a list of 1"),
        ({"w": 5}, b"", "an object, got 5"),
        ({"w": entry("F64", [2, 2], 0, 8)}, b"12345678", "32 bytes, as shape and dtype say, got 8"),
        ({"w": entry("F64", [2**52] * 64, 0, 8)}, b"12345678", "data_offsets of w"),
        ({"w": entry("F64", [1] * 65, 0, 8)}, b"12345678", "at most 64 axes, got 65"),
        ({"w": entry("F64", [-1], 0, 8)}, b"12345678", "shape of w"),
        ({"w": entry("F64", "ab", 0, 8)}, b"12345678", "a list, got 'ab'"),
        ({"w": entry("F64", [1], 0, 8)}, b"1234567", "an end within 7 bytes"),
        ({"w": entry("F64", [1], 0, 8)}, b"123456789", "8 bytes of data, got 9"),
    ],
)
def test_damaged_file_is_refused(entries, data, text, tmp_path):
    with pytest.raises(FileFormatError, match=text):
        nn.load(nn.Linear(2, 1), file_of(tmp_path / "model", entries, data))


def test_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "model").write_bytes(b"no")
    with pytest.raises(FileFormatError, match=r"at least 8 bytes, got 2 .*model: length"):
        nn.load(nn.Linear(2, 1), tmp_path / "model")
    with pytest.raises(FileFormatError, match="__metadata__"):
        nn.load(nn.Linear(2, 1), file_of(tmp_path / "model", {}, b"", metadata=[]))


def test_damaged_file_changes_nothing(tmp_path):
    model = nn.Linear(2, 1)
    before = model.state_dict()
    nn.save(nn.Linear(2, 1), tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    for size in range(0, len(content), 7):
        (tmp_path / "model").write_bytes(content[:size])
        with pytest.raises(FileFormatError):
            nn.load(model, tmp_path / "model")
    assert model.state_dict() == before


@pytest.mark.parametrize("function", [nn.save, nn.load])
def test_what_is_no_module_is_refused(function, tmp_path):
    with pytest.raises(FastgradTypeError, match="a Module, got list"):
        function([1.0], tmp_path / "model")


def test_empty_tensors_and_scalars_are_kept(tmp_path):
    neuron = nn.Neuron(1)
    nn.save(neuron, tmp_path / "model")
    other = nn.Neuron(1)
    nn.load(other, tmp_path / "model")
    assert other.state_dict() == neuron.state_dict()
    path = file_of(tmp_path / "model", {"w": entry("F64", [2, 0], 0, 0)}, b"")
    module = nn.Module()
    module.w = neuron.w
    with pytest.raises(ShapeError, match=r"shape \(1,\), got \(2, 0\)"):
        nn.load(module, path)


def test_summary_lists_names_shapes_and_counts():
    lines = nn.summary(MLP(2, [16, 1])).splitlines()
    assert lines[1].split() == ["layers.0.weight", "(16,", "2)", "32"]
    assert lines[-1].split() == ["MLP", "65"]
    assert len({len(line) for line in lines}) == 1
    assert nn.summary(nn.Module()).splitlines()[-1].split() == ["Module", "0"]
