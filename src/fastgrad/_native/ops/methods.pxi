# Methods of Value, one per operation that is no operator.
# Written by tools/ops/generate.py from fastgrad/ops.py: edit that, then run `make ops`.
# Included by graph/value.pyx, once Handle and apply_* are defined.

from fastgrad._native.ops.codes cimport (
    OP_ABS, OP_ACOS, OP_ACOSH, OP_ASIN, OP_ASINH, OP_ATAN, OP_ATAN2, OP_ATANH, OP_CBRT, OP_CEIL,
    OP_COS, OP_COSH, OP_DIGAMMA, OP_ERF, OP_ERFC, OP_EXP, OP_EXP2, OP_EXPM1, OP_FLOOR, OP_GELU,
    OP_HYPOT, OP_LEAKY_RELU, OP_LGAMMA, OP_LOG, OP_LOG10, OP_LOG1P, OP_LOG2, OP_LOGADDEXP, OP_MAX,
    OP_MIN, OP_PRELU, OP_RELU, OP_ROUND, OP_SIGMOID, OP_SIGN, OP_SIN, OP_SINH, OP_SOFTPLUS,
    OP_SQRT, OP_SQUARE, OP_TAN, OP_TANH, OP_TRIGAMMA
)


cdef class Methods(Handle):
    """Give Value its mathematical methods: see docs/operations.md."""

    def relu(self):
        """Return a where it is positive, else 0."""
        return apply_unary(self, OP_RELU)

    def leaky_relu(self, slope=0.01):
        """Return a where it is positive, else slope * a."""
        if isinstance(slope, Handle):
            return apply_binary(self, slope, OP_PRELU, b"leaky_relu")
        return apply_parameter(self, slope, OP_LEAKY_RELU, b"leaky_relu")

    def prelu(self, other):
        """Return a where it is positive, else b * a: leaky_relu with a slope that is a Value.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_PRELU, b"prelu")

    def abs(self):
        """Return the absolute value of a; its derivative at 0 and nan is 0."""
        return apply_unary(self, OP_ABS)

    def absolute(self):
        """Alias of `abs`."""
        return apply_unary(self, OP_ABS)

    def minimum(self, other):
        """Return the smaller of two numbers, the first of equals, nan if either is nan.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_MIN, b"minimum")

    def maximum(self, other):
        """Return the larger of two numbers, the first of equals, nan if either is nan.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_MAX, b"maximum")

    def sign(self):
        """Return -1, 0 or 1, the sign of a."""
        return apply_unary(self, OP_SIGN)

    def floor(self):
        """Return the largest whole number up to a."""
        return apply_unary(self, OP_FLOOR)

    def ceil(self):
        """Return the smallest whole number from a on."""
        return apply_unary(self, OP_CEIL)

    def round(self, digits=0):
        """Return a rounded to so many decimal digits, halves to even, as Python's round does."""
        return apply_parameter(self, digits, OP_ROUND, b"round")

    def rint(self, digits=0):
        """Alias of `round`."""
        return apply_parameter(self, digits, OP_ROUND, b"rint")

    def exp(self):
        """Return e to the power a."""
        return apply_unary(self, OP_EXP)

    def expm1(self):
        """Return e to the power a, minus 1, accurately for small a."""
        return apply_unary(self, OP_EXPM1)

    def log(self):
        """Return the natural logarithm of a."""
        return apply_unary(self, OP_LOG)

    def log1p(self):
        """Return the natural logarithm of 1 + a, accurately for small a."""
        return apply_unary(self, OP_LOG1P)

    def square(self):
        """Return a * a."""
        return apply_unary(self, OP_SQUARE)

    def sqrt(self):
        """Return the square root of a."""
        return apply_unary(self, OP_SQRT)

    def sin(self):
        """Return the sine of a radians."""
        return apply_unary(self, OP_SIN)

    def cos(self):
        """Return the cosine of a radians."""
        return apply_unary(self, OP_COS)

    def tan(self):
        """Return the tangent of a radians."""
        return apply_unary(self, OP_TAN)

    def asin(self):
        """Return the angle in radians whose sine is a."""
        return apply_unary(self, OP_ASIN)

    def arcsin(self):
        """Alias of `asin`."""
        return apply_unary(self, OP_ASIN)

    def acos(self):
        """Return the angle in radians whose cosine is a."""
        return apply_unary(self, OP_ACOS)

    def arccos(self):
        """Alias of `acos`."""
        return apply_unary(self, OP_ACOS)

    def atan(self):
        """Return the angle in radians whose tangent is a."""
        return apply_unary(self, OP_ATAN)

    def arctan(self):
        """Alias of `atan`."""
        return apply_unary(self, OP_ATAN)

    def atan2(self, other):
        """Return the angle in radians of the point with ordinate a and abscissa b.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_ATAN2, b"atan2")

    def arctan2(self, other):
        """Alias of `atan2`."""
        return apply_binary(self, other, OP_ATAN2, b"arctan2")

    def hypot(self, other):
        """Return the distance of the point (a, b) from the origin.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_HYPOT, b"hypot")

    def sinh(self):
        """Return the hyperbolic sine of a."""
        return apply_unary(self, OP_SINH)

    def cosh(self):
        """Return the hyperbolic cosine of a."""
        return apply_unary(self, OP_COSH)

    def tanh(self):
        """Return the hyperbolic tangent of a."""
        return apply_unary(self, OP_TANH)

    def sigmoid(self):
        """Return the logistic function of a."""
        return apply_unary(self, OP_SIGMOID)

    def softplus(self):
        """Return the logarithm of 1 + e to the power a."""
        return apply_unary(self, OP_SOFTPLUS)

    def erf(self):
        """Return the error function of a."""
        return apply_unary(self, OP_ERF)

    def gelu(self):
        """Return a times the normal distribution function of a."""
        return apply_unary(self, OP_GELU)

    def log2(self):
        """Return the logarithm of a to base 2."""
        return apply_unary(self, OP_LOG2)

    def log10(self):
        """Return the logarithm of a to base 10."""
        return apply_unary(self, OP_LOG10)

    def exp2(self):
        """Return 2 to the power a."""
        return apply_unary(self, OP_EXP2)

    def cbrt(self):
        """Return the cube root of a, negative where a is."""
        return apply_unary(self, OP_CBRT)

    def asinh(self):
        """Return the number whose hyperbolic sine is a."""
        return apply_unary(self, OP_ASINH)

    def arcsinh(self):
        """Alias of `asinh`."""
        return apply_unary(self, OP_ASINH)

    def acosh(self):
        """Return the number from 0 on whose hyperbolic cosine is a."""
        return apply_unary(self, OP_ACOSH)

    def arccosh(self):
        """Alias of `acosh`."""
        return apply_unary(self, OP_ACOSH)

    def atanh(self):
        """Return the number whose hyperbolic tangent is a."""
        return apply_unary(self, OP_ATANH)

    def arctanh(self):
        """Alias of `atanh`."""
        return apply_unary(self, OP_ATANH)

    def logaddexp(self, other):
        """Return the logarithm of e to the power a plus e to the power b, also of infinities.

        a is self, b is other.
        """
        return apply_binary(self, other, OP_LOGADDEXP, b"logaddexp")

    def erfc(self):
        """Return 1 minus the error function of a, accurately where that is small."""
        return apply_unary(self, OP_ERFC)

    def lgamma(self):
        """Return the logarithm of the absolute value of the gamma function of a."""
        return apply_unary(self, OP_LGAMMA)

    def digamma(self):
        """Return the derivative of lgamma."""
        return apply_unary(self, OP_DIGAMMA)

    def trigamma(self):
        """Return the derivative of digamma."""
        return apply_unary(self, OP_TRIGAMMA)
