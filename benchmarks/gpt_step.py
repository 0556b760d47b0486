"""A training step of a GPT on names of unlike length (T4): `python -m benchmarks.gpt_step`.

W5: one layer, 16 embeddings, 4 heads, a tape for each length, one name a step, Adam. Microseconds
of processor time a step, driven from Python (`zero_grad`, `backward`, `step`) and in `fit`; with
`--base REVISION` those of another build in turn, and the median of the ratios. A build without
`record_each` calls `fit` for each name by itself.
"""

import argparse
import json
import sys
from functools import reduce
from statistics import median
from time import process_time

from benchmarks.compare import build
from benchmarks.models import Server
from benchmarks.workloads import ROOT

STEPS = 60  # of one turn


def serve():
    """Answer lines of JSON, ["python" or "fit", steps]: microseconds of a step, and the losses."""
    import fastgrad as fg
    from fastgrad import functional, optim
    from fastgrad.command.bench.gpt import GPT, NAMES, tokens

    model = GPT(fg.Value, fg.take, lambda row: reduce(functional.max, row))
    parameters = model.parameters()
    lines = [tokens(name) for name in NAMES]
    documents = [(line[:-1], line[1:]) for line in lines]
    if hasattr(fg, "record_each"):
        tapes = fg.record_each(model.cross_entropy, documents, parameters=parameters)
        step_of = [tapes] * len(documents)
    else:
        tapes = None
        step_of = [fg.record(model.cross_entropy, *document) for document in documents]
    optimizer = optim.Adam(parameters, lr=1e-5, betas=(0.9, 0.99))

    def in_python(steps):
        losses = []
        for i in range(steps):
            optimizer.zero_grad()
            losses.append(step_of[i % len(documents)].backward(*documents[i % len(documents)]))
            optimizer.step()
        return losses

    def in_fit(steps):
        if tapes is not None:
            return fg.fit(
                tapes, documents, optimizer=optimizer, steps=steps, batch_size=1, shuffle=False
            )
        each = steps // len(documents)
        return [
            loss
            for tape, document in zip(step_of, documents, strict=True)
            for loss in fg.fit(tape, *document, optimizer=optimizer, steps=each)
        ]

    for line in sys.stdin:
        how, steps = json.loads(line)
        start = process_time()
        losses = (in_python if how == "python" else in_fit)(steps)
        print(json.dumps([(process_time() - start) / steps * 1e6, losses]), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpt_step", description=__doc__)
    parser.add_argument("--base", help="git revision, or a built tree, to compare with")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    trees = [ROOT]
    if options.base:
        trees.insert(0, options.base if "/" in options.base else build(options.base)[0])
    builds = [Server(sys.executable, tree, "gpt_step.serve()") for tree in trees]
    first = [b.ask("python", STEPS)[1] for b in builds]
    for one, other in zip(first[0], first[-1], strict=True):
        if abs(one - other) > 1e-6:
            sys.exit(f"losses differ: {one} and {other}")
    for how, steps in (("python", STEPS), ("fit", 5 * STEPS)):
        for b in builds:
            b.ask(how, steps)
        rounds = [[b.ask(how, steps)[0] for b in builds] for _ in range(options.rounds)]
        best = "".join(f"{min(times):10.1f} us" for times in zip(*rounds, strict=True))
        ratio = median(times[-1] / times[0] for times in rounds)
        print(f"{how:8}{best}{ratio:8.3f}", flush=True)


if __name__ == "__main__":
    main()
