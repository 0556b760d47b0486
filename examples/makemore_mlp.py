"""makemore, part 2: an MLP that reads three letters and says what comes next.

After Andrej Karpathy's lecture, and Bengio et al. 2003. Each letter gets a few numbers of its own,
which are learnt like all others; three letters side by side go through a layer of tanh; 27 scores
come out. The names are the project's own.

    python examples/makemore_mlp.py
"""

import math
import random

from fastgrad import fit, manual_seed, nn, optim, record
from fastgrad import functional as F
from fastgrad.models.words import example_words

# 1. Names become examples: the three letters before, and the letter that follows. A dot stands for
#    begin and end.

words = example_words()
letters = [".", *sorted(set("".join(words)))]
number = {letter: i for i, letter in enumerate(letters)}


def examples_of(words):
    X, y = [], []
    for word in words:
        context = [0, 0, 0]
        for letter in word + ".":
            X.append(context)
            y.append(number[letter])
            context = [*context[1:], number[letter]]
    return X, y


random.seed(42)
random.shuffle(words)
X, y = examples_of(words[:320])
X_test, y_test = examples_of(words[320:])
print(f"{len(words)} names, {len(letters)} letters, {len(X)} examples to learn")
for context, target in list(zip(X, y))[:4]:
    print("   ", "".join(letters[i] for i in context), "->", letters[target])

# 2. The model.

manual_seed(7)
embedding = nn.Embedding(len(letters), 6)
hidden, head = nn.Linear(3 * 6, 48), nn.Linear(48, len(letters))


def scores(context):
    row = [v for i in context for v in embedding(i)]
    return head([v.tanh() for v in hidden(row)])


parameters = [p for layer in (embedding, hidden, head) for p in layer.parameters()]
tape = record(lambda x, t: F.cross_entropy(scores(x), t), [0, 0, 0], 0, parameters=parameters)
score_tape = record(scores, [0, 0, 0])
print(f"{len(parameters)} parameters")


def mean_loss(X, y):
    return sum(tape(X, y)) / len(y)


# 3. What would somebody lose who knows nothing? log(letters). Ours should begin near that.

print(f"knowing nothing costs {math.log(len(letters)):.4f}, this model {mean_loss(X, y):.4f}")

# 4. A good learning rate: try rates that grow from step to step, and look where the loss falls
#    fastest before it runs away.

start = [p.data for p in parameters]
for rate in (0.001, 0.01, 0.1, 1.0, 10.0):
    losses = fit(tape, X, y, optimizer=optim.SGD(parameters, lr=rate), steps=40, batch_size=64)
    print(f"rate {rate:6}: loss {sum(losses[-5:]) / 5:.4f} after 40 steps")
    for p, data in zip(parameters, start):
        p.data = data

# 5. Train: long steps first, then short ones.

rates = [0.3] * 800 + [0.05] * 200
losses = fit(tape, X, y, optimizer=optim.SGD(parameters), steps=1000, batch_size=64, schedule=rates)
for step in (0, 100, 400, 700):
    print(f"step {step:4}: loss {sum(losses[step : step + 20]) / 20:.4f}")
print(f"loss {mean_loss(X, y):.4f}, on names not shown {mean_loss(X_test, y_test):.4f}")

# 6. New names: draw a letter by its probability, move the window, go on to the dot.

for _ in range(8):
    context, name = [0, 0, 0], ""
    while len(name) < 20:
        probabilities = F.softmax(score_tape(context))
        (i,) = random.choices(range(len(letters)), probabilities)
        if i == 0:
            break
        name += letters[i]
        context = [*context[1:], i]
    print("   ", name)
