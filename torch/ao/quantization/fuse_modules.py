"""Fusing modules of a model in place of each other."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from .fuser_method_mappings import get_fuser_method

__all__ = ["fuse_known_modules", "fuse_modules", "fuse_modules_qat"]


def fuse_known_modules(mod_list, is_qat, additional_fuser_method_mapping=None):
    """The fused module, and an ``Identity`` in place of each of the others.

    Args:
        mod_list: modules that follow each other.
        is_qat: whether they are to be trained.
        additional_fuser_method_mapping: more fusing functions, by tuples of classes.

    Raises:
        NotImplementedError: if modules of these classes cannot be fused.
    """
    kinds = tuple(type(module) for module in mod_list)
    fuse = get_fuser_method(kinds, additional_fuser_method_mapping)
    if fuse is None:
        raise NotImplementedError(f"Cannot fuse modules: {kinds}")
    fused = fuse(is_qat, *mod_list)
    # hooks before the first and after the last belong to the whole
    for hook in mod_list[0]._forward_pre_hooks.values():
        fused.register_forward_pre_hook(hook)
    mod_list[0]._forward_pre_hooks.clear()
    for hook in mod_list[-1]._forward_hooks.values():
        fused.register_forward_hook(hook)
    mod_list[-1]._forward_hooks.clear()
    identities = [nn.Identity() for _ in mod_list[1:]]
    for identity in identities:
        identity.training = mod_list[0].training
    return [fused, *identities]


def _parent_of(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name


def _fuse(model: nn.Module, paths: list[str], is_qat: bool, fuser_func: Any, config: dict[str, Any]) -> None:
    modules = [model.get_submodule(path) for path in paths]
    for path, module in zip(paths, fuser_func(modules, is_qat, config), strict=True):
        parent, name = _parent_of(model, path)
        setattr(parent, name, module)


def _fuse_modules(model, modules_to_fuse, is_qat, inplace, fuser_func, fuse_custom_config_dict):
    if not inplace:
        model = copy.deepcopy(model)
    config = (fuse_custom_config_dict or {}).get("additional_fuser_method_mapping", {})
    groups = [modules_to_fuse] if all(isinstance(path, str) for path in modules_to_fuse) else modules_to_fuse
    for group in groups:
        _fuse(model, group, is_qat, fuser_func, config)
    return model


def fuse_modules(model, modules_to_fuse, inplace=False, fuser_func=fuse_known_modules, fuse_custom_config_dict=None):
    """Fuse modules of a model in evaluation: convolution, batch normalisation and ReLU, and parts of that.

    Args:
        model: the model.
        modules_to_fuse: a list of names, or a list of such lists.
        inplace: whether to change the model itself.
        fuser_func: makes a list of modules from a list of modules.
        fuse_custom_config_dict: ``{"additional_fuser_method_mapping": ...}``.

    Returns:
        The model, where the first module of each list is the fused one, and the others are ``Identity``.

    Raises:
        AssertionError: if modules cannot be fused, or are in training.
    """
    return _fuse_modules(model, modules_to_fuse, False, inplace, fuser_func, fuse_custom_config_dict)


def fuse_modules_qat(
    model, modules_to_fuse, inplace=False, fuser_func=fuse_known_modules, fuse_custom_config_dict=None
):
    """``fuse_modules`` for a model that is to be trained: batch normalisation stays, beside its convolution."""
    return _fuse_modules(model, modules_to_fuse, True, inplace, fuser_func, fuse_custom_config_dict)
