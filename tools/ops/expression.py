"""The expression grammar of the table: check a text, translate it to C, evaluate it, derive it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class ExpressionError(ValueError):
    """A text of the table is not in the grammar."""


class Function(NamedTuple):
    """A function that texts may call, and its derivatives in terms of its arguments.

    It is `fg_<name>` of `src/fastgrad/_native/functions/`, unless `OF_C` names it.
    """

    arguments: str
    derivatives: tuple[str, ...]


FUNCTIONS = {
    "acos": Function("u", ("-asin_slope(u)",)),
    "acosh": Function("u", ("acosh_slope(u)",)),
    "acosh_slope": Function("u", ("-u * acosh_slope(u) * acosh_slope(u) * acosh_slope(u)",)),
    "asin": Function("u", ("asin_slope(u)",)),
    "asin_slope": Function("u", ("u * asin_slope(u) * asin_slope(u) * asin_slope(u)",)),
    "asinh": Function("u", ("asinh_slope(u)",)),
    "asinh_slope": Function("u", ("-u * asinh_slope(u) * asinh_slope(u) * asinh_slope(u)",)),
    "atan": Function("u", ("atan_slope(u)",)),
    "atan2": Function("uv", ("over_square(v, u)", "-over_square(u, v)")),
    "atan_slope": Function("u", ("-2 * u * atan_slope(u) * atan_slope(u)",)),
    "atanh": Function("u", ("atanh_slope(u)",)),
    "atanh_slope": Function("u", ("2 * u * atanh_slope(u) * atanh_slope(u)",)),
    "cbrt": Function("u", ("cbrt_slope(u)",)),
    "cbrt_slope": Function("u", ("-2 * cbrt_slope(u) / (3 * u)",)),
    "ceil": Function("u", ("0",)),
    "cos": Function("u", ("-sin(u)",)),
    "cosh": Function("u", ("sinh(u)",)),
    "erf": Function("u", ("gauss(u)",)),
    "exp": Function("u", ("exp(u)",)),
    "expm1": Function("u", ("exp(u)",)),
    "fabs": Function("u", ("1 if u > 0 else -1 if u < 0 else 0",)),
    "density": Function("u", ("-u * density(u)",)),
    "digamma": Function("u", ("trigamma(u)",)),
    "erfc": Function("u", ("-gauss(u)",)),
    "exp2": Function("u", ("0.6931471805599453 * exp2(u)",)),
    "floordiv": Function("uv", ("0", "0")),
    "gauss": Function("u", ("-2 * u * gauss(u)",)),
    "lgamma": Function("u", ("digamma(u)",)),
    "log10": Function("u", ("0.4342944819032518 / u",)),
    "log2": Function("u", ("1.4426950408889634 / u",)),
    "logaddexp": Function("uv", ("share(u, v)", "share(v, u)")),
    "mod": Function("uv", ("1", "-floordiv(u, v)")),
    "over_square": Function(
        "uv",
        (
            "(over_square(v, u) - over_square(u, v)) * (over_square(v, u) + over_square(u, v))",
            "-2 * over_square(u, v) * over_square(v, u)",
        ),
    ),
    "pentagamma": Function("u", ()),
    "round": Function("uv", ("0", "0")),
    "share": Function("uv", ("share(u, v) * share(v, u)", "-(share(u, v) * share(v, u))")),
    "tetragamma": Function("u", ("pentagamma(u)",)),
    "trigamma": Function("u", ("tetragamma(u)",)),
    "floor": Function("u", ("0",)),
    "gelu": Function("u", ("gelu_slope(u)",)),
    "gelu_slope": Function("u", ("density(u) * (2 - u * u)",)),
    "hypot": Function("uv", ("hypot_slope(u, v)", "hypot_slope(v, u)")),
    "hypot_slope": Function(
        "uv",
        (
            "hypot_slope(v, u) * hypot_slope(v, u) / hypot(u, v) if hypot(u, v) > 0 else 0",
            "-(hypot_slope(u, v) * hypot_slope(v, u) / hypot(u, v)) if hypot(u, v) > 0 else 0",
        ),
    ),
    "log": Function("u", ("1 / u",)),
    "log1p": Function("u", ("1 / (1 + u)",)),
    "pow": Function(
        "uv",
        ("v * pow(u, v - 1) if v != 0 else 0", "pow(u, v) * log(u) if u != 0 else 0"),
    ),
    "power": Function(
        "uv",
        ("v * power(u, v - 1) if v != 0 else 0", "power(u, v) * log(u) if u != 0 else 0"),
    ),
    "rint": Function("u", ("0",)),
    "sigmoid": Function("u", ("sigmoid_slope(u)",)),
    "sigmoid_slope": Function("u", ("-tanh(0.5 * u) * sigmoid_slope(u)",)),
    "sin": Function("u", ("cos(u)",)),
    "sinh": Function("u", ("cosh(u)",)),
    "softplus": Function("u", ("sigmoid(u)",)),
    "sqrt": Function("u", ("0.5 / sqrt(u)",)),
    "tan": Function("u", ("tan_slope(u)",)),
    "tan_slope": Function("u", ("2 * tan(u) * tan_slope(u)",)),
    "tanh": Function("u", ("tanh_slope(u)",)),
    "tanh_slope": Function("u", ("-2 * tanh(u) * tanh_slope(u)",)),
}

# Functions of C's library, which it rounds exactly.
OF_C = {"ceil", "fabs", "floor", "rint", "sqrt"}

# How far their texts in loops reach, macros of functions/: fg_far_bit tells where more is needed.
REACH = {
    "cos": "FG_ANGLE_REACH",
    "cosh": "FG_SINH_REACH",
    "erf": "FG_ERF_REACH",
    "erfc": "FG_ERF_REACH",
    "exp": "FG_EXP_REACH",
    "exp2": "FG_EXP_REACH",
    "expm1": "FG_EXP_REACH",
    "gauss": "FG_ERF_REACH",
    "gelu": "FG_GELU_REACH",
    "gelu_slope": "FG_GELU_REACH",
    "log": "FG_NORMAL",
    "log10": "FG_NORMAL",
    "log1p": "FG_NORMAL_BEHIND_1",
    "log2": "FG_NORMAL",
    "sigmoid": "FG_SIGMOID_REACH",
    "sigmoid_slope": "FG_SIGMOID_SLOPE_REACH",
    "sin": "FG_ANGLE_REACH",
    "sinh": "FG_SINH_REACH",
    "softplus": "FG_SOFTPLUS_REACH",
    "tan": "FG_ANGLE_REACH",
    "tan_slope": "FG_ANGLE_REACH",
    "tanh": "FG_TANH_REACH",
    "tanh_slope": "FG_TANH_SLOPE_REACH",
}

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def parse(text: str, names: Iterable[str] = "aby") -> ast.expr:
    """Return the syntax tree of a text that uses only the variables in `names`."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no expression: {error.msg}") from None
    _check(tree, text, tuple(names))
    return tree


