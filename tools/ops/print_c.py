"""What the table becomes in C: `ops.h`, and its declarations for Cython, `codes.pxd`."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

from expression import REACH, derivative, parse, to_c, variables

NOTE = "Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`."
POWER = "fg_power(a, b - 1.0)"  # in C; whoever has it already gives it to op_<name>_da_given
ERRORS = {"zero_division": "OP_ZERO_DIVISION", "overflow": "OP_OVERFLOW", "domain": "OP_DOMAIN"}

_FORWARD = "int op_forward(int op, double a, double b, double *out)"
_PARTIALS = "int op_partials(int op, double a, double b, double y, double *da, double *db)"
_SECOND = (
    "int op_second(int op, double a, double b, double y, double *daa, double *dab, double *dbb)"
)
_SLOPES = "void op_slopes(int op, double a, double b, double y, double *da, double *db)"
_VALUE = "double op_{}_value(double a, double b)"
_PARTIAL = "double op_{}_d{}(double a, double b, double y)"
_GIVEN = "double op_{}_d{}_given(double a, double b, double y, double power)"


def is_tame(row) -> bool:
    """Tell whether finite operands give a finite value, unless a sum or product is too large."""
    tree = parse(row.forward)
    divides = any(isinstance(node, ast.Div) for node in ast.walk(tree))
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    steep = called & {"pow", "power", "tetragamma", "pentagamma"}
    refused = [text for text, _, _ in row.raises if text != "fabs(a) == inf"]
    return not (divides or steep or row.singular or refused)


def _reads_b(row) -> bool:
    return row.arity == 2 or row.parameter is not None


# What can be asked of an opcode: the function, what it tells, the rows of the table and the
# structural ones that it tells so of.
_QUESTIONS = (
    ("op_is_binary", "It has two operands, so b gets an adjoint.",
     lambda row: row.arity == 2, lambda _: False),
    ("op_has_parameter", "b is a hidden leaf, or a constant, that holds the parameter.",
     lambda row: row.parameter is not None, lambda _: False),
    ("op_reads_b", "It has a second operand or a parameter.",
     _reads_b, lambda _: False),
    ("op_in_arena", "A node may have it.",
     lambda _: True, lambda row: row.arena),
    ("op_on_tape", "An operation of a tape may have it.",
     lambda _: True, lambda row: row.tape),
    ("op_calls_python", "Its backward step is a Python function.",
     lambda _: False, lambda row: row.python),
    ("op_has_block", "A node of it has its operands in a block.",
     lambda _: False, lambda row: row.block),
    ("op_is_comparison", "It gives 1 where the comparison holds, else 0.",
     lambda row: row.symbol in ("<", "<=", "==", "!="), lambda _: False),
    ("op_is_tame", "Finite operands give a finite value, unless a sum or product is too large.",
     is_tame, lambda _: False),
)  # fmt: skip
_LISTED = "unsigned long long op_listed(int op, unsigned n)"
_COUNTED = "unsigned op_counted(int op, unsigned listed)"


def header(structural: Sequence, native: Sequence, slopes: Sequence) -> str:
    """Return `ops.h`."""
    rows = (*native, *slopes)
    parts = [_HEAD, *_arrays(structural, rows), *_questions(structural, rows)]
    return "\n".join([*parts, *map(_kernels, rows), *_dispatch(rows, native), _FOOT])


_HEAD = f"""\
/* Operations: opcodes, what is known of each, forward values, partials, reasons for errors.
 * Compile with -ffp-contract=off: the table's rounding.
 * {NOTE} */
#ifndef FASTGRAD_OPS_H
#define FASTGRAD_OPS_H

#include <math.h>

#include "functions/functions.h"
#include "config.h"

/* Each module uses its own part of this header; that is no reason for a warning. */
#if defined(__GNUC__)
#define OP_STATIC static __attribute__((unused))
#define OP_IS_CONSTANT(x) (__builtin_constant_p(x) && (x) != 0.0)
#else
#define OP_STATIC static
#define OP_IS_CONSTANT(x) 0
#endif
#define OP_INLINE OP_STATIC inline

enum op_error {{ OP_OK, OP_ZERO_DIVISION, OP_OVERFLOW, OP_DOMAIN }};

