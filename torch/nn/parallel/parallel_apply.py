"""Running the copies of a module, each on its part of the batch."""

from __future__ import annotations

__all__ = ["parallel_apply"]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Run each module on its inputs."""
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    results = []
    for module, args, kwargs in zip(modules, inputs, kwargs_tup, strict=True):
        results.append(module(*(args if isinstance(args, (list, tuple)) else (args,)), **kwargs))
    return results
