"""One neuron learns what a house costs: price = weight * size + bias.

A neuron without activation is a straight line. Give it ten houses, let it say a price for each,
measure how wrong it is, and turn weight and bias a little against the slope of that error. This
is all that larger networks do, too.

    python examples/house_price.py
"""

import random

from fastgrad import Value
from fastgrad.nn import Neuron

# Square feet and price in dollars, of ten invented sales.
HOUSES = [
    (850, 179_000), (1_100, 221_500), (1_250, 239_000), (1_400, 275_500), (1_600, 302_000),
    (1_750, 341_000), (1_900, 359_500), (2_150, 412_000), (2_400, 447_500), (3_000, 563_000),
]  # fmt: skip

# 1. Numbers of similar size. A weight that multiplies 2,000 has a slope 2,000 times that of the
#    bias, and no one rate suits both. So measure sizes from their mean, in units of their spread.


def standardised(numbers):
    mean = sum(numbers) / len(numbers)
    spread = (sum((x - mean) ** 2 for x in numbers) / len(numbers)) ** 0.5
    return [(x - mean) / spread for x in numbers], mean, spread


sizes, size_mean, size_spread = standardised([size for size, _ in HOUSES])
prices, price_mean, price_spread = standardised([price for _, price in HOUSES])
print(
    f"{len(HOUSES)} houses, {size_mean:,.0f} square feet and {price_mean:,.0f} dollars on average"
)

# 2. The neuron: one input, no activation. Its weight starts anywhere, its bias at 0.

random.seed(0)
neuron = Neuron(1, nonlin=False)
print(f"it starts with weight {neuron.w[0].data:.3f} and bias {neuron.b.data:.3f}")

# 3. Training. The loss is the mean of the squared errors; squares make a few large errors worse
#    than many small ones, and have a slope everywhere.


def error():
    guesses = [neuron([size]) for size in sizes]
    return sum((guess - price) ** 2 for guess, price in zip(guesses, prices)) / len(HOUSES)


for step in range(60):
    loss = error()
    neuron.zero_grad()
    loss.backward()
    for p in neuron.parameters():
        p.data -= 0.1 * p.grad
    if step % 10 == 0:
        print(f"step {step:2}: loss {loss.data:.5f}")
print(f"after the last step: loss {error().data:.5f}")

# 4. Back to dollars. The line in the units above is a line in square feet and dollars, too.

per_foot = neuron.w[0].data * price_spread / size_spread
base = price_mean + neuron.b.data * price_spread - per_foot * size_mean
print(f"price = {per_foot:.2f} dollars a square foot + {base:,.0f} dollars")


def price_of(square_feet):
    guess = neuron([(square_feet - size_mean) / size_spread])
    return guess.data * price_spread + price_mean


for square_feet in (1_000, 2_000, 2_800):
    print(f"{square_feet:,} square feet: {price_of(square_feet):,.0f} dollars")

# 5. The neuron is a function of its input as well: the slope of the price by the size is the
#    price of one more square foot.

size = Value(0.0)
guess = neuron([size])
guess.backward()
print(f"one more square foot costs {size.grad * price_spread / size_spread:.2f} dollars")
