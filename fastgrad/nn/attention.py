"""Attention: what a Transformer is made of."""

from __future__ import annotations

import math
from typing import Any

from fastgrad.errors import FastgradValueError, explain
from fastgrad.formulas.rows import by_elements, depth_of, like, listed
from fastgrad.formulas.softmax import softmax
from fastgrad.formulas.sums import sums_of_products
from fastgrad.functional import add, mul
from fastgrad.nn.layers import GELU, Dropout, LayerNorm, Linear
from fastgrad.nn.module import Module
from fastgrad.nn.neurons import expect_width

__all__ = ["CausalSelfAttention", "TransformerBlock"]


class CausalSelfAttention(Module):
    """Mix the rows of a sequence: each with those before it and itself.

    Row t of head h is ``softmax([q[t] @ k[s] / sqrt(d) for s in 0..t])`` times the v[s]; q, k and v
    are parts of ``c_attn``'s result, n_embd each, of which head h has d = n_embd / n_head numbers.

    Parameters
    ----------
    n_embd : int
        Length of a row.
    n_head : int
        Number of heads; divides n_embd.
    bias : bool
        Whether the layers have biases.

    Attributes
    ----------
    c_attn : Linear, n_embd to 3 * n_embd
    c_proj : Linear, n_embd to n_embd
        Named as in GPT-2, nanoGPT and makemore.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a number is no positive integer, or n_head does not divide n_embd.

    Notes
    -----
    Cost of T rows: about ``4*T*n_embd**2 + T**2*n_embd`` multiplications.
    """

    def __init__(self, n_embd: int, n_head: int, bias: bool = True) -> None:
        expect_width(n_embd, "n_embd of CausalSelfAttention")
        expect_width(n_head, "n_head of CausalSelfAttention")
        if n_embd % n_head:
            expected, where = f"a divisor of n_embd, {n_embd}", "n_head of CausalSelfAttention"
            raise FastgradValueError(explain(expected, f"{n_head}", where))
        self.n_embd, self.n_head = n_embd, n_head
        self.c_attn = Linear(n_embd, 3 * n_embd, bias)
        self.c_proj = Linear(n_embd, n_embd, bias)

    def forward(self, x: Any) -> Any:
        """Return as many rows.

        Parameters
        ----------
        x : rows of n_embd Values and numbers
            A sequence, or a batch of sequences.

        Raises
        ------
        ShapeError
            If rows are not of n_embd.
        """
        rows = listed(x, "input of CausalSelfAttention")
        if depth_of(x) > 2:
            return like(x, [self.forward(sequence) for sequence in rows])
        made = [self.c_attn(listed(row, "input of CausalSelfAttention")) for row in rows]
        n, d = self.n_embd, self.n_embd // self.n_head
        scale = 1.0 / math.sqrt(d)
        mixed: list[list[Any]] = [[] for _ in rows]
        for begin in range(0, n, d):
            queries, keys, values = (
                [row[part + begin : part + begin + d] for row in made] for part in (0, n, 2 * n)
            )
            for t, query in enumerate(queries):
                zeros = [0.0] * (t + 1)
                scores = sums_of_products(query, keys[: t + 1], zeros)
                shares = softmax([mul(score, scale) for score in scores])
                columns = [list(column) for column in zip(*values[: t + 1], strict=True)]
                mixed[t] += sums_of_products(shares, columns, [0.0] * d)
        return like(x, [self.c_proj(row) for row in mixed])

    def __repr__(self) -> str:
        return f"CausalSelfAttention({self.n_embd}, {self.n_head})"


class TransformerBlock(Module):
    """Compute ``x + attn(ln_1(x))``, and from that ``x + mlp(ln_2(x))``: a block of GPT-2.

    Parameters
    ----------
    n_embd : int
        Length of a row.
    n_head : int
        Number of heads; divides n_embd.
    bias : bool
        Whether the linear layers have biases.
    dropout : float
        Probability with which, while training, a number of what is added is set to 0.

    Attributes
    ----------
    ln_1, ln_2 : LayerNorm
    attn : CausalSelfAttention
    drop : Dropout
    mlp : dict
        ``c_fc``, a Linear to 4 * n_embd, ``act``, a GELU approximated by tanh, ``c_proj``, a Linear
        back. Named as in nanoGPT and makemore.

    Raises
    ------
    FastgradTypeError, FastgradValueError
        If a size is no positive integer, n_head does not divide n_embd, or `dropout` is no number
        from 0 to 1.
    """

    def __init__(self, n_embd: int, n_head: int, bias: bool = True, dropout: float = 0.0) -> None:
        self.ln_1 = LayerNorm(n_embd)
        self.attn = CausalSelfAttention(n_embd, n_head, bias)
        self.ln_2 = LayerNorm(n_embd)
        self.mlp = {
            "c_fc": Linear(n_embd, 4 * n_embd, bias),
            "act": GELU("tanh"),
            "c_proj": Linear(4 * n_embd, n_embd, bias),
        }
        self.drop = Dropout(dropout)

    def forward(self, x: Any) -> Any:
        """Return as many rows: see `CausalSelfAttention.forward`."""
        x = _added(x, self.drop(self.attn(self.ln_1(x))))
        out = self.ln_2(x)
        for layer in self.mlp.values():
            out = layer(out)
        return _added(x, self.drop(out))

    def __repr__(self) -> str:
        return f"TransformerBlock({self.attn.n_embd}, {self.attn.n_head})"


def _added(x: Any, y: Any) -> Any:
    return by_elements(add, "TransformerBlock", x, y)
