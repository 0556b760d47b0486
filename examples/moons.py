"""Two moons: a network of 337 numbers learns a boundary that no straight line is.

micrograd's demo, without other packages: the points are made here, the loss is the lecture's
("max-margin": be right, and right by at least 1), and the boundary is drawn in text. The network
is written for one point; its tape trains on all of them at once.

    python examples/moons.py
"""

import math
import random

from fastgrad import MLP, fit, optim, record

# 1. The data: two half circles, each reaching into the other's bowl, with some noise.

rng = random.Random(1337)


def moon(count, upper):
    points = []
    for i in range(count):
        angle = math.pi * i / (count - 1)
        x, y = math.cos(angle), math.sin(angle)
        if not upper:
            x, y = 1 - x, 0.5 - y
        points.append([x + rng.gauss(0, 0.1), y + rng.gauss(0, 0.1)])
    return points


X = moon(50, True) + moon(50, False)
y = [1.0] * 50 + [-1.0] * 50

# 2. The model, and the loss of one point. The last term keeps weights small, and the boundary
#    smooth.

random.seed(1337)
model = MLP(2, [16, 16, 1])
parameters = model.parameters()


def loss(x, y):
    return (1 - y * model(x)).relu() + 1e-4 * sum(p * p for p in parameters)


tape = record(loss, [0.0, 0.0], 1.0)
score = record(model, [0.0, 0.0])
print(f"{len(parameters)} parameters, {tape.stats()['recorded']} operations for a point")


def accuracy():
    return sum((s > 0) == (target > 0) for s, target in zip(score(X), y)) / len(y)


# 3. Training. The rate falls from 1 to 0.1: long steps first, then careful ones.

print(f"before: loss {sum(tape(X, y)) / len(y):.4f}, accuracy {accuracy():.0%}")
rates = [1.0 - 0.9 * k / 100 for k in range(100)]
history = fit(tape, X, y, optimizer=optim.SGD(parameters), steps=100, schedule=rates)
for k in range(0, 100, 20):
    print(f"step {k:2}: loss {history[k]:.4f}")
print(f"after: loss {sum(tape(X, y)) / len(y):.4f}, accuracy {accuracy():.0%}")

# 4. What it learnt: the sign of its score all over the plane, with the points on top. `score`
#    takes the whole grid in one call.

width, height = 61, 21
columns = [-1.6 + 4.2 * i / (width - 1) for i in range(width)]
rows = [1.6 - 2.7 * j / (height - 1) for j in range(height)]
scores = score([[px, py] for py in rows for px in columns])
picture = [
    ["." if s > 0 else " " for s in scores[j * width : (j + 1) * width]] for j in range(height)
]
for (px, py), target in zip(X, y):
    i, j = round((px + 1.6) / 4.2 * (width - 1)), round((1.6 - py) / 2.7 * (height - 1))
    if 0 <= i < width and 0 <= j < height:
        picture[j][i] = "o" if target > 0 else "x"
print("\n".join("".join(line).rstrip() for line in picture))
