"""PyTorch's side, eager or compiled: speaks as torch_peer.cpp does.

usage: torch_peer.py [--compile]
"""

import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import torch
import torch.nn.functional as F

COLUMNS = 1024
MLP = [784, 512, 256, 10]
WARM_UPS = 3
MASK = 0xFFFFFFFF
compiled = "--compile" in sys.argv[1:]


def value(shape, salt, scale=1.0):
    """The same numbers as input_values of work.h."""
    n = int(torch.Size(shape).numel())
    h = ((torch.arange(n) + 1) * 2654435761 + salt * 2246822519) & MASK
    h = ((h ^ (h >> 15)) * 2246822519) & MASK
    h = h ^ (h >> 13)
    v = (h >> 8).to(torch.float32) * (1.0 / 16777216.0) - 0.5
    return (v * scale).reshape(shape)


def param(shape, salt, scale=1.0):
    return value(shape, salt, scale).requires_grad_()


def labels(n, classes):
    return torch.arange(n) * 7 % classes


def maybe_compiled(f):
    return torch.compile(f) if compiled else f


class Differentiated:
    def __init__(self, f, leaves, seed=None):
        self.f, self.leaves, self.seed = maybe_compiled(f), leaves, seed
        self.y = None

    def run(self):
        for leaf in self.leaves:
            leaf.grad = None
        self.y = None
        self.y = self.f(*self.leaves)
        self.y.backward(self.seed)

    def checksum(self):
        with torch.no_grad():
            total = (self.y * self.y).double().sum().item()
            return total + sum(
                leaf.grad.abs().double().sum().item() for leaf in self.leaves)


class MlpStep:
    def __init__(self, batch):
        self.x, self.target = value((batch, MLP[0]), 1), labels(batch, MLP[3])
        self.params = []
        for i, (n_in, n_out) in enumerate(zip(MLP, MLP[1:])):
            self.params.append(param((n_out, n_in), 10 + 2 * i, 0.1))
            self.params.append(param((n_out,), 11 + 2 * i, 0.1))
        # The fastest that there is for the CPU.
        try:
            self.adam = torch.optim.Adam(self.params, fused=True)
        except (RuntimeError, TypeError):
            self.adam = torch.optim.Adam(self.params, foreach=True)
        self.f = maybe_compiled(self.loss_of)

    def loss_of(self, x, *p):
        h = torch.relu(F.linear(x, p[0], p[1]))
        h = torch.relu(F.linear(h, p[2], p[3]))
        return F.cross_entropy(F.linear(h, p[4], p[5]), self.target)

    def run(self):
        for p in self.params:
            p.grad = None
        self.loss = self.f(self.x, *self.params)
        self.loss.backward()
        self.adam.step()

    def checksum(self):
        return self.loss.item()


class Sgemm:
    def __init__(self, n):
        self.a, self.b = value((n, n), 1), value((n, n), 2)
        self.c = torch.empty(n, n)

    def run(self):
        torch.mm(self.a, self.b, out=self.c)

    def checksum(self):
        return (self.c * self.c).double().sum().item()


def torch_work(name, size):
    rows = (size, COLUMNS)
    if name == "chain":
        return Differentiated(
            lambda x, a, b, c: torch.tanh(a * x + b) * torch.sigmoid(c),
            [param((size,), salt) for salt in (1, 2, 3, 4)], value((size,), 5))
    if name == "cross_entropy":
        target = labels(size, COLUMNS)
        return Differentiated(lambda x: F.cross_entropy(x, target),
                              [param(rows, 1)])
    if name == "softmax":
        return Differentiated(lambda x: torch.softmax(x, -1), [param(rows, 1)],
                              value(rows, 2))
    if name == "layer_norm":
        return Differentiated(
            lambda x, w, b: F.layer_norm(x, (COLUMNS,), w, b),
            [param(rows, 1), param((COLUMNS,), 2), param((COLUMNS,), 3)],
            value(rows, 4))
    if name == "mlp_step":
        return MlpStep(size)
    if name == "sgemm":
        return Sgemm(size)
    raise ValueError("no such work: " + name)


def fastest_us(work, seconds, clock):
    now = time.process_time if clock == "cpu" else time.perf_counter
    best, runs, end = float("inf"), 0, time.perf_counter() + seconds
    while runs < 3 or time.perf_counter() < end:
        start = now()
        work.run()
        best, runs = min(best, now() - start), runs + 1
    return best * 1e6


def answer(text):
    print(text, file=answers, flush=True)


def main():
    capability = torch.backends.cpu.get_cpu_capability()
    blas = ", MKL" if torch.backends.mkl.is_available() else ""
    answer(f"ready PyTorch {torch.__version__} "
           f"{'compiled' if compiled else 'eager'}, vectors {capability}{blas}")
    work = None
    for line in sys.stdin:
        command, *words = line.split()
        if command == "begin":
            work = None
            torch.set_num_threads(int(words[2]))
            torch.compiler.reset() if compiled else None
            work = torch_work(words[0], int(words[1]))
            for _ in range(WARM_UPS):
                work.run()
            answer(f"ok {work.checksum():.17g}")
        elif command == "time" and work:
            answer(f"us {fastest_us(work, float(words[0]), words[1]):.17g}")
        else:
            raise ValueError("not understood: " + line)


try:
    main()
except Exception as error:  # the other side prints it
    answer("error " + " ".join(str(error).split()))
    sys.exit(1)
