"""Write src/fastgrad/_native/functions/constants.h, the numbers in the functions, by mpmath.

`python tools/ops/constants.py [--check] [--root DIR]`; takes a minute. Polynomials are fitted by
Remez' exchange: the largest error, times a weight, is the smallest that the degree allows.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp

ROOT = Path(__file__).resolve().parents[2]
PATH = "src/fastgrad/_native/functions/constants.h"
NOTE = "Written by tools/ops/constants.py: edit that, then run it."
TINY = mp.mpf(2) ** -60  # quotients of a difference by its argument are taken here instead of at 0
ROWS = 128  # of the tables of exp and log
WORKING_BITS = 300
WORST = -57.0  # binary logarithm of the largest relative error that a fit may have

Function = Callable[[mp.mpf], mp.mpf]


def double(x: mp.mpf) -> float:
    """Return the nearest double."""
    with mp.workprec(53):
        return float(+mp.mpf(x))


def truncated(x: mp.mpf, bits: int) -> mp.mpf:
    """Return x cut to so many bits, so that products with small whole numbers are exact."""
    m, e = mp.frexp(x)
    return mp.ldexp(mp.floor(mp.ldexp(m, bits)), e - bits)


def bits_of(x: mp.mpf) -> int:
    """Return the representation of the nearest double."""
    return struct.unpack("<Q", struct.pack("<d", double(x)))[0]


def from_bits(bits: int) -> mp.mpf:
    """Return the double that is represented so."""
    return mp.mpf(struct.unpack("<d", struct.pack("<Q", bits))[0])


def fit(f: Function, weight: Function, low: float, high: float, degree: int) -> list[mp.mpf]:
    """Return the coefficients that make the largest weight * |f - polynomial| smallest."""
    low, high = mp.mpf(low), mp.mpf(high)
    mid, half = (high + low) / 2, (high - low) / 2
    n = degree + 2
    points = [mid - half * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    grid = [mid - half * mp.cos(mp.pi * (i + mp.mpf(0.5)) / (16 * n)) for i in range(16 * n)]
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    largest = mp.inf
    for _ in range(8):
        matrix, right = mp.matrix(n, n), mp.matrix(n, 1)
        for i, x in enumerate(points):
            for j in range(n - 1):
                matrix[i, j] = x**j
            matrix[i, n - 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        solution = mp.lu_solve(matrix, right)
        found = [solution[j] for j in range(n - 1)]
        errors = [
            w * (y - mp.polyval(found[::-1], x))
            for x, y, w in zip(grid, values, weights, strict=True)
        ]
        extremes: list[tuple[mp.mpf, mp.mpf]] = []  # the largest error of each sign in a row
        for x, error in zip(grid, errors, strict=True):
            if extremes and (error > 0) == (extremes[-1][1] > 0):
                extremes[-1] = max(extremes[-1], (x, error), key=lambda one: abs(one[1]))
            else:
                extremes.append((x, error))
        largest = max(abs(error) for _, error in extremes)
        while len(extremes) > n:
            extremes.pop(0 if abs(extremes[0][1]) < abs(extremes[-1][1]) else -1)
        if len(extremes) < n or largest < min(abs(e) for _, e in extremes) * mp.mpf(1.02):
            break
        points = [x for x, _ in extremes]
    return found, float(mp.log(largest, 2))


class Header:
    """The lines of the file."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def number(self, name: str, x: mp.mpf) -> None:
        """Write one number."""
        self.lines.append(f"#define FG_{name} {double(x).hex()}")

    def pair(self, name: str, x: mp.mpf) -> None:
        """Write a number, and what rounding leaves of it."""
        self.number(name, x)
        self.number(f"{name}_LO", x - mp.mpf(double(x)))

    def halves(self, name: str, x: mp.mpf) -> None:
        """Write a number, its upper 26 bits, and what these leave of it."""
        self.number(name, x)
        self.number(f"{name}_A", truncated(x, 26))
        self.number(f"{name}_B", x - truncated(x, 26))

    def table(self, name: str, rows: list[tuple[mp.mpf, ...]]) -> None:
        """Write rows of numbers, by their bits."""
        texts = [", ".join(f"0x{bits_of(x):016x}" for x in row) for row in rows]
        body = ",\n".join(f"    {{{text}}}" for text in texts)
        width = len(rows[0])
        self.lines.append(
            f"static const uint64_t fg_{name.lower()}[{len(rows)}][{width}] = {{\n{body},\n}};"
        )

    def polynomial(
        self, name: str, f: Function, weight: Function, low: float, high: float, degree: int,
        pairs: int = 0, worst: float = WORST, by_name: bool = False,
    ) -> None:  # fmt: skip
        """Write the coefficients of a fit: by name, for texts that loops use; else an array.

        The array has the last first. The lowest `pairs` of them have what rounding leaves; by name,
        the second then has 26 bits, for exact products with another such.
        """
        found, error = fit(f, weight, low, high, degree)
        print(f"{name}: degree {degree}, largest error 2^{error:.1f}", file=sys.stderr)
        if error > worst:
            raise ValueError(f"{name}: the fit errs by 2^{error:.1f}, more than 2^{worst}")
        if by_name:
            for i, c in enumerate(found):
                head = truncated(c, 26) if i == 1 and pairs else c
                self.number(f"{name}_{i}", head)
                if i < pairs:
                    self.number(f"{name}_{i}_LO", c - mp.mpf(double(head)))
            return
        high_first = [mp.mpf(double(c)) for c in found[::-1]]
        body = ", ".join(double(c).hex() for c in high_first)
        self.lines.append(f"static const double fg_{name.lower()}[{degree + 1}] = {{{body}}};")
        if pairs:
            rests = [c - mp.mpf(double(c)) for c in found[:pairs]][::-1]
            body = ", ".join(double(c).hex() for c in rests)
            self.lines.append(f"static const double fg_{name.lower()}_lo[{pairs}] = {{{body}}};")


