"""The engine in a page computes what the native one does, to the bit.

Oracle: tapes, fit and the table of this build; Node.js runs fastgrad/pages/engine.js.
"""

import base64
import random
from pathlib import Path

import numpy as np
import pytest
from helpers.bits import PARAMETERS, operands
from helpers.optimizers import DEFAULTS
from helpers.pages import asked, packed, same_bits, tape_text, unpacked
from helpers.tally import tally
from helpers.tape_programs import Program

import fastgrad as fg
from fastgrad import Value, functional, optim, record, rules
from fastgrad.ops import native


def taped_rows():
    """Yield row, parameter and tape of every row of the table."""
    for row in native():
        function = getattr(functional, row.variant_of or row.name)
        example = [1.5 if row.name == "acosh" else 0.5] * row.arity
        for k in (2,) if row.name == "round" else PARAMETERS if row.parameter else (None,):
            call = function if k is None else lambda a, k=k, function=function: function(a, k)
            yield row, k, record(lambda *xs, call=call: call(*xs), *example)


def test_every_row_has_the_native_bits_in_batches_and_alone(tmp_path):
    cases, requests = list(taped_rows()), []
    for row, k, tape in cases:
        columns = operands(row)
        n = len(columns[0])
        text = {"tape": tape_text(tape, tmp_path)}
        ask = {"columns": packed(np.concatenate(columns)), "n": n, "lanes": [1] * row.arity}
        requests.append({"call": "batch", "seed": 1, **ask, **text})
        b = columns[1] if row.arity == 2 else None if k is None else np.full(n, float(k))
        second = {} if b is None else {"b": packed(b)}
        requests.append({"call": "row", "name": row.name, "a": packed(columns[0]), **second})
    answers = map(unpacked, asked(requests))
    for (row, _, tape), batch, alone in zip(cases, answers, answers, strict=True):
        columns = operands(row)
        values, partials = tape.value_and_grad(*columns, wrt="inputs", reduce=None)
        partials = partials if row.arity == 2 else [partials[0]]
        assert same_bits(batch["outputs"], values), row.name
        assert same_bits(batch["inputs"], np.concatenate(partials)), row.name
        assert same_bits(alone["values"], values), row.name
        for slopes, expected in zip((alone["da"], alone["db"]), partials, strict=False):
            assert same_bits(slopes + 0.0, expected), row.name
    tally("engine in a page: rows", len(cases))


def test_random_tapes_have_the_native_bits(tmp_path):
    requests, expected = [], []
    for seed in range(1_000):
        program = Program(seed, random.Random(seed).randint(1, 30))
        tape = record(program.some, *program.example)
        first = record(program.first, *program.example)
        text, columns = tape_text(tape, tmp_path), np.array([program.sample() for _ in range(9)]).T
        of_first, point = tape_text(first, tmp_path), [float(x) for x in columns[:, 0]]
        requests += [
            {"call": "sample", "tape": of_first, "inputs": packed(point)},
            {"call": "batch", "tape": of_first, "columns": packed(columns), "n": 9, "seed": 1,
             "lanes": [1] * program.n_inputs},
            {"call": "batch", "tape": text, "columns": packed(columns), "n": 9, "seed": 1,
             "lanes": [1] * program.n_inputs, "forward": True},
        ]  # fmt: skip
        with np.errstate(all="ignore"):
            one = first.value_and_grad(*point, wrt=["inputs", "parameters"])
            many = first.value_and_grad(*columns, wrt=["inputs", "parameters"], reduce="sum")
            outputs = tape(*columns)
        expected.append((one, many, outputs))
    answers = map(unpacked, asked(requests))
    for seed, (one, many, outputs) in enumerate(expected):
        sample, batch, forward = next(answers), next(answers), next(answers)
        value, (inputs, parameters) = one
        assert same_bits(sample["called"], value), seed
        assert same_bits(sample["outputs"], value), seed
        assert same_bits(sample["inputs"], inputs), seed
        assert same_bits(sample["parameters"], parameters), seed
        total, (inputs, parameters) = many
        assert same_bits(batch["total"], total), seed
        assert same_bits(batch["inputs"], np.concatenate(inputs)), seed
        assert same_bits(batch["parameters"], parameters), seed
        assert same_bits(forward["outputs"], np.array(outputs).T), seed
    tally("engine in a page: random tapes", len(expected))


def line():
    """Return a tape whose loss depends on two parameters and the strength of a penalty."""
    w, b = Value(0.3), Value(-0.2)
    loss = lambda x, y, k: (functional.tanh(w * x + b) - y) ** 2 + k * (w * w)  # noqa: E731
    return record(loss, 0.5, 0.5, 0.5), [w, b]


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("rule", rules.names())
def test_fit_has_the_native_bits(rule, batch_size, tmp_path):
    rng = random.Random(7)
    x, y = ([rng.uniform(-1, 1) for _ in range(12)] for _ in range(2))
    tape, parameters = line()
    text = tape_text(tape, tmp_path)
    optimizer = getattr(optim, rule)(parameters)
    losses = fg.fit(
        tape, x, y, [0.01] * 12, optimizer=optimizer, steps=20, batch_size=batch_size, seed=3
    )
    (found,) = asked([
        {"call": "fit", "tape": text, "steps": 20, "columns": packed([x, y, [0.01] * 12]), "n": 12,
         "lanes": [1, 1, 1], "optimizer": rule, "hyper": DEFAULTS[rule], "seed": 3,
         **({} if batch_size is None else {"batchSize": batch_size})}
    ])  # fmt: skip
    found = unpacked(found)
    assert same_bits(found["losses"], losses)
    assert same_bits(found["parameters"], [p.data for p in parameters])


