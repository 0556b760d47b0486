"""A slope, three ways, and a ball that rolls down it: where is 3x^2 - 4x + 5 smallest?

The derivative says how a function answers a small push of its input. School gives it as a
formula, a computer can measure it by really pushing, and `backward` computes it from the
operations themselves. All three must agree; then walking against the slope finds the minimum.

    python examples/gradient_descent_1d.py
"""

from fastgrad import Value


def f(x):
    return 3 * x**2 - 4 * x + 5


def f_prime(x):  # what school says: the exact derivative
    return 6 * x - 4


# 1. Push x by h and see how much f moves. A large h measures the wrong thing, because the
#    parabola bends meanwhile; a tiny one drowns in rounding: f(x + h) and f(x) share most of
#    their digits.

x = 3.0
print(f"f({x}) = {f(x)}, and its exact slope there is {f_prime(x)}")
print("       h    measured slope   error")
for exponent in range(1, 16, 2):
    h = 10.0**-exponent
    measured = (f(x + h) - f(x)) / h
    print(f"   1e-{exponent:02}  {measured:16.10f}   {abs(measured - f_prime(x)):.0e}")

# 2. Pushing to both sides cancels the bend.

h = 1e-5
central = (f(x + h) - f(x - h)) / (2 * h)
print(f"from both sides, h = {h:.0e}: {central:.10f}, error {abs(central - f_prime(x)):.0e}")

# 3. Do not push at all. A Value remembers which operations made it; `backward` walks back through
#    them, multiplying the slopes of the steps. No h, no error of measurement.

v = Value(x)
y = f(v)
y.backward()
print(f"backward: {v.grad}, error {abs(v.grad - f_prime(x)):.0e}")

# 4. The slope points uphill, so step the other way, a little: x <- x - rate * slope. Far from the
#    minimum the slope is steep and the steps are long; near it they shrink by themselves.

rate = 0.1
for step in range(25):
    y = f(v)
    v.grad = 0.0  # backward adds: forget the slope of the step before
    y.backward()
    if step % 4 == 0:
        print(f"step {step:2}: x = {v.data:.6f}, f = {y.data:.6f}, slope = {v.grad:+.6f}")
    v.data -= rate * v.grad
print(f"found x = {v.data:.6f}; the slope 6x - 4 is zero at x = {4 / 6:.6f}")

# 5. Each step multiplies the distance from the minimum by 1 - 6 * rate. That is less than one
#    only for rates below 1/3: beyond, each step overshoots by more than it came from.

for rate in (0.01, 0.1, 0.3, 0.34):
    v = Value(x)
    for _ in range(50):
        v.grad = 0.0
        f(v).backward()
        v.data -= rate * v.grad
    print(f"rate {rate:4}: {abs(v.data - 4 / 6):.1e} from the minimum after 50 steps")
