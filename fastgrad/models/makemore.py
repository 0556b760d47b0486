"""makemore: character-level models that learn a list of words, and make more of them.

After Andrej Karpathy's lectures and program of that name: eight models, from bigrams to a
Transformer, behind one class. A bigram, mlp, bow or cnn sees a window, the characters before the
one that it predicts; an rnn, gru, lstm or transformer a sequence, of which it predicts each.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from fastgrad import _random, functional, nn, optim
from fastgrad.engine import Value
from fastgrad.errors import FastgradTypeError, FastgradValueError, FileFormatError, explain, show
from fastgrad.files import container
from fastgrad.files.container import FaultError
from fastgrad.models.words import Alphabet, Lines, alphabet_of, example_words, read_lines, split
from fastgrad.tape import Tape, record
from fastgrad.training import fit

__all__ = ["DEFAULTS", "MODELS", "Makemore", "Options"]

_CHUNK = 100  # steps whose samples are drawn together
_LONGEST_BLOCK = 16  # tokens of a context, unless it is asked for more
_AT_ONCE = 1000  # samples of one call where only the loss is wanted
_LONGEST_WORD = 100  # characters, when words are made
_RATE_FALLS_TO = 0.1  # behind lr_decay_steps


# Models -------------------------------------------------------------------------------------------


def _table(rows: int, columns: int) -> list[list[Value]]:
    return [[Value(0.0) for _ in range(columns)] for _ in range(rows)]


def _tanh(row: list[Any]) -> list[Any]:
    return [functional.tanh(v) for v in row]


def _added(x: list[Any], y: list[Any]) -> list[Any]:
    return [functional.add(a, b) for a, b in zip(x, y, strict=True)]


class Bigram(nn.Module):
    """A row of scores for each character: what follows it, whatever came before."""

    sees = "window"

    def __init__(self, vocabulary: int, _: Options) -> None:
        self.logits = _table(vocabulary, vocabulary)

    def forward(self, x: list[Any]) -> list[Any]:
        return list(functional.embedding(x[-1], self.logits))


class Mlp(nn.Module):
    """The characters' embeddings side by side, and a layer of tanh (Bengio et al. 2003)."""

    sees = "window"

    def __init__(self, vocabulary: int, options: Options) -> None:
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        sizes = [options.block_size * d, *[hidden] * options.n_layer]
        self.hidden = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(sizes))
        self.head = nn.Linear(hidden, vocabulary)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: list[Any]) -> list[Any]:
        row = [v for token in x for v in self.wte(token)]
        for layer in self.hidden:
            row = self.drop(_tanh(layer(row)))
        return list(self.head(row))


class Bow(nn.Module):
    """A bag of words: the mean of the embeddings, with their places, and a layer of tanh."""

    sees = "window"

    def __init__(self, vocabulary: int, options: Options) -> None:
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        self.wpe = nn.Embedding(options.block_size, d)
        self.up, self.down = nn.Linear(d, hidden), nn.Linear(hidden, d)
        self.head = nn.Linear(d, vocabulary)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: list[Any]) -> list[Any]:
        rows = [
            _added(list(self.wte(token)), place)
            for token, place in zip(x, self.wpe.weight, strict=True)
        ]
        mean = [functional.mean(list(column)) for column in zip(*rows, strict=True)]
        row = _added(rows[-1], mean)
        return list(self.head(_added(row, self.down(self.drop(_tanh(self.up(row)))))))


class Cnn(nn.Module):
    """Pairs of characters, then pairs of pairs, ...: a tree of convolutions, as in WaveNet."""

    sees = "window"

    def __init__(self, vocabulary: int, options: Options) -> None:
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        depth = max(1, math.ceil(math.log2(options.block_size)))
        self.pairs = nn.ModuleList(
            nn.Linear(2 * (hidden if level else d), hidden) for level in range(depth)
        )
        self.head = nn.Linear(hidden, vocabulary)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: list[Any]) -> list[Any]:
        rows = [list(self.wte(token)) for token in x]
        for layer in self.pairs:
            if len(rows) % 2:
                rows.insert(0, [0.0] * len(rows[0]))
            pairs = zip(rows[::2], rows[1::2], strict=True)
            rows = [self.drop(_tanh(layer([*left, *right]))) for left, right in pairs]
        return list(self.head(rows[0]))


