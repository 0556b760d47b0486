"""`python -m fastgrad microgpt`: the published scalar GPT on tapes, beside a class in plain Python.

Model and schedule are those of Andrej Karpathy's microgpt: one layer, 16 numbers a token, 4 heads,
contexts of 16, Adam at a rate that falls to 0, one document a step. A tape is for one length, so
there is one for each that comes: a family, which `fit` trains with one optimizer.
"""

from __future__ import annotations

import random
from time import process_time
from typing import Any

import fastgrad
from fastgrad import functional, optim
from fastgrad.command.bench import plain
from fastgrad.command.bench.gpt import GPT, SHAPES
from fastgrad.errors import FastgradRuntimeError, explain
from fastgrad.family import record_each
from fastgrad.models.words import Alphabet, alphabet_of, example_words, read_lines
from fastgrad.training import fit

__all__ = ["run_microgpt"]

_BLOCK = SHAPES["position"][0]
_RATE, _BETAS = 0.01, (0.85, 0.99)
_SAME = 1e-6  # losses that differ by more belong to different programs: no factor is quoted
_LINES = 10  # of progress


def run_microgpt(
    file: str | None = None,
    steps: int = 1000,
    seed: int = 42,
    samples: int = 20,
    temperature: float = 0.5,
    plain_steps: int = 3,
) -> int:
    """Train, compare, make words; print what happens.

    Parameters
    ----------
    file : str, optional
        Documents, one a line; the project's own words unless given.
    steps : int
        Documents to learn, one after the other.
    seed : int
        Of Python's generator, which shuffles, and draws the first numbers and the words.
    samples : int
        Words to make at the end.
    temperature : float
        Below 1 prefers what is likely.
    plain_steps : int
        Steps that the plain class makes for comparison.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    FastgradValueError
        If the file holds no line.
    OSError
        If it cannot be read.
    FastgradRuntimeError
        If the plain class comes to other losses.
    """
    rng = random.Random(seed)
    words = list(read_lines(file)) if file is not None else example_words()
    alphabet, _, _ = alphabet_of(words, file or "words")
    rng.shuffle(words)
    data = _start(alphabet.size, rng)
    count = sum(len(row) for matrix in data.values() for row in matrix)
    print(f"{len(words)} documents of {alphabet.size - 1} characters, {count} parameters")
    documents = [_document(alphabet, words[step % len(words)]) for step in range(steps)]
    gpt = _Recorded(data, documents)
    begin = process_time()
    losses = gpt.train(documents)
    ours = (process_time() - begin) / max(1, steps)
    if plain_steps and steps:
        _compare(data, documents[:plain_steps], steps, losses, ours)
    for _ in range(samples):
        print(_word(gpt, alphabet, temperature, rng))
    return 0


def _document(alphabet: Alphabet, word: str) -> tuple[list[int], list[int]]:
    """Return tokens, and what follows each: at most as many as a context has."""
    line = [0, *(alphabet.characters.index(c) + 1 for c in word[:_BLOCK]), 0][: _BLOCK + 1]
    return line[:-1], line[1:]


def _start(vocabulary: int, rng: random.Random) -> dict[str, list[list[float]]]:
    """Draw the first numbers: normal, with standard deviation 0.08."""
    sizes = {**SHAPES, "token": (vocabulary, SHAPES["token"][1]), "head": (vocabulary, 16)}
    return {
        name: [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in sizes.items()
    }


def _rate(step: int, steps: int) -> float:
    return _RATE * (1 - step / steps)


class _Recorded:
    """The model, the optimizer, and a tape for each length among the documents."""

    def __init__(self, data: dict[str, list[list[float]]], documents: list[Any]) -> None:
        self.model = GPT(fastgrad.Value, fastgrad.take, functional.max, data)
        self.parameters = self.model.parameters()
        self.optimizer = optim.Adam(self.parameters, lr=_RATE, betas=_BETAS)
        lengths = {len(given): [0] * len(given) for given, _ in documents}
        examples = [(lengths[n], lengths[n]) for n in sorted(lengths)]
        if examples:
            self.tapes = record_each(self.model.cross_entropy, examples, parameters=self.parameters)
        print(f"{len(examples)} tapes, one for each length")

    def train(self, documents: list[Any]) -> list[float]:
        """Learn the documents, one a step, and return the losses."""
        steps = len(documents)
        if not steps:
            return []
        every = max(1, steps // _LINES)

        def show(step: int, losses: list[float]) -> None:
            if step % every == 0:
                print(f"step {step} of {steps}: loss {sum(losses) / len(losses):.4f}", flush=True)

        return fit(
            self.tapes, documents, optimizer=self.optimizer, steps=steps, batch_size=1,
            shuffle=False, schedule=lambda step: _rate(step, steps), callback=show, every=every,
        )  # fmt: skip


def _compare(
    data: dict[str, list[list[float]]],
    documents: list[Any],
    steps: int,
    expected: list[float],
    ours: float,
) -> None:
    """Make the first steps with the plain class, and print the factor, if the losses agree."""
    model = GPT(plain.Value, data=data)
    parameters = model.parameters()
    optimizer = optim.Adam(parameters, lr=_RATE, betas=_BETAS)
    begin = process_time()
    for step, document in enumerate(documents):
        for p in parameters:
            p.grad = 0.0
        loss = model.cross_entropy(*document)
        loss.backward()
        optimizer.lr = _rate(step, steps)
        optimizer.step()
        if not abs(loss.data - expected[step]) <= _SAME:
            where = f"step {step} of the plain class"
            raise FastgradRuntimeError(explain(f"loss {expected[step]!r}", f"{loss.data!r}", where))
    theirs = (process_time() - begin) / len(documents)
    print(
        f"a step: {ours * 1e3:.3f} ms, of a class in plain Python {theirs * 1e3:.1f} ms, "
        f"{theirs / ours:,.0f} times as much; the losses of {len(documents)} steps agree"
    )


def _word(gpt: _Recorded, alphabet: Alphabet, temperature: float, rng: random.Random) -> str:
    """Make a word, token by token."""
    keys: list[Any] = []
    values: list[Any] = []
    word: list[int] = []
    token = 0
    with fastgrad.no_grad():
        for position in range(_BLOCK):
            scores = gpt.model.logits(token, position, keys, values)
            shares = functional.softmax([score / temperature for score in scores])
            (token,) = rng.choices(range(alphabet.size), [float(share) for share in shares])
            if not token:
                break
            word.append(token)
    return alphabet.decode(word)
