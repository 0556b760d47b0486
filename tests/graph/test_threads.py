"""Threads: graphs are swept in parallel, one graph by one thread at a time.

Oracles: the gradients that one thread computes alone, bit for bit; `arena_check` afterwards.
"""

import random
import threading

import pytest
from helpers.tally import tally
from helpers.threads import THREADS, run_in_threads, switch_often  # noqa: F401
from helpers.timing import let_others_run

from fastgrad import Value, no_grad
from fastgrad.nn import MLP

ROUNDS = 6


def program(seed):
    """Make a random graph out of all kinds of nodes, and give its gradients."""
    rng = random.Random(seed)
    leaves = [Value(rng.uniform(-1, 1)) for _ in range(4)]
    nodes = list(leaves)
    for i in range(25):
        a, b = rng.choice(nodes), rng.choice(nodes)
        kind = rng.randrange(6)
        if kind == 0:
            nodes.append(a * b)
        elif kind == 1:
            nodes.append((a + b).tanh())
        elif kind == 2:
            nodes.append(a - b * 0.5)
        elif kind == 3:
            nodes.append(custom(a, b))
        elif kind == 4:
            nodes.append((a / (b * b + 1)).relu())
        else:
            nodes[-1].label = f"node {i}"
            assert all(isinstance(p, Value) for p in nodes[-1]._prev)
    total = sum(nodes)
    total.backward()
    total.backward()
    return [v.grad for v in leaves]


def custom(a, b):
    out = Value(a.data * b.data, (a, b), "custom")

    def step():
        if a is b:
            a.grad += 2 * a.data * out.grad
        else:
            a.grad += b.data * out.grad
            b.grad += a.data * out.grad

    out._backward = step
    return out


def different_graphs(rounds):
    expected = [program(i) for i in range(THREADS)]

    def work(i):
        for _ in range(rounds):
            assert program(i) == expected[i]

    run_in_threads(work)
    tally("threads: graphs built and swept side by side", THREADS * rounds)


@pytest.mark.wide
def test_different_graphs_are_swept_in_parallel():
    different_graphs(ROUNDS)


@pytest.mark.nightly
@pytest.mark.wide
def test_different_graphs_are_swept_in_parallel_for_long():
    different_graphs(200)


def one_graph(rounds):
    """Sweep one graph of exact numbers from all threads: turns, in whatever order, add up."""
    x = Value(1.0)
    parts = [custom(x, Value(float(i))) for i in range(10)]
    roots = [parts[i] + x for i in range(THREADS)]

    def work(i):
        for _ in range(rounds):
            roots[i].backward()

    run_in_threads(work)
    # Sweep k of root i runs parts[i] with grad k, so x gets k * i, and 1 by itself.
    assert [p.grad for p in parts[:THREADS]] == [float(rounds)] * THREADS
    pairs = rounds * (rounds + 1) // 2
    assert x.grad == sum(pairs * i + rounds for i in range(THREADS))
    tally("threads: sweeps of one graph by several threads", THREADS * rounds)


@pytest.mark.wide
def test_one_graph_is_swept_by_one_thread_at_a_time():
    one_graph(ROUNDS)


@pytest.mark.nightly
@pytest.mark.wide
def test_one_graph_is_swept_by_one_thread_at_a_time_for_long():
    one_graph(200)


def test_sweep_waits_while_another_thread_is_in_a_step():
    x = Value(1.0)
    inside, leave = threading.Event(), threading.Event()
    y = Value(2.0, (x,))

    def step():
        inside.set()
        leave.wait()
        x.grad += y.grad

    y._backward = step
    slow = threading.Thread(target=y.backward)
    slow.start()
    inside.wait()
    z = x * 3
    finished = []
    other = threading.Thread(target=lambda: (z.backward(), finished.append(True)))
    other.start()
    w = x + z  # building goes on meanwhile
    assert w.data == 4.0
    let_others_run()
    assert not finished
    assert x.grad == 0.0
    leave.set()
    slow.join()
    other.join()
    assert x.grad == 4.0


def test_no_grad_affects_one_thread():
    x = Value(1.0)

    def work(i):
        for _ in range(200):
            if i % 2:
                with no_grad():
                    assert (x * 2)._prev == set()
                    with no_grad():
                        pass
                    assert (x + 1)._prev == set()
            else:
                assert len((x * 2)._prev) == 2

    run_in_threads(work)
    assert len((x * 2)._prev) == 2


def test_thread_that_ends_inside_no_grad_affects_no_other():
    def suspended():
        with no_grad():
            yield

    generators = []

    def enter():
        generators.append(suspended())
        next(generators[-1])

    for _ in range(3):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    x = Value(1.0)
    found = []
    for _ in range(6):  # new threads are often given the identity of those that have ended
        thread = threading.Thread(target=lambda: found.append(len((x * 2)._prev)))
        thread.start()
        thread.join()
    assert found == [2] * 6
    for generator in generators:
        generator.close()
    assert len((x * 2)._prev) == 2


def test_shared_network_is_called_and_edited_in_parallel():
    random.seed(4)
    model = MLP(3, [4, 4, 1])
    x = [Value(0.5), 1.0, Value(-0.25)]

    def work(i):
        for k in range(ROUNDS * 5):
            if i == 0:
                neuron = model.layers[k % 2].neurons[k % 4]
                neuron.w[k % 3] = Value(neuron.w[k % 3].data)
            y = model(x)
            assert y.data == expected
            if i == 1:
                y.backward()

    expected = model(x).data
    run_in_threads(work)


@pytest.mark.wide
def test_values_are_freed_in_other_threads_than_made():
    shared = [Value(0.0) for _ in range(50)]

    def work(i):
        rng = random.Random(i)
        for _ in range(300):
            k = rng.randrange(len(shared))
            v = shared[k] * 0.5 + 1
            v.label = "kept"
            shared[k] = v if rng.random() < 0.9 else Value(0.0)
        return True

    assert run_in_threads(work) == [True] * THREADS
    shared[0].backward()


@pytest.mark.wide
def test_deep_graph_is_swept_on_a_small_stack():
    before = threading.stack_size(64 * 1024)
    try:
        grads = []

        def deep():
            x = Value(1.0)
            y = x
            for _ in range(200_000):
                y = y + x
            y.backward()
            grads.append(x.grad)
            y.zero_grad(graph=True)

        thread = threading.Thread(target=deep)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert grads == [200_001.0]