class Recurrent(nn.Module):
    """A cell that reads one character after another, from a state that is learnt."""

    sees = "sequence"
    _cell: Any = nn.RNNCell

    def __init__(self, vocabulary: int, options: Options) -> None:
        d, hidden = options.n_embd, 4 * options.n_embd
        self.start = [Value(0.0) for _ in range(hidden)]
        self.wte = nn.Embedding(vocabulary, d)
        self.step = self._cell(d, hidden)
        self.head = nn.Linear(hidden, vocabulary)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: list[Any]) -> list[list[Any]]:
        out, state = [], self._begin()
        for token in x:
            state = self.step(list(self.wte(token)), state)
            out.append(list(self.head(self.drop(self._seen(state)))))
        return out

    def _begin(self) -> Any:
        return self.start

    def _seen(self, state: Any) -> Any:
        return state


class Rnn(Recurrent):
    """A recurrent network (Mikolov et al. 2010)."""


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014)."""

    _cell = nn.GRUCell


class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    _cell = nn.LSTMCell

    def _begin(self) -> Any:
        return self.start, [0.0] * len(self.start)

    def _seen(self, state: Any) -> Any:
        return state[0]


class Transformer(nn.Module):
    """Blocks of attention and layers, as in GPT-2 (Radford et al. 2019)."""

    sees = "sequence"

    def __init__(self, vocabulary: int, options: Options) -> None:
        d = options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        self.wpe = nn.Embedding(options.block_size, d)
        self.blocks = nn.ModuleList(
            nn.TransformerBlock(d, options.n_head, dropout=options.dropout)
            for _ in range(options.n_layer)
        )
        self.ln_f = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocabulary, bias=False)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: list[Any]) -> list[list[Any]]:
        rows = [
            _added(list(self.wte(token)), place)
            for token, place in zip(x, self.wpe.weight, strict=True)
        ]
        rows = self.drop(rows)
        for block in self.blocks:
            rows = block(rows)
        return [list(self.head(self.ln_f(row))) for row in rows]


MODELS: dict[str, Any] = {
    "bigram": Bigram,
    "mlp": Mlp,
    "rnn": Rnn,
    "gru": Gru,
    "lstm": Lstm,
    "bow": Bow,
    "cnn": Cnn,
    "transformer": Transformer,
}


# Options ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What a model is, and how it is trained: 0 stands for the model's default in `DEFAULTS`.

    Attributes
    ----------
    model : str
        One of `MODELS`.
    n_layer, n_head, n_embd : int
        Blocks of a transformer, or layers of an mlp; heads of its attention; numbers that stand for
        a character. Other layers have ``4 * n_embd`` neurons.
    block_size : int
        Characters of a context: unless given, what the longest line needs, at most 16.
    batch_size : int
        Samples in a mini-batch. For a bigram 0 means all, each pair of characters once, weighted.
    lr : float
        Learning rate of AdamW.
    lr_decay_steps : int
        Steps behind which the rate is a tenth; 0 for never.
    dropout : float
        Probability with which a number is set to 0 while training: of what layers of tanh give, or
        a recurrent state before the last layer; of a transformer of the embeddings and of what its
        blocks add. Not of a bigram.
    seed : int
        Of the initial numbers, the split, the mini-batches, dropout and the words made.
    test_fraction : float
        Part of the lines that is held back, at most 1,000 of them.
    """

    model: str = "bigram"
    n_layer: int = 0
    n_head: int = 0
    n_embd: int = 0
    block_size: int = 0
    batch_size: int = 0
    lr: float = 0.0
    lr_decay_steps: int = 0
    dropout: float = 0.0
    seed: int = 0
    test_fraction: float = 0.1