/* A partial times an adjoint, or a tangent, by the rule of every derivative: what has no influence
 * contributes nothing. So 0 where one of the two is 0, be the other infinite or nan. */
OP_INLINE double op_product(double partial, double adjoint) {{
    if (OP_IS_CONSTANT(partial)) return partial * adjoint;
    return (partial != 0.0) & (adjoint != 0.0) ? partial * adjoint : 0.0;
}}

/* Two partials times one adjoint, by the same rule. Only where a product is nan it is needed, so
 * elsewhere it costs one comparison. */
OP_INLINE void op_products(double da, double db, double adjoint, double *a, double *b) {{
    *a = da * adjoint;
    *b = db * adjoint;
    if (FASTGRAD_UNLIKELY(isunordered(*a, *b))) {{
        *a = op_product(da, adjoint);
        *b = op_product(db, adjoint);
    }}
}}

/* Products with this adjoint need the rule, or are all 0. */
OP_INLINE int op_is_odd(double adjoint) {{
    return !(fabs(adjoint) > 0.0 && fabs(adjoint) < HUGE_VAL);
}}
"""

_FOOT = """\
#endif"""


def _codes(structural: Sequence, rows: Sequence) -> list[str]:
    """Return the names of the opcodes, in their order."""
    return [row.opcode for row in (*structural, *rows)]


def _array(comment: str, declaration: str, values: Sequence[str]) -> str:
    """Return an array that opcodes index."""
    return f"/* {comment} */\nOP_STATIC {declaration} = {{\n{_wrap(values)}}};\n"


def _arrays(structural: Sequence, rows: Sequence) -> list[str]:
    """Return the opcodes and the arrays of their names."""

    def each(rows: Iterable) -> str:
        calls = " ".join(f"X({row.name},{row.opcode},{row.arity})" for row in rows)
        return _break(calls, 84, "    ", "    ").replace("\n", " \\\n").replace(",", ", ")

    names = [row.name for row in (*structural, *rows)]
    symbols = ["", *(row.name for row in structural[1:]), *(row.symbol for row in rows)]
    comments = [f" * {row.opcode:<10} {row.doc}" for row in structural]
    return [
        "/* Structural opcodes, whose rules are written by hand, then the rows of the table.",
        *comments[:-1],
        f"{comments[-1]} */",
        f"enum opcode {{\n{_wrap([*_codes(structural, rows), 'OP_COUNT'])}}};\n",
        "/* The rows of the table (name, opcode, operands), for whoever needs each of them. */",
        f"#define OP_EACH(X) \\\n{each(rows)}\n",
        "/* Those that have a second operand or a parameter. */",
        f"#define OP_EACH_BROADCAST(X) \\\n{each(filter(_reads_b, rows))}\n",
        "/* Those of one operand whose texts in loops do not reach all operands. */",
        f"#define OP_EACH_NEAR(X) \\\n{each(filter(is_near, rows))}\n",
        _array("Name in the table.", "const char *const op_name[OP_COUNT]",
               [f'"{name}"' for name in names]),
        _array("What `_op` shows.", "const char *const op_symbol[OP_COUNT]",
               [f'"{symbol}"' for symbol in symbols]),
    ]  # fmt: skip


def _questions(structural: Sequence, rows: Sequence) -> list[str]:
    """Return the functions that tell what an opcode is, and the arrays that they read."""
    answers = [0] * (len(structural) + len(rows))
    functions = [
        "/* A row of the table: a and b are its operands. They come after all that are none. */",
        "OP_INLINE int op_is_row(int op) {",
        f"    return op >= {rows[0].opcode};",
        "}\n",
        "OP_INLINE int op_is_add_or_mul(int op) {",
        "    return op == OP_ADD || op == OP_MUL;",
        "}\n",
        "/* The same of what is known to be a row, in one comparison: they are the first two. */",
        "OP_INLINE int op_row_is_add_or_mul(int op) {",
        "    return op <= OP_MUL;",
        "}\n",
    ]
    for place, (name, comment, of_row, of_structural) in enumerate(_QUESTIONS):
        yes = [*map(of_structural, structural), *map(of_row, rows)]
        answers = [found | answer << place for found, answer in zip(answers, yes, strict=True)]
        functions += [
            f"/* {comment} */",
            f"OP_INLINE int {name}(int op) {{",
            f"    return (op_answers[op] & {1 << place}) != 0;",
            "}\n",
        ]
    listed = [f"{{{first}, {each}}}" for first, each in (row.listed for row in structural)]
    return [
        _array("What the functions below tell, a bit for each.",
               "const unsigned short op_answers[OP_COUNT]", list(map(str, answers))),
        _array("Operands that a tape lists: at the start, and for each of what b counts.",
               "const unsigned char op_lists[OP_COUNT][2]", listed),
        *functions,
        "/* How many operands an operation of a tape lists, n being its b; 0 for a row. */",
        f"OP_INLINE {_LISTED} {{",
        "    return op_lists[op][0] + op_lists[op][1] * (unsigned long long)n;",
        "}\n",
        "/* The n of an operation that lists so many operands. */",
        f"OP_INLINE {_COUNTED} {{",
        "    return (listed - op_lists[op][0]) / op_lists[op][1];",
        "}\n",
    ]  # fmt: skip


