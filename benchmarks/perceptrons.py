"""`fastgrad.sklearn` beside scikit-learn's own: `python -m benchmarks.perceptrons [ROUNDS]`.

The same data, parameters and initial weights, on one thread; each fit in turn, the least processor
time of all rounds. The last lines train on the digits epoch by epoch until 95 % of the test set are
right, each class with the learning rate that takes it there soonest.
"""

import os
import sys
import warnings
from time import process_time

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
from sklearn import neural_network as theirs
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastgrad import sklearn as ours

EPOCHS = 30
SIZES = [(16,), (32,), (64,), (64, 64), (100,)]
RATES = (0.001, 0.003, 0.01, 0.03)
WANTED = 0.95


def data_sets():
    X, y = load_digits(return_X_y=True)
    yield "digits", train_test_split(X / 16, y, random_state=0)
    X, y = make_classification(10_000, 20, n_informative=10, random_state=0)
    yield "10,000 x 20", train_test_split(X, y, random_state=0)


def fit(module, size, parts):
    """Return processor time and test accuracy of a fit of some epochs."""
    X, X_test, y, y_test = parts
    model = module.MLPClassifier(size, random_state=1, max_iter=EPOCHS, tol=0.0)
    begin = process_time()
    model.fit(X, y)
    return process_time() - begin, model.score(X_test, y_test)


def time_to_accuracy(module, size, rate, parts):
    """Return the processor time of the epochs, without that of the scores between them."""
    X, X_test, y, y_test = parts
    model = module.MLPClassifier(size, random_state=1, learning_rate_init=rate, batch_size=32)
    taken = 0.0
    for _ in range(100):
        begin = process_time()
        model.partial_fit(X, y, classes=np.unique(y))
        taken += process_time() - begin
        if model.score(X_test, y_test) >= WANTED:
            return taken
    return float("inf")


def main(rounds):
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"fit of {EPOCHS} epochs, the least of {rounds}: ms, test accuracy")
    digits = None
    for name, parts in data_sets():
        digits = digits or parts
        for size in SIZES:
            found = [[fit(m, size, parts) for m in (ours, theirs)] for _ in range(rounds)]
            (a, right), (b, their_right) = (min(column) for column in zip(*found, strict=True))
            print(
                f"{name:12} {size!s:9} fastgrad {a * 1e3:6.1f} {right:.3f}   "
                f"scikit-learn {b * 1e3:6.1f} {their_right:.3f}   ratio {a / b:.2f}"
            )
    for size in SIZES:
        best = [
            min(
                (time_to_accuracy(m, size, rate, digits), rate)
                for rate in RATES
                for _ in range(rounds)
            )
            for m in (ours, theirs)
        ]
        (a, rate), (b, their_rate) = best
        print(
            f"digits to {WANTED:.0%}, {size!s:9} fastgrad {a * 1e3:6.1f} ms (rate {rate})   "
            f"scikit-learn {b * 1e3:6.1f} ms (rate {their_rate})   ratio {a / b:.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
