"""What the table becomes in `slopes.h`: partials as operations, for tapes of derivatives."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from expression import ExpressionError
from print_c import NOTE

_CALLED = {"power": "pow_number", "fabs": "abs"}  # rows of other names than the functions of texts
_HEAD = f"""\
/* Slopes: what an operand's derivative gets of a result's, as operations, in the order of the text.
 * Who includes this defines emit(to, op, a, b), which gives the reference of an operation,
 * number(to, x) that of a constant, and times(to, partial, g), by the rule of op_product().
 * {NOTE} */
#ifndef FASTGRAD_SLOPES_H
#define FASTGRAD_SLOPES_H

enum {{ SLOPE_NONE = 0xffffffff, SLOPE_UNKNOWN = 0xfffffffe }}; /* 0 always; none is known */

static uint32_t slope_times(Derivation *to, uint32_t op, int operand, uint32_t a, uint32_t b,
    uint32_t y, uint32_t g) {{
    (void)b, (void)y;
    switch (2 * op + (uint32_t)operand) {{"""
_FOOT = """\
    default: return SLOPE_NONE;
    }
}

#endif
"""


def rules(row) -> tuple[str, ...]:
    """Return what a row's operands get, as texts: of the partials where they are formulas."""
    return row.rules or row.partials


def _tree(row, text: str, names: set[str]) -> ast.expr:
    """Return the tree of a rule, in which rows are called by their names."""
    tree = ast.parse(text, mode="eval").body
    known = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call)}
    wrong = known - called - set("abyg") | {n for n in called if _CALLED.get(n, n) not in names}
    if wrong:
        raise ExpressionError(f"rule of {row.name!r}: {', '.join(sorted(wrong))} is no row")
    return tree


class _Printer:
    """The statements that emit one rule."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def made(self, call: str) -> str:
        name = f"t{len(self.lines)}"
        self.lines.append(f"const uint32_t {name} = {call};")
        return name

    def row(self, name: str, *operands: str) -> str:
        pair = operands if len(operands) == 2 else operands * 2
        return self.made(f"emit(to, OP_{name.upper()}, {', '.join(pair)})")

    def emit(self, node: ast.expr) -> str:
        """Return the name of what a tree gives."""
        match node:
            case ast.Name(id=name):
                return name
            case ast.Constant(value=value):
                return self.made(f"number(to, {float(value)!r})")
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
                return self.made(f"number(to, {-float(value)!r})")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.row("mul", self.emit(operand), self.made("number(to, -1.0)"))
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                minus = ast.UnaryOp(ast.USub(), right)
                return self.emit(ast.BinOp(left, ast.Add(), minus))
            case ast.BinOp(left=left, op=op, right=right):
                name = {ast.Add: "add", ast.Mult: "mul", ast.Div: "quotient"}[type(op)]
                one = self.emit(left)
                return self.row(name, one, self.emit(right))
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.row(_CALLED.get(name, name), *map(self.emit, args))
        raise ExpressionError(f"expected a rule without conditions, got {ast.unparse(node)!r}")


def _case(row, operand: int, text: str, names: set[str]) -> list[str]:
    """Return the case of one operand."""
    head = f"    case 2 * {row.opcode} + {operand}:"
    if text == "0":
        return []
    if text == "1":
        return [head, "        return g;"]
    if text == "none":
        return [head, "        return SLOPE_UNKNOWN;"]
    printer = _Printer()
    tree = _tree(row, text, names)
    last = printer.emit(tree)
    reads_g = any(isinstance(node, ast.Name) and node.id == "g" for node in ast.walk(tree))
    result = last if reads_g else f"times(to, {last}, g)"
    return [f"{head} {{", *(f"        {line}" for line in printer.lines),
            f"        return {result};", "    }"]  # fmt: skip


def slopes(rows: Sequence) -> str:
    """Return `slopes.h`."""
    names = {row.name for row in rows}
    lines = [_HEAD]
    for row in rows:
        for operand, text in enumerate(rules(row)):
            lines += _case(row, operand, text, names)
    return "\n".join([*lines, _FOOT])
