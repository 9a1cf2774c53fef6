"""Writes tests/data/torch/training.json: 20 steps of torch's optimizers on a small MLP and a small CNN.

    python tests/python/torch_training_reference.py > tests/data/torch/training.json

Everything is in double precision. Inputs and first values are not stored: both sides compute element i of the tensor with
number p as scale * sin(0.37 i + p). The file holds the loss of every step and, of the parameters at the end, the gradient
of the first step and the outputs at the end, sums and sums of squares. Lion is not part of torch and is written out after
Chen et al. (2023).
"""

import json

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
STEPS = 20
EXAMPLES = 9
CLASSES = 5


def wave(p, scale, *shape):
    n = torch.Size(shape).numel()
    return (scale * torch.sin(0.37 * torch.arange(n) + p)).reshape(shape)


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.add_(torch.sign(m * 0.9 + p.grad * (1 - 0.9)), alpha=-group["lr"])
                m.mul_(0.99).add_(p.grad, alpha=1 - 0.99)


def mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, CLASSES))


def cnn():
    return nn.Sequential(
        # Without bias: behind batch normalisation its gradient is rounding alone, which most methods magnify.
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, CLASSES),
    )


MODELS = {"mlp": (mlp, (EXAMPLES, 12)), "cnn": (cnn, (EXAMPLES, 2, 8, 8))}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "lion": lambda p: Lion(p, lr=0.002),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.002),
}


def sums(tensors):
    return [[t.sum().item(), t.square().sum().item()] for t in tensors]


def run(make_model, shape, make_optimizer):
    model = make_model()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(wave(10 + k, 0.4, *p.shape))
    optimizer = make_optimizer(model.parameters())
    x = wave(1, 1.0, *shape)
    y = torch.tensor([(3 * i + 1) % CLASSES for i in range(EXAMPLES)])
    out = {"loss": []}
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if step == 0:
            out["gradient"] = sums([p.grad for p in model.parameters()])
        optimizer.step()
        out["loss"].append(loss.item())
    out["parameters"] = sums([p.detach() for p in model.parameters()])
    out["output"] = model(x).detach().flatten().tolist()
    return out


cases = {
    f"{name} {optimizer}": run(make, shape, make_optimizer)
    for name, (make, shape) in MODELS.items()
    for optimizer, make_optimizer in OPTIMIZERS.items()
}
print(json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}, indent=1))