DEFAULTS: dict[str, dict[str, Any]] = {
    "bigram": {"block_size": 1, "lr": 0.3},
    "mlp": {"n_layer": 1, "n_embd": 16, "batch_size": 256, "lr": 0.005},
    "bow": {"n_embd": 16, "batch_size": 256, "lr": 0.005},
    "cnn": {"n_embd": 16, "batch_size": 256, "lr": 0.005},
    "rnn": {"n_embd": 16, "batch_size": 32, "lr": 0.005},
    "gru": {"n_embd": 16, "batch_size": 32, "lr": 0.005},
    "lstm": {"n_embd": 16, "batch_size": 32, "lr": 0.005},
    "transformer": {"n_layer": 2, "n_head": 4, "n_embd": 32, "batch_size": 32, "lr": 0.002},
}


def _resolved(given: dict[str, Any], longest: int) -> Options:
    """Return options without zeros that mean a default; refuse what is of no use."""
    known = {field.name: field.default for field in fields(Options)}
    for name in given:
        if name not in known:
            raise FastgradTypeError(explain(f"one of {', '.join(known)}", repr(name), "Makemore"))
    values = {**known, **given}
    if values["model"] not in MODELS:
        expected = f"one of {', '.join(MODELS)}"
        raise FastgradValueError(explain(expected, show(values["model"]), "model of Makemore"))
    for name, default in known.items():
        value, kind = values[name], type(default)
        wanted = {int: "an integer of at least 0", float: "a number of at least 0"}.get(kind)
        right = isinstance(value, int | float if kind is float else kind)
        if wanted and (not right or isinstance(value, bool) or not 0 <= value < math.inf):
            raise FastgradValueError(explain(wanted, show(value), f"{name} of Makemore"))
    for name in ("dropout", "test_fraction"):
        if values[name] >= 1:
            raise FastgradValueError(
                explain("less than 1", f"{values[name]}", f"{name} of Makemore")
            )
    if values["dropout"] and values["model"] == "bigram":
        got = f"{values['dropout']}"
        raise FastgradValueError(explain("0 for a bigram", got, "dropout of Makemore"))
    for name, default in DEFAULTS[values["model"]].items():
        values[name] = values[name] or default
    values["block_size"] = values["block_size"] or min(longest + 1, _LONGEST_BLOCK)
    return Options(**values)


# Training -----------------------------------------------------------------------------------------


