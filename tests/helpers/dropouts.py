"""Dropouts: what a tape must draw, in plain Python, and the same function with that as arguments.

Oracle: Philox4x32-10 as published; a tape whose masks are arguments draws nothing.
"""

import fastgrad as fg
from fastgrad import functional as F


def philox(counter, seed):
    """Philox4x32-10 as published, in Python."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (q >> 32) ^ counter[1] ^ key[0], q & 0xFFFFFFFF,
            (p >> 32) ^ counter[3] ^ key[1], p & 0xFFFFFFFF,
        ]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def uniform(seed, call, sample, draw):
    """Return the number of 0 to 1 of one draw of a sample in a call."""
    words = philox([draw // 2, sample, call & 0xFFFFFFFF, call >> 32], seed)
    high, low = words[2 * (draw % 2) : 2 * (draw % 2) + 2]
    return ((high >> 5) * 2**26 + (low >> 6)) / 2**53


def masks(dropouts, seed, call, sample):
    """Return what each dropout of a function multiplies with, for one sample."""
    return [
        [
            (0.0 if p == 1 else 1 / (1 - p)) if uniform(seed, call + d, sample, j) >= p else 0.0
            for j in range(n)
        ]
        for d, (p, n) in enumerate(dropouts)
    ]


class Model:
    """A function with dropouts, recorded as it is and with its masks as an argument.

    Parameters
    ----------
    function : callable
        Of a `drop(row, p)` and the arguments.
    """

    def __init__(self, function, *example, parameters=()):
        self.dropouts = []

        def drawn(*args):
            return function(self._noted, *args)

        self.tape = fg.record(drawn, *example, parameters=parameters)

        def given(*args):
            *args, factors = args
            rows = iter(factors.values())
            return function(lambda row, _: [x * f for x, f in zip(row, next(rows), strict=True)],
                            *args)  # fmt: skip

        self.with_masks = fg.record(given, *example, self.alike(1.0), parameters=parameters)
        self.function = function

    def _noted(self, row, p):
        self.dropouts.append((p, len(row)))
        return F.dropout(row, p)

    @staticmethod
    def by_dropout(rows):
        """Return rows as an argument: in a dict none of them is taken for a rectangle."""
        return dict(enumerate(rows))

    def alike(self, number):
        """Return masks of one number."""
        return self.by_dropout([number] * n for _, n in self.dropouts)

    def masks(self, seed, call, samples=None, first=0):
        """Return the masks as an argument: of one sample, or of a batch."""
        if samples is None:
            return self.by_dropout(masks(self.dropouts, seed, call, first))
        rows = [masks(self.dropouts, seed, call, first + s) for s in range(samples)]
        return self.by_dropout([row[d] for row in rows] for d in range(len(self.dropouts)))


def seeded(tape, seed, call=0, first_sample=0):
    """Let a tape draw from a generator of its own, which is returned."""
    tape.generator = fg.nn.init.Generator(seed)
    tape.generator.state = (seed, call)
    tape.generator.first_sample = first_sample
    return tape.generator
