"""Options and their Greeks: a price formula is written once, its slopes come for free.

A call is the right to buy a share at a fixed price, the strike, on a fixed day. Black and Scholes
gave its price in 1973. Traders need the slopes of it, too: by the share's price (delta), by its
volatility (vega), by time (theta), by the interest rate (rho). Each has a formula of its own in
the textbooks; here they are the gradient of one function, checked against those formulas.

    python examples/black_scholes.py
"""

import math

from fastgrad import record
from fastgrad.functional import erf, exp, log, sqrt


def normal_cdf(x):
    return (1 + erf(x / 2**0.5)) / 2


# 1. The price, in ordinary code for one option: share, strike, volatility and rate a year, years
#    left.


def call_price(share, strike, volatility, rate, years):
    d1 = (log(share / strike) + (rate + volatility**2 / 2) * years) / (volatility * sqrt(years))
    d2 = d1 - volatility * sqrt(years)
    return share * normal_cdf(d1) - strike * exp(-rate * years) * normal_cdf(d2)


option = (100.0, 105.0, 0.2, 0.03, 0.5)
tape = record(call_price, *option)
price, (delta, _, vega, rho, by_years) = tape.value_and_grad(*option, wrt="inputs")
print(f"call at {option[1]:g} on a share at {option[0]:g}: {price:.4f}")

# 2. The textbook's formulas. (Theta counts time that passes, so it is minus the slope by years
#    left.)

share, strike, volatility, rate, years = option
root = volatility * math.sqrt(years)
d1 = (math.log(share / strike) + (rate + volatility**2 / 2) * years) / root
density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
discounted = strike * math.exp(-rate * years) * normal_cdf(d1 - root)
textbook = {
    "delta": (delta, normal_cdf(d1)),
    "vega": (vega, share * density * math.sqrt(years)),
    "rho": (rho, years * discounted),
    "theta": (
        -by_years,
        -share * density * volatility / (2 * math.sqrt(years)) - rate * discounted,
    ),
}
for name, (ours, theirs) in textbook.items():
    print(f"{name:>6}: {ours:+10.6f} by backward, {theirs:+10.6f} by the book")

# 3. A whole book of options at once: a list for each argument that differs, one number for the
#    rest.

strikes = [80.0 + 5 * i for i in range(9)]
prices = tape(share, strikes, volatility, rate, years)
_, deltas = tape.value_and_grad(
    [share] * 9, strikes, volatility, rate, years, wrt="share", reduce=None
)
print("strike   price   delta")
for k, p, d in zip(strikes, prices, deltas):
    print(f"{k:6.0f} {p:7.3f} {d:7.3f}")

# 4. Backwards: which volatility explains a price that the market pays? Newton's method divides
#    what is missing by the slope, which is vega.

market = 6.5
guess = 0.5
for step in range(6):
    price, vega = tape.value_and_grad(share, strike, guess, rate, years, wrt="volatility")
    print(f"step {step}: volatility {guess:.10f}, price {price:.10f}")
    guess -= (price - market) / vega
print(f"implied volatility {guess:.6f}: price {tape(share, strike, guess, rate, years):.6f}")
