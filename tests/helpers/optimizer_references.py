"""What each optimizer computes, for one parameter, written out in plain Python: two references.

PAPERS has the equations of the papers, on numbers of any kind (the tests take mpmath's); PYTORCH
the operations of `torch.optim._single_tensor_*`, one by one, on floats: the bits.
"""

import math

import mpmath

from fastgrad.functional import pow as power  # PyTorch's, Python's, has another last digit at times

PAPERS, PYTORCH = {}, {}


def reference(table, rule):
    def note(function):
        table[rule] = function
        return function

    return note


def adapted(h, x, g):
    """Return the gradient that a step sees: its sign, and a weight decay that is added to it."""
    g = -g if h["maximize"] else g
    return g + h["weight_decay"] * x if h["weight_decay"] != 0 else g


def lerp(start, end, weight):
    if abs(weight) < 0.5:
        return start + weight * (end - start)
    return end - (end - start) * (1 - weight)


@reference(PAPERS, "SGD")
def sgd_of_papers(h, x, gradients):
    velocity = None
    for grad in gradients:
        g = adapted(h, x, grad)
        first = velocity is None
        velocity = g if first else h["momentum"] * velocity + (1 - h["dampening"]) * g
        direction = g + h["momentum"] * velocity if h["nesterov"] else velocity
        x -= h["lr"] * (direction if h["momentum"] else g)
    return x


@reference(PYTORCH, "SGD")
def sgd_of_pytorch(h, x, gradients):
    buffer = None
    for grad in gradients:
        g = adapted(h, x, grad)
        if h["momentum"] != 0:
            if buffer is None:
                buffer = g
            else:
                buffer = buffer * h["momentum"] + (1 - h["dampening"]) * g
            g = g + h["momentum"] * buffer if h["nesterov"] else buffer
        x = x + -h["lr"] * g
    return x


@reference(PAPERS, "Adam")
def adam_of_papers(h, x, gradients, decoupled=False):
    b1, b2 = h["betas"]
    mean = square = largest = 0
    for t, grad in enumerate(gradients, start=1):
        if decoupled:
            x *= h["shrink"]
            g = -grad if h["maximize"] else grad
        else:
            g = adapted(h, x, grad)
        mean = b1 * mean + (1 - b1) * g
        square = b2 * square + (1 - b2) * g**2
        largest = max(largest, square) if h["amsgrad"] else square
        root = mpmath.sqrt(largest / (1 - b2**t))
        x -= h["lr"] * (mean / (1 - b1**t)) / (root + h["eps"])
    return x


@reference(PAPERS, "AdamW")
def adamw_of_papers(h, x, gradients):
    # one rounding of the factor, lest it add up 200 times in one direction
    shrink = mpmath.mpf(1 - float(h["lr"]) * float(h["weight_decay"]))
    return adam_of_papers({**h, "shrink": shrink}, x, gradients, decoupled=True)


@reference(PYTORCH, "Adam")
def adam_of_pytorch(h, x, gradients, decoupled=False):
    b1, b2 = h["betas"]
    mean = square = largest = 0.0
    for t, grad in enumerate(gradients, start=1):
        if decoupled:
            x = x * (1 - h["lr"] * h["weight_decay"])
            g = -grad if h["maximize"] else grad
        else:
            g = adapted(h, x, grad)
        mean = lerp(mean, g, 1 - b1)
        square = square * b2 + (1 - b2) * g * g
        largest = max(largest, square)
        step_size = h["lr"] / (1 - power(b1, t))
        root = math.sqrt(largest if h["amsgrad"] else square)
        x = x + -step_size * mean / (root / math.sqrt(1 - power(b2, t)) + h["eps"])
    return x


@reference(PYTORCH, "AdamW")
def adamw_of_pytorch(h, x, gradients):
    return adam_of_pytorch(h, x, gradients, decoupled=True)


@reference(PAPERS, "RMSprop")
def rmsprop_of_papers(h, x, gradients):
    velocity = mean = square = 0
    for grad in gradients:
        g = adapted(h, x, grad)
        square = h["alpha"] * square + (1 - h["alpha"]) * g**2
        mean = h["alpha"] * mean + (1 - h["alpha"]) * g
        spread = mpmath.sqrt(square - mean**2 if h["centered"] else square) + h["eps"]
        velocity = h["momentum"] * velocity + g / spread
        x -= h["lr"] * velocity
    return x


@reference(PYTORCH, "RMSprop")
def rmsprop_of_pytorch(h, x, gradients):
    buffer = mean = square = 0.0
    for grad in gradients:
        g = adapted(h, x, grad)
        square = square * h["alpha"] + (1 - h["alpha"]) * g * g
        spread = square
        if h["centered"]:
            mean = lerp(mean, g, 1 - h["alpha"])
            spread = square + -1 * mean * mean
        spread = math.sqrt(spread) + h["eps"]
        if h["momentum"] > 0:
            buffer = buffer * h["momentum"] + g / spread
            x = x + -h["lr"] * buffer
        else:
            x = x + -h["lr"] * g / spread
    return x


@reference(PAPERS, "Adagrad")
def adagrad_of_papers(h, x, gradients):
    total = h["initial_accumulator_value"]
    for t, grad in enumerate(gradients):
        g = adapted(h, x, grad)
        total += g**2
        x -= h["lr"] / (1 + t * h["lr_decay"]) * g / (mpmath.sqrt(total) + h["eps"])
    return x


@reference(PYTORCH, "Adagrad")
def adagrad_of_pytorch(h, x, gradients):
    total = h["initial_accumulator_value"]
    for step, grad in enumerate(gradients, start=1):
        g = adapted(h, x, grad)
        rate = h["lr"] / (1 + (step - 1) * h["lr_decay"])
        total = total + g * g
        x = x + -rate * g / (math.sqrt(total) + h["eps"])
    return x