def test_fit_stops_before_a_step_whose_loss_is_not_finite(tmp_path):
    w = Value(800.0)
    tape = record(lambda x: functional.exp(w * x), 0.5)
    (found,) = asked([
        {"call": "fit", "tape": tape_text(tape, tmp_path), "steps": 1,
         "columns": packed([1.0, 2.0]), "n": 2, "lanes": [1], "optimizer": "SGD",
         "hyper": DEFAULTS["SGD"]}
    ])  # fmt: skip
    assert unpacked(found)["losses"].tolist() == [np.inf]
    assert unpacked(found)["parameters"].tolist() == [800.0]


def test_tables_are_those_of_this_build():
    operations, optimizers = asked([{"call": "operations"}, {"call": "optimizers"}])
    operations = dict(map(tuple, operations))
    assert {row.name: row.arity for row in native()}.items() <= operations.items()
    assert operations["dot"] == operations["take"] == -1
    assert "custom" not in operations
    kinds = {bool: 1, tuple: 2}
    assert dict(optimizers) == {
        row.name: [[h.name, kinds.get(type(h.default), 0)] for h in row.hyper]
        for row in rules.rows()
    }


SOUND = {
    "inputs": 1,
    "parameters": [1.0],
    "constants": [2.0],
    "ops": [["mul", 0, 1]],
    "outputs": [3],
}


@pytest.mark.parametrize(
    "change",
    [
        {"ops": [["mul", 0, 3]]},  # its own slot
        {"ops": [["mul", 9, 0]]},
        {"ops": [["exp", 0, 1]]},  # one operand, named twice
        {"ops": [["pow_number", 0, 1]]},  # a parameter that is no constant
        {"ops": [["dot", 0, 1]]},  # a list beyond the terms
        {"ops": [["dot", 1, 1]], "terms": [0, 0, 0, 0]},  # a gap
        {"ops": [["dot", 0, 0]]},
        {"ops": [["take", 0, 1]], "terms": [0, 3]},
        {"terms": [0]},  # that nobody lists
        {"outputs": [4]},
        {"outputs": []},
    ],
)
def test_program_that_is_none_is_refused(change):
    sound, refused = asked([
        {"call": "program", "description": SOUND},
        {"call": "program", "description": SOUND | change},
    ])  # fmt: skip
    assert sound == {"inputs": 1, "parameters": 1, "ops": 1}
    assert refused == "RangeError: expected a program, got slots that are none"


def test_what_is_unknown_is_refused_by_name(tmp_path):
    tape, _ = line()
    tape.save(tmp_path / "tape")
    content = (tmp_path / "tape").read_bytes()

    def refused(old, new):
        assert old in content
        changed = base64.b64encode(content.replace(old, new)).decode()
        return asked([{"call": "describe", "tape": changed}])[0]

    assert (
        refused(b"tanh", b"tanX") == "RangeError: expected an operation of this fastgrad, got tanX"
    )
    assert refused(b'"version":"2"', b'"version":"9"').endswith("got 9")
    assert (
        refused(b"fastgrad.tape", b"fastgrad.tapX")
        == "RangeError: expected a tape file, got another"
    )
    assert refused(b'"terms"', b'"tormt"') == "RangeError: expected a tensor terms, got none"
    assert asked([{"call": "describe", "tape": ""}])[0].endswith("0 bytes")


def test_tape_of_version_1_and_one_that_dropped_out_are_read(tmp_path):
    old = Path(__file__).parents[1] / "files" / "version_1_decided.tape"
    content = base64.b64encode(old.read_bytes()).decode()
    assert asked([{"call": "describe", "tape": content}]) == [fg.load_tape(old).name]
    tape = record(lambda x, y: sum(functional.dropout([x * y, x + y], 0.5), 0.0), 1.0, 2.0)
    (drawing,) = asked([{"call": "describe", "tape": tape_text(tape, tmp_path)}])
    assert drawing == (
        "RangeError: expected a tape that draws nothing: tape.train(False), got dropout"
    )
    tape.train(False)
    text = tape_text(tape, tmp_path)
    columns = {"columns": packed([3.0, 4.0, 5.0, 6.0]), "n": 2, "lanes": [1, 1], "seed": 1}
    one, many = asked([
        {"call": "sample", "tape": text, "inputs": packed([3.0, 5.0])},
        {"call": "batch", "tape": text, **columns},
    ])  # fmt: skip
    assert unpacked(one)["called"].tolist() == [tape(3.0, 5.0)] == [23.0]
    assert unpacked(many)["outputs"].tolist() == [23.0, 34.0]
