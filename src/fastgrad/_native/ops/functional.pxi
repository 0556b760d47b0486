# Functions of fastgrad.functional, one per operation.
# Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`.
# Included by graph/functional.pyx, which cimports Handle and call_* from the engine.

from fastgrad._native.ops.codes cimport (
    OP_ABS, OP_ACOS, OP_ACOSH, OP_ADD, OP_ASIN, OP_ASINH, OP_ATAN, OP_ATAN2, OP_ATANH, OP_CBRT,
    OP_CEIL, OP_COS, OP_COSH, OP_DIGAMMA, OP_EQ, OP_ERF, OP_ERFC, OP_EXP, OP_EXP2, OP_EXPM1,
    OP_FLOOR, OP_FLOORDIV, OP_GELU, OP_HYPOT, OP_KEEP_IF, OP_KEEP_UNLESS, OP_LE, OP_LEAKY_RELU,
    OP_LGAMMA, OP_LOG, OP_LOG10, OP_LOG1P, OP_LOG2, OP_LOGADDEXP, OP_LT, OP_MAX, OP_MIN, OP_MOD,
    OP_MUL, OP_NE, OP_POW, OP_POW_NUMBER, OP_PRELU, OP_RELU, OP_ROUND, OP_SIGMOID, OP_SIGN, OP_SIN,
    OP_SINH, OP_SOFTPLUS, OP_SQRT, OP_SQUARE, OP_TAN, OP_TANH, OP_TRIGAMMA
)


def add(a, b):
    """Add two numbers.

    ``y = a + b``
    """
    return call_binary(a, b, OP_ADD, b"add")


def mul(a, b):
    """Multiply two numbers.

    ``y = a * b``
    """
    return call_binary(a, b, OP_MUL, b"mul")


def pow(a, b):
    """Raise a to the power b.

    ``y = pow(a, b)``; where b is a plain number it is no operand

    Raises
    ------
    ZeroDivisionError
        expected a != 0 where the exponent is negative; in backward, where a == 0 and b < 1
        and b != 0
    ValueError
        expected a >= 0 where the exponent is no integer
    OverflowError
        expected a result that fits a float
    """
    if not isinstance(b, Handle):
        return call_parameter(a, b, OP_POW_NUMBER, b"pow")
    return call_binary(a, b, OP_POW, b"pow")


def neg(a):
    """Negate a number.

    ``y = -a``, recorded as ``mul(a, -1)``
    """
    return call_binary(a, -1, OP_MUL, b"neg")


def sub(a, b):
    """Subtract b from a.

    ``y = a - b``, recorded as ``add(a, mul(b, -1))``
    """
    return call_binary(a, call_binary(b, -1, OP_MUL, b"sub"), OP_ADD, b"sub")


def div(a, b):
    """Divide a by b.

    ``y = a / b``, recorded as ``mul(a, pow_number(b, -1))``
    """
    return call_binary(a, call_inverse(b, b"div"), OP_MUL, b"div")


def relu(a):
    """Return a where it is positive, else 0.

    ``y = a if a > 0 else 0``
    """
    return call_unary(a, OP_RELU, b"relu")


def leaky_relu(a, slope=0.01):
    """Return a where it is positive, else slope * a.

    ``y = a if a > 0 else slope * a``
    """
    if isinstance(slope, Handle):
        return call_binary(a, slope, OP_PRELU, b"leaky_relu")
    return call_parameter(a, slope, OP_LEAKY_RELU, b"leaky_relu")


def prelu(a, b):
    """Return a where it is positive, else b * a: leaky_relu with a slope that is a Value.

    ``y = a if a > 0 else b * a``
    """
    return call_binary(a, b, OP_PRELU, b"prelu")


def abs(a):
    """Return the absolute value of a; its derivative at 0 and nan is 0.

    ``y = fabs(a)``
    """
    return call_unary(a, OP_ABS, b"abs")


def absolute(a):
    """Alias of `abs`."""
    return call_unary(a, OP_ABS, b"absolute")


def min(*operands):
    """Return the smaller of two numbers, the first of equals, nan if either is nan.

    ``y = a if a <= b else b``; of more operands, or of one iterable of them, from left to right
    """
    return fold_operands(operands, OP_MIN, b"min")


