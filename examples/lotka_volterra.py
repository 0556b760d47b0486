"""Foxes and rabbits: find the laws of a population from noisy counts, through an ODE solver.

Lotka and Volterra: rabbits multiply and are eaten, foxes starve unless they eat.

    rabbits' = a rabbits - b rabbits foxes        foxes' = -c foxes + d rabbits foxes

A solver steps through time with nothing but + and *. So a loss on its result has a slope by a, b,
c, d: `backward` walks through the whole solver, a thousand steps if need be.

    python examples/lotka_volterra.py
"""

import random

from fastgrad import Value, fit, optim, record

TRUE = [0.9, 0.4, 0.8, 0.3]
START = (2.0, 1.0)
STEP, STEPS, EVERY = 0.1, 100, 5  # ten years; a count each half year


def slope(rabbits, foxes, a, b, c, d):
    eaten = rabbits * foxes
    return a * rabbits - b * eaten, d * eaten - c * foxes


def solve(laws):
    """Return the populations each half year, by the classical Runge-Kutta method."""
    x, y = START
    seen = []
    for step in range(1, STEPS + 1):
        k1, l1 = slope(x, y, *laws)
        k2, l2 = slope(x + STEP / 2 * k1, y + STEP / 2 * l1, *laws)
        k3, l3 = slope(x + STEP / 2 * k2, y + STEP / 2 * l2, *laws)
        k4, l4 = slope(x + STEP * k3, y + STEP * l3, *laws)
        x = x + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        y = y + STEP / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        if step % EVERY == 0:
            seen.append((x, y))
    return seen


# 1. What was counted: the true populations (the same function on plain numbers), 1 % off each.

rng = random.Random(3)
counted = [(x * rng.gauss(1, 0.01), y * rng.gauss(1, 0.01)) for x, y in solve(TRUE)]
print(f"{len(counted)} counts of each")

# 2. The loss of a guess: the mean squared difference to the counts. Recorded once, it is some
#    thousand operations; the tape has no arguments, only the four parameters.

laws = [Value(0.7), Value(0.5), Value(0.7), Value(0.4)]


def loss():
    differences = [
        (x - rabbits) ** 2 + (y - foxes) ** 2
        for (x, y), (rabbits, foxes) in zip(solve(laws), counted)
    ]
    return sum(differences) / len(counted)


tape = record(loss)
print(f"{tape.stats()['operations']} operations through {STEPS} steps of the solver")

# 3. Is the slope right? Push the first law by a little.

tape.backward()
h = 1e-6
laws[0].data += h
above = tape()
laws[0].data -= 2 * h
below = tape()
laws[0].data += h
print(f"slope by a: {laws[0].grad:.6f}; by pushing {(above - below) / (2 * h):.6f}")

# 4. Train. Adam gives each parameter a rate of its own.

history = fit(tape, optimizer=optim.Adam(laws, lr=0.02), steps=300)
for step in (0, 50, 100, 299):
    print(f"step {step:3}: loss {history[step]:.5f}")
noise = sum((x - p) ** 2 + (y - q) ** 2 for (x, y), (p, q) in zip(solve(TRUE), counted))
print(f"the true laws have a loss of {noise / len(counted):.5f}: the noise alone")
for name, found, true in zip("abcd", laws, TRUE):
    print(f"{name} = {found.data:.4f}, in truth {true}")