def _kernels(row) -> str:
    """Return the functions of one row: its value, and each partial."""
    lines = _formula(_VALUE.format(row.name), row.forward, "ab")
    lines += [f"enum {{ op_{row.name}_is_light = {int(is_light(row))} }};"]
    lines += [f"#define op_{row.name}_reach {reach(row, (row.forward,))}"]
    lines += [f"#define op_{row.name}_slope_reach {reach(row, row.partials)}", ""]
    partials = [*row.partials, "0"][:2]
    for operand, text in zip("ab", partials, strict=True):
        lines += _formula(_PARTIAL.format(row.name, operand), text, "aby")
        if row.parameter and POWER in to_c(parse(text)):  # tapes have it for many samples at once
            given = _formula(_GIVEN.format(row.name, operand), text, "aby")
            lines += [line.replace(POWER, "power") for line in given]
    text = "\n".join(_fold(line) for line in lines)
    return re.sub(r"\bfg_log\(", "fg_log_any(", text) if row.arity == 2 else text


def is_light(row) -> bool:
    """Tell whether neither value nor partials divide or call more than `fabs`.

    Then a test for each product would be felt, and an infinite partial needs an infinite operand.
    """
    parts = [part for text in (row.forward, *row.partials) for part in ast.walk(parse(text))]
    return not any(
        isinstance(part, ast.Div)
        or (isinstance(part, ast.Call) and ast.unparse(part.func) != "fabs")
        for part in parts
    )


def reach(row, texts: Iterable[str]) -> str:
    """Return how far a loop's texts of a row reach, a macro of `functions/`.

    Those of two operands call functions that reach all numbers, `fg_<name>_any`.
    """
    calls = [
        part
        for text in texts
        for part in ast.walk(parse(text))
        if isinstance(part, ast.Call) and ast.unparse(part.func) in REACH
    ]
    if row.arity != 1 or not calls:
        return "FG_ANYWHERE"
    (only,) = {REACH[ast.unparse(call.func)] for call in calls}
    if any(ast.unparse(call.args[0]) != "a" for call in calls):
        raise ValueError(f"{row.name}: a loop asks of its operand alone whether it is in reach")
    return only


def is_near(row) -> bool:
    """Tell whether a loop's texts of value or partials do not reach all operands."""
    return any(reach(row, texts) != "FG_ANYWHERE" for texts in ((row.forward,), row.partials))


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


def _formula(signature: str, text: str, names: str) -> list[str]:
    """Return a function that evaluates one text of the table."""
    return _function(signature, parse(text), names)


def _function(signature: str, tree: ast.expr, names: str) -> list[str]:
    """Return a function that evaluates a tree."""
    head = [f"OP_INLINE {signature} {{", *_unused(names, variables(tree))]
    return [*head, f"    return {to_c(tree)};", "}", ""]