def minimum(a, b):
    """Alias of `min`."""
    return call_binary(a, b, OP_MIN, b"minimum")


def max(*operands):
    """Return the larger of two numbers, the first of equals, nan if either is nan.

    ``y = a if a >= b else b``; of more operands, or of one iterable of them, from left to right
    """
    return fold_operands(operands, OP_MAX, b"max")


def maximum(a, b):
    """Alias of `max`."""
    return call_binary(a, b, OP_MAX, b"maximum")


def sign(a):
    """Return -1, 0 or 1, the sign of a.

    ``y = 1 if a > 0 else -1 if a < 0 else 0 if a == 0 else a``
    """
    return call_unary(a, OP_SIGN, b"sign")


def floor(a):
    """Return the largest whole number up to a.

    ``y = floor(a)``
    """
    return call_unary(a, OP_FLOOR, b"floor")


def ceil(a):
    """Return the smallest whole number from a on.

    ``y = ceil(a)``
    """
    return call_unary(a, OP_CEIL, b"ceil")


def round(a, digits=0):
    """Return a rounded to so many decimal digits, halves to even, as Python's round does.

    ``y = rint(a * pow(10, digits)) / pow(10, digits)``

    Raises
    ------
    ValueError
        expected whole digits from -22 to 22
    """
    return call_parameter(a, digits, OP_ROUND, b"round")


def rint(a, digits=0):
    """Alias of `round`."""
    return call_parameter(a, digits, OP_ROUND, b"rint")


def mod(a, b):
    """Return a % b, what division into a whole number leaves, with the sign of b.

    ``y = a - b * floor(a / b)``

    Raises
    ------
    ZeroDivisionError
        expected a divisor other than 0
    """
    return call_binary(a, b, OP_MOD, b"mod")


def remainder(a, b):
    """Alias of `mod`."""
    return call_binary(a, b, OP_MOD, b"remainder")


def floordiv(a, b):
    """Return a // b, the largest whole number up to a / b.

    ``y = floor(a / b)``

    Raises
    ------
    ZeroDivisionError
        expected a divisor other than 0
    """
    return call_binary(a, b, OP_FLOORDIV, b"floordiv")


def floor_divide(a, b):
    """Alias of `floordiv`."""
    return call_binary(a, b, OP_FLOORDIV, b"floor_divide")


def lt(a, b):
    """Return 1 where a is less than b, else 0.

    ``y = 1 if a < b else 0``
    """
    return call_binary(a, b, OP_LT, b"lt")


def less(a, b):
    """Alias of `lt`."""
    return call_binary(a, b, OP_LT, b"less")


def le(a, b):
    """Return 1 where a is at most b, else 0.

    ``y = 1 if a <= b else 0``
    """
    return call_binary(a, b, OP_LE, b"le")


def less_equal(a, b):
    """Alias of `le`."""
    return call_binary(a, b, OP_LE, b"less_equal")


def gt(a, b):
    """Return 1 where a is greater than b, else 0.

    ``y = 1 if a > b else 0``, recorded as ``lt(b, a)``
    """
    return call_binary(b, a, OP_LT, b"gt")


def greater(a, b):
    """Alias of `gt`."""
    return call_binary(b, a, OP_LT, b"greater")


def ge(a, b):
    """Return 1 where a is at least b, else 0.

    ``y = 1 if a >= b else 0``, recorded as ``le(b, a)``
    """
    return call_binary(b, a, OP_LE, b"ge")


def greater_equal(a, b):
    """Alias of `ge`."""
    return call_binary(b, a, OP_LE, b"greater_equal")


def eq(a, b):
    """Return 1 where a equals b, else 0.

    ``y = 1 if a == b else 0``
    """
    return call_binary(a, b, OP_EQ, b"eq")


def equal(a, b):
    """Alias of `eq`."""
    return call_binary(a, b, OP_EQ, b"equal")


def ne(a, b):
    """Return 1 where a differs from b, else 0.

    ``y = 1 if a != b else 0``
    """
    return call_binary(a, b, OP_NE, b"ne")


