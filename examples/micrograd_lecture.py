"""The first lecture, told with fastgrad: an expression, its graph, a neuron, a network, training.

After Andrej Karpathy's "The spelled-out intro to neural networks and backpropagation". His class
of a hundred lines is `from micrograd.engine import Value`; here the same program runs on a native
one.

    python examples/micrograd_lecture.py
"""

import math
import random
from itertools import pairwise

from fastgrad import Value
from fastgrad.nn import Module

# 1. An expression, and the graph behind it. Every result knows what made it: its operation `_op`
#    and its operands `_prev`. `backward` walks that graph from the result and leaves a slope in
#    each node.

a, b, c, f = (
    Value(number, label=name)
    for name, number in (("a", 2.0), ("b", -3.0), ("c", 10.0), ("f", -2.0))
)
e = a * b
e.label = "e"
d = e + c
d.label = "d"
L = d * f
L.label = "L"
L.backward()


def show(node, depth=0):
    made = f" = {node._op} of" if node._op else ""
    name = "  " * depth + node.label
    print(f"  {name:<8} data {node.data:7.2f}   grad {node.grad:7.2f}  {made}")
    for operand in sorted(node._prev, key=lambda v: v.label):
        show(operand, depth + 1)


print("L = (a * b + c) * f")
show(L)

# 2. What does a grad of -4 mean? Push that leaf by a little: L moves -4 times as much.

h = 1e-4
pushed = ((2.0 * (-3.0 + h)) + 10.0) * -2.0
print(f"pushing b by {h}: slope {(pushed - L.data) / h:.4f}; backward says {b.grad}")

# 3. A neuron: inputs times weights, plus a bias, squashed by tanh. The chain rule by hand: tanh
#    has the slope 1 - tanh^2, a sum hands it on, a product multiplies it with the other factor.

x1, x2 = Value(2.0), Value(0.0)
w1, w2 = Value(-3.0), Value(1.0)
bias = Value(6.8813735870195432)
o = (x1 * w1 + x2 * w2 + bias).tanh()
o.backward()
by_hand = 1 - o.data**2
print(f"neuron: {o.data:.4f}, slope at its sum {by_hand:.4f}")
print(f"  by w1: {w1.grad:.4f} = x1 * {by_hand:.4f}; by w2: {w2.grad:.4f} = x2 * {by_hand:.4f}")

# 4. tanh need not be one step: (e^2x - 1) / (e^2x + 1) gives the same, through other nodes.

x = Value(0.8814)
double = (2 * x).exp()
((double - 1) / (double + 1)).backward()
print(f"slope of tanh from its parts: {x.grad:.6f}; in one: {1 - math.tanh(0.8814) ** 2:.6f}")

# 5. Neurons make layers, layers a multi-layer perceptron. These classes are the lecture's, of
#    loops; `fastgrad.nn` has them ready, and as one native node for each neuron.


class Neuron(Module):
    def __init__(self, nin):
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(random.uniform(-1, 1))

    def __call__(self, x):
        return sum((wi * xi for wi, xi in zip(self.w, x)), self.b).tanh()


class Layer(Module):
    def __init__(self, nin, nout):
        self.neurons = [Neuron(nin) for _ in range(nout)]

    def __call__(self, x):
        outs = [neuron(x) for neuron in self.neurons]
        return outs[0] if len(outs) == 1 else outs


class MLP(Module):
    def __init__(self, nin, nouts):
        sizes = [nin, *nouts]
        self.layers = [Layer(m, n) for m, n in pairwise(sizes)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


random.seed(1)
model = MLP(3, [4, 4, 1])
print(f"MLP(3, [4, 4, 1]) has {len(model.parameters())} parameters")

# 6. Training: guess, measure, walk back, step. Forgetting `zero_grad` is the classic mistake:
#    grads add up, and each step would be that of all steps before it.

xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
ys = [1.0, -1.0, -1.0, 1.0]
for step in range(100):
    guesses = [model(x) for x in xs]
    loss = sum((guess - y) ** 2 for guess, y in zip(guesses, ys))
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= 0.1 * p.grad
    if step % 20 == 0 or step == 99:
        print(f"step {step:2}: loss {loss.data:.6f}")
print("wanted:", *(f"{y:+.2f}" for y in ys))
print("given: ", *(f"{guess.data:+.2f}" for guess in guesses))
