"""Linear regression twice: the normal equations solve it, gradient descent approaches it.

The best weights have a formula. Setting the slopes of the squared error to zero gives as many
linear equations as there are weights, X'X w = X'y. Gradient descent needs no formula, only
slopes, and so goes on working where the model is no line. Here both are at hand, and must meet.

    python examples/linear_regression.py
"""

import random

from fastgrad import Value, optim, record

# 1. Data from a line that we know, with some noise: y = 1.5 a - 2 b + 0.5 c + 3.

TRUE = [1.5, -2.0, 0.5, 3.0]
rng = random.Random(7)
X = [[rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1), 1.0] for _ in range(200)]  # 1: the bias
y = [sum(w * x for w, x in zip(TRUE, row)) + rng.gauss(0, 0.1) for row in X]
size = len(TRUE)


def mean_square(weights):
    errors = [sum(w * x for w, x in zip(weights, row)) - target for row, target in zip(X, y)]
    return sum(error * error for error in errors) / len(y)


# 2. The normal equations, solved by elimination: each row is used to clear a column in the
#    others.

A = [[sum(row[i] * row[j] for row in X) for j in range(size)] for i in range(size)]
rhs = [sum(row[i] * target for row, target in zip(X, y)) for i in range(size)]
rows = [[*left, right] for left, right in zip(A, rhs)]
for i in range(size):
    pivot = max(range(i, size), key=lambda k: abs(rows[k][i]))
    rows[i], rows[pivot] = rows[pivot], rows[i]
    rows[i] = [entry / rows[i][i] for entry in rows[i]]
    for k in range(size):
        if k != i:
            rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i])]
exact = [row[-1] for row in rows]
print("true weights:    ", *(f"{w:+.4f}" for w in TRUE))
print("normal equations:", *(f"{w:+.4f}" for w in exact), f" mean square {mean_square(exact):.6f}")

# 3. Gradient descent. The function is written for one sample; called with all of them, the tape
#    returns a loss for each, and `backward` adds the slopes of their mean to each weight's grad.

weights = [Value(0.0) for _ in TRUE]
tape = record(
    lambda row, target: (sum(w * x for w, x in zip(weights, row)) - target) ** 2, [0.0] * size, 0.0
)
optimizer = optim.SGD(weights, lr=0.1)
for step in range(101):
    optimizer.zero_grad()
    loss = tape.backward(X, y)
    if step in (0, 1, 5, 10, 20, 50, 100):
        away = max(abs(w.data - e) for w, e in zip(weights, exact))
        print(f"step {step:3}: mean square {loss:.6f}, {away:.1e} from the normal equations")
    optimizer.step()
found = [w.data for w in weights]
print("gradient descent:", *(f"{w:+.4f}" for w in found), f" mean square {mean_square(found):.6f}")

# 4. At the minimum no slope is left. With the exact weights `backward` finds rounding errors
#    only.

for weight, number in zip(weights, exact):
    weight.data = number
optimizer.zero_grad()
tape.backward(X, y)
print(f"largest slope at the exact weights: {max(abs(w.grad) for w in weights):.0e}")
