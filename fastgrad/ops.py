"""The table: what each operation is. Everything else about it is generated from its row."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "DOMAIN",
    "OVERFLOW",
    "STRUCTURAL",
    "TABLE",
    "ZERO_DIVISION",
    "Op",
    "Structural",
    "names",
    "native",
    "rows",
    "slopes",
]

ZERO_DIVISION = "zero_division"  # ZeroDivisionError
OVERFLOW = "overflow"  # OverflowError
DOMAIN = "domain"  # ValueError


@dataclass(frozen=True)
class Op:
    """Describe one operation.

    The texts are written in a small grammar (see `tools/ops/expression.py`): operands `a b`, result
    `y`, numbers, `inf`, `+ - * /`, comparisons, `and or not`, `x if c else z`, and calls of the
    functions that are named there. A parameter, which is a number and no operand, is read as `b`.

    Attributes
    ----------
    name : str
        Name of the row, of the opcode `OP_<NAME>` and of the function in `fastgrad.functional`.
    forward : str
        The result, computed so that it is within `tolerance` everywhere in `domain`.
    partials : tuple of str
        One text per operand, `dy/da` then `dy/db`; their number is the arity.
    rules : tuple of str, optional
        What derivative tapes have for the partials that are no plain formula: calls of rows by
        name. A text that reads `g` is what an operand's adjoint gets of the result's, `g`.
    doc : str
        One line, an imperative sentence.
    domain : tuple of (float, float)
        One interval per operand (and one for the parameter) where the tests sample; between two
        ints they are whole numbers. It is too wide where more than 5 % of the points give inf or
        nan, in value or partial, or raise.
    symbol : str
        What `_op` shows; the name unless given.
    called : str
        What errors call it; the name unless given, for what is written as an operator.
    formula : str
        The definition as a textbook has it; the forward text unless given. The tests take it and
        its derivative for the truth, in many digits; at a kink it holds the branch that counts.
    parameter : tuple of (str, float or None), optional
        Name and default of the parameter.
    raises : tuple of (str, str, str)
        Condition over `a b y`, kind of error, what was expected; the first that holds raises.
    singular : str
        Condition over `a b y` at which the derivative is infinite: backward raises
        ZeroDivisionError there.
    composite : str
        The calls that this is short for. Such a row has no opcode and no kernel of its own.
    method : str or None
        Name of the method of `Value`; the name unless given, None for what is an operator or a
        function only.
    aliases : tuple of str
        Further names of the method and the function: NumPy's, so that `np.arcsin` of an object
        array finds it.
    variant_of : str
        The row whose function stands for this one too (`pow` also takes plain exponents).
    with_operand : str
        The row that stands for this one where the parameter is a Value, and so an operand.
    folds : bool
        The function takes any number of operands too, or one iterable of them, and works from left
        to right; its aliases take two.
    tolerance : float
        Promised accuracy of the value, in units in the last place; 0.8 at least where the value is
        subnormal, and so rounded twice.
    slopes : float
        The same of the partials.
    cancels : tuple of (float, float, float), optional
        Interval of `a` around a root of a partial whose terms cancel there, and their size: in
        it the unit is the last place of the terms.
    flat : bool
        The value is 0 on a large part of the domain, as it is meant to be. Elsewhere more than half
        the points at 0 say that the domain is too wide.
    """

    name: str
    forward: str
    partials: tuple[str, ...]
    doc: str
    domain: tuple[tuple[float, float], ...]
    symbol: str = ""
    called: str = ""
    formula: str = ""
    parameter: tuple[str, float | None] | None = None
    raises: tuple[tuple[str, str, str], ...] = ()
    singular: str = ""
    composite: str = ""
    method: str | None = ""
    aliases: tuple[str, ...] = ()
    variant_of: str = ""
    with_operand: str = ""
    folds: bool = False
    tolerance: float = 1.0
    slopes: float = 1.5
    cancels: tuple[float, float, float] | None = None
    flat: bool = False
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Fill in what follows from the name and the forward text."""
        for field, default in (("symbol", self.name), ("formula", self.forward)):
            if not getattr(self, field):
                object.__setattr__(self, field, default)
        if self.method == "":
            object.__setattr__(self, "method", self.name)

    @property
    def arity(self) -> int:
        """Number of operands."""
        return len(self.partials)

    @property
    def opcode(self) -> str | None:
        """Name of the opcode in C; None for a composite."""
        return None if self.composite else f"OP_{self.name.upper()}"

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods of `Value`."""
        return tuple(dict.fromkeys((self.method, *self.aliases))) if self.method else ()

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions in `fastgrad.functional`."""
        return () if self.variant_of else (self.name, *self.aliases)


