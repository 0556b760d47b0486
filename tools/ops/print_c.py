"""What the table becomes in C: `ops.h`, and its declarations for Cython, `codes.pxd`."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterable, Sequence

from expression import derivative, parse, to_c, variables

NOTE = "Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`."
STRUCTURAL = ("leaf", "python", "custom", "affine", "hidden")
POWER = "pow(a, b - 1.0)"  # in C; whoever has it already gives it to op_<name>_da_given
ERRORS = {"zero_division": "OP_ZERO_DIVISION", "overflow": "OP_OVERFLOW", "domain": "OP_DOMAIN"}

_FORWARD = "int op_{}_forward(double a, double b, double *out)"
_PARTIALS = "int op_{}_partials(double a, double b, double y, double *da, double *db)"
_VALUE = "double op_{}_value(double a, double b)"
_PARTIAL = "double op_{}_d{}(double a, double b, double y)"
_GIVEN = "double op_{}_d{}_given(double a, double b, double y, double power)"
_SECOND = "int op_{}_second(double a, double b, double y, double *daa, double *dab, double *dbb)"


def header(rows: Sequence) -> str:
    """Return `ops.h`."""
    return "\n".join([_HEAD, *_arrays(rows), *map(_kernels, rows), *_dispatch(rows), _FOOT])


_HEAD = f"""\
/* Operations: opcodes, what is known of each, forward values, partials, reasons for errors.
 * Layer: bottom. Includes <math.h> only. Compile with -ffp-contract=off: the table's rounding.
 * {NOTE} */
#ifndef FASTGRAD_OPS_H
#define FASTGRAD_OPS_H

#include <math.h>

/* Each module uses its own part of this header; that is no reason for a warning. */
#if defined(__GNUC__)
#define OP_STATIC static __attribute__((unused))
#else
#define OP_STATIC static
#endif
#define OP_INLINE OP_STATIC inline

enum op_error {{ OP_OK, OP_ZERO_DIVISION, OP_OVERFLOW, OP_DOMAIN }};
"""

_FOOT = """\
#endif"""


def _arrays(rows: Sequence) -> list[str]:
    """Return the opcodes and the arrays that they index."""
    codes = [f"OP_{name.upper()}" for name in STRUCTURAL] + [row.opcode for row in rows]
    symbols = ["", *STRUCTURAL[1:]] + [row.symbol for row in rows]
    names = [*STRUCTURAL, *(row.name for row in rows)]
    zeros = [0] * len(STRUCTURAL)

    def array(comment: str, declaration: str, values: Sequence, show: Callable) -> str:
        items = _wrap(map(show, values))
        return f"/* {comment} */\nOP_STATIC {declaration}[OP_COUNT] = {{\n{items}}};\n"

    def quoted(text: str) -> str:
        return f'"{text}"'

    def each(rows: Iterable) -> str:
        calls = " ".join(f"X({row.name},{row.opcode},{row.arity})" for row in rows)
        return _break(calls, 84, "    ", "    ").replace("\n", " \\\n").replace(",", ", ")

    second = [row for row in rows if row.arity == 2 or row.parameter is not None]
    return [
        f"enum opcode {{\n{_wrap([*codes, 'OP_COUNT'])}}};\n",
        "/* The rows of the table (name, opcode, operands), for whoever needs each of them. */",
        f"#define OP_EACH(X) \\\n{each(rows)}\n",
        "/* Those that have a second operand or a parameter. */",
        f"#define OP_EACH_BY(X) \\\n{each(second)}\n",
        array("Operands that are shown.", "const unsigned char op_operands",
              zeros + [row.arity for row in rows], str),
        array("1: b is a hidden leaf that holds the parameter.",
              "const unsigned char op_has_parameter",
              zeros + [int(row.parameter is not None) for row in rows], str),
        array("Name in the table.", "const char *const op_name", names, quoted),
        array("What `_op` shows.", "const char *const op_symbol", symbols, quoted),
    ]  # fmt: skip


