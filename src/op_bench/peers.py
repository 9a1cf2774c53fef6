"""Times the cases of `tessera bench ops` in PyTorch, and in ONNX Runtime where it is installed.

python peers.py GROUP THREADS stock|best
Prints `RESULT {"case": .., "baseline": .., "seconds": ..}` for each median. `torch` is PyTorch as it comes; with `best`
also `torch avx512` (the whole script again with MKL's kernels for AVX-512 unlocked), `torch compiled`, `onnxruntime`.
"""
import json, os, shutil, statistics, subprocess, sys, tempfile, time

GROUP, THREADS, MODE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
UNLOCKED = MODE == "unlocked"
BASE = "torch avx512" if UNLOCKED else "torch"

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(THREADS)
torch.manual_seed(0)


def median_of(run):
    for _ in range(3):
        run()
    start = time.perf_counter()
    run()
    one = max(time.perf_counter() - start, 1e-7)
    calls = max(1, min(200_000, int(0.02 / one)))
    samples = []
    for _ in range(7 if one > 0.05 else 15):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        samples.append((time.perf_counter() - start) / calls)
    return statistics.median(samples)


def report(case, run, baseline=BASE):
    try:
        seconds = median_of(run)
    except Exception as error:  # a baseline that cannot run here is left out
        print(f"{case} {baseline}: {error}", file=sys.stderr)
        return
    print("RESULT " + json.dumps({"case": case, "baseline": baseline, "seconds": seconds}), flush=True)


def quiet(function):
    def run():
        with torch.inference_mode():
            function()
    return run


def compiled(function):
    """The function compiled, or None where compiling is not asked for."""
    return torch.compile(function) if MODE == "best" else None


def onnx(case, module, *inputs):
    """ONNX Runtime on the same module."""
    if MODE != "best":
        return
    try:
        import numpy, onnxruntime
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.onnx")
            torch.onnx.export(module.eval(), inputs, path, input_names=["x"], dynamo=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            feed = {"x": inputs[0].numpy()}
            report(case, lambda: session.run(None, feed), "onnxruntime")
    except Exception as error:
        print(f"{case} onnxruntime: {error}", file=sys.stderr)


def gemm():
    sizes = [(n,) * 3 for n in (64, 128, 256, 512, 1024, 2048)] + [(64, 784, 256), (64, 256, 128), (64, 128, 10)]
    for dtype, name, sizes in ((torch.float32, "f32", sizes), (torch.float64, "f64", [(512,) * 3])):
        for m, k, n in sizes:
            a, b = (torch.rand(m, k) - 0.5).to(dtype), (torch.rand(k, n) - 0.5).to(dtype)
            c = torch.empty(m, n, dtype=dtype)
            report(f"{name} {m}x{k}x{n}", quiet(lambda: torch.mm(a, b, out=c)))


def narrow():
    n = 1024
    for dtype, name in ((torch.bfloat16, "bf16"), (torch.float16, "f16")):
        a, b = (torch.rand(n, n) - 0.5).to(dtype), (torch.rand(n, n) - 0.5).to(dtype)
        c = torch.empty(n, n, dtype=dtype)
        report(f"{name} {n}x{n}x{n}", quiet(lambda: torch.mm(a, b, out=c)))
    a, b = (torch.randint(-100, 100, (n, n), dtype=torch.int8) for _ in range(2))
    report(f"i8 {n}x{n}x{n}", quiet(lambda: torch._int_mm(a, b)))


def small_mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def training(case, net, optimizer, x, y, baselines=True):
    def step(forward):
        def run():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(forward(x), y).backward()
            optimizer.step()
        return run
    report(case, step(net))
    fast = compiled(net)
    if fast is not None:
        report(case, step(fast), "torch compiled")


def mlp():
    x, y = torch.randn(64, 784), torch.randint(0, 10, (64,))
    for case, batch in (("mlp forward, batch 64", x), ("mlp forward, one sample", x[:1].contiguous())):
        net = small_mlp().eval()
        report(case, quiet(lambda: net(batch)))
        fast = compiled(net)
        if fast is not None:
            report(case, quiet(lambda: fast(batch)), "torch compiled")
        onnx(case, net, batch)
    for name, make in (("SGD", torch.optim.SGD), ("Adam", torch.optim.Adam)):
        net = small_mlp()
        training(f"mlp training step, {name}", net, make(net.parameters(), lr=1e-4, fused=True), x, y)


class Lion(torch.optim.Optimizer):
    """Chen et al. (2023) with the multi-tensor functions of torch: its fastest form there."""

    def __init__(self, parameters, lr=1e-4, betas=(0.9, 0.99), decay=0.0):
        super().__init__(parameters, {"lr": lr})
        self.all = [p for group in self.param_groups for p in group["params"]]
        self.m = [torch.zeros_like(p) for p in self.all]
        self.settings = lr, betas, decay

    @torch.no_grad()
    def step(self):
        lr, (b1, b2), decay = self.settings
        g = [p.grad for p in self.all]
        if decay:
            torch._foreach_mul_(self.all, 1 - lr * decay)
        update = torch._foreach_lerp(self.m, g, 1 - b1)
        torch._foreach_sign_(update)
        torch._foreach_add_(self.all, update, alpha=-lr)
        torch._foreach_lerp_(self.m, g, 1 - b2)


def optim():
    net = small_mlp()
    for p in net.parameters():
        p.grad = torch.randn_like(p) * 0.01
    small = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    report("AdamW 235 k", small.step)
    for name, make in (
        ("SGD", lambda p: torch.optim.SGD(p, lr=1e-4, fused=True)),
        ("Adam", lambda p: torch.optim.Adam(p, lr=1e-4, fused=True)),
        ("AdamW", lambda p: torch.optim.AdamW(p, lr=1e-4, fused=True)),
        ("Lion", Lion),
    ):
        parameters = [torch.randn(1000, 512).requires_grad_() for _ in range(10)]
        for p in parameters:
            p.grad = torch.randn(1000, 512) * 0.01
        optimizer = make(parameters)
        report(f"{name} 5.12 M", optimizer.step)


def both(case, function):
    report(case, quiet(function))
    fast = compiled(function)
    if fast is not None:
        report(case, quiet(fast), "torch compiled")


def pointwise():
    x = torch.randn(4096, 1024)
    both("GELU tanh 4096x1024", lambda: F.gelu(x, approximate="tanh"))
    both("GELU erf 4096x1024", lambda: F.gelu(x))
    x, layer = torch.randn(512, 512), nn.Linear(512, 768)
    both("Linear + GELU 512x512->768", lambda: F.gelu(layer(x), approximate="tanh"))
    onnx("Linear + GELU 512x512->768", nn.Sequential(layer, nn.GELU(approximate="tanh")), x)
    a, b = torch.randn(1_000_000), torch.randn(1_000_000)

    def z_score():
        std, mean = torch.std_mean(a, correction=0)
        return (a - mean) / std

    both("z-score 1e6", z_score)
    both("MSE 1e6", lambda: F.mse_loss(a, b))


def rows():
    x, gamma, beta = torch.randn(2048, 768), torch.ones(768), torch.zeros(768)
    both("LayerNorm 2048x768", lambda: F.layer_norm(x, (768,), gamma, beta))
    x = torch.randn(1024, 1000)
    both("softmax 1024x1000", lambda: F.softmax(x, -1))
    leaf, y = x.clone().requires_grad_(), torch.randint(0, 1000, (1024,))
    report("cross-entropy + gradient 1024x1000", lambda: torch.autograd.grad(F.cross_entropy(leaf, y), leaf))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2).flatten(1)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x)))))


