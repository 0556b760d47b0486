"""Derivatives as people write them, for what the table computes by a function of its own."""

from __future__ import annotations

from fastgrad.ops import TABLE

__all__ = ["formula_of", "partials_of"]

_PLAIN = {  # how the table writes it: the same in plain words
    "tan_slope(a)": "1 + y * y",
    "asin_slope(a)": "1 / sqrt(1 - a * a)",
    "-asin_slope(a)": "-1 / sqrt(1 - a * a)",
    "atan_slope(a)": "1 / (1 + a * a)",
    "over_square(b, a)": "b / (a * a + b * b)",
    "-over_square(a, b)": "-a / (a * a + b * b)",
    "hypot_slope(a, b)": "a / y",
    "hypot_slope(b, a)": "b / y",
    "tanh_slope(a)": "1 - y * y",
    "sigmoid_slope(a)": "y * (1 - y)",
    "gauss(a)": "2 / sqrt(pi) * exp(-a * a)",
    "-gauss(a)": "-2 / sqrt(pi) * exp(-a * a)",
    "gelu_slope(a)": "erfc(-a / sqrt(2)) / 2 + a * exp(-a * a / 2) / sqrt(2 * pi)",
    "cbrt_slope(a)": "1 / (3 * y * y)",
    "asinh_slope(a)": "1 / sqrt(a * a + 1)",
    "acosh_slope(a)": "1 / sqrt(a * a - 1)",
    "atanh_slope(a)": "1 / (1 - a * a)",
    "share(a, b)": "exp(a - y)",
    "share(b, a)": "exp(b - y)",
    "tetragamma(a)": "polygamma(2, a)",
}
_OF = {  # where the table also has what holds at the edges of doubles
    "pow": ("b * a ** (b - 1)", "y * log(a)"),
    "pow_number": ("b * a ** (b - 1)",),
}
_FORMULAS = {"pow": "a ** b", "pow_number": "a ** b"}


def formula_of(operation: str) -> str:
    """Return what a row of the table computes, in ``a`` and ``b``."""
    return _FORMULAS.get(operation) or TABLE[operation].formula


def partials_of(operation: str) -> tuple[str, ...]:
    """Return its derivatives by its operands, in ``a``, ``b`` and the result ``y``."""
    texts = TABLE[operation].partials
    return _OF.get(operation) or tuple(_PLAIN.get(text, text) for text in texts)