def at_zero(f: Function) -> Function:
    """Return f, taken a little beside 0."""
    return lambda x: f(TINY if abs(x) < TINY else x)


def rest(f: Function, head: list[mp.mpf], power: int) -> Function:
    """Return (f(x) - head[0] - head[1] x - ...) / x^power."""
    return at_zero(lambda x: (f(x) - sum(c * x**i for i, c in enumerate(head))) / x**power)


def relative(f: Function) -> Function:
    """Return the weight that makes the error relative."""
    return lambda x: 1 / abs(f(x))


def exponential(to: Header) -> None:
    """e^x = 2^k 2^(j/128) e^r, -64 <= j < 64, |r| <= log(2)/256; a row for each j + 64."""
    step = mp.log(2) / ROWS
    high = truncated(step, 32)
    to.number("LOG2E_N", 1 / step)
    to.number("LN2_N_A", high)
    to.number("LN2_N_B", step - high)
    to.number("LN2", mp.log(2))
    half = step / 2 * mp.mpf("1.0001")
    to.polynomial(
        "EXP", rest(mp.exp, [1, 1], 2), lambda x: x * x + TINY, -half, half, 3, by_name=True
    )
    rows = []
    for i in range(ROWS):
        x = mp.mpf(2) ** (mp.mpf(i - ROWS // 2) / ROWS)
        rows.append((x, x - mp.mpf(double(x))))
    to.table("EXP_TABLE", rows)


def logarithm(to: Header) -> None:
    """log(2^k m), m in [sqrt(1/2), sqrt(2)), a row for each 7 bits of m.

    A row has c near 1/m, of 24 bits, so that m c is exact in two products, and -log(c). c is
    searched such that -log(c) is within 2^-62 of itself of a double, and needs no second one.
    """
    high = truncated(mp.log(2), 32)
    to.number("LN2_A", high)
    to.number("LN2_B", mp.log(2) - high)
    to.pair("LOG2E", 1 / mp.log(2))
    to.pair("LOG10E", 1 / mp.log(10))
    high = truncated(mp.log10(2), 32)
    to.number("LOG10_2_A", high)
    to.number("LOG10_2_B", mp.log10(2) - high)
    start = 0x3FE6A000 << 32  # an edge between two rows, just below sqrt(1/2)
    to.lines.append(f"#define FG_LOG_START 0x{start:016x}u")
    rows, largest = [], mp.mpf(0)
    for i in range(ROWS):
        low, high = from_bits(start + (i << 45)), from_bits(start + ((i + 1) << 45))
        c, found = mp.mpf(1), mp.mpf(0)
        if not low <= 1 <= high:
            c, found = row_of_logarithm(low, high)
        rows.append((c, found))
        largest = max(largest, abs(low * c - 1), abs(high * c - 1))
    to.table("LOG_TABLE", rows)
    to.table("LOG_TAILS", [(x - mp.mpf(double(x)),) for _, x in rows])
    head = [mp.mpf(0), mp.mpf(1), mp.mpf(-0.5)]
    tail = rest(mp.log1p, head, 3)
    to.polynomial(
        "LOG", tail, lambda x: x * x + mp.mpf(2) ** -40, -largest, largest, 4, by_name=True
    )
    to.polynomial(
        "POW", tail, lambda x: x * x + mp.mpf(2) ** -40, -largest, largest, 5, by_name=True
    )


def row_of_logarithm(low: mp.mpf, high: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """Return the row of the table of log between two edges."""
    step = mp.mpf(2) ** -23
    base = int(mp.nint(2 / (low + high) / step))

    def miss(i: int) -> mp.mpf:
        with mp.workprec(140):
            x = -mp.log((base + i) * step)
            return abs(x - mp.mpf(double(x))) / abs(x)

    best = min(range(-3000, 3001), key=miss)
    if miss(best) > mp.mpf(2) ** -62:
        raise ValueError(f"no c between {low} and {high} is good enough")
    c = (base + best) * step
    return c, -mp.log(c)


def normal(to: Header) -> None:
    """exp(t^2/2) Phi(-t) = G(s) / (t + 2), s = (t - 2) / (t + 2); after Shepherd, Laframboise.

    And exp(x^2) erfc(x) = H(s) / (x + 3/2), s = (x - 3/2) / (x + 3/2), from x = 1/2 on; below, erf.
    erf itself has the like, with 5/2, from 1 on, where it need not be as good.
    """

    def g(s: mp.mpf) -> mp.mpf:
        t = 2 * (1 + s) / (1 - s)
        return (t + 2) * mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2

    end = (mp.mpf(39) - 2) / (mp.mpf(39) + 2)
    to.polynomial("NORMAL", g, relative(g), -1, end, 28, pairs=3, by_name=True)

    def h(s: mp.mpf) -> mp.mpf:
        x = mp.mpf(1.5) * (1 + s) / (1 - s)
        return mp.exp(x * x) * mp.erfc(x) * (x + mp.mpf(1.5))

    end = (mp.mpf(28) - mp.mpf(1.5)) / (mp.mpf(28) + mp.mpf(1.5))
    to.polynomial("ERFC", h, relative(h), mp.mpf(-0.5), end, 24, pairs=3, by_name=True)
    gauss = 2 / mp.sqrt(mp.pi)
    small = at_zero(lambda z: (mp.erf(mp.sqrt(z)) / mp.sqrt(z) - gauss) / z)
    to.polynomial(
        "ERF", small, lambda z: z + mp.mpf(2) ** -40, 0, mp.mpf("0.51") ** 2, 8, by_name=True
    )
    to.number("ERF_HEAD", gauss - 1)
    half = mp.mpf(11) / 32
    head = mp.mpf(double(mp.erf(mp.sqrt(half)) / mp.sqrt(half) - 1))
    to.number("ERF_MIDDLE", head)

    def wide(t: mp.mpf) -> mp.mpf:  # what the rounding of the head misses is beside it
        z = t + half
        return (gauss - 1 if abs(z) < TINY else mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1) - head

    slope = mp.diff(wide, 0)
    first = mp.mpf(double(slope))
    to.number("ERF_SLOPE", first)
    to.polynomial(
        "ERF_WIDE",
        lambda t: (wide(t) / t - first) / t,
        lambda t: t * t,
        *(-0.34375, 0.48),
        10,
        by_name=True,
    )

    def upper(s: mp.mpf) -> mp.mpf:
        x = mp.mpf(2.5) * (1 + s) / (1 - s)
        return mp.exp(x * x) * mp.erfc(x) * (x + mp.mpf(2.5))

    def counts(s: mp.mpf) -> mp.mpf:  # 1 less that, times this, is erf
        x = mp.mpf(2.5) * (1 + s) / (1 - s)
        return mp.exp(-x * x) / (x + mp.mpf(2.5)) + mp.mpf(2) ** -24

    ends = ((x - mp.mpf(2.5)) / (x + mp.mpf(2.5)) for x in (0.89, 6))
    to.polynomial("ERF_UPPER", upper, counts, *ends, 15, by_name=True)
    to.halves("GAUSS", gauss)
    to.halves("DENSITY", 1 / mp.sqrt(2 * mp.pi))


def quarters(to: Header) -> None:
    """Sin and cos within an eighth of a turn by x^2; pi/2 in parts; the bits of 2/pi."""
    left = mp.pi / 2
    to.number("TWO_OVER_PI", 1 / left)
    to.pair("PI_2", left)
    for name in "ABC":
        to.number(f"PI_2_{name}", truncated(left, 36))
        left -= truncated(left, 36)
    to.number("PI_2_D", left)
    end = (mp.pi / 4 * mp.mpf("1.0001")) ** 2
    sine = at_zero(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    to.polynomial("SIN", sine, lambda z: z + TINY, 0, end, 5, by_name=True)
    cosine = at_zero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2)
    to.polynomial("COS", cosine, lambda z: z * z + TINY, 0, end, 5, by_name=True)
    with mp.workprec(1500):
        whole = int(mp.floor(mp.ldexp(2 / mp.pi, 1280)))
    words = [0, 0, *(whole >> (1248 - 32 * i) & 0xFFFFFFFF for i in range(40))]
    lines = [", ".join(f"0x{w:08x}" for w in words[i : i + 7]) for i in range(0, 42, 7)]
    body = ",\n".join(f"    {line}" for line in lines)
    to.lines.append(f"static const uint32_t fg_two_over_pi[{len(words)}] = {{\n{body},\n}};")


def arcs(to: Header) -> None:
    """atan, to tan(pi/8), and asin, to 1/2, by x^2."""
    end = (mp.sqrt(2) - 1) ** 2 * mp.mpf("1.0001")
    atan = at_zero(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    to.polynomial("ATAN", atan, lambda z: z + TINY, 0, end, 10, by_name=True)
    asin = at_zero(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    to.polynomial("ASIN", asin, lambda z: z + TINY, 0, 0.25, 12, by_name=True)


def roots(to: Header) -> None:
    """The inverse cube root of 1 <= m < 2, a first guess."""

    def root(m: mp.mpf) -> mp.mpf:
        return 1 / mp.cbrt(m)

    to.polynomial("CBRT", root, relative(root), 1, 2, 4, worst=-14.0, by_name=True)
    to.number("CBRT_OF_2", mp.cbrt(2))


def circle(to: Header) -> None:
    """sin(pi f) / f and cos(pi f) by f^2, |f| <= 1/4."""
    sine = at_zero(lambda z: mp.sin(mp.pi * mp.sqrt(z)) / mp.sqrt(z))
    to.polynomial("SINPI", sine, relative(sine), 0, 1 / 16, 7, pairs=3)
    cosine = at_zero(lambda z: mp.cos(mp.pi * mp.sqrt(abs(z))))
    to.polynomial("COSPI", cosine, relative(cosine), 0, 1 / 16, 7, pairs=3)
    to.pair("PI", mp.pi)


def gamma(to: Header) -> None:
    """The logarithm of Gamma, its derivative, and their expansions at infinity by 1/x^2."""
    one = at_zero(lambda t: mp.loggamma(1 + t) / t)
    two = at_zero(lambda t: mp.loggamma(2 + t) / t)
    to.polynomial("LGAMMA_BELOW_1", one, relative(one), -0.5, 0, 24, pairs=3)
    to.polynomial("LGAMMA_ABOVE_1", one, relative(one), 0, 0.5, 19, pairs=3)
    to.polynomial("LGAMMA_AT_2", two, relative(two), -0.5, 0.5, 21, pairs=3)
    to.pair("LGAMMA_STIRLING", mp.log(2 * mp.pi) / 2)
    to.pair("LNPI", mp.log(mp.pi))
    at_infinity(to, "LGAMMA", lambda x: (mp.loggamma(x) - stirling(x)) * x, 6)
    root = mp.findroot(mp.digamma, mp.mpf("1.4616321449683623"))
    to.pair("DIGAMMA_ROOT", root)

    def slope(v: mp.mpf) -> mp.mpf:
        x = v + mp.mpf(1.5)
        return mp.digamma(x) / (x - root) if x != root else mp.polygamma(1, x)

    to.polynomial("DIGAMMA_SLOPE", slope, relative(slope), -0.5, 0.5, 22, pairs=3)
    at_infinity(to, "DIGAMMA", digamma_rest, 7)
    for n, name in enumerate(("TRIGAMMA", "TETRAGAMMA", "PENTAGAMMA"), 1):
        at_infinity(to, name, lambda x, n=n: polygamma_rest(n, x) * x ** (n + 2), 6 + n)


def stirling(x: mp.mpf) -> mp.mpf:
    """Return log Gamma(x) but for a series by 1/x."""
    return (x - mp.mpf(0.5)) * mp.log(x) - x + mp.log(2 * mp.pi) / 2


def digamma_rest(x: mp.mpf) -> mp.mpf:
    """Return what digamma(x) is less than its first terms at infinity, times x^2."""
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) * x * x


def polygamma_rest(n: int, x: mp.mpf) -> mp.mpf:
    """Return |polygamma(n, x)| without the first two terms of its expansion at infinity."""
    head = mp.factorial(n - 1) / x**n + mp.factorial(n) / (2 * x ** (n + 1))
    return abs(mp.polygamma(n, x)) - head


def at_infinity(to: Header, name: str, f: Function, degree: int) -> None:
    """Write the polynomial in z = 1/x^2 that is f(x) from x = 8 on."""

    def tail(z: mp.mpf) -> mp.mpf:
        return f(1 / mp.sqrt(max(z, mp.mpf(2) ** -120)))

    to.polynomial(f"{name}_TAIL", tail, lambda _: 1, 0, 1 / 64, degree)


def text() -> str:
    """Return the file."""
    to = Header()
    with mp.workprec(WORKING_BITS):
        for part in (exponential, logarithm, normal, quarters, arcs, roots, circle, gamma):
            to.lines.append(f"\n/* {(part.__doc__ or '').splitlines()[0]} */")
            part(to)
    head = [f"/* {NOTE} */", "#ifndef FASTGRAD_CONSTANTS_H", "#define FASTGRAD_CONSTANTS_H", ""]
    return "\n".join([*head, "#include <stdint.h>", *to.lines, "", "#endif"]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with --check say whether it is stale."""
    parser = argparse.ArgumentParser(description="Write the numbers in the functions.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to work on")
    options = parser.parse_args(arguments)
    path, written = options.root / PATH, text()
    if path.exists() and path.read_text(encoding="utf-8") == written:
        return 0
    if options.check:
        print(f"{PATH} is stale: run tools/ops/constants.py", file=sys.stderr)
        return 1
    path.write_text(written, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