def _dispatch(rows: Sequence, native: Sequence) -> list[str]:
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
        *_switch(_FORWARD, rows, _forward_case, "*out = 0.0; return OP_OK;", "    double y;"),
        "/* The partials; returns OP_OK, or OP_ZERO_DIVISION where one is infinite. Operations of",
        " * one operand leave *db alone. */",
        *_switch(_PARTIALS, rows, _partials_case, "*da = 0.0; return OP_OK;"),
        "/* The partials as IEEE has them: infinite where the derivative is. For replay. */",
        *_switch(_SLOPES, rows, _slopes_case, "*da = 0.0;"),
        "/* The second partials, of the branch taken at a kink; returns as op_partials does.",
        " * Operations of one operand leave *dab and *dbb alone; slopes have none here. */",
        *_switch(_SECOND, native, _second_case, "*daa = 0.0; return OP_OK;"),
        "/* What a forward that failed expected: the text of the Python error. */",
        "OP_INLINE const char *op_error_text(int op, int error) {",
        *expected,
        '    return "operation expects a result that is a number";',
        "}\n",
        "/* Why the partials failed. */",
        "OP_INLINE const char *op_singular_text(int op) {",
        "    switch (op) {",
        *singular,
        '    default: return "operation has an infinite derivative where it is singular";',
        "    }",
        "}\n",
    ]


def _switch(
    signature: str, rows: Sequence, case: Callable, default: str, *before: str
) -> list[str]:
    """Return a function with a case for each row; cases are lists of statements."""
    lines = [f"OP_INLINE {signature} {{", *before, "    switch (op) {"]
    for row in rows:
        lines += [f"    case {row.opcode}:", *(f"        {statement}" for statement in case(row))]
    lines += [f"    default: {default}", "    }", "}\n"]
    return [_fold(line) for line in lines]


def _forward_case(row) -> list[str]:
    tests = [(parse(condition), ERRORS[kind]) for condition, kind, _ in row.raises]
    returns = [f"if ({to_c(test)}) return {error};" for test, error in tests]
    return [f"*out = y = op_{row.name}_value(a, b);", *returns, "return OP_OK;"]


def _partials_case(row) -> list[str]:
    return [*_singular(row), *_assigned(row), "return OP_OK;"]


def _slopes_case(row) -> list[str]:
    return [*_assigned(row), "break;"]


def _second_case(row) -> list[str]:
    values = [f"*d{names} = {to_c(tree)};" for names, tree in second_partials(row).items()]
    return [*_singular(row), *values, "return OP_OK;"]


def _singular(row) -> list[str]:
    """Return the test that a partial is infinite, if one can be."""
    return [f"if ({to_c(parse(row.singular))}) return OP_ZERO_DIVISION;"] if row.singular else []


def _assigned(row) -> list[str]:
    return [f"*d{operand} = op_{row.name}_d{operand}(a, b, y);" for operand in "ab"[: row.arity]]


def declarations(structural: Sequence, rows: Sequence) -> str:
    """Return `codes.pxd`: what is asked for by opcode."""
    lines = [
        '"""Declarations of ops.h: what each operation is, in C.',
        "",
        NOTE,
        '"""',
        "",
        'cdef extern from "ops/ops.h" nogil:',
        "    enum opcode:",
        *(f"        {code}" for code in [*_codes(structural, rows), "OP_COUNT"]),
        "",
        "    enum op_error:",
        *(f"        {error}" for error in ["OP_OK", *ERRORS.values()]),
        "",
        "    const char *op_name[]",
        "    const char *op_symbol[]",
        "",
        "    double op_product(double partial, double adjoint)",
        "    void op_products(double da, double db, double adjoint, double *a, double *b)",
        "    bint op_is_odd(double adjoint)",
        "",
        "    bint op_is_row(int op)",
        "    bint op_row_is_add_or_mul(int op)",
        *(f"    bint {name}(int op)" for name, *_ in _QUESTIONS),
        f"    {_LISTED}",
        f"    {_COUNTED}",
        "",
        *(f"    {signature}" for signature in (_FORWARD, _PARTIALS, _SLOPES, _SECOND)),
        "    const char *op_error_text(int op, int error)",
        "    const char *op_singular_text(int op)",
    ]
    return "\n".join(lines) + "\n"


def _public(row) -> str:
    """Return the name under which users know a row."""
    return row.called or row.variant_of or row.name


def _prose(condition: str) -> str:
    return condition.replace("fabs(a)", "|a|")


def _unused(names: str, read: set[str]) -> list[str]:
    unused = [f"(void){name}" for name in names if name not in read]
    return [f"    {', '.join(unused)};"] if unused else []


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
