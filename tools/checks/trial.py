"""Try an installed fastgrad with nothing else there: run by the interpreter that a wheel is for.

Usage: trial.py PROGRAM, a file whose last words, when run, are a sha256 of gradients; prints it.
Nothing here starts a process, so that an emulator of one program can run it.
"""

import contextlib
import io
import random
import runpy
import sys
import tempfile
from pathlib import Path

import fastgrad
from fastgrad import functional, nn, ops, optim
from fastgrad.tape import SIMD

SAMPLES = 37  # several blocks of lanes, and some that are left over


def function_of(row):
    """Return a function of as many Values as the row has operands."""
    if row.variant_of:  # its operand is a plain number there
        return lambda a: a**3
    return getattr(functional, row.functions[0])


def sample(rng, low, high):
    if isinstance(low, int):  # whole numbers: see ops.py
        return float(rng.randint(low, high))
    return rng.uniform(max(low, -2.0), min(high, 2.0))


def try_operation(row):
    """Each result and gradient of a batch has the bits of the eager engine's."""
    rng, function = random.Random(row.name), function_of(row)
    intervals = row.domain[: row.arity]
    operands = [[sample(rng, *interval) for _ in range(SAMPLES)] for interval in intervals]
    tape = fastgrad.record(function, *(column[0] for column in operands))
    results = list(tape(*operands, threads=2))
    _, gradients = tape.value_and_grad(*operands, wrt="inputs", reduce="sum", threads=2)
    for i, point in enumerate(zip(*operands, strict=True)):
        leaves = [fastgrad.Value(x) for x in point]
        result = function(*leaves)
        result.backward()
        got = [results[i], *(column[i] for column in gradients)]
        expected = [result.data, *(leaf.grad for leaf in leaves)]
        assert got == expected, f"{row.name}{point}: expected {expected}, got {got}"


def train(threads):
    random.seed(1)
    xs = [[random.uniform(-1, 1), random.uniform(-1, 1)] for _ in range(200)]
    ys = [1.0 if a > b else -1.0 for a, b in xs]
    model = nn.MLP(2, [8, 8, 1])
    tape = fastgrad.record(lambda x, y: (1 - y * model(x)).relu(), xs[0], ys[0])
    adam = optim.Adam(model.parameters(), lr=0.01)
    losses = fastgrad.fit(tape, xs, ys, optimizer=adam, steps=60, batch_size=50, threads=threads)
    return tape, xs, ys, losses


def try_training():
    """Any number of threads gives the same bits; a saved tape gives what it gave before."""
    tape, xs, ys, losses = train(1)
    assert losses == train(3)[-1]
    assert losses[-1] < losses[0] / 3, losses
    with tempfile.TemporaryDirectory() as folder:
        tape.save(Path(folder) / "tape.safetensors")
        again = fastgrad.load_tape(Path(folder) / "tape.safetensors")
    assert list(again(xs, ys)) == list(tape(xs, ys))


def main(program):
    for row in ops.TABLE.values():
        try_operation(row)
    try_training()
    with contextlib.redirect_stdout(io.StringIO()) as output:
        runpy.run_path(program)
    print(f"{len(ops.TABLE)} operations, SIMD {SIMD},", output.getvalue().split()[-1])


if __name__ == "__main__":
    main(sys.argv[1])
