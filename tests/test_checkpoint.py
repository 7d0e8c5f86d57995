"""torch.utils.checkpoint: what it keeps, measured, and what errors tell under debug=True."""

from functools import partial

import pytest

import torch
from torch.profiler import profile, record_function
from torch.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
    set_checkpoint_debug_enabled,
)

SIZE = 200_000  # elements of each tensor, 4 bytes each


def held(forward):
    """How many tensors of SIZE elements a forward call leaves behind, its result among them."""
    x = torch.randn(SIZE, requires_grad=True)
    with profile(profile_memory=True) as prof, record_function("forward"):
        out = forward(x)
    out.sum().backward()
    assert x.grad is not None
    (event,) = (e for e in prof.events() if e.name == "forward")
    return round(event.cpu_memory_usage / (4 * SIZE))


def chain(x):
    for _ in range(6):
        x = x.sin()
    return x


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_memory_falls(use_reentrant):
    assert held(chain) == 6
    assert held(lambda x: checkpoint(chain, x, use_reentrant=use_reentrant)) == 1


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_memory_of_segments(use_reentrant):
    # two checkpoints of two functions keep one tensor each, the last two functions both
    functions = [torch.sin] * 6
    assert held(lambda x: checkpoint_sequential(functions, 3, x, use_reentrant=use_reentrant)) == 4


def test_memory_of_nested_checkpoints():
    def nested(x):
        for _ in range(3):
            x = checkpoint(chain, x, use_reentrant=False)
        return x

    assert held(nested) == 3
    assert held(lambda x: checkpoint(nested, x, use_reentrant=False)) == 1


def test_a_policy_keeps_what_it_says():
    def forward(x):
        return x.sin().exp().cos().exp().sin()

    keep = partial(create_selective_checkpoint_contexts, [torch.ops.aten.exp.default])
    assert held(lambda x: checkpoint(forward, x, use_reentrant=False, context_fn=keep)) == 3


def test_what_a_policy_keeps_is_not_computed_again():
    seen = []

    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    x = torch.randn(3, 3, requires_grad=True)
    keep = partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    out = checkpoint(lambda x: torch.mm(x.sin(), x).exp(), x, use_reentrant=False, context_fn=keep)
    with Seen():
        out.sum().backward()
    # the two products of the derivative, and none of the forward call
    assert seen.count("aten.mm.default") == 2 and "aten.sin.default" in seen


def changing():
    calls = []

    def forward(x):
        calls.append(1)
        x = x.sin()
        return (x.cos() if len(calls) == 1 else x).exp()

    return forward


def test_errors_tell_what_both_runs_called():
    x = torch.randn(3, requires_grad=True)
    with pytest.raises(CheckpointError) as told:
        checkpoint(changing(), x, use_reentrant=False, debug=True).sum().backward()
    text = str(told.value)
    assert text.count("aten.cos.default") == 2 and "test_checkpoint.py" in text
    assert "(2 of 3 in original)" in text and "(2 of 2 in recompute)" in text
    assert "A different number of tensors was saved" in text


def test_debugging_can_be_switched_on_for_a_block():
    x = torch.randn(3, requires_grad=True)
    with set_checkpoint_debug_enabled(True), pytest.raises(CheckpointError, match="dumping logs"):
        checkpoint(changing(), x, use_reentrant=False).sum().backward()