def not_equal(a, b):
    """Alias of `ne`."""
    return call_binary(a, b, OP_NE, b"not_equal")


def keep_if(a, b):
    """Return b where the condition a holds, that is, is not 0; else -0.0.

    ``y = b if a != 0 else -0.0``
    """
    return call_binary(a, b, OP_KEEP_IF, b"keep_if")


def keep_unless(a, b):
    """Return b where the condition a is 0, else -0.0.

    ``y = -0.0 if a != 0 else b``
    """
    return call_binary(a, b, OP_KEEP_UNLESS, b"keep_unless")


def exp(a):
    """Return e to the power a.

    ``y = exp(a)``

    Raises
    ------
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_EXP, b"exp")


def expm1(a):
    """Return e to the power a, minus 1, accurately for small a.

    ``y = expm1(a)``

    Raises
    ------
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_EXPM1, b"expm1")


def log(a):
    """Return the natural logarithm of a.

    ``y = log(a)``

    Raises
    ------
    ValueError
        expected a > 0
    """
    return call_unary(a, OP_LOG, b"log")


def log1p(a):
    """Return the natural logarithm of 1 + a, accurately for small a.

    ``y = log1p(a)``

    Raises
    ------
    ValueError
        expected a > -1
    """
    return call_unary(a, OP_LOG1P, b"log1p")


def square(a):
    """Return a * a.

    ``y = a * a``
    """
    return call_unary(a, OP_SQUARE, b"square")


def sqrt(a):
    """Return the square root of a.

    ``y = sqrt(a)``

    Raises
    ------
    ValueError
        expected a >= 0
    ZeroDivisionError
        in backward, where y == 0
    """
    return call_unary(a, OP_SQRT, b"sqrt")


def sin(a):
    """Return the sine of a radians.

    ``y = sin(a)``

    Raises
    ------
    ValueError
        expected a finite number
    """
    return call_unary(a, OP_SIN, b"sin")


def cos(a):
    """Return the cosine of a radians.

    ``y = cos(a)``

    Raises
    ------
    ValueError
        expected a finite number
    """
    return call_unary(a, OP_COS, b"cos")


def tan(a):
    """Return the tangent of a radians.

    ``y = tan(a)``

    Raises
    ------
    ValueError
        expected a finite number
    """
    return call_unary(a, OP_TAN, b"tan")


def asin(a):
    """Return the angle in radians whose sine is a.

    ``y = asin(a)``

    Raises
    ------
    ValueError
        expected -1 <= a <= 1
    ZeroDivisionError
        in backward, where |a| == 1
    """
    return call_unary(a, OP_ASIN, b"asin")


def arcsin(a):
    """Alias of `asin`."""
    return call_unary(a, OP_ASIN, b"arcsin")


def acos(a):
    """Return the angle in radians whose cosine is a.

    ``y = acos(a)``

    Raises
    ------
    ValueError
        expected -1 <= a <= 1
    ZeroDivisionError
        in backward, where |a| == 1
    """
    return call_unary(a, OP_ACOS, b"acos")


def arccos(a):
    """Alias of `acos`."""
    return call_unary(a, OP_ACOS, b"arccos")


def atan(a):
    """Return the angle in radians whose tangent is a.

    ``y = atan(a)``
    """
    return call_unary(a, OP_ATAN, b"atan")


def arctan(a):
    """Alias of `atan`."""
    return call_unary(a, OP_ATAN, b"arctan")


def atan2(a, b):
    """Return the angle in radians of the point with ordinate a and abscissa b.

    ``y = atan2(a, b)``

    Raises
    ------
    ZeroDivisionError
        in backward, where a == 0 and b == 0
    """
    return call_binary(a, b, OP_ATAN2, b"atan2")


def arctan2(a, b):
    """Alias of `atan2`."""
    return call_binary(a, b, OP_ATAN2, b"arctan2")


def hypot(a, b):
    """Return the distance of the point (a, b) from the origin.

    ``y = hypot(a, b)``
    """
    return call_binary(a, b, OP_HYPOT, b"hypot")


def sinh(a):
    """Return the hyperbolic sine of a.

    ``y = sinh(a)``

    Raises
    ------
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_SINH, b"sinh")


def cosh(a):
    """Return the hyperbolic cosine of a.

    ``y = cosh(a)``

    Raises
    ------
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_COSH, b"cosh")


