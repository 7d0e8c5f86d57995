"""Names of torch._C that packages read."""

import pytest

import torch


def test_switches_of_fusers_give_the_old_value_back():
    before = torch._C._jit_set_profiling_executor(False)
    assert torch._C._jit_set_profiling_executor(before) is False
    assert torch._C._jit_can_fuse_on_cpu() is False
    assert torch._C._log_api_usage_once("tests") is None


def test_classes_are_those_of_torch():
    for name in ("Event", "Generator", "Graph", "Stream", "TensorType", "DispatchKey"):
        assert getattr(torch._C, name) is getattr(torch, name)
    assert torch._C._TensorMeta is type(torch.Tensor) and torch._C._TensorBase is torch._C.TensorBase
    with pytest.raises(AttributeError, match="module 'torch._C' has no attribute '_nothing'"):
        torch._C._nothing


def test_what_the_arguments_of_to_say():
    parse = torch._C._nn._parse_to
    assert parse("cpu", torch.float32, non_blocking=True) == (torch.device("cpu"), torch.float32, True, None)
    assert parse(torch.zeros(1).double()) == (torch.device("cpu"), torch.float64, False, None)
    assert parse(memory_format=torch.channels_last)[3] is torch.channels_last


def test_sets_of_dispatch_keys():
    keys = torch._C.DispatchKey
    cpu, cuda = (torch._C.DispatchKeySet(key) for key in (keys.AutocastCPU, keys.AutocastCUDA))
    assert (cpu | cuda).has(keys.AutocastCPU) and not (cpu & cuda).has(keys.AutocastCPU)
    assert (
        (cpu | cuda) - cuda == cpu
        and cpu.add(keys.CPU).remove(keys.CPU) == cpu
        and repr(cpu) == "DispatchKeySet(AutocastCPU)"
    )
    x = torch.ones(2, 2)
    with torch.autocast("cpu"):
        with torch._C._ExcludeDispatchKeyGuard(cpu):
            assert (x @ x).dtype is torch.float32
        assert (x @ x).dtype is torch.bfloat16
    with pytest.raises(NotImplementedError, match="only autocast can be left out"):
        torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(keys.CPU))


def test_tensors_below_vmap():
    is_batchedtensor = torch._C._functorch.is_batchedtensor
    seen = []
    torch.vmap(lambda x: seen.append((is_batchedtensor(x), torch._C._are_functorch_transforms_active())) or x)(
        torch.ones(2)
    )
    assert seen == [(True, True)] and not is_batchedtensor(torch.ones(2))
    assert not torch._C._are_functorch_transforms_active()


def test_tensors_that_share_memory():
    x = torch.zeros(4)
    assert torch._C._is_alias_of(x, x[1:]) and not torch._C._is_alias_of(x, x.clone())


def test_texts_about_the_build():
    assert "CPU capability usage" in torch.__config__.show()
    assert f"at::get_num_threads() : {torch.get_num_threads()}" in torch.__config__.parallel_info()