def conv():
    for inputs, outputs in ((3, 32), (64, 64)):
        for memory, suffix in ((torch.contiguous_format, ""), (torch.channels_last, " channels_last")):
            layer = nn.Conv2d(inputs, outputs, 3, padding=1).to(memory_format=memory)
            x = torch.randn(32, inputs, 32, 32).to(memory_format=memory)
            report(f"conv {inputs}->{outputs} 32x32 forward", quiet(lambda: layer(x)), BASE + suffix)
            if inputs == 64:
                leaf = x.clone().requires_grad_()
                dy = torch.randn_like(layer(x))
                every = (leaf, *layer.parameters())
                report("conv 64->64 32x32 forward + backward",
                       lambda: torch.autograd.grad(layer(leaf), every, dy), BASE + suffix)
        onnx(f"conv {inputs}->{outputs} 32x32 forward", nn.Conv2d(inputs, outputs, 3, padding=1),
             torch.randn(32, inputs, 32, 32))
    for name, n, inputs, outputs, size, taps, groups in (("conv 1x1 64->256 32x32", 32, 64, 256, 32, 1, 1),
                                                         ("conv depthwise 128 56x56", 8, 128, 128, 56, 3, 128)):
        memory = torch.channels_last
        layer = nn.Conv2d(inputs, outputs, taps, padding=taps // 2, groups=groups).to(memory_format=memory)
        x = torch.randn(n, inputs, size, size).to(memory_format=memory)
        report(f"{name} forward", quiet(lambda: layer(x)), BASE + " channels_last")
        leaf, dy = x.clone().requires_grad_(), torch.randn_like(layer(x))
        every = (leaf, *layer.parameters())
        report(f"{name} forward + backward",
               lambda: torch.autograd.grad(layer(leaf), every, dy), BASE + " channels_last")
    net = LeNet()
    x, y = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    training("LeNet training step, batch 64", net, torch.optim.SGD(net.parameters(), lr=1e-4, fused=True), x, y)


def demo():
    n = 1024
    a, b, c = torch.rand(n, n) - 0.5, torch.rand(n, n) - 0.5, torch.empty(n, n)
    report("matmul 1024, kernel", quiet(lambda: torch.mm(a, b, out=c)))


globals()[GROUP]()

if MODE == "best" and shutil.which("gcc"):
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "unlock.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"],
                       input=b"int mkl_serv_intel_cpu_true(void) { return 1; }\n", check=True)
        script = sys.orig_argv[sys.orig_argv.index("-c") + 1]
        subprocess.run([sys.executable, "-c", script, GROUP, str(THREADS), "unlocked"], check=True,
                       env={**os.environ, "LD_PRELOAD": library})