def _kernels(row) -> str:
    """Return the functions of one row: value and partials alone, and with what raises."""
    tests = [(parse(condition), ERRORS[kind]) for condition, kind, _ in row.raises]
    lines = _formula(_VALUE.format(row.name), row.forward, "ab")
    lines += [f"OP_INLINE {_FORWARD.format(row.name)} {{"]
    lines += [f"    const double y = op_{row.name}_value(a, b);", "    *out = y;"]
    lines += [f"    if ({to_c(test)}) return {error};" for test, error in tests]
    lines += ["    return OP_OK;", "}", ""]

    partials = [*row.partials, "0"][:2]
    for operand, text in zip("ab", partials, strict=True):
        lines += _formula(_PARTIAL.format(row.name, operand), text, "aby")
        if row.parameter and POWER in to_c(parse(text)):  # tapes have it for many samples at once
            given = _formula(_GIVEN.format(row.name, operand), text, "aby")
            lines += [line.replace(POWER, "power") for line in given]
    lines += [f"OP_INLINE {_PARTIALS.format(row.name)} {{"]
    if row.singular:
        lines += [f"    if ({to_c(parse(row.singular))}) return OP_ZERO_DIVISION;"]
    for operand in "ab"[: row.arity]:
        lines += [f"    *d{operand} = op_{row.name}_d{operand}(a, b, y);"]
    lines += ["    (void)db;"] if row.arity == 1 else []
    lines += ["    return OP_OK;", "}", ""]
    lines += _second_kernels(row)
    return "\n".join(_fold(line) for line in lines)


def second_partials(row) -> dict[str, ast.expr]:
    """Return the trees of d2y/da2, d2y/da/db and d2y/db2, of as many operands as the row has.

    The mixed one is the derivative of dy/db, which is the simpler partial where they differ: that
    of pow in a has a case for b == 0, whose derivative in b is not that of the case.
    """
    partials = dict(zip("ab", map(parse, row.partials), strict=False))
    return {
        second + first: derivative(partials[first], second, partials[second])
        for first, second in ("aa", "ba", "bb")
        if first in partials
    }


def _second_kernels(row) -> list[str]:
    """Return the functions of the second partials, each alone and all together."""
    trees = second_partials(row)
    lines = []
    for names, tree in trees.items():
        lines += _function(_PARTIAL.format(row.name, names), tree, "aby")
    lines += [f"OP_INLINE {_SECOND.format(row.name)} {{"]
    if row.singular:
        lines += [f"    if ({to_c(parse(row.singular))}) return OP_ZERO_DIVISION;"]
    lines += [f"    *d{names} = op_{row.name}_d{names}(a, b, y);" for names in trees]
    lines += ["    (void)dab, (void)dbb;"] if row.arity == 1 else []
    return [*lines, "    return OP_OK;", "}", ""]


def _formula(signature: str, text: str, names: str) -> list[str]:
    """Return a function that evaluates one text of the table."""
    return _function(signature, parse(text), names)


def _function(signature: str, tree: ast.expr, names: str) -> list[str]:
    """Return a function that evaluates a tree."""
    head = [f"OP_INLINE {signature} {{", *_unused(names, variables(tree))]
    return [*head, f"    return {to_c(tree)};", "}", ""]


