"""makemore's models beside PyTorch: `python -m benchmarks.makemore FILE [MODEL ...]`.

Each model is written again with `torch.nn` (float64, one thread), takes the initial numbers from
ours, trains with the same AdamW on the same mini-batches, and both are tested on the same lines.
The time is the processor's, of training alone, without drawing samples and recording. Needs
PyTorch, from `.venv-peers` or the extra `nightly`.
"""

import math
import os
import sys
from itertools import pairwise
from time import process_time

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import torch
from torch import nn
from torch.nn import functional as F

from fastgrad.models.makemore import MODELS, Makemore

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
STEPS = 100


class Bigram(nn.Module):
    def __init__(self, vocabulary, _):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(vocabulary, vocabulary))

    def forward(self, x):
        return self.logits[x[:, -1]]


class Mlp(nn.Module):
    def __init__(self, vocabulary, options):
        super().__init__()
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        sizes = [options.block_size * d, *[hidden] * options.n_layer]
        self.hidden = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(sizes))
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x):
        row = self.wte(x).flatten(1)
        for layer in self.hidden:
            row = torch.tanh(layer(row))
        return self.head(row)


class Bow(nn.Module):
    def __init__(self, vocabulary, options):
        super().__init__()
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte, self.wpe = nn.Embedding(vocabulary, d), nn.Embedding(options.block_size, d)
        self.up, self.down = nn.Linear(d, hidden), nn.Linear(hidden, d)
        self.head = nn.Linear(d, vocabulary)

    def forward(self, x):
        rows = self.wte(x) + self.wpe.weight
        row = rows[:, -1] + rows.mean(1)
        return self.head(row + self.down(torch.tanh(self.up(row))))