def tanh(a):
    """Return the hyperbolic tangent of a.

    ``y = tanh(a)``
    """
    return call_unary(a, OP_TANH, b"tanh")


def sigmoid(a):
    """Return the logistic function of a.

    ``y = 1 / (1 + exp(-a))``
    """
    return call_unary(a, OP_SIGMOID, b"sigmoid")


def softplus(a):
    """Return the logarithm of 1 + e to the power a.

    ``y = log1p(exp(a))``
    """
    return call_unary(a, OP_SOFTPLUS, b"softplus")


def erf(a):
    """Return the error function of a.

    ``y = erf(a)``
    """
    return call_unary(a, OP_ERF, b"erf")


def gelu(a):
    """Return a times the normal distribution function of a.

    ``y = a * erfc(-a / sqrt(2)) / 2``
    """
    return call_unary(a, OP_GELU, b"gelu")


def log2(a):
    """Return the logarithm of a to base 2.

    ``y = log2(a)``

    Raises
    ------
    ValueError
        expected a > 0
    """
    return call_unary(a, OP_LOG2, b"log2")


def log10(a):
    """Return the logarithm of a to base 10.

    ``y = log10(a)``

    Raises
    ------
    ValueError
        expected a > 0
    """
    return call_unary(a, OP_LOG10, b"log10")


def exp2(a):
    """Return 2 to the power a.

    ``y = exp2(a)``

    Raises
    ------
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_EXP2, b"exp2")


def cbrt(a):
    """Return the cube root of a, negative where a is.

    ``y = cbrt(a)``

    Raises
    ------
    ZeroDivisionError
        in backward, where a == 0
    """
    return call_unary(a, OP_CBRT, b"cbrt")


def asinh(a):
    """Return the number whose hyperbolic sine is a.

    ``y = asinh(a)``
    """
    return call_unary(a, OP_ASINH, b"asinh")


def arcsinh(a):
    """Alias of `asinh`."""
    return call_unary(a, OP_ASINH, b"arcsinh")


def acosh(a):
    """Return the number from 0 on whose hyperbolic cosine is a.

    ``y = acosh(a)``

    Raises
    ------
    ValueError
        expected a >= 1
    ZeroDivisionError
        in backward, where a == 1
    """
    return call_unary(a, OP_ACOSH, b"acosh")


def arccosh(a):
    """Alias of `acosh`."""
    return call_unary(a, OP_ACOSH, b"arccosh")


def atanh(a):
    """Return the number whose hyperbolic tangent is a.

    ``y = atanh(a)``

    Raises
    ------
    ValueError
        expected -1 < a < 1
    """
    return call_unary(a, OP_ATANH, b"atanh")


def arctanh(a):
    """Alias of `atanh`."""
    return call_unary(a, OP_ATANH, b"arctanh")


def logaddexp(a, b):
    """Return the logarithm of e to the power a plus e to the power b, also of infinities.

    ``y = a + log1p(exp(b - a)) if a >= b else b + log1p(exp(a - b))``
    """
    return call_binary(a, b, OP_LOGADDEXP, b"logaddexp")


def erfc(a):
    """Return 1 minus the error function of a, accurately where that is small.

    ``y = erfc(a)``
    """
    return call_unary(a, OP_ERFC, b"erfc")


def lgamma(a):
    """Return the logarithm of the absolute value of the gamma function of a.

    ``y = lgamma(a)``

    Raises
    ------
    ValueError
        expected a number other than 0, -1, -2, ...
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_LGAMMA, b"lgamma")


def digamma(a):
    """Return the derivative of lgamma.

    ``y = digamma(a)``

    Raises
    ------
    ValueError
        expected a number other than 0, -1, -2, ...
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_DIGAMMA, b"digamma")


def trigamma(a):
    """Return the derivative of digamma.

    ``y = trigamma(a)``

    Raises
    ------
    ValueError
        expected a number other than 0, -1, -2, ...
    OverflowError
        expected a result that fits a float
    """
    return call_unary(a, OP_TRIGAMMA, b"trigamma")