def _dispatch(rows: Sequence) -> list[str]:
    """Return the functions that take an opcode."""
    expected = [
        f"    if (op == {row.opcode} && error == {ERRORS[kind]})\n"
        f'        return "{_public(row)} expects {text}";'
        for row in rows
        for _, kind, text in row.raises
    ]
    singular = [
        f'    case {row.opcode}:\n        return "{_public(row)} has an infinite derivative where'
        f' {_prose(row.singular)}";'
        for row in rows
        if row.singular
    ]
    return [
        "/* The value; returns an enum op_error. Operations of one operand ignore b. */",
        _switch(_FORWARD, rows, "forward(a, b, out)", "*out = 0.0;"),
        "/* The partials; returns OP_OK, or OP_ZERO_DIVISION where one is infinite. Operations of",
        " * one operand leave *db alone. */",
        _switch(_PARTIALS, rows, "partials(a, b, y, da, db)",
                "*da = 0.0;"),
        "/* The partials as IEEE has them: infinite where the derivative is. For replay. */",
        "OP_INLINE void op_slopes(int op, double a, double b, double y, double *da, double *db) {",
        "    switch (op) {",
        *(_slopes(row) for row in rows),
        "    default: *da = 0.0;",
        "    }",
        "}\n",
        "/* The second partials, of the branch taken at a kink; returns as op_partials does.",
        " * Operations of one operand leave *dab and *dbb alone. */",
        _switch(_SECOND, rows, "second(a, b, y, daa, dab, dbb)", "*daa = 0.0;"),
        "/* What a forward that failed expected: the text of the Python error. */",
        "OP_INLINE const char *op_error_text(int op, int error) {",
        *expected,
        '    return "expected a result that is a number";',
        "}\n",
        "/* Why the partials failed. */",
        "OP_INLINE const char *op_singular_text(int op) {",
        "    switch (op) {",
        *singular,
        '    default: return "expected a finite derivative";',
        "    }",
        "}\n",
    ]  # fmt: skip


def _slopes(row) -> str:
    """Return the case of `op_slopes` for a row."""
    calls = [f"*d{x} = op_{row.name}_d{x}(a, b, y);" for x in "ab"[: row.arity]]
    return f"    case {row.opcode}: {' '.join(calls)} break;"


def _switch(signature: str, rows: Sequence, call: str, default: str) -> str:
    """Return a function that calls the kernel of an opcode."""
    cases = [f"    case {row.opcode}: return op_{row.name}_{call};" for row in rows]
    default = f"    default: {default} return OP_OK;"
    head = [f"OP_INLINE {_for_opcode(signature)} {{", "    switch (op) {"]
    return "\n".join([*head, *cases, default, "    }", "}\n"])


def _for_opcode(signature: str) -> str:
    """Return the signature of the function that calls the kernel of an opcode."""
    return signature.replace("op_{}_", "op_").replace("(", "(int op, ", 1)


def declarations(rows: Sequence) -> str:
    """Return `_ops.pxd`."""
    codes = [f"OP_{name.upper()}" for name in STRUCTURAL] + [row.opcode for row in rows]
    lines = [
        '"""Declarations of ops.h: what each operation is, in C.',
        "",
        "Layer: bottom. Cimports nothing.",
        NOTE,
        '"""',
        "",
        'cdef extern from "ops/ops.h" nogil:',
        "    enum opcode:",
        *(f"        {code}" for code in [*codes, "OP_COUNT"]),
        "",
        "    enum op_error:",
        *(f"        {error}" for error in ["OP_OK", *ERRORS.values()]),
        "",
        "    const unsigned char op_operands[]",
        "    const unsigned char op_has_parameter[]",
        "    const char *op_name[]",
        "    const char *op_symbol[]",
        "",
        f"    {_for_opcode(_FORWARD)}",
        f"    {_for_opcode(_PARTIALS)}",
        f"    {_for_opcode(_SECOND)}",
        "    const char *op_error_text(int op, int error)",
        "    const char *op_singular_text(int op)",
        "",
    ]
    for row in rows:
        lines += [f"    {_FORWARD.format(row.name)}", f"    {_PARTIALS.format(row.name)}"]
    return "\n".join(lines) + "\n"


def _public(row) -> str:
    """Return the name under which users know a row."""
    return row.variant_of or row.name


def _prose(condition: str) -> str:
    return condition.replace("fabs(a)", "|a|")


def _unused(names: str, read: set[str]) -> list[str]:
    return [f"    (void){name};" for name in names if name not in read]


def _wrap(items: Iterable[str]) -> str:
    """Break a list of initialisers."""
    return _break(", ".join(items), 96, "    ", "    ") + "\n"


def _fold(line: str) -> str:
    """Break a long line of C between two tokens."""
    return _break(line, 98, "", "        ")


def _break(text: str, width: int, first: str, rest: str) -> str:
    wrapper = textwrap.TextWrapper(width, first, rest, break_on_hyphens=False)
    wrapper.break_long_words = False
    return wrapper.fill(text)
