"""The one call that updates a group, and the operations that a mode sees in its place, give the same parameters."""

import pytest

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CASES = [
    ("Adadelta", {"weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adamax", {"weight_decay": 0.1}),
    ("ASGD", {"t0": 2, "weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"weight_decay": 0.1}),
    ("RAdam", {"betas": (0.5, 0.6), "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"etas": (0.4, 1.3), "step_sizes": (1e-3, 0.02)}),
]


class Seen(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def trained(name, options, dtype, mode=None):
    """Return parameters (one of them transposed in memory, one a scalar) and the state after three steps."""
    torch.manual_seed(0)
    starts = torch.randn(5, 7, dtype=dtype), torch.randn(6, 4, dtype=dtype).t(), torch.randn((), dtype=dtype)
    params = [torch.nn.Parameter(start) for start in starts]
    optimizer = getattr(torch.optim, name)(params, **options)
    for step in range(3):
        for i, p in enumerate(params):
            p.grad = (p.detach() * (i + 1) + step).cos()
        if mode is None:
            optimizer.step()
        else:
            with mode:
                optimizer.step()
    state = [v for p in params for v in optimizer.state[p].values()]
    return [p.detach() for p in params], [v for v in state if isinstance(v, torch.Tensor)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name, options", CASES)
def test_one_call_and_operations_agree(name, options, dtype):
    mode = Seen()
    one, seen = trained(name, options, dtype), trained(name, options, dtype, mode)
    assert mode.calls > 20  # the mode saw operations, not one call
    tolerance = {torch.float64: 1e-12, torch.bfloat16: 0, torch.float16: 0}.get(dtype, 1e-5)
    for ours, theirs in zip(one[0] + one[1], seen[0] + seen[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["Adagrad", "RMSprop"])
def test_gradients_of_another_dtype_or_layout(name):
    p = torch.nn.Parameter(torch.ones(3, 4))
    q = torch.nn.Parameter(torch.ones(3, 4))
    p.grad, q.grad = torch.arange(12.0).view(4, 3).t(), torch.arange(12.0).view(4, 3).t().contiguous()
    for each in (p, q):
        getattr(torch.optim, name)([each]).step()
    assert torch.equal(p, q)
