"""A GPT from nothing but numbers: attention, a Transformer's block, training, sampling.

Every part is written out on single numbers, as in Andrej Karpathy's microgpt; `fastgrad.nn` has
the same as `TransformerBlock`. Letters look back at the letters before them: a query asks, keys
answer, values are what is handed on.

    python examples/gpt.py
"""

import random

from fastgrad import Value, fit, optim, record
from fastgrad import functional as F
from fastgrad.models.words import example_words

WIDTH, HEADS, CONTEXT = 8, 2, 8
SIZE = WIDTH // HEADS

# 1. Tokens: the letters, and one more for begin and end. Short names only: each is one sample.

random.seed(42)
words = [word for word in example_words() if len(word) < CONTEXT]
random.shuffle(words)
letters = sorted(set("".join(words)))
END = PAD = len(letters)
VOCABULARY = END + 1


def sample_of(word):
    """Return the tokens of a name, and the tokens that follow them; -100 counts for nothing."""
    tokens = [END, *(letters.index(letter) for letter in word), END]
    rest = CONTEXT - len(tokens) + 1
    return tokens[:-1] + [PAD] * rest, tokens[1:] + [-100] * rest


X, y = map(list, zip(*map(sample_of, words)))
print(f"{len(words)} names of {len(letters)} letters; the first: {words[0]}")
print("   reads", X[0])
print("   says ", y[0])

# 2. Parameters: matrices of small random numbers.


def matrix(rows, columns):
    return [[Value(random.gauss(0, 0.15)) for _ in range(columns)] for _ in range(rows)]


token_table, place_table = matrix(VOCABULARY, WIDTH), matrix(CONTEXT, WIDTH)
query, key, value, out = (matrix(WIDTH, WIDTH) for _ in range(4))
up, down = matrix(4 * WIDTH, WIDTH), matrix(WIDTH, 4 * WIDTH)
head = matrix(VOCABULARY, WIDTH)
tables = [token_table, place_table, query, key, value, out, up, down, head]
parameters = [p for table in tables for row in table for p in row]
print(f"{len(parameters)} parameters")

# 3. The model. A block adds to its rows what attention has gathered, then what a layer makes of
#    it. Row t sees rows 0 to t and none behind: it is to predict what follows.


def added(x, y):
    return [a + b for a, b in zip(x, y)]


def attention(rows):
    queries, keys, values = (
        [F.linear(row, table) for row in rows] for table in (query, key, value)
    )
    gathered = [[] for _ in rows]
    for h in range(0, WIDTH, SIZE):
        part = slice(h, h + SIZE)
        for t in range(len(rows)):
            scores = [F.dot(queries[t][part], keys[s][part]) / SIZE**0.5 for s in range(t + 1)]
            shares = F.softmax(scores)
            for j in range(h, h + SIZE):
                gathered[t].append(F.dot(shares, [values[s][j] for s in range(t + 1)]))
    return [F.linear(row, out) for row in gathered]


def gpt(tokens):
    """Return the scores of what follows each token."""
    rows = [
        added(F.embedding(token, token_table), place) for token, place in zip(tokens, place_table)
    ]
    normed = [F.rms_norm(row) for row in rows]
    rows = [added(row, more) for row, more in zip(rows, attention(normed))]
    for t, row in enumerate(rows):
        inner = [v.relu() for v in F.linear(F.rms_norm(row), up)]
        rows[t] = added(row, F.linear(inner, down))
    return [F.linear(row, head) for row in rows]


# 4. The loss of a name, in nats a letter; recorded once, for all names.


def loss(tokens, following):
    return F.cross_entropy(gpt(tokens), list(following))


tape = record(loss, X[0], y[0], parameters=parameters)
print(f"{tape.stats()['recorded']} operations for a name, {tape.stats()['operations']} on its tape")
begin = sum(tape(X, y)) / len(X)
history = fit(tape, X, y, optimizer=optim.Adam(parameters, lr=0.01), steps=300, batch_size=32)
for step in (0, 50, 100, 200, 299):
    print(f"step {step:3}: loss {history[step]:.4f}")
print(f"loss of all names: {begin:.4f} before, {sum(tape(X, y)) / len(X):.4f} after")

# 5. Does it look back at all? If the first letter changes, the scores at the last place must; if
#    the last one changes, those at the first place must not.

scores = record(gpt, X[0])
tokens = X[0]
other_first, other_last = [1 - min(tokens[0], 1), *tokens[1:]], [*tokens[:-1], 0]
here, first, last = scores(tokens), scores(other_first), scores(other_last)
print(f"the first letter moves the last scores: {here[-1] != first[-1]}")
print(f"the last letter moves the first scores: {here[0] != last[0]}")

# 6. Sampling. A temperature below 1 prefers what is likely.

for _ in range(8):
    tokens = [END]
    while len(tokens) < CONTEXT:
        row = scores(tokens + [PAD] * (CONTEXT - len(tokens)))[len(tokens) - 1]
        (token,) = random.choices(range(VOCABULARY), F.softmax([v / 0.7 for v in row]))
        if token == END:
            break
        tokens.append(token)
    print("   ", "".join(letters[token] for token in tokens[1:]))