def _check(node: ast.expr, text: str, names: tuple[str, ...]) -> None:
    """Raise ExpressionError where a node is not in the grammar."""
    match node:
        case ast.Name(id=name) if name == "inf" or name in names:
            return
        case ast.Constant(value=value) if type(value) in (int, float) and math.isfinite(value):
            return
        case ast.BinOp(op=op) if type(op) in _BINARY:
            parts = [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            parts = [node.operand]
        case ast.BoolOp():
            parts = node.values
        case ast.Compare(ops=[op]) if type(op) in _COMPARE:
            parts = [node.left, *node.comparators]
        case ast.IfExp():
            parts = [node.test, node.body, node.orelse]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            parts = node.args
            expected = len(FUNCTIONS[name].arguments)
            if len(parts) != expected:
                raise ExpressionError(
                    f"{name} expects {expected} argument(s), got {len(parts)}, in {text!r}"
                )
        case _:
            raise ExpressionError(
                f"expected variables {', '.join(names)}, inf, numbers, + - * /, comparisons of"
                " two, and/or/not, `x if c else z` or a call of a known function,"
                f" got {ast.unparse(node)!r} in {text!r}"
            )
    for part in parts:
        _check(part, text, names)


def to_c(node: ast.expr) -> str:
    """Translate a tree to a C expression that rounds exactly as the text says."""
    return _c(node).removeprefix("(").removesuffix(")") if _is_plain(node) else _c(node)


def _is_plain(node: ast.expr) -> bool:
    """Tell whether `_c` wraps the whole node in one pair of parentheses."""
    return isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare | ast.IfExp)