@dataclass(frozen=True)
class Structural:
    """Describe an opcode that is no row of the table: its rule is written by hand.

    Attributes
    ----------
    name : str
        Name of the opcode `OP_<NAME>`; on tapes and in their files that of the operation.
    doc : str
        One line: what it is.
    arena : bool
        Whether a node may have it.
    tape : bool
        Whether an operation of a tape may have it; it then lists its operands.
    python : bool
        Whether its backward step is a Python function.
    block : bool
        Whether a node of it always has its operands in a block.
    listed : (int, int)
        Operands that an operation of a tape lists, by the number n that it carries: those at the
        start of the list, and those for each of n.
    """

    name: str
    doc: str
    arena: bool = True
    tape: bool = False
    python: bool = False
    block: bool = False
    listed: tuple[int, int] = (0, 0)

    @property
    def opcode(self) -> str:
        """Name of the opcode in C."""
        return f"OP_{self.name.upper()}"


# Intervals. Half of the sampled points are uniform in them, half uniform in the exponent.
ANY = (-1e150, 1e150)  # products and squares stay finite
SMALL = (-100.0, 100.0)
POSITIVE = (1e-300, 1e300)
UNIT = (-1.0, 1.0)
EXPONENT = (-3.0, 3.0)
TRUTH = (0, 1)  # a condition
DIGIT = (0, 9)  # some pairs are equal

# Where a finite operand gives an infinite result, Python's floats raise.
_TOO_LARGE = ("fabs(y) == inf and fabs(a) < inf", OVERFLOW, "a result that fits a float")
_FINITE = ("fabs(a) == inf", DOMAIN, "a finite number")
_POLE = ("a <= 0 and floor(a) == a and a > -inf", DOMAIN, "a number other than 0, -1, -2, ...")
_DIVISOR = ("b == 0", ZERO_DIVISION, "a divisor other than 0")
_IN_UNIT = ("fabs(a) > 1", DOMAIN, "-1 <= a <= 1")

# `b - 1` is rounded unless adding 1 gives b back, and pow amplifies that rounding by log(a).
_POWER = "b * {0}(a, b - 1) if b - 1 + 1 == b or not fabs(a) < inf else b * (y / a)"
_POWER_RAISES = (
    ("a == 0 and b < 0 and b > -inf", ZERO_DIVISION, "a != 0 where the exponent is negative"),
    ("a < 0 and a > -inf and floor(b) < b", DOMAIN, "a >= 0 where the exponent is no integer"),
    (
        "fabs(y) == inf and fabs(a) < inf and fabs(b) < inf",
        OVERFLOW,
        "a result that fits a float",
    ),
)
_POWER_SINGULAR = "a == 0 and b < 1 and b != 0"