class Makemore:
    """A model of a list of words: train it, ask for its loss, make words, save it.

    Parameters
    ----------
    words : path, or iterable of str, optional
        A file of lines, or words; empty ones do not count. The project's own list unless given.
    threads : int
        Threads that share a batch; the numbers are the same for any.
    **options
        Of `Options`.

    Attributes
    ----------
    options : Options
    alphabet : Alphabet
        Its ``characters``.
    model : nn.Module
        Of `MODELS`; its parameters are what `train` changes.
    step : int
        Steps made so far.
    losses : list of float
        The loss of each, of its mini-batch, in nats a character.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If there are no words, or an option is of no use.
    OSError
        If the file cannot be read.

    Notes
    -----
    A file is read three times, line by line, and kept as `block_size` bytes and some 10 more for
    each line, and one for each character. Step k draws its samples from the seed and k alone: a run
    that is saved and loaded goes on to the same bits.

    Examples
    --------
    >>> from fastgrad.models.makemore import Makemore
    >>> run = Makemore(["anna", "nana", "hanna"], model="bigram", test_fraction=0)
    >>> _ = run.train(300)
    >>> abs(run.loss() - run.counted_optimum()) < 0.005
    True
    >>> set("".join(run.sample(5))) <= set("anh")
    True
    """

    def __init__(
        self,
        words: str | os.PathLike[str] | Iterable[str] | None = None,
        threads: int = 1,
        **options: Any,
    ) -> None:
        if words is None:
            words = example_words()
        elif not isinstance(words, str | os.PathLike):
            words = list(read_lines(words))
        named = isinstance(words, str | os.PathLike)
        alphabet, count, longest = alphabet_of(words, str(words) if named else "words")
        self.threads = threads
        self._set_up(_resolved(options, longest), alphabet)
        held = split(count, self.options.test_fraction, self.options.seed)
        context = self.options.block_size
        train, test = (
            Lines(_chosen(read_lines(words), held, wanted), alphabet, context)
            for wanted in (False, True)
        )
        self._parts |= {"train": train, "test": test}
        self._data = f"{train.digest()}{test.digest()}"

    def _set_up(self, options: Options, alphabet: Alphabet) -> None:
        self.options, self.alphabet = options, alphabet
        self.step = 0
        self.losses: list[float] = []
        self._parts: dict[str, Lines] = {}
        self._data = ""
        self._samples: _Samples | None = None
        state, _random.default_generator.state = _random.default_generator.state, (options.seed, 0)
        try:
            self.model = MODELS[options.model](alphabet.size, options)
        finally:
            _random.default_generator.state = state
        self._parameters = self.model.parameters()
        self._optimizer = optim.AdamW(
            self._parameters,
            lr=options.lr,
            betas=(0.9, 0.99),
            weight_decay=0.0 if options.model == "bigram" else 0.01,
        )
        self._tapes: dict[str, Tape] = {}

    def num_parameters(self) -> int:
        """Return how many numbers are learnt."""
        return len(self._parameters)

    def sizes(self) -> tuple[int, int]:
        """Return how many lines are trained on, and how many are held back."""
        return len(self._lines("train")), len(self._lines("test"))

    def _lines(self, part: str) -> Lines:
        if part not in self._parts:
            remedy = "make it with Makemore(words, ...) and load it with resume"
            raise FastgradValueError(explain("words", "none", f"{part} lines", remedy))
        return self._parts[part]

    def tokens_per_step(self) -> float:
        """Return how many characters a mini-batch predicts, in the mean."""
        samples = self._drawn_from()
        if self._weighted:
            return float(samples.lines.tokens)
        return self.options.batch_size * (1.0 if samples.is_window else samples.mean_targets)

    # -- tapes

    def _tape(self, name: str) -> Tape:
        if name not in self._tapes:
            self._tapes[name] = getattr(self, f"_{name}_tape")()
        return self._tapes[name]

    def _loss_tape(self) -> Tape:
        """Record the loss of a sample, of a window or a sequence, summed over its targets."""
        model, context = self.model, [0.0] * self.options.block_size
        if self._weighted:
            return record(
                lambda x, t, w: w * functional.cross_entropy(model(x), t), context, 0, 1.0,
                parameters=self._parameters,
            )  # fmt: skip
        if model.sees == "window":
            return record(
                lambda x, t: functional.cross_entropy(model(x), t), context, 0,
                parameters=self._parameters,
            )  # fmt: skip
        pad = self.alphabet.pad
        return record(
            lambda x, t: functional.cross_entropy(
                model(x), list(t), ignore_index=pad, reduction="sum"
            ),
            context, [0] * self.options.block_size,
            parameters=self._parameters,
        )  # fmt: skip

    def _scores_tape(self) -> Tape:
        model, context = self.model, [0.0] * self.options.block_size
        return record(model, context).eval()

    @property
    def _weighted(self) -> bool:
        return self.options.model == "bigram" and not self.options.batch_size

    # -- samples

    def _samples_of(self, lines: Lines) -> _Samples:
        return _Samples(lines, self.model.sees, self.options)

    def _drawn_from(self) -> _Samples:
        """Return the training samples, which keep their places from one chunk to the next."""
        if self._samples is None:
            self._samples = self._samples_of(self._lines("train"))
        return self._samples

    def train(self, steps: int) -> list[float]:
        """Make steps, and return their losses.

        Parameters
        ----------
        steps : int
            How many.

        Returns
        -------
        list of float
            Nats a character.

        Raises
        ------
        KeyboardInterrupt
            Between two steps; `step` and `losses` tell of those made.
        NonFiniteError
            If a loss became nan or inf.
        """
        first, last = len(self.losses), self.step + steps
        while self.step < last:
            self._advance(min(last, self.step - self.step % _CHUNK + _CHUNK))
        return self.losses[first:]

    def _advance(self, end: int) -> None:
        """Make steps of one chunk, at one learning rate."""
        options, begin = self.options, self.step
        decays = options.lr_decay_steps
        if decays and begin < decays:
            end = min(end, decays)
        self._optimizer.lr = options.lr * (_RATE_FALLS_TO if decays and begin >= decays else 1.0)
        samples = self._drawn_from()
        if self._weighted:
            scale = 1.0
            how: dict[str, Any] = {}
            arguments: tuple[Any, ...] = samples.pairs()
        else:
            arguments = samples.drawn(begin // _CHUNK)
            how = {
                "batch_size": options.batch_size,
                "start": begin % _CHUNK,
                "shuffle": False,
                "seed": (options.seed * 1_000_003 + begin // _CHUNK) % 2**64,  # of dropout
            }
            scale = samples.mean_targets
        made: list[float] = []
        try:
            made = fit(
                self._tape("loss").train(),
                *arguments,
                optimizer=self._optimizer,
                steps=end - begin,
                threads=self.threads,
                **how,
            )
        except KeyboardInterrupt as interrupt:
            made = getattr(interrupt, "history", [])
            raise
        finally:
            self.step += len(made)
            self.losses += [loss / scale for loss in made]

    def loss(self, part: str = "train") -> float:
        """Return the mean loss of all characters, in nats.

        Parameters
        ----------
        part : {"train", "test"}
            Of which lines.

        Returns
        -------
        float
            nan where there are no such lines.
        """
        lines = self._lines(part)
        if not len(lines):
            return math.nan
        tape = self._tape("loss").eval()
        if self._weighted:
            pairs = self._samples_of(lines).pairs()
            return math.fsum(tape(*pairs)) / len(pairs[1])
        total = 0.0
        for arguments in self._samples_of(lines).all():
            total += math.fsum(tape(*arguments, threads=self.threads))
        return total / lines.tokens

    def counted_optimum(self) -> float:
        """Return the least training loss that any bigram model can have: that of the counted pairs.

        Returns
        -------
        float
            Nats a character.
        """
        counts = _counted(self._lines("train"))
        rows: dict[int, int] = {}
        for (before, _), n in counts.items():
            rows[before] = rows.get(before, 0) + n
        total = sum(counts.values())
        return math.fsum(n * math.log(rows[a] / n) for (a, _), n in counts.items()) / total

    # -- new words

    def sample(self, count: int, start: str = "", seed: int | None = None) -> list[str]:
        """Make words.

        Parameters
        ----------
        count : int
            How many.
        start : str
            What each begins with.
        seed : int, optional
            Of the drawing; that of the options and the step unless given.

        Returns
        -------
        list of str
            Of at most 100 characters behind `start`.

        Raises
        ------
        FastgradValueError
            If `start` has a character that no training line has.
        """
        alphabet, block = self.alphabet, self.options.block_size
        self.alphabet.encode(start)
        given = [alphabet.characters.index(c) + 1 for c in start]
        rng = random.Random(f"fastgrad {self.options.seed} {self.step}" if seed is None else seed)
        words = [list(given) for _ in range(count)]
        open_words = list(words)
        for _ in range(_LONGEST_WORD):
            if not open_words:
                break
            going = []
            for word, scores in zip(open_words, self._scores(open_words, block), strict=True):
                largest = max(scores)
                weights = [functional.exp(score - largest) for score in scores]
                token = rng.choices(range(alphabet.size), weights)[0]
                if token:
                    word.append(token)
                    going.append(word)
            open_words = going
        return [alphabet.decode(word) for word in words]

    def _scores(self, words: list[list[int]], block: int) -> list[list[float]]:
        """Return the scores of what follows each word."""
        if self.model.sees == "window":
            contexts = [([0] * block + word)[-block:] for word in words]
            return list(self._tape("scores")(contexts))
        contexts = [[0, *word][-block:] for word in words]
        padded = [context + [0] * (block - len(context)) for context in contexts]
        rows = self._tape("scores")(padded)
        return [row[len(context) - 1] for row, context in zip(rows, contexts, strict=True)]

    # -- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that `load` and `resume` need, in one file that appears complete or not at all.

        Parameters
        ----------
        path : str or path
            Of a safetensors file.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        steps, state = self._optimizer.updaters()[0].read_state()
        arrays = {
            "losses": self.losses,
            "parameters": [p.data for p in self._parameters],
            **{f"optimizer.{i}": numbers for i, numbers in enumerate(state) if numbers},
        }
        about = {
            "options": asdict(self.options),
            "characters": self.alphabet.characters,
            "data": self._data,
            "step": self.step,
            "optimizer_steps": steps,
        }
        metadata = {"format": _FORMAT, "makemore": json.dumps(about)}
        packed = {name: _packed(numbers) for name, numbers in arrays.items()}
        content = container.pack(metadata, packed, dict.fromkeys(packed, "F64"))
        container.write_file(container.path_text(path), content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Makemore:
        """Return a saved model, to make words with: it has no lines to go on with.

        Parameters
        ----------
        path : str or path
            What `save` wrote.

        Returns
        -------
        Makemore

        Raises
        ------
        FileFormatError
            If the file is none, or damaged.
        OSError
            If it cannot be read.
        """
        about, arrays = _read(container.path_text(path))
        run = cls.__new__(cls)
        run.threads = 1
        run._set_up(Options(**about["options"]), Alphabet(about["characters"]))
        run._take(about, arrays, container.path_text(path))
        return run

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Go on from where a run with the same words and options was saved.

        Parameters
        ----------
        path : str or path
            What `save` wrote.

        Raises
        ------
        FastgradValueError
            If it was of other words or options.
        FileFormatError
            If the file is none, or damaged.
        OSError
            If it cannot be read.
        """
        text = container.path_text(path)
        about, arrays = _read(text)
        mine = {**asdict(self.options), "words": self._data}
        theirs = {**about["options"], "words": about["data"]}
        for name, value in mine.items():
            if theirs[name] != value:
                shown = "others" if name == "words" else f"{value}"
                expected = f"{name} as in {text}"
                expected += "" if name == "words" else f", {theirs[name]}"
                raise FastgradValueError(explain(expected, shown, "resume"))
        self._take(about, arrays, text)

    def _take(self, about: dict[str, Any], arrays: dict[str, list[float]], path: str) -> None:
        """Take over step, losses, parameters and the optimizer's state."""
        n = len(self._parameters)
        state: list[list[float] | None] = [
            arrays[name] for name in sorted(arrays) if name.startswith("optimizer.")
        ]
        lengths = {len(numbers or ()) for numbers in (arrays["parameters"], *state)}
        if lengths != {n} or len(arrays["losses"]) != about["step"] or len(state) not in (0, 2):
            got = f"{sorted(lengths)}, and {len(arrays['losses'])} losses"
            expected = f"arrays of {n} numbers, and {about['step']} losses"
            raise FileFormatError(explain(expected, got, path))
        updater = self._optimizer.updaters()[0]
        updater.write_state(about["optimizer_steps"], state or [None, None])
        for p, number in zip(self._parameters, arrays["parameters"], strict=True):
            p.data = number
        self.step, self.losses = about["step"], arrays["losses"]


def _chosen(texts: Iterable[str], held: set[int], wanted: bool) -> Iterable[str]:
    return (text for i, text in enumerate(texts) if (i in held) == wanted)


def _counted(lines: Lines) -> dict[tuple[int, int], int]:
    """Count pairs of neighbours, with the begin and the end of each line."""
    from collections import Counter

    counts: Counter[tuple[int, int]] = Counter()
    places = lines.window_places()
    for at in range(0, len(places), _AT_ONCE):
        x, t = lines.windows(places[at : at + _AT_ONCE])
        counts.update(zip((row[-1] for row in x.tolist()), t.tolist(), strict=True))
    return dict(sorted(counts.items()))


class _Samples:
    """What a model trains on: windows or sequences of lines, drawn by the number of a chunk."""

    def __init__(self, lines: Lines, sees: str, options: Options) -> None:
        self.lines, self.options = lines, options
        self.is_window = sees == "window"
        self._pairs: tuple[Any, ...] | None = None
        self._places: array[int] | None = None

    @property
    def places(self) -> array[int]:
        if self._places is None:
            lines = self.lines
            self._places = lines.window_places() if self.is_window else lines.sequence_places()
        return self._places

    def __len__(self) -> int:
        return len(self.places) // (1 if self.is_window else 2)

    @property
    def mean_targets(self) -> float:
        """Targets of a sample in the mean."""
        return self.lines.tokens / len(self)

    def _at(self, numbers: Iterable[int]) -> tuple[Any, Any]:
        places = self.places
        if self.is_window:
            return self.lines.windows(places[i] for i in numbers)
        return self.lines.sequences((places[2 * i], places[2 * i + 1]) for i in numbers)

    def drawn(self, chunk: int) -> tuple[Any, Any]:
        """Return the samples of a chunk of steps, drawn with replacement."""
        rng = random.Random(f"fastgrad {self.options.seed} {chunk}")
        return self._at(rng.choices(range(len(self)), k=_CHUNK * self.options.batch_size))

    def all(self) -> Iterable[tuple[Any, Any]]:
        """Yield all samples, some at a time."""
        for at in range(0, len(self), _AT_ONCE):
            yield self._at(range(at, min(at + _AT_ONCE, len(self))))

    def pairs(self) -> tuple[Any, Any, Any]:
        """Return each pair of neighbours once, weighted so that the mean is that of all pairs."""
        if self._pairs is None:
            counts = _counted(self.lines)
            scale = len(counts) / sum(counts.values())
            self._pairs = (
                [[float(before)] for before, _ in counts],
                [float(after) for _, after in counts],
                [n * scale for n in counts.values()],
            )
        return self._pairs


# Files --------------------------------------------------------------------------------------------

_FORMAT = "fastgrad.makemore"
_ABOUT = {"options": dict, "characters": str, "data": str, "step": int, "optimizer_steps": int}


def _packed(numbers: list[float]) -> bytes:
    return container.little(array("d", numbers).tobytes(), 8)


def _read(path: str) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return what a checkpoint says and holds; FileFormatError if anything is wrong with it."""
    content = container.read_file(path)
    try:
        header, data, start = container.header_and_data(content)
        metadata = header.pop("__metadata__", {})
        container.expect_keys(metadata, {"format", "makemore"}, "__metadata__")
        if metadata["format"] != _FORMAT:
            raise FaultError(f"format {_FORMAT}", container.show(metadata["format"]), "format")
        text = container.expect_text(metadata["makemore"], "makemore")
        about = container.parse_json(text, "makemore")
        container.expect_keys(about, _ABOUT, "makemore")
        for name, kind in _ABOUT.items():
            if type(about[name]) is not kind:
                raise FaultError(f"a {kind.__name__}", container.show(about[name]), name)
        container.expect_count(about["step"], 2**53, "step")
        container.expect_count(about["optimizer_steps"], 2**53, "optimizer_steps")
        names = {"losses", "parameters", "optimizer.0", "optimizer.1"} & header.keys()
        container.expect_keys(header, {"losses", "parameters", *names}, "tensors")
        found = container.tensors(header, data, start, dict.fromkeys(header, "F64"))
        about["options"].setdefault("dropout", 0.0)  # older ones have none
        _expect_options(about["options"], len(found["parameters"]) // 8)
    except FaultError as fault:
        expected, got, where, *remedy = fault.args
        raise FileFormatError(explain(expected, got, f"{path}: {where}", *remedy)) from None
    arrays = {}
    for name, numbers in found.items():
        values = array("d", numbers)
        if sys.byteorder == "big":  # pragma: no cover (no such machine here)
            values.byteswap()
        arrays[name] = values.tolist()
    return about, arrays


def _expect_options(options: dict[str, Any], parameters: int) -> None:
    """Raise FaultError unless these are options, of sizes that so many parameters can have."""
    sizes = ("n_layer", "n_head", "n_embd", "block_size")
    known = {field.name: type(field.default) for field in fields(Options)}
    container.expect_keys(options, known, "options")
    for name, kind in known.items():
        if type(options[name]) is not kind and not (kind is float and type(options[name]) is int):
            raise FaultError(f"a {kind.__name__}", container.show(options[name]), name)
        if kind is int:
            most = parameters + 1000 if name in sizes else 2**53
            container.expect_count(options[name], most, name)
    if not 0 <= options["dropout"] < 1:
        raise FaultError("0 to less than 1", container.show(options["dropout"]), "dropout")
    if options["model"] not in MODELS:
        raise FaultError(f"one of {', '.join(MODELS)}", container.show(options["model"]), "model")
