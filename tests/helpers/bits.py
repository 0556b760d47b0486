"""Fixed arguments for every row of the table, and a hash of the bits of what a row makes of them.

`tools/checks/bits.c` has the same arguments for compilers and processors that run no Python here.
"""

import hashlib

import numpy as np

COUNT = 4_096
PARAMETERS = (-2.0, -1.0, 0.5, 2.0, 3.0)
SPECIALS = (0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e-310, -1e-310, 1.0, -1.0, 0.5)
SPECIALS += (2.0, 3.0, -3.0, 10.0, 709.75, -745.1, 131072.0, -131072.0, 1e22, 1.7e308, -1.7e308)


def random_bits(start, count):
    """Return whole numbers of 64 bits: splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.arange(start, start + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def arguments(start):
    """Return numbers of any size, in [-1, 1), in [-32, 32), and near 1; then the special ones."""
    bits = random_bits(start, COUNT)
    share = (bits >> np.uint64(11)).astype(float) * 2.0**-53
    kind = np.arange(COUNT) % 4
    wide = (bits & np.uint64(0xBFFFFFFFFFFFFFFF)).view(float)  # |x| < 2
    with np.errstate(over="ignore"):
        wide = np.where(bits >> np.uint64(62) & np.uint64(1), 1.0 / wide, wide)
    chosen = [wide, 2.0 * share - 1.0, 64.0 * share - 32.0, 1.0 + (share - 0.5) * 2.0**-10]
    return np.concatenate([np.choose(kind, chosen), SPECIALS])


def operands(row):
    """Return the columns of a row's arguments: of two operands, also every pair of special ones."""
    a = arguments(1)
    if row.arity == 1:
        return [a]
    pairs = np.array([(x, y) for x in SPECIALS for y in SPECIALS]).T
    return [np.concatenate([a, pairs[0]]), np.concatenate([arguments(1 << 20), pairs[1]])]


def hashed(arrays):
    """Return the sha256 of the bits; a nan is any nan."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.where(np.isnan(array), np.nan, array)
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