def _c(node: ast.expr) -> str:
    """Translate a tree, in parentheses where it is compound."""
    match node:
        case ast.Name(id=name):
            return "HUGE_VAL" if name == "inf" else name
        case ast.Constant(value=value):
            return repr(float(value))
        case ast.BinOp(left=left, op=op, right=right):
            return f"({_c(left)} {_BINARY[type(op)]} {_c(right)})"
        case ast.UnaryOp(op=op, operand=operand):
            sign = "-" if isinstance(op, ast.USub) else "!"
            return (
                f"{sign}({_c(operand)})" if isinstance(operand, ast.UnaryOp) else sign + _c(operand)
            )
        case ast.BoolOp(op=op, values=values):
            return f"({(' && ' if isinstance(op, ast.And) else ' || ').join(map(_c, values))})"
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({_c(left)} {_COMPARE[type(op)]} {_c(right)})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({_c(test)} ? {_c(body)} : {_c(orelse)})"
        case ast.Call(func=ast.Name(id=name), args=args):
            called = name if name in OF_C else f"fg_{name}"
            return f"{called}({', '.join(to_c(argument) for argument in args)})"
    raise AssertionError(ast.dump(node))  # parse() has checked the node


def variables(node: ast.expr) -> set[str]:
    """Return the names of the variables that a tree reads."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & set("abyuvw")


def function(
    expression: str | ast.expr,
    library: Mapping[str, Callable[..., Any]],
    number: Callable[[float], Any] = float,
    names: str = "aby",
) -> Callable[..., Any]:
    """Compile an expression to a Python function of its variables.

    `library` gives the functions, `inf` is `number("inf")`, and every number of the text is
    passed through `number` (`mpmath.mpf` keeps the arithmetic in many digits).
    """
    tree = parse(expression, names) if isinstance(expression, str) else expression

    class Numbers(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            call = ast.Call(ast.Name("number", ast.Load()), [node], [])
            return ast.copy_location(call, node)

    arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    body = Numbers().visit(ast.parse(ast.unparse(tree), mode="eval").body)
    module = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    scope = dict(library, number=number, inf=number("inf"), __builtins__={})
    return eval(compile(module, "<table>", "eval"), scope)  # noqa: S307 - checked by parse()


# -- derivatives --------------------------------------------------------------------------------


def derivative(node: ast.expr, name: str, of_result: ast.expr | None = None) -> ast.expr:
    """Return the derivative of a tree in one variable.

    `of_result` is the derivative of `y` in that variable, for texts that read the result: the
    second partial `d(dy/da)/da` is `derivative(partial_a, "a", partial_a)`. Conditions count as
    constant: the derivative is that of the branch taken.
    """
    zero, one = ast.Constant(0), ast.Constant(1)
    match node:
        case ast.Name(id=variable):
            if variable == "y" and of_result is not None:
                return of_result
            return one if variable == name else zero
        case ast.Constant():
            return zero
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _times(ast.Constant(-1), derivative(operand, name, of_result))
        case ast.BinOp(left=left, op=op, right=right):
            dl, dr = (derivative(side, name, of_result) for side in (left, right))
            if isinstance(op, ast.Add | ast.Sub):
                return _sum(dl, op, dr)
            if isinstance(op, ast.Mult):
                return _sum(_times(dl, right), ast.Add(), _times(left, dr))
            by_right = _sum(dl, ast.Sub(), _times(node, dr))  # (l/r)' = (l' - (l/r) r') / r
            return zero if _is(by_right, 0) else ast.BinOp(by_right, ast.Div(), right)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            branches = (derivative(body, name, of_result), derivative(orelse, name, of_result))
            return zero if all(_is(part, 0) for part in branches) else ast.IfExp(test, *branches)
        case ast.Call(func=ast.Name(id=called), args=args):
            arguments, derivatives = FUNCTIONS[called]
            if not derivatives:
                raise ExpressionError(f"expected a function with a derivative, got {called}")
            total: ast.expr = zero
            for argument, text in zip(args, derivatives, strict=True):
                inner = derivative(argument, name, of_result)
                outer = _substitute(parse(text, arguments), dict(zip(arguments, args, strict=True)))
                total = _sum(total, ast.Add(), _times(outer, inner))
            return total
    raise ExpressionError(f"expected a number, got the condition {ast.unparse(node)!r}")


def _is(node: ast.expr, value: int) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _times(left: ast.expr, right: ast.expr) -> ast.expr:
    if _is(left, 0) or _is(right, 0):
        return ast.Constant(0)
    if _is(left, 1):
        return right
    return left if _is(right, 1) else ast.BinOp(left, ast.Mult(), right)


def _sum(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.expr:
    if _is(right, 0):
        return left
    if _is(left, 0) and isinstance(op, ast.Add):
        return right
    return ast.BinOp(left, op, right)


def _substitute(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    class Arguments(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return values.get(node.id, node)

    return Arguments().visit(ast.parse(ast.unparse(node), mode="eval").body)