_ROWS = (
    # -- operators: those of micrograd, with its rounding
    Op("add", "a + b", ("1", "1"), symbol="+", method=None, domain=(ANY, ANY),
       doc="Add two numbers."),
    Op("mul", "a * b", ("b", "a"), symbol="*", method=None, domain=(ANY, ANY),
       doc="Multiply two numbers."),
    Op("pow", "pow(a, b)",
       ("0 if b == 0 else " + _POWER.format("pow"), "0 if a == 0 else y * log(a)"),
       symbol="**", method=None, domain=((1e-60, 1e60), EXPONENT),
       raises=_POWER_RAISES, singular=_POWER_SINGULAR, tolerance=0.55, slopes=2.1,
       rules=("pow_slope(a, b)", "keep_if(a, y * log(a))"),
       doc="Raise a to the power b."),
    Op("pow_number", "power(a, b)",
       ("0 if b == 0 else 2 * a if b == 2 else " + _POWER.format("power"),), formula="pow(a, b)",
       symbol="**", method=None, parameter=("k", None), variant_of="pow",
       domain=((1e-60, 1e60), EXPONENT),
       raises=_POWER_RAISES, singular=_POWER_SINGULAR, tolerance=0.55, slopes=2.1,
       rules=("power_slope(a, b)",),
       doc="Raise a to the power k, a plain number."),
    Op("neg", "-a", ("-1",), symbol="-", method=None, domain=(ANY,), composite="mul(a, -1)",
       doc="Negate a number."),
    Op("sub", "a - b", ("1", "-1"), symbol="-", method=None,
       domain=(ANY, ANY), composite="add(a, mul(b, -1))",
       doc="Subtract b from a."),
    # a * b**-1 is rounded twice, and so is its derivative in b, once more
    Op("div", "a / b", ("1 / b", "-(a / b / b)"), symbol="/", method=None,
       domain=(SMALL, (1e-90, 1e90)), composite="mul(a, pow_number(b, -1))",
       tolerance=3.0, slopes=3.0,
       doc="Divide a by b."),

    # -- pieces of straight lines
    Op("relu", "0 if a < 0 else a", ("1 if y > 0 else 0",), symbol="ReLU", domain=(ANY,), flat=True,
       formula="a if a > 0 else 0",
       rules=("keep_if(lt(0, y), g)",),
       doc="Return a where it is positive, else 0."),
    Op("leaky_relu", "b * a if a < 0 else a", ("1 if a > 0 else b",), domain=(ANY, UNIT),
       parameter=("slope", 0.01), formula="a if a > 0 else b * a", with_operand="prelu",
       rules=("leaky_slope(a, b)",),
       doc="Return a where it is positive, else slope * a."),
    Op("prelu", "b * a if a < 0 else a", ("1 if a > 0 else b", "a if a < 0 else 0"),
       formula="a if a > 0 else b * a", domain=(ANY, UNIT),
       rules=("leaky_slope(a, b)", "keep_if(lt(a, 0), a)"),
       doc="Return a where it is positive, else b * a: leaky_relu with a slope that is a Value."),
    Op("abs", "fabs(a)", ("1 if a > 0 else -1 if a < 0 else 0",), domain=(ANY,),
       aliases=("absolute",),
       rules=("abs_slope(a)",),
       doc="Return the absolute value of a; its derivative at 0 and nan is 0."),
    Op("min", "a if a <= b or a != a else b",
       ("1 if a <= b or a != a else 0", "0 if a <= b or a != a else 1"),
       formula="a if a <= b else b", domain=(ANY, ANY), method="minimum", aliases=("minimum",),
       folds=True,
       rules=("keep_if(le(a, b) + ne(a, a), g)", "keep_unless(le(a, b) + ne(a, a), g)"),
       doc="Return the smaller of two numbers, the first of equals, nan if either is nan."),
    Op("max", "a if a >= b or a != a else b",
       ("1 if a >= b or a != a else 0", "0 if a >= b or a != a else 1"),
       formula="a if a >= b else b", domain=(ANY, ANY), method="maximum", aliases=("maximum",),
       folds=True,
       rules=("keep_if(le(b, a) + ne(a, a), g)", "keep_unless(le(b, a) + ne(a, a), g)"),
       doc="Return the larger of two numbers, the first of equals, nan if either is nan."),
    Op("sign", "1 if a > 0 else -1 if a < 0 else 0 if a == 0 else a", ("0",), domain=(ANY,),
       doc="Return -1, 0 or 1, the sign of a."),

    # -- steps: whole numbers, and what is left; as Python's floats have them
    Op("floor", "floor(a)", ("0",), domain=(ANY,), doc="Return the largest whole number up to a."),
    Op("ceil", "ceil(a)", ("0",), domain=(ANY,), doc="Return the smallest whole number from a on."),
    Op("round", "round(a, b)", ("0",), domain=(ANY, (-3, 6)), parameter=("digits", 0),
       formula="rint(a * pow(10, b)) / pow(10, b)", aliases=("rint",),
       raises=(("not fabs(b) <= 22 or floor(b) < b", DOMAIN, "whole digits from -22 to 22"),),
       doc="Return a rounded to so many decimal digits, halves to even, as Python's round does."),
    Op("mod", "mod(a, b)", ("1", "-floordiv(a, b)"), symbol="%", called="modulo", method=None,
       formula="a - b * floor(a / b)", domain=(SMALL, (1e-3, 1e3)), aliases=("remainder",),
       raises=(_DIVISOR,),
       doc="Return a % b, what division into a whole number leaves, with the sign of b."),
    Op("floordiv", "floordiv(a, b)", ("0", "0"), symbol="//", called="floor division",
       method=None, formula="floor(a / b)", domain=((-1e9, 1e9), (1e-3, 1e3)),
       aliases=("floor_divide",), raises=(_DIVISOR,),
       doc="Return a // b, the largest whole number up to a / b."),

    # -- comparisons and choices; IEEE 754's order, so nan is not less, greater or equal, and not
    # 0. Adding -0.0 changes nothing: where(c, x, y) is keep_if(c, x) + keep_unless(c, y), exactly
    Op("lt", "1 if a < b else 0", ("0", "0"), symbol="<", method=None,
       domain=(ANY, ANY), flat=True, aliases=("less",),
       doc="Return 1 where a is less than b, else 0."),
    Op("le", "1 if a <= b else 0", ("0", "0"), symbol="<=", method=None,
       domain=(ANY, ANY), flat=True, aliases=("less_equal",),
       doc="Return 1 where a is at most b, else 0."),
    Op("gt", "1 if a > b else 0", ("0", "0"), symbol=">", method=None,
       domain=(ANY, ANY), flat=True, aliases=("greater",), composite="lt(b, a)",
       doc="Return 1 where a is greater than b, else 0."),
    Op("ge", "1 if a >= b else 0", ("0", "0"), symbol=">=", method=None,
       domain=(ANY, ANY), flat=True, aliases=("greater_equal",), composite="le(b, a)",
       doc="Return 1 where a is at least b, else 0."),
    Op("eq", "1 if a == b else 0", ("0", "0"), symbol="==", method=None,
       domain=(DIGIT, DIGIT), flat=True, aliases=("equal",),
       doc="Return 1 where a equals b, else 0."),
    Op("ne", "1 if a != b else 0", ("0", "0"), symbol="!=", method=None,
       domain=(DIGIT, DIGIT), aliases=("not_equal",),
       doc="Return 1 where a differs from b, else 0."),
    Op("keep_if", "b if a != 0 else -0.0", ("0", "1 if a != 0 else 0"), method=None,
       domain=(TRUTH, ANY), flat=True,
       rules=("0", "keep_if(a, g)"),
       doc="Return b where the condition a holds, that is, is not 0; else -0.0."),
    Op("keep_unless", "-0.0 if a != 0 else b", ("0", "0 if a != 0 else 1"), method=None,
       domain=(TRUTH, ANY), flat=True,
       rules=("0", "keep_unless(a, g)"),
       doc="Return b where the condition a is 0, else -0.0."),

    # -- exponentials and logarithms
    Op("exp", "exp(a)", ("y",), domain=((-700.0, 700.0),), raises=(_TOO_LARGE,), tolerance=0.55,
       doc="Return e to the power a."),
    Op("expm1", "expm1(a)", ("exp(a)",), domain=((-700.0, 700.0),), raises=(_TOO_LARGE,),
       doc="Return e to the power a, minus 1, accurately for small a."),
    Op("log", "log(a)", ("1 / a",), domain=(POSITIVE,),
       raises=(("a <= 0", DOMAIN, "a > 0"),), tolerance=0.55,
       doc="Return the natural logarithm of a."),
    Op("log1p", "log1p(a)", ("1 / (1 + a)",), domain=((-0.999, 1e300),),
       raises=(("a <= -1", DOMAIN, "a > -1"),),
       doc="Return the natural logarithm of 1 + a, accurately for small a."),
    Op("square", "a * a", ("2 * a",), domain=(ANY,), doc="Return a * a."),
    Op("sqrt", "sqrt(a)", ("0.5 / y",), domain=(POSITIVE,), singular="y == 0",
       raises=(("a < 0", DOMAIN, "a >= 0"),),
       doc="Return the square root of a."),

    # -- trigonometry
    Op("sin", "sin(a)", ("cos(a)",), domain=(SMALL,), raises=(_FINITE,),
       doc="Return the sine of a radians."),
    Op("cos", "cos(a)", ("-sin(a)",), domain=(SMALL,), raises=(_FINITE,),
       doc="Return the cosine of a radians."),
    Op("tan", "tan(a)", ("tan_slope(a)",), domain=(SMALL,), raises=(_FINITE,),
       doc="Return the tangent of a radians."),
    Op("asin", "asin(a)", ("asin_slope(a)",), domain=(UNIT,),
       raises=(_IN_UNIT,), singular="fabs(a) == 1", aliases=("arcsin",),
       doc="Return the angle in radians whose sine is a."),
    Op("acos", "acos(a)", ("-asin_slope(a)",), domain=(UNIT,),
       raises=(_IN_UNIT,), singular="fabs(a) == 1", aliases=("arccos",),
       doc="Return the angle in radians whose cosine is a."),
    Op("atan", "atan(a)", ("atan_slope(a)",), domain=(ANY,), aliases=("arctan",),
       doc="Return the angle in radians whose tangent is a."),
    Op("atan2", "atan2(a, b)", ("over_square(b, a)", "-over_square(a, b)"),
       domain=(ANY, ANY), singular="a == 0 and b == 0", aliases=("arctan2",),
       doc="Return the angle in radians of the point with ordinate a and abscissa b."),
    Op("hypot", "hypot(a, b)", ("hypot_slope(a, b)", "hypot_slope(b, a)"),
       domain=(ANY, ANY),
       doc="Return the distance of the point (a, b) from the origin."),

    # -- hyperbolic functions
    Op("sinh", "sinh(a)", ("cosh(a)",), domain=((-700.0, 700.0),), raises=(_TOO_LARGE,),
       doc="Return the hyperbolic sine of a."),
    Op("cosh", "cosh(a)", ("sinh(a)",), domain=((-700.0, 700.0),), raises=(_TOO_LARGE,),
       doc="Return the hyperbolic cosine of a."),
    Op("tanh", "tanh(a)", ("tanh_slope(a)",), domain=((-350.0, 350.0),),
       doc="Return the hyperbolic tangent of a."),

    # -- sigmoids and what is made of them; none overflows, all are accurate in their tails
    Op("sigmoid", "sigmoid(a)", ("sigmoid_slope(a)",),
       formula="1 / (1 + exp(-a))", domain=((-700.0, 700.0),), tolerance=0.55,
       doc="Return the logistic function of a."),
    Op("softplus", "softplus(a)", ("sigmoid(a)",),
       formula="log1p(exp(a))", domain=((-700.0, 700.0),), tolerance=0.55,
       doc="Return the logarithm of 1 + e to the power a."),
    Op("erf", "erf(a)", ("gauss(a)",), domain=((-26.0, 26.0),),
       doc="Return the error function of a."),
    Op("gelu", "gelu(a)", ("gelu_slope(a)",),
       formula="a * erfc(-a / sqrt(2)) / 2", domain=((-37.0, 37.0),), cancels=(-1.3, -0.3, 0.25),
       doc="Return a times the normal distribution function of a."),

    # -- what statistics needs; portable texts, the same bits on every machine
    Op("log2", "log2(a)", ("1.4426950408889634 / a",), domain=(POSITIVE,),
       raises=(("a <= 0", DOMAIN, "a > 0"),), doc="Return the logarithm of a to base 2."),
    Op("log10", "log10(a)", ("0.4342944819032518 / a",), domain=(POSITIVE,),
       raises=(("a <= 0", DOMAIN, "a > 0"),), doc="Return the logarithm of a to base 10."),
    Op("exp2", "exp2(a)", ("0.6931471805599453 * y",), domain=((-1000.0, 1000.0),),
       raises=(_TOO_LARGE,), doc="Return 2 to the power a."),
    Op("cbrt", "cbrt(a)", ("cbrt_slope(a)",), domain=(ANY,), singular="a == 0",
       doc="Return the cube root of a, negative where a is."),
    Op("asinh", "asinh(a)", ("asinh_slope(a)",),
       domain=(ANY,), aliases=("arcsinh",), doc="Return the number whose hyperbolic sine is a."),
    Op("acosh", "acosh(a)", ("acosh_slope(a)",),
       domain=((1.0, 1e300),), raises=(("a < 1", DOMAIN, "a >= 1"),), singular="a == 1",
       aliases=("arccosh",), doc="Return the number from 0 on whose hyperbolic cosine is a."),
    Op("atanh", "atanh(a)", ("atanh_slope(a)",), domain=(UNIT,),
       raises=(("fabs(a) >= 1", DOMAIN, "-1 < a < 1"),), aliases=("arctanh",),
       doc="Return the number whose hyperbolic tangent is a."),
    Op("logaddexp", "logaddexp(a, b)", ("share(a, b)", "share(b, a)"),
       formula="a + log1p(exp(b - a)) if a >= b else b + log1p(exp(a - b))",
       domain=((-700.0, 700.0), (-700.0, 700.0)),
       doc="Return the logarithm of e to the power a plus e to the power b, also of infinities."),
    Op("erfc", "erfc(a)", ("-gauss(a)",), domain=((-26.0, 26.0),),
       doc="Return 1 minus the error function of a, accurately where that is small."),
    Op("lgamma", "lgamma(a)", ("digamma(a)",), domain=(POSITIVE,),
       raises=(_POLE, _TOO_LARGE), tolerance=2.0, slopes=2.0,
       doc="Return the logarithm of the absolute value of the gamma function of a."),
    Op("digamma", "digamma(a)", ("trigamma(a)",), domain=((1e-150, 1e300),),
       raises=(_POLE, _TOO_LARGE), tolerance=2.0, slopes=2.0,
       doc="Return the derivative of lgamma."),
    Op("trigamma", "trigamma(a)", ("tetragamma(a)",), domain=((1e-100, 1e300),),
       raises=(_POLE, _TOO_LARGE), tolerance=2.0, slopes=2.0,
       doc="Return the derivative of digamma."),
)  # fmt: skip

