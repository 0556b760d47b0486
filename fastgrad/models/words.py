"""Lines of text as training data: one byte a character, windows and sequences without copies."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from array import array
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

from fastgrad.errors import FastgradTypeError, FastgradValueError, describe, explain
from fastgrad.files.container import path_text

__all__ = ["Alphabet", "Lines", "alphabet_of", "example_words", "read_lines", "split"]

_TEST_MOST = 1000  # lines held back at most, as makemore does


def example_words() -> list[str]:
    """Return the project's own word list: some hundred invented names."""
    return (files("fastgrad.models") / "words.txt").read_text("utf-8").split()


class Alphabet:
    """Characters and their numbers; 0 stands for the begin and the end of a line.

    Parameters
    ----------
    characters : str
        Numbered from 1, in this order.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self.size = len(characters) + 1
        self.pad = self.size  # a target that counts for nothing
        wide = self.pad > 255
        self.code, self.bytes = ("I", 4) if wide else ("B", 1)
        self._codec = (f"utf-32-{sys.byteorder[0]}e", "surrogatepass") if wide else ("latin-1",)
        self._numbers = {ord(c): chr(i) for i, c in enumerate(characters, 1)}

    def encode(self, text: str) -> bytes:
        """Return the characters' numbers, of `bytes` bytes each.

        Parameters
        ----------
        text : str
            Of characters of the alphabet.

        Returns
        -------
        bytes

        Raises
        ------
        FastgradValueError
            If a character is none of the alphabet.
        """
        unknown = next((c for c in text if ord(c) not in self._numbers), None)
        if unknown is not None:
            expected = f"characters of the training lines, {self.characters[:60]!r}"
            raise FastgradValueError(explain(expected, repr(unknown), "text", "write others"))
        return text.translate(self._numbers).encode(*self._codec)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of some numbers."""
        return "".join([self.characters[i - 1] for i in numbers])


class Lines:
    """Lines as numbers, each behind as many zeros as a context is long.

    So each context is a slice. The memory is one byte a character, four if there are more than 254
    kinds, `context` such for each line, and 8 bytes for its place.

    Parameters
    ----------
    texts : iterable of str
        Without line ends; at least one.
    alphabet : Alphabet
    context : int
        Tokens in a context.
    """

    def __init__(self, texts: Iterable[str], alphabet: Alphabet, context: int) -> None:
        self.alphabet, self.context = alphabet, context
        width = alphabet.bytes
        zeros = bytes(context * width)
        data = bytearray(zeros)
        starts = array("Q")  # of each line: where its first character is
        ends = 0
        for text in texts:
            starts.append(len(data) // width)
            data += alphabet.encode(text)
            data += zeros
            ends += len(text) + 1
        self.data, self.starts = bytes(data), starts
        self.tokens = ends  # to predict: the characters, and an end for each line

    def __len__(self) -> int:
        return len(self.starts)

    def digest(self) -> str:
        """Return what tells these lines from others."""
        return hashlib.sha256(self.data).hexdigest()[:16]

    def length(self, line: int) -> int:
        """Return the number of characters in a line."""
        after = self.starts[line + 1] if line + 1 < len(self) else len(self.data) // self._width
        return after - self.context - self.starts[line]

    @property
    def _width(self) -> int:
        return self.alphabet.bytes

    # -- places: where a window or a sequence begins

    def window_places(self) -> array[int]:
        """Return the place of each token to predict: 8 bytes each."""
        places = array("Q")
        for line in range(len(self)):
            start = self.starts[line]
            places.extend(range(start, start + self.length(line) + 1))
        return places

    def sequence_places(self) -> array[int]:
        """Return place and number of tokens of each sequence, one after the other.

        A line of more than `context` tokens is several sequences.
        """
        places, context = array("Q"), self.context
        for line in range(len(self)):
            start, left = self.starts[line], self.length(line) + 1
            for begin in range(0, left, context):
                places.append(start + begin)
                places.append(min(context, left - begin))
        return places

    # -- samples, as the arguments of a tape

    def windows(self, places: Iterable[int]) -> tuple[Any, Any]:
        """Return the context before each place, and the token there."""
        width, context, data = self._width, self.context, self.data
        at = [place * width for place in places]
        inputs = b"".join([data[p - context * width : p] for p in at])
        targets = b"".join([data[p : p + width] for p in at])
        return self._array(inputs, len(at), context), self._array(targets, len(at))

    def sequences(self, places: Iterable[tuple[int, int]]) -> tuple[Any, Any]:
        """Return the tokens before each token of some sequences, and these, padded behind."""
        width, context, data = self._width, self.context, self.data
        pad = self.alphabet.pad.to_bytes(width, sys.byteorder)
        inputs, targets = [], []
        for place, count in places:
            begin, end = place * width, (place + count) * width
            rest = context - count
            inputs.append(data[begin - width : end - width] + bytes(rest * width))
            targets.append(data[begin:end] + pad * rest)
        n = len(inputs)
        return (
            self._array(b"".join(inputs), n, context),
            self._array(b"".join(targets), n, context),
        )

    def _array(self, content: bytes, *shape: int) -> Any:
        code = self.alphabet.code
        view: Any = memoryview(content)
        return view.cast("B").cast(code, shape) if len(shape) > 1 else view.cast(code)


def read_lines(source: str | os.PathLike[str] | Iterable[str]) -> Iterator[str]:
    """Yield lines of a file, or texts, less what is white at their ends, and no empty ones.

    A file is read line by line, in UTF-8, with any line ends, and never held as a whole.
    """
    if not isinstance(source, str | os.PathLike):
        try:
            texts = iter(source)
        except TypeError:
            got = describe(source)
            raise FastgradTypeError(explain("a path, or a list of words", got, "words")) from None
        for text in texts:
            if not isinstance(text, str):
                got = describe(text)
                raise FastgradTypeError(explain("words of text", got, "words"))
            if stripped := text.strip():
                yield stripped
        return
    path = path_text(source)
    with open(path, encoding="utf-8-sig") as file:
        try:
            for line in file:
                if stripped := line.strip():
                    yield stripped
        except UnicodeDecodeError as error:
            got = f"byte {error.object[error.start]:#x}"
            raise FastgradValueError(explain("UTF-8 text", got, path)) from None


def alphabet_of(source: Any, where: str) -> tuple[Alphabet, int, int]:
    """Return the alphabet of some lines, how many they are, and the length of the longest."""
    seen: set[str] = set()
    count = longest = 0
    for text in read_lines(source):
        seen.update(text)
        count += 1
        longest = max(longest, len(text))
    if not count:
        expected = "at least one line that is not empty"
        raise FastgradValueError(explain(expected, "none", where))
    return Alphabet("".join(sorted(seen))), count, longest


def split(count: int, fraction: float, seed: int) -> set[int]:
    """Return which lines are held back for tests: a fraction, at most 1,000, never all."""
    held = min(_TEST_MOST, int(count * fraction), count - 1)
    return set(random.Random(f"fastgrad split {seed}").sample(range(count), held))
