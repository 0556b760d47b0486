"""Fit y = m x + b to six points, step by step: every number of the first step is shown.

A fit begins with any line, asks in which direction each of its two numbers makes it worse, and goes
the other way.

    python examples/line_fit.py
"""

from fastgrad import Value, fit, optim, record

POINTS = [(0.0, 1.1), (1.0, 2.9), (2.0, 5.2), (3.0, 6.8), (4.0, 9.1), (5.0, 10.9)]
RATE = 0.02

# 1. The parameters are Values: what is computed from them remembers how.

m, b = Value(0.0), Value(0.0)


def loss_of(m, b):
    return sum((m * x + b - y) ** 2 for x, y in POINTS) / len(POINTS)


# 2. One step, slowly. The loss is 1/6 of the sum of (m x + b - y)^2. By the chain rule its slope
#    by m is 2/6 of the sum of (m x + b - y) x, that by b 2/6 of the sum of (m x + b - y).

print("     x      y   guess   error   2/6 error x   2/6 error")
by_m = by_b = 0.0
for x, y in POINTS:
    guess = m.data * x + b.data
    error = guess - y
    by_m += 2 / 6 * error * x
    by_b += 2 / 6 * error
    print(
        f"  {x:4} {y:6} {guess:7.2f} {error:7.2f} {2 / 6 * error * x:13.3f} {2 / 6 * error:11.3f}"
    )
loss = loss_of(m, b)
loss.backward()
print(f"loss {loss.data:.4f}")
print(f"slope by m: {by_m:.6f} by hand, {m.grad:.6f} by backward")
print(f"slope by b: {by_b:.6f} by hand, {b.grad:.6f} by backward")
m.data -= RATE * m.grad
b.data -= RATE * b.grad
print(
    f"both are negative: a larger m and b make the loss smaller. m = {m.data:.4f}, b = {b.data:.4f}"
)

# 3. The same, again and again. m is found at once, b only slowly: the loss is a long narrow
#    valley, steep across and nearly flat along its floor.

for step in range(1, 401):
    loss = loss_of(m, b)
    m.grad = b.grad = 0.0
    loss.backward()
    m.data -= RATE * m.grad
    b.data -= RATE * b.grad
    if step in (1, 2, 5, 10, 20, 50, 100, 200, 400):
        print(f"step {step:3}: loss {loss.data:.6f}, y = {m.data:.4f} x + {b.data:.4f}")

# 4. The loop builds the same graph 400 times. `record` builds it once, for one point; `fit` then
#    runs such a loop natively, and takes the mean over the points itself.

m2, b2 = Value(0.0), Value(0.0)
tape = record(lambda x, y: (m2 * x + b2 - y) ** 2, 0.0, 0.0)
xs, ys = [x for x, _ in POINTS], [y for _, y in POINTS]
history = fit(tape, xs, ys, optimizer=optim.SGD([m2, b2], lr=RATE), steps=401)
print(f"on a tape: y = {m2.data:.4f} x + {b2.data:.4f}, after {len(history)} steps")
print(f"largest difference: {max(abs(m.data - m2.data), abs(b.data - b2.data)):.0e}")
