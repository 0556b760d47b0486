"""Derivative tapes: gradients, products, matrices, of first to third order.

Oracles: `value_and_grad` and `jvp`, bit for bit and to rounding; mpmath's derivatives of the
textbook's formulas; SciPy's of Rosenbrock's function; symmetry, and <w, J v> = <J' w, v>.
"""

import copy
import itertools
import math
import random
import warnings

import mpmath
import pytest
from helpers.accuracy import MPMATH, expression
from helpers.polls import at_each_poll, stop_at
from helpers.tally import tally
from helpers.tape_programs import Program, bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import Value, functional, nn, ops
from fastgrad._native.tape.derive import SEED_ONE, derive
from fastgrad._native.tape.replay import use_groups
from fastgrad.errors import DerivativeError, FastgradValueError, ShapeError, TapeError
from fastgrad.tape import Tape

np = pytest.importorskip("numpy")

QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much)


def rosenbrock(x):
    return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def mixed(x, y):
    return (x * y + x).tanh() * functional.exp(y) + x**3 / y + functional.softplus(x)


MIXED = fg.record(mixed, 0.5, 2.0)
MODEL = nn.MLP(3, [4, 4, 1], activation="tanh")
LOSS = fg.record(lambda x, y: (MODEL(x) - y) ** 2, [0.1, 0.2, 0.3], 0.5)
SMOOTH = fg.record(rosenbrock, np.linspace(0.1, 1.0, 6))
PAIR = fg.record(lambda x, y: {"a": x[0] * y.sin(), "b": [x[1] ** 2, x[0] + y]}, [0.3, 0.7], 0.2)