# -- slopes: what derivatives are made of that no row above is. Nodes and tapes have them, people
# write none of them. A nan of theirs is a number that has no derivative here.
_PAIR = "{0} * ({0} - 1) * {1}(a, {0} - 2) if {0} * ({0} - 1) != 0 else 0"
_PAIR_RULE = "keep_if(b * (b - 1), b * (b - 1) * {0}(a, b - 2))"

_SLOPES = (
    Op("product", "a * b if a != 0 and b != 0 else 0", ("b", "a"), domain=(ANY, ANY), method=None,
       doc="Multiply a partial by an adjoint: 0 where either is, be the other infinite or nan."),
    Op("quotient", "a / b", ("1 / b", "-(y / b)"), domain=(SMALL, (1e-90, 1e90)), method=None,
       slopes=3.0, doc="Divide a by b, rounded once."),
    Op("pow_slope",
       "0 if b == 0 else " + _POWER.format("pow").replace("y", "pow(a, b)"),
       (_PAIR.format("b", "pow"), "pow(a, b - 1) * (1 + b * log(a)) if a != 0 else 0"),
       rules=(_PAIR_RULE.format("pow"), "keep_if(a, pow(a, b - 1) * (1 + b * log(a)))"),
       formula="b * pow(a, b - 1)", domain=((1e-30, 1e30), EXPONENT), method=None,
       tolerance=2.1, slopes=8.0, doc="Return the derivative of pow in its base."),
    Op("power_slope",
       "0 if b == 0 else 2 * a if b == 2 else "
       + _POWER.format("power").replace("y", "power(a, b)"),
       (_PAIR.format("b", "power"),), rules=(_PAIR_RULE.format("power"),),
       formula="b * pow(a, b - 1)", parameter=("k", None), method=None,
       domain=((1e-30, 1e30), EXPONENT), tolerance=2.1, slopes=8.0,
       doc="Return the derivative of pow_number."),
    Op("leaky_slope", "1 if a > 0 else b", ("0", "0 if a > 0 else 1"),
       rules=("0", "keep_unless(lt(0, a), g)"), domain=(ANY, UNIT), method=None,
       doc="Return the derivative of leaky_relu."),
    Op("abs_slope", "1 if a > 0 else -1 if a < 0 else 0", ("0",), domain=(ANY,), method=None,
       doc="Return the derivative of abs."),
    Op("tan_slope", "tan_slope(a)", ("2 * tan(a) * y",), domain=(SMALL,), method=None, slopes=4.0,
       doc="Return the derivative of tan."),
    Op("asin_slope", "asin_slope(a)", ("a * y * y * y",), domain=(UNIT,), method=None, slopes=6.0,
       singular="fabs(a) == 1", doc="Return the derivative of asin."),
    Op("atan_slope", "atan_slope(a)", ("-2 * a * y * y",), domain=(SMALL,), method=None,
       slopes=6.0, doc="Return the derivative of atan."),
    Op("over_square", "over_square(a, b)",
       ("(over_square(b, a) - y) * (over_square(b, a) + y)", "-2 * y * over_square(b, a)"),
       domain=(SMALL, SMALL), method=None, slopes=6.0, singular="a == 0 and b == 0",
       doc="Return a / (a * a + b * b), a derivative of atan2."),
    Op("hypot_slope", "hypot_slope(a, b)",
       ("hypot_slope(b, a) * hypot_slope(b, a) / hypot(a, b) if hypot(a, b) != 0 else 0",
        "-(y * hypot_slope(b, a) / hypot(a, b)) if hypot(a, b) != 0 else 0"),
       rules=("keep_if(hypot(a, b), hypot_slope(b, a) * hypot_slope(b, a) / hypot(a, b))",
              "keep_if(hypot(a, b), -(y * hypot_slope(b, a) / hypot(a, b)))"),
       domain=(SMALL, SMALL), method=None, slopes=8.0,
       doc="Return a / hypot(a, b), a derivative of hypot."),
    Op("tanh_slope", "tanh_slope(a)", ("-2 * tanh(a) * y",), domain=((-350.0, 350.0),), method=None,
       slopes=4.0, doc="Return the derivative of tanh."),
    Op("sigmoid_slope", "sigmoid_slope(a)", ("y * (1 - 2 * sigmoid(a))",),
       domain=((-700.0, 700.0),), method=None, cancels=(-1.0, 1.0, 0.25), slopes=4.0,
       doc="Return the derivative of sigmoid."),
    Op("gauss", "gauss(a)", ("-2 * a * y",), domain=((-26.0, 26.0),), method=None, slopes=4.0,
       doc="Return the derivative of erf."),
    Op("density", "density(a)", ("-a * y",), domain=((-37.0, 37.0),), method=None, slopes=4.0,
       doc="Return the density of the normal distribution."),
    Op("gelu_slope", "gelu_slope(a)", ("2 * density(a) - density(a) * a * a",),
       domain=((-37.0, 37.0),), method=None, slopes=6.0, cancels=(-2.0, 2.0, 0.8),
       doc="Return the derivative of gelu."),
    Op("cbrt_slope", "cbrt_slope(a)", ("-2 * y / (3 * a)",), domain=(SMALL,), method=None,
       slopes=4.0, singular="a == 0", doc="Return the derivative of cbrt."),
    Op("asinh_slope", "asinh_slope(a)", ("-a * y * y * y",), domain=(SMALL,), method=None,
       slopes=6.0, doc="Return the derivative of asinh."),
    Op("acosh_slope", "acosh_slope(a)", ("-a * y * y * y",), domain=((1.0, 1e100),), method=None,
       slopes=6.0, singular="a == 1", doc="Return the derivative of acosh."),
    Op("atanh_slope", "atanh_slope(a)", ("2 * a * y * y",), domain=(UNIT,), method=None,
       slopes=6.0, singular="fabs(a) == 1", doc="Return the derivative of atanh."),
    Op("share", "share(a, b)", ("y * share(b, a)", "-(y * share(b, a))"),
       domain=((-300.0, 300.0), (-300.0, 300.0)), method=None, slopes=4.0,
       doc="Return the derivative of logaddexp."),
    Op("tetragamma", "tetragamma(a)", ("pentagamma(a)",), domain=((1e-60, 1e100),), method=None,
       tolerance=2.0, slopes=2.0, doc="Return the derivative of trigamma."),
    Op("pentagamma", "pentagamma(a)", ("inf - inf",), rules=("none",), domain=((1e-60, 1e100),),
       method=None, tolerance=2.0,
       doc="Return the derivative of tetragamma, whose own is not known here."),
)  # fmt: skip