class Cnn(nn.Module):
    def __init__(self, vocabulary, options):
        super().__init__()
        d, hidden = options.n_embd, 4 * options.n_embd
        self.wte = nn.Embedding(vocabulary, d)
        depth = max(1, math.ceil(math.log2(options.block_size)))
        self.pairs = nn.ModuleList(
            nn.Linear(2 * (hidden if level else d), hidden) for level in range(depth)
        )
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x):
        rows = self.wte(x)
        for layer in self.pairs:
            if rows.shape[1] % 2:
                rows = F.pad(rows, (0, 0, 1, 0))
            rows = torch.tanh(layer(rows.reshape(len(rows), rows.shape[1] // 2, -1)))
        return self.head(rows[:, 0])


class Recurrent(nn.Module):
    cell = nn.RNNCell

    def __init__(self, vocabulary, options):
        super().__init__()
        d, hidden = options.n_embd, 4 * options.n_embd
        self.start = nn.Parameter(torch.zeros(hidden))
        self.wte = nn.Embedding(vocabulary, d)
        self.step = self.cell(d, hidden)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x):
        rows, seen = self.wte(x), []
        state = self.start.expand(len(x), -1)
        if self.cell is nn.LSTMCell:
            state = state, torch.zeros_like(state)
        for t in range(x.shape[1]):
            state = self.step(rows[:, t], state)
            seen.append(state[0] if self.cell is nn.LSTMCell else state)
        return self.head(torch.stack(seen, 1))


class Gru(Recurrent):
    cell = nn.GRUCell


class Lstm(Recurrent):
    cell = nn.LSTMCell


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = nn.Linear(d, 3 * d), nn.Linear(d, d), heads

    def forward(self, x):
        b, t, d = x.shape
        parts = self.c_attn(x).split(d, 2)
        q, k, v = (p.view(b, t, self.heads, d // self.heads).transpose(1, 2) for p in parts)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(out.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(d), Attention(d, heads), nn.LayerNorm(d)
        parts = {"c_fc": nn.Linear(d, 4 * d), "act": nn.GELU("tanh"), "c_proj": nn.Linear(4 * d, d)}
        self.mlp = nn.ModuleDict(parts)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        out = self.ln_2(x)
        for layer in self.mlp.values():
            out = layer(out)
        return x + out


class Transformer(nn.Module):
    def __init__(self, vocabulary, options):
        super().__init__()
        d = options.n_embd
        self.wte, self.wpe = nn.Embedding(vocabulary, d), nn.Embedding(options.block_size, d)
        self.blocks = nn.ModuleList(Block(d, options.n_head) for _ in range(options.n_layer))
        self.ln_f, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)

    def forward(self, x):
        x = self.wte(x) + self.wpe.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


THEIRS = {
    "bigram": Bigram, "mlp": Mlp, "bow": Bow, "cnn": Cnn, "rnn": Recurrent, "gru": Gru,
    "lstm": Lstm, "transformer": Transformer,
}  # fmt: skip


class Theirs:
    """The model in PyTorch, with the initial numbers and the samples of ours."""

    def __init__(self, run):
        self.run, self.pad = run, run.alphabet.pad
        self.model = THEIRS[run.options.model](run.alphabet.size, run.options)
        state = {name: torch.tensor(item) for name, item in run.model.state_dict().items()}
        self.model.load_state_dict(state)
        decay = 0.0 if run.options.model == "bigram" else 0.01
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=run.options.lr, betas=(0.9, 0.99), weight_decay=decay
        )
        self.losses = []

    def loss(self, x, t, weight=None):
        scores = self.model(x)
        if weight is not None:
            return (weight * F.cross_entropy(scores, t, reduction="none")).mean()
        total = F.cross_entropy(
            scores.flatten(0, -2), t.flatten(), ignore_index=self.pad, reduction="sum"
        )
        return total / len(x)

    def arguments(self, chunk):
        samples = self.run._drawn_from()
        if self.run._weighted:
            x, t, weight = samples.pairs()
            return torch.tensor(x).long(), torch.tensor(t).long(), torch.tensor(weight)
        return tuple(torch.tensor(part.tolist()) for part in samples.drawn(chunk))

    def train(self, chunk, steps):
        data, size = self.arguments(chunk), self.run.options.batch_size
        scale = 1.0 if self.run._weighted else self.run._drawn_from().mean_targets
        begin = process_time()
        for step in range(steps):
            part = data if not size else [d[step * size : (step + 1) * size] for d in data]
            self.optimizer.zero_grad()
            loss = self.loss(*part)  # of a sample: AdamW's eps tells it from that of a character
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.detach() / scale)
        return process_time() - begin

    def tested(self):
        lines = self.run._lines("test")
        with torch.no_grad():
            if self.run._weighted:
                x, t, weight = self.run._samples_of(lines).pairs()
                args = torch.tensor(x).long(), torch.tensor(t).long(), torch.tensor(weight)
                return float(self.loss(*args))
            total = 0.0
            for parts in self.run._samples_of(lines).all():
                x, t = (torch.tensor(part.tolist()) for part in parts)
                total += float(self.loss(x, t)) * len(x)
        return total / lines.tokens


def trained(run, steps):
    """Return processor time of our steps, without the samples' drawing."""
    samples = run._drawn_from()
    chunk = run.step // 100
    kept = samples.pairs() if run._weighted else samples.drawn(chunk)
    samples.drawn = lambda _: kept
    begin = process_time()
    run.train(steps)
    taken = process_time() - begin
    del samples.drawn
    return taken


def main(file, names, sizes):
    print(
        "model        parameters  characters a second: ours  PyTorch  ratio   test: ours  PyTorch"
    )
    for name in names:
        run = Makemore(file, model=name, **sizes)
        theirs = Theirs(run)
        run._tape("loss")
        times = [math.inf, math.inf]
        for chunk in range(3):
            times[0] = min(times[0], trained(run, STEPS))
            times[1] = min(times[1], theirs.train(chunk, STEPS))
        a, b = (STEPS * run.tokens_per_step() / seconds for seconds in times)
        print(
            f"{name:12} {run.num_parameters():10,} {a:26,.0f} {b:10,.0f} {a / b:6.2f}"
            f"  {run.loss('test'):10.4f} {theirs.tested():8.4f}",
            flush=True,
        )


if __name__ == "__main__":
    words = [word for word in sys.argv[2:] if "=" not in word]
    main(
        sys.argv[1],
        words or MODELS,
        {k: int(v) for k, v in (w.split("=") for w in sys.argv[2:] if "=" in w)},
    )