def recorded(program):
    """Record a random program, or tell hypothesis nothing where its example raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fg.record(program.first, *program.example, strict=True)


def samples_of(program, n):
    """Return numbers whose sums and products do not overflow, odd ones too."""
    rng = program.rng
    choose = lambda: rng.choice([0.0, -0.0, 1.0, -1.0, 0.5]) if rng.random() < 0.2 else None  # noqa: E731
    return [
        [rng.uniform(-2, 2) if (x := choose()) is None else x for _ in range(program.n_inputs)]
        for _ in range(n)
    ]


# -- gradients ------------------------------------------------------------------------------------


@settings(max_examples=150, suppress_health_check=QUIET)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_gradient_tape_of_a_random_program_has_the_bits_of_value_and_grad(seed, length):
    program = Program(seed, length)
    tape = recorded(program)
    wanted = ["inputs", "parameters"] if tape.parameters else ["inputs"]
    for wrt in wanted:
        gradient = tape.grad_tape(wrt, value=True)
        for sample in [program.example, *samples_of(program, 4)]:
            value, expected = tape.value_and_grad(*sample, wrt=wrt)
            got_value, got = gradient(*sample)
            if all(map(math.isfinite, expected)) or abs(value) < 1e100:
                assert bits([got_value, *got]) == bits([value, *expected]), sample
    tally("wrong derivative: random programs, gradient tape against value_and_grad")


@pytest.mark.parametrize("name", ["baseline", "groups", "threads"])
def test_batches_of_a_gradient_tape_have_the_bits_of_single_samples(name):
    gradient = LOSS.grad_tape("parameters", value=True)
    rng = np.random.default_rng(5)
    xs, ys = rng.normal(size=(37, 3)), rng.normal(size=37)
    values, rows = gradient(xs, ys, threads=2 if name == "threads" else 1)
    before = use_groups("always" if name == "groups" else "never")
    try:
        for s in range(len(ys)):
            value, row = LOSS.value_and_grad(xs[s], ys[s])
            assert values[s] == value
            assert bits(rows[s]) == bits(row)
    finally:
        use_groups(before)
    assert bits(LOSS.value_and_grad(xs, ys, reduce=None)[1].ravel()) == bits(rows.ravel())


def test_gradient_tape_has_the_structure_that_wrt_names():
    w = Value(2.0)
    tape = fg.record(lambda x, y: w * x[0] * y + x[1], [1.0, 2.0], 3.0)
    args = ([1.0, 2.0], 3.0)
    for wrt in ("inputs", "parameters", "x", 1, w, [w, "y"], ("x", 1)):
        value, expected = tape.value_and_grad(*args, wrt=wrt)
        assert tape.grad_tape(wrt)(*args) == expected
        assert tape.grad_tape(wrt, value=True)(*args) == (value, expected)
    assert tape.grad_tape("x")(np.array([1.0, 2.0]), 3.0).tolist() == [6.0, 1.0]


def test_gradient_tape_reads_the_parameters_of_its_tape():
    w = Value(2.0)
    gradient = fg.record(lambda x: w * x * x, 1.0).grad_tape(wrt=0)
    assert gradient(3.0) == 12.0
    w.data = 5.0
    assert gradient(3.0) == 30.0
    assert gradient.parameters == [w]


def test_derivative_by_an_unused_argument_is_zero():
    tape = fg.record(lambda x, y: x * 2, 1.0, 1.0)
    assert tape.grad_tape()(3.0, 4.0) == (2.0, 0.0)
    assert tape.hessian_tape(wrt=1)(3.0, 4.0) == 0.0
    xs = np.ones(5)
    assert [g.tolist() for g in tape.grad_tape()(xs, xs)] == [[2.0] * 5, [0.0] * 5]


def test_zero_adjoint_contributes_nothing_where_a_partial_is_infinite():
    tape = fg.record(lambda x: fg.where(x > 0, x.log() * x.sqrt() + 1 / x, x), 1.0)
    for order in (tape.grad_tape(wrt=0), tape.jvp_tape(wrt=0)):
        args = (0.0,) if order.names == ["x"] else (0.0, 1.0)
        got = order(*args)
        assert got == 1.0 or got == (0.0, 1.0)
    assert tape.grad_tape(wrt=0).grad_tape(wrt=0)(0.0) == 0.0


@pytest.mark.parametrize("index", [0, 1, 2, -1, -3])
def test_gradient_of_take_goes_to_the_entry_that_is_named(index):
    tape = fg.record(lambda i, x: fg.take(x, i) ** 2, 1, [1.0, 2.0, 3.0])
    x = [1.0, 2.0, 3.0]
    expected = tape.value_and_grad(index, x, wrt="x")[1]
    assert tape.grad_tape("x")(index, x) == expected
    assert tape.jvp_tape("x")(index, x, [1.0, 1.0, 1.0]) == tape.jvp((index, x), [1.0] * 3, wrt="x")
    assert tape.hvp_tape("x")(index, x, [1.0, 1.0, 1.0])[index] == 2.0


def test_derivative_tapes_are_kept_and_counted():
    tape = fg.record(lambda x: x**4, 1.0)
    before = tape.nbytes
    gradient = tape.grad_tape(wrt=0)
    assert tape.grad_tape(wrt=0) is gradient
    assert tape.nbytes >= before + gradient.nbytes
    for k in range(40):
        tape.grad_tape(wrt=[0] if k % 2 else "inputs", value=bool(k % 3))
        fg._derivatives.kept(tape, (k,), lambda: gradient)
    assert len(tape.derived) <= 32


def test_derivative_tapes_save_pickle_and_copy_as_any_tape(tmp_path):
    third = MIXED.grad_tape(wrt=0).grad_tape(wrt=0).grad_tape(wrt=0)
    third.save(tmp_path / "third.tape")
    expected = third(0.3, 1.5)
    assert fg.load_tape(tmp_path / "third.tape")(0.3, 1.5) == expected
    assert copy.copy(third)(0.3, 1.5) == copy.deepcopy(third)(0.3, 1.5) == expected
    data = (tmp_path / "third.tape").read_bytes()
    assert b"tanh_slope" in data
    with pytest.raises(ValueError, match="crc32"):
        fg.loads_tape(data.replace(b"tanh_slope", b"tanh_slape"))


def test_check_names_the_place_of_a_derivative_that_is_not_finite():
    tape = fg.record(lambda x: x.sqrt(), 1.0).grad_tape(wrt=0)
    found = tape.check(0.0)
    assert (found.operation, found.result) == ("quotient", math.inf)
    assert found.place[0] == __file__
    assert tape.name == "gradient of <lambda>"


def test_derivative_tape_called_with_values_joins_the_graph():
    tape = fg.record(lambda x: x.tanh() * x.sigmoid() + x.sqrt(), 1.0)
    gradient = tape.grad_tape(wrt=0)
    x = Value(0.7)
    y = gradient(x)
    y.backward()
    assert y.data == gradient(0.7)
    assert x.grad == pytest.approx(gradient.grad_tape(wrt=0)(0.7), rel=1e-14)
    outer = fg.record(lambda x: gradient(x) ** 2, 0.7)  # a derivative inside a recorded function
    assert outer(0.7) == gradient(0.7) ** 2


def test_derivatives_of_a_tape_with_dropout_draw_as_it_does():
    x = [0.5, -1.0, 2.0, 0.25]
    fg.manual_seed(3)
    tape = fg.record(lambda x: sum(v * v for v in functional.dropout(x, 0.5)), x)
    gradient, product, both = tape.grad_tape("x"), tape.hvp_tape("x"), tape.jvp_tape("x")
    for _ in range(3):
        fg.manual_seed(4)
        expected = tape.value_and_grad(x, wrt="x")[1]
        fg.manual_seed(4)
        assert gradient(x) == expected
        fg.manual_seed(4)
        assert product(x, x) == expected
        fg.manual_seed(4)
        assert both(x, x)[1] == pytest.approx(sum(a * b for a, b in zip(x, expected, strict=True)))
    tape.train(False)
    assert tape.grad_tape("x")(x) == [2 * v for v in x]


# -- products and matrices -------------------------------------------------------------------------


def flat(nested):
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, list | tuple):
        return [x for part in nested for x in flat(part)]
    return [nested]


def test_jvp_and_vjp_tapes_agree_with_jvp_and_each_other():
    rng = random.Random(3)
    draw = lambda: rng.uniform(-1, 1)  # noqa: E731
    jvp, vjp = PAIR.jvp_tape(), PAIR.vjp_tape()
    assert jvp.names == ["x", "y", "dx", "dy"]
    for _ in range(20):
        args, v = ([draw(), draw()], draw()), ([draw(), draw()], draw())
        w = {"a": draw(), "b": [draw(), draw()]}
        value, derivative = jvp(*args, *v)
        assert value == PAIR(*args)
        assert flat(derivative) == pytest.approx(flat(PAIR.jvp(args, v)[1]), rel=1e-14)
        pulled = vjp(*args, w)
        left = sum(a * b for a, b in zip(flat(w), flat(derivative), strict=True))
        right = sum(a * b for a, b in zip(flat(pulled), flat(v), strict=True))
        assert left == pytest.approx(right, rel=1e-13)


def test_jvp_tape_by_parameters_equals_jvp():
    direction = [0.01 * i for i in range(len(LOSS.parameters))]
    args = ([0.1, 0.2, 0.3], 0.5)
    value, derivative = LOSS.jvp_tape("parameters")(*args, direction)
    expected = LOSS.jvp(args, direction, wrt="parameters")
    assert value == expected[0]
    assert derivative == pytest.approx(expected[1], rel=1e-13)


def test_rosenbrock_equals_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(2)
    for _ in range(20):
        x, p = rng.normal(size=(2, 6))
        assert SMOOTH.grad_tape(wrt=0)(x) == pytest.approx(optimize.rosen_der(x), rel=1e-12)
        assert SMOOTH.hessian_tape()(x) == pytest.approx(optimize.rosen_hess(x), rel=1e-12)
        product = optimize.rosen_hess_prod(x, p)
        assert SMOOTH.hvp_tape(wrt=0)(x, p) == pytest.approx(product, rel=1e-10, abs=1e-9)


@settings(max_examples=60, suppress_health_check=QUIET)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_hessian_of_a_random_program_is_symmetric_and_has_the_products(seed, length):
    program = Program(seed, length)
    vector = lambda x: program.first(*x)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = fg.record(vector, program.example, strict=True)
    n = program.n_inputs
    hessian, product = tape.hessian_tape(), tape.hvp_tape(wrt=0)
    both = [tape.grad_tape(wrt=0).jacobian_tape(mode=mode) for mode in ("forward", "reverse")]
    for sample in [program.example, *samples_of(program, 2)]:
        matrix = np.array(hessian(sample))
        columns = np.array([product(sample, list(map(float, e))) for e in np.eye(n)])
        assert bits(matrix.ravel()) == bits(matrix.T.ravel())
        jacobians = [np.array(tape(sample)) for tape in both]
        size = max(np.abs(matrix).max(), 1.0)
        if np.isfinite(matrix).all() and size < 1e6:
            for other in (columns, *jacobians):
                assert np.abs(matrix - other)[np.isfinite(other)].max() <= 1e-9 * size, sample
    tally("wrong derivative: random programs, Hessians by two modes and by products")


def test_jacobian_has_the_structure_of_the_result():
    x, y = [0.3, 0.7], 0.2
    for mode in ("forward", "reverse", "auto"):
        got = PAIR.jacobian_tape(mode=mode)(x, y)
        assert got["a"] == pytest.approx([math.sin(y), 0.0])
        assert got["b"] == [[0.0, 1.4], [1.0, 0.0]]
    assert PAIR.jacobian_tape(wrt="y")(x, y)["b"] == [0.0, 1.0]
    matrix = fg.record(lambda x: [x[0][0] * 2, x[1][1]], [[1.0, 2.0], [3.0, 4.0]]).jacobian_tape()
    assert matrix([[1.0, 2.0], [3.0, 4.0]]) == [[[2.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]


def test_batch_of_hessians_equals_single_ones():
    xs = np.random.default_rng(1).normal(size=(11, 6))
    matrices = SMOOTH.hessian_tape()(xs, threads=2)
    assert matrices.shape == (11, 6, 6)
    for x, matrix in zip(xs, matrices, strict=True):
        assert bits(SMOOTH.hessian_tape()(x).ravel()) == bits(matrix.ravel())


def test_physics_informed_loss_has_the_derivatives_of_differences():
    net = nn.MLP(2, [5, 1], activation="tanh")
    field = fg.record(lambda t, x: net([t, x]), 0.1, 0.2)
    slope_t, slope_x = field.grad_tape(wrt="t"), field.grad_tape(wrt="x")
    bend = slope_x.grad_tape(wrt="x")

    def residual(t, x):
        return (slope_t(t, x) - 0.1 * bend(t, x) + field(t, x) * slope_x(t, x)) ** 2

    loss = fg.record(residual, 0.1, 0.2, parameters=net.parameters())
    value, gradient = loss.value_and_grad(0.3, 0.4)
    eps = 1e-6
    for p, got in zip(net.parameters(), gradient, strict=True):
        before, ends = p.data, []
        for sign in (1, -1):
            p.data = before + sign * eps
            ends.append(loss(0.3, 0.4))
        p.data = before
        assert got == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=1e-5, abs=1e-8)
    assert value >= 0


# -- every row, to the third order -----------------------------------------------------------------

NEAR = {  # where orders 1 to 3 are of moderate size
    "pow": ((0.3, 4.0), (-3.0, 3.0)), "pow_number": ((0.3, 4.0), (-3.0, 3.0)),
    "exp": ((-5, 5),), "expm1": ((-5, 5),), "log": ((0.2, 9),), "log1p": ((-0.7, 9),),
    "sqrt": ((0.2, 9),), "tan": ((-1.3, 1.3),), "asin": ((-0.9, 0.9),), "acos": ((-0.9, 0.9),),
    "sinh": ((-4, 4),), "cosh": ((-4, 4),), "tanh": ((-4, 4),), "log2": ((0.2, 9),),
    "log10": ((0.2, 9),), "exp2": ((-5, 5),), "acosh": ((1.2, 9),), "atanh": ((-0.8, 0.8),),
    "lgamma": ((0.3, 9),), "digamma": ((0.3, 9),), "trigamma": ((0.3, 9),), "cbrt": ((0.3, 9),),
    "mod": ((1.1, 1.9), (0.4, 0.5)), "leaky_relu": ((-3, 3), (-1, 1)),
}  # fmt: skip
MOST_ORDER = {"digamma": 3, "trigamma": 2}
SMOOTH_ROWS = [row for row in ops.native() if row.name not in ("round", "keep_if", "keep_unless")]


def orders_of(row, most):
    """Return the ways to differentiate a row by its operands, up to an order."""
    for k in range(1, most + 1):
        yield from itertools.combinations_with_replacement(range(row.arity), k)


def tape_of(row, operands):
    function = getattr(functional, row.variant_of or row.name, None)
    *first, last = operands
    if row.name == "pow_number":
        return fg.record(lambda a: a**last, *first)
    if row.parameter:
        return fg.record(lambda a: function(a, last), *first)
    return fg.record(function, *operands)


def check_row(row, rng, points):
    spans = NEAR.get(row.name, ((-3.0, 3.0),) * len(row.domain))
    tree = expression.parse(row.formula)
    for _ in range(points):
        operands = [rng.uniform(*span) for span in spans]
        if row.name == "pow_number" and rng.random() < 0.7:
            operands[1] = rng.choice([2, 3, -1, 0.5, 1, 0, -2, 1.5])
        tape, at = tape_of(row, operands), operands[: row.arity]
        for by in orders_of(row, MOST_ORDER.get(row.name, 3)):
            derivative, exact = tape, tree
            for i in by:
                swept = derivative.value_and_grad(*at, wrt=i)[1]
                derivative = derivative.grad_tape(wrt=i)
                assert bits([derivative(*at)]) == bits([swept]), (row.name, by, operands)
                exact = expression.derivative(exact, "ab"[i])
            a, b = (*operands, 0.0)[:2]
            with mpmath.workdps(40):
                true = expression.function(exact, MPMATH, mpmath.mpf)(
                    mpmath.mpf(a), mpmath.mpf(b), None
                )
            got = derivative(*at)
            assert got == pytest.approx(float(true), rel=1e-10, abs=1e-10), (row.name, by, operands)


@pytest.mark.parametrize("row", SMOOTH_ROWS, ids=[row.name for row in SMOOTH_ROWS])
def test_derivatives_of_every_row_to_the_third_order_equal_mpmath(row):
    check_row(row, random.Random(row.name), 4)
    tally("wrong derivative: rows to the third order against mpmath", 4)


@pytest.mark.nightly
@pytest.mark.parametrize("row", SMOOTH_ROWS, ids=[row.name for row in SMOOTH_ROWS])
def test_derivatives_of_every_row_equal_mpmath_at_many_points(row):
    check_row(row, random.Random(row.name), 1_000)


@pytest.mark.parametrize("x", [400.0, -400.0, 1e70, -1e70, 0.0, -0.0, 19.0, 30.0])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "gelu", "erf", "atan", "asinh"])
def test_far_derivatives_are_finite_and_vanish(name, x):
    tape = fg.record(getattr(functional, name), 0.5)
    for order in range(1, 5):
        tape = tape.grad_tape(wrt=0)
        assert math.isfinite(tape(x)), order
        if abs(x) > 1e10 and order > 1:
            assert abs(tape(x)) < 1e-60


def test_hypot_and_powers_have_finite_derivatives_at_zero():
    hypot = fg.record(lambda x: functional.hypot(x[0], x[1]), [1.0, 1.0])
    assert hypot.grad_tape(wrt=0)([0.0, 0.0]) == [0.0, 0.0]
    assert np.isfinite(hypot.hessian_tape()([0.0, 0.0])).all()
    power = fg.record(lambda x: x[0] ** x[1], [1.0, 1.0])
    assert power.hessian_tape()([0.0, 3.0]) == [[0.0, 0.0], [0.0, 0.0]]
    assert power.grad_tape(wrt=0)([2.0, 0.0]) == [0.0, pytest.approx(math.log(2.0))]


# -- what is refused -------------------------------------------------------------------------------


def test_unknown_derivatives_are_named():
    tape = fg.record(lambda x: x.lgamma(), 1.5)
    for _ in range(4):
        tape = tape.grad_tape(wrt=0)
    with pytest.raises(DerivativeError, match=r"got pentagamma \(gradient of gradient of "):
        tape.grad_tape(wrt=0)

    @fg.custom("half")
    def half(x):
        return x / 2

    @half.partials
    def half(x, out):
        return 0.5

    custom = fg.record(lambda x, y: half(x) + y**2, 1.0, 1.0)
    with pytest.raises(DerivativeError, match="got custom"):
        custom.grad_tape()
    with pytest.raises(DerivativeError, match="got custom"):
        custom.jvp_tape()
    assert custom.grad_tape("y")(3.0, 4.0) == 8.0
    assert custom.jvp_tape("y")(3.0, 4.0, 1.0) == (17.5, 8.0)


def test_derivatives_that_do_not_fit_are_refused():
    with pytest.raises(TapeError, match=r"one Value, .*gradient of <lambda>.*take vjp_tape"):
        PAIR.grad_tape()
    with pytest.raises(TapeError, match="one Value"):
        PAIR.hvp_tape()
    with pytest.raises(ShapeError, match=r"several \(wrt of hessian_tape\)"):
        MIXED.hessian_tape(wrt="inputs")
    with pytest.raises(ShapeError, match="jacobian_tape"):
        PAIR.jacobian_tape(wrt="inputs")
    with pytest.raises(FastgradValueError, match="mode of jacobian_tape"):
        PAIR.jacobian_tape(mode="both")
    with pytest.raises(FastgradValueError, match="none in 'parameters'"):
        MIXED.grad_tape("parameters")
    with pytest.raises(FastgradValueError, match="wrt"):
        MIXED.vjp_tape("z")


def request(tape, most=1 << 20, seeds=(0, 0, SEED_ONE), picks=(0, 0, 0), live=b"\1\0"):
    packed = [b"".join(x.to_bytes(4, "little") for x in part) for part in (seeds, picks)]
    arguments = [fg._derivatives.structure(MIXED)[0][0], fg._derivatives.structure(MIXED)[0][1]]
    spec = fg._derivatives.Shape((), 0, "g")
    made = Tape.__new__(Tape)
    derive(made, tape, False, False, 2, live, *packed, arguments, spec, "gradient", most)
    return made


def test_derivative_longer_than_the_limit_is_refused():
    assert request(MIXED)(0.5, 2.0) == MIXED.grad_tape()(0.5, 2.0)[0]
    with pytest.raises(
        DerivativeError, match=r"at most 20 operations, got more \(gradient of mixed"
    ):
        request(MIXED, most=20)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": (0, 1, SEED_ONE)}, {"seeds": (0, 0, 2)}, {"picks": (0, 2, 0)},
        {"picks": (0, 0, 1)}, {"live": b"\1"},
    ],
)  # fmt: skip
def test_requests_that_name_nothing_are_refused(wrong):
    with pytest.raises(FastgradValueError, match="expected"):
        request(MIXED, **wrong)


def test_a_tape_is_filled_once():
    made = request(MIXED)
    with pytest.raises(TypeError, match="a new tape"):
        derive(made, MIXED, False, False, 2, b"\0\0", b"", b"", [], None, "gradient")
    with pytest.raises(TypeError, match="a recorded tape"):
        Tape.__new__(Tape).grad_tape()


@pytest.mark.wide
def test_derivation_polls_signals_and_leaves_nothing_half_done():
    tape = fg.record(lambda x: sum((x * k).tanh() for k in range(9_000)), 0.1)
    polls, _ = at_each_poll(lambda: tape.grad_tape(wrt=0))
    assert polls > 3
    tape.derived = None
    for k in range(1, polls, max(1, polls // 6)):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(lambda: tape.grad_tape(wrt=0), stop_at(k))
        assert not tape.derived
    assert tape.grad_tape(wrt=0)(0.1) == tape.value_and_grad(0.1, wrt=0)[1]