TABLE = MappingProxyType({row.name: row for row in _ROWS})

_STRUCTURAL = (
    Structural("leaf", "A number: no operands."),
    Structural("python", "`_backward` was set, or Value(data, operands) made it.", python=True),
    Structural("custom", "An operation of fastgrad.custom: on tapes its number, operand, ...",
               tape=True, python=True, block=True, listed=(1, 1)),
    Structural("hidden", "A product or partial sum inside a dot that somebody has looked into."),
    Structural("dot", "((s + w*x) + w*x) + ..., a neuron before its activation: s, w, x, w, x, ...",
               tape=True, listed=(1, 2)),
    Structural("take", "The entry that the first operand numbers: index, entry, entry, ...",
               tape=True, block=True, listed=(1, 1)),
    Structural("linear", "Value(data, operands, local_grads): its partials are numbers.",
               block=True),
)  # fmt: skip

STRUCTURAL = MappingProxyType({row.name: row for row in _STRUCTURAL})


def rows() -> tuple[Op, ...]:
    """Return all rows, in the order of the table."""
    return tuple(TABLE.values())


def native() -> tuple[Op, ...]:
    """Return the rows that have an opcode, in the order of the opcodes."""
    return tuple(row for row in rows() if not row.composite)


def slopes() -> tuple[Op, ...]:
    """Return the rows that only derivatives are made of; their opcodes follow those of `native`."""
    return _SLOPES


def names() -> tuple[str, ...]:
    """Return the names of all rows, for test and benchmark ids."""
    return tuple(TABLE)
