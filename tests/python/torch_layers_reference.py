"""Reference values of layers, written to tests/data/torch/layers.json for tests/nn_layers.rs.

Inputs are not stored: both sides compute element i of the tensor with number p as sin(0.37 i + p), in double precision.
Run with a Python that has PyTorch:  python tests/python/torch_layers_reference.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
CASES = {}


def wave(p, *shape):
    n = 1
    for s in shape:
        n *= s
    return torch.sin(0.37 * torch.arange(n, dtype=torch.float64) + p).reshape(shape).requires_grad_()


def store(name, **tensors):
    CASES[name] = {
        key: [float(f"{v:.12g}") for v in t.detach().reshape(-1).tolist()] for key, t in tensors.items()
    }


def with_gradients(name, y, **leaves):
    dy = wave(50, *y.shape).detach()
    names = list(leaves)
    gradients = torch.autograd.grad(y, [leaves[n] for n in names], dy)
    store(name, y=y, **{"d" + n: g for n, g in zip(names, gradients)})


x, w, b = wave(0, 2, 4, 7, 6), wave(1, 6, 2, 3, 2), wave(2, 6)
y = F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
with_gradients("conv2d", y, x=x, w=w, b=b)
x, w, b = wave(0, 2, 3, 11), wave(1, 5, 3, 3), wave(2, 5)
with_gradients("conv1d_relu", F.relu(F.conv1d(x, w, b, stride=2, padding=2, dilation=2)), x=x, w=w, b=b)

x = wave(0, 2, 3, 7, 8)
with_gradients("max_pool2d", F.max_pool2d(x, (3, 2), stride=(2, 2), padding=(1, 1), dilation=(1, 2)), x=x)
with_gradients("avg_pool2d", F.avg_pool2d(x, (3, 2), stride=(2, 1), padding=(1, 1)), x=x)
with_gradients("avg_pool2d_inside", F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False), x=x)
with_gradients("adaptive_avg_pool2d", F.adaptive_avg_pool2d(x, (1, 4)), x=x)
x = wave(0, 2, 3, 9)
with_gradients("max_pool1d", F.max_pool1d(x, 3, stride=2, padding=1), x=x)

x = wave(0, 3, 5, 4)
with_gradients("softmax", torch.softmax(x, 1), x=x)
with_gradients("log_softmax", torch.log_softmax(x, -1), x=x)
w, b = wave(1, 5, 4), wave(2, 5, 4)
with_gradients("layer_norm", F.layer_norm(x, (5, 4), w, b, eps=1e-3), x=x, w=w, b=b)

for momentum in (0.1, None):
    norm = torch.nn.BatchNorm2d(3, eps=1e-4, momentum=momentum)
    norm.weight.data, norm.bias.data = wave(1, 3).detach(), wave(2, 3).detach()
    for batch in range(2):
        x = wave(batch, 2, 3, 4, 5)
        y = norm(x)
    with_gradients(f"batch_norm_{momentum}", y, x=x, w=norm.weight, b=norm.bias)
    norm.eval()
    y = norm(x)
    with_gradients(f"batch_norm_{momentum}_inference", y, x=x, w=norm.weight, b=norm.bias)
    store(f"batch_norm_{momentum}_running", mean=norm.running_mean, var=norm.running_var)

logits, weights = wave(0, 6, 5), wave(1, 5).detach().abs()
targets = torch.tensor([3, 0, -100, 4, 1, 1])
for reduction in ("mean", "sum"):
    y = F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.2, reduction=reduction)
    store(f"cross_entropy_{reduction}", y=y, dx=torch.autograd.grad(y, logits)[0])
    y = F.nll_loss(torch.log_softmax(logits, 1), targets, weight=weights, reduction=reduction)
    store(f"nll_loss_{reduction}", y=y, dx=torch.autograd.grad(y, logits)[0])
images = wave(0, 2, 3, 2, 2)
targets = torch.tensor([[[0, 1], [2, 2]], [[1, 7], [0, 1]]])
with_gradients("cross_entropy_none", F.cross_entropy(images, targets, ignore_index=7, reduction="none"), x=images)

x, target, weight = wave(0, 4, 3), wave(3, 4, 3).detach().abs(), wave(4, 3).detach().abs()
y = F.mse_loss(x, target)
store("mse_loss", y=y, dx=torch.autograd.grad(y, x)[0])
y = F.binary_cross_entropy_with_logits(x, target, pos_weight=weight)
store("bce_with_logits", y=y, dx=torch.autograd.grad(y, x)[0])
store("var", y=x.var(dim=0), norm=x.norm(dim=1))

table = wave(0, 5, 3)
y = F.embedding(torch.tensor([[4, 1], [2, 4]]), table, padding_idx=2)
with_gradients("embedding", y, x=table)

out = pathlib.Path(__file__).resolve().parent.parent / "data" / "torch" / "layers.json"
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in CASES.items()) + "\n}\n")
print(f"{len(CASES)} cases, {out.stat().st_size} bytes")
