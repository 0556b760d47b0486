"""Handwritten digits: softmax, cross-entropy, mini-batches, and a test set that is not shown.

The moons had two classes and a score; ten digits need ten scores. `softmax` makes probabilities of
them, `cross_entropy` asks how probable the right one was. The pictures are scikit-learn's, 8 x 8
pixels of 0 to 16.

    python examples/digits.py
"""

import numpy as np
from sklearn.datasets import load_digits

from fastgrad import fit, manual_seed, nn, optim, record
from fastgrad import functional as F

# 1. The data: four of five to learn from, the others to see whether it was learnt or memorised.

X, y = load_digits(return_X_y=True)
X = X / 16
test = np.arange(len(X)) % 5 == 0
train = ~test
print(f"{len(X)} pictures of {X.shape[1]} pixels")
for row in X[0].reshape(8, 8):
    print("   ", "".join(" .:*#"[round(4 * pixel)] for pixel in row))
print(f"this is a {y[0]}")

# 2. The model: 64 pixels, 32 neurons, 10 scores. The loss is that of one picture; its tape takes as
#    many as it is given.

manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
scores = record(model, [0.0] * 64)
tape = record(
    lambda x, t: F.cross_entropy(model(x), t), [0.0] * 64, 0, parameters=model.parameters()
)
print(f"{model.num_parameters()} parameters, {tape.stats()['recorded']} operations for a picture")


def report(name):
    right = F.accuracy(scores(X[test]), y[test])
    print(f"{name}: loss {tape(X[test], y[test]).mean():.4f}, {right:.1%} of the test set right")


# 3. Without training every digit is as probable as any other: a loss of log(10), one in ten right.

report("untrained")

# 4. Mini-batches of 32: a rough slope, but 45 steps for each look at all pictures.

optimizer = optim.Adam(model.parameters(), lr=0.01)
epoch = -(-train.sum() // 32)
for epochs in range(1, 11):
    losses = fit(
        tape, X[train], y[train],
        optimizer=optimizer, steps=epoch, batch_size=32, start=(epochs - 1) * epoch,
    )  # fmt: skip
    if epochs in (1, 2, 5, 10):
        print(f"epoch {epochs}: mean loss {sum(losses) / len(losses):.4f}")
report("trained")

# 5. Where it errs, people hesitate too.

guesses = [max(range(10), key=row.__getitem__) for row in scores(X[test]).tolist()]
wrong = [i for i, (guess, digit) in enumerate(zip(guesses, y[test])) if guess != digit]
for i in wrong[:2]:
    print(f"taken for a {guesses[i]}, but a {y[test][i]}:")
    for row in X[test][i].reshape(8, 8):
        print("   ", "".join(" .:*#"[round(4 * pixel)] for pixel in row))
