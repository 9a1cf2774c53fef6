"""Writes tests/data/torch/optim.json: parameters after 20 steps of torch's optimizers.

    python tests/python/torch_optim_reference.py > tests/data/torch/optim.json

Parameters and gradients are small numbers that both sides compute from integers (`value`), in double precision, so the
file holds results only. The gradient of a step depends on the parameter, as in training. Lion is not part of torch and
is written out after Chen et al. (2023).
"""

import json
import sys

import torch

SHAPES = [(3, 5), (7,), (2, 3, 2)]
STEPS = 20


def value(i, salt):
    """A number in [-1, 1) from an index: a linear congruential step, exact in integers."""
    return ((i * 7919 + salt * 104729 + 12345) * 1103515245 % 2147483648) / 1073741824.0 - 1.0


def tensor(shape, salt):
    n = int(torch.tensor(shape).prod())
    return torch.tensor([value(i, salt) for i in range(n)], dtype=torch.float64).reshape(shape)


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(torch.sign(m * beta1 + p.grad * (1 - beta1)), alpha=-group["lr"])
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


def run(make):
    params = [tensor(shape, 100 + k).requires_grad_() for k, shape in enumerate(SHAPES)]
    optimizer = make(params)
    for step in range(STEPS):
        for k, p in enumerate(params):
            p.grad = p.detach() * 0.5 + tensor(SHAPES[k], 1000 + 10 * step + k)
        optimizer.step()
    return [p.detach().flatten().tolist() for p in params]


O = torch.optim
CASES = {
    "sgd": lambda p: O.SGD(p, lr=0.05),
    "sgd_decay": lambda p: O.SGD(p, lr=0.05, weight_decay=0.1),
    "sgd_momentum": lambda p: O.SGD(p, lr=0.05, momentum=0.9),
    "sgd_dampening": lambda p: O.SGD(p, lr=0.05, momentum=0.9, dampening=0.4, weight_decay=0.1),
    "sgd_nesterov": lambda p: O.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: O.Adam(p),
    "adam_decay": lambda p: O.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adam_amsgrad": lambda p: O.Adam(p, lr=0.02, amsgrad=True, betas=(0.9, 0.9)),
    "adamw": lambda p: O.AdamW(p),
    "adamw_decay": lambda p: O.AdamW(p, lr=0.02, betas=(0.8, 0.95), weight_decay=0.3, amsgrad=True),
    "lion": lambda p: Lion(p),
    "lion_decay": lambda p: Lion(p, lr=0.01, betas=(0.95, 0.98), weight_decay=0.2),
    "rmsprop": lambda p: O.RMSprop(p),
    "rmsprop_decay": lambda p: O.RMSprop(p, lr=0.003, alpha=0.9, eps=1e-6, weight_decay=0.1),
    "rmsprop_momentum": lambda p: O.RMSprop(p, lr=0.003, momentum=0.8),
    "rmsprop_centered": lambda p: O.RMSprop(p, lr=0.003, centered=True),
    "rmsprop_both": lambda p: O.RMSprop(p, lr=0.003, momentum=0.8, centered=True, weight_decay=0.1),
}

results = {"torch": torch.__version__.split("+")[0], "steps": STEPS, "shapes": SHAPES}
results["cases"] = {name: run(make) for name, make in CASES.items()}

# The norm after clipping to 1, and the factor, of torch.nn.utils.clip_grad_norm_.
params = [tensor(shape, 100 + k).requires_grad_() for k, shape in enumerate(SHAPES)]
for k, p in enumerate(params):
    p.grad = tensor(SHAPES[k], 1000 + k)
results["norm"] = float(torch.nn.utils.clip_grad_norm_(params, 1.0))
optimizer = O.SGD(params, lr=1.0)
optimizer.step()
results["clipped"] = [p.detach().flatten().tolist() for p in params]

# torch's schedulers, as factors of the learning rate.
def factors(make, steps=30):
    p = torch.zeros(1, requires_grad=True)
    optimizer = O.SGD([p], lr=1.0)
    schedule = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return out


L = O.lr_scheduler
results["schedules"] = {
    "step": factors(lambda o: L.StepLR(o, 7, 0.3)),
    "linear": factors(lambda o: L.LinearLR(o, 1.0, 0.25, 20)),
    "cosine": factors(lambda o: L.CosineAnnealingLR(o, 30, 0.1)),
    "restarts": factors(lambda o: L.CosineAnnealingWarmRestarts(o, 4, 2, 0.1)),
    "warm_up": factors(
        lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.2, 1.0, 5), L.StepLR(o, 4, 0.5)], milestones=[5])
    ),
}
json.dump(results, sys.stdout)
print()
