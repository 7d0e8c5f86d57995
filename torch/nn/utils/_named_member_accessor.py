"""``NamedMemberAccessor``: the tensors and submodules of a module by their dotted names."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from torch import Tensor
    from torch.nn import Module

_MISSING: Any = object()


def _table(module: Module, name: str) -> dict[str, Any] | None:
    """The module's dictionary of parameters or buffers that has the name, if one does."""
    for table in (module._parameters, module._buffers):
        if name in table:
            return table
    return None


def _check_tensor(value: Any, text: str = "") -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{text}{value} is not an instance of torch.Tensor")


class NamedMemberAccessor:
    """Gets, sets, exchanges and deletes tensors of ``module`` by names like ``"encoder.weight"``.

    Submodules once looked up are remembered. A name whose module isn't there raises AttributeError; a value that is no
    tensor (or no module) TypeError. A tensor may stand where a parameter was.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.memo: dict[str, Module] = {}

    def get_submodule(self, name: str) -> Module:
        """The submodule with this path; the module itself for the empty one."""
        if not name:
            return self.module
        if name in self.memo:
            return self.memo[name]
        prefix, _, last = name.rpartition(".")
        owner = self.get_submodule(prefix)
        try:
            found = getattr(owner, last)
        except AttributeError as error:
            raise AttributeError(f"{owner._get_name()} has no attribute `{last}`") from error
        if not isinstance(found, torch.nn.Module):
            raise TypeError(f"submodule `{name}`: {found} is not an instance of torch.nn.Module")
        self.memo[name] = found
        return found

    def swap_submodule(self, path: str, value: Module) -> Module:
        """Put ``value`` in place of a submodule and return the old one; KeyError if there is none."""
        if not isinstance(value, torch.nn.Module):
            raise TypeError(f"{value} is not an instance of torch.nn.Module")
        prefix, _, name = path.rpartition(".")
        owner = self.get_submodule(prefix)
        if name not in owner._modules:
            raise KeyError(f"submodule {name} does not exist")
        before = owner._modules[name]
        owner._modules[name] = value
        return before

    def _place(self, name: str) -> tuple[Module, str]:
        prefix, _, last = name.rpartition(".")
        return self.get_submodule(prefix), last

    def get_tensor(self, name: str) -> Tensor:
        """The parameter, buffer or plain tensor with this name."""
        module, last = self._place(name)
        try:
            tensor = getattr(module, last)
        except AttributeError as error:
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`") from error
        if tensor is not None:
            _check_tensor(tensor)
        return tensor

    def set_tensor(self, name: str, value: Tensor) -> None:
        """Put a tensor under the name, in the table of parameters or buffers if the name stands there."""
        module, last = self._place(name)
        table = _table(module, last)
        if table is None:
            setattr(module, last, value)
            return
        if value is not None:
            _check_tensor(value)
        table[last] = value

    def del_tensor(self, name: str) -> None:
        """Delete the parameter, buffer or plain tensor."""
        module, last = self._place(name)
        table = _table(module, last)
        if table is not None:
            del table[last]
            return
        try:
            delattr(module, last)
        except AttributeError as error:
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`") from error

    def swap_tensor(self, name: str, value: Tensor, allow_missing: bool = False) -> Tensor:
        """Put a tensor under the name and return what was there.

        With ``allow_missing`` a name without a value gives a token, and given that token back it is deleted again.
        """
        module, last = self._place(name)
        if value is not _MISSING:
            _check_tensor(value)
        table = _table(module, last)
        if table is not None:
            before = table[last]
            if value is _MISSING:
                del table[last]
            else:
                table[last] = value
            return before
        if hasattr(module, last):
            before = getattr(module, last)
            _check_tensor(before, f"attribute `{last}`: ")
        elif allow_missing:
            before = _MISSING
        else:
            raise AttributeError(f"{module._get_name()} has no attribute `{last}`")
        if value is not _MISSING:
            setattr(module, last, value)
        elif before is not _MISSING:
            delattr(module, last)
        return before

    def get_tensors(self, names: Iterable[str]) -> list[Tensor]:
        """The tensors with these names."""
        return [self.get_tensor(name) for name in names]

    def set_tensors(self, names: Iterable[str], values: Iterable[Tensor]) -> None:
        """``set_tensor`` for each name and its value; AssertionError if their numbers differ."""
        for name, value in _paired(names, values):
            self.set_tensor(name, value)

    def set_tensors_dict(self, named_tensors: dict[str, Tensor]) -> None:
        """``set_tensor`` for each item."""
        for name, value in named_tensors.items():
            self.set_tensor(name, value)

    def del_tensors(self, names: Iterable[str]) -> None:
        """``del_tensor`` for each name."""
        for name in names:
            self.del_tensor(name)

    def swap_tensors(self, names: Iterable[str], values: Iterable[Tensor], allow_missing: bool = False) -> list[Tensor]:
        """``swap_tensor`` for each name and its value; AssertionError if their numbers differ."""
        return [self.swap_tensor(name, value, allow_missing) for name, value in _paired(names, values)]

    def swap_tensors_dict(
        self, named_tensors: dict[str, Tensor], allow_missing: bool = False
    ) -> tuple[dict[str, Tensor], list[str]]:
        """``swap_tensor`` for each item: what was there, and the names of which nothing was.

        If a name is missing and may not be, everything is put back and RuntimeError raised.
        """
        before: dict[str, Tensor] = {}
        missing: list[str] = []
        try:
            for name, tensor in named_tensors.items():
                before[name] = self.swap_tensor(name, tensor, allow_missing=True)
                if before[name] is _MISSING:
                    missing.append(name)
        except Exception:
            self._restore(before)
            raise
        if missing and not allow_missing:
            self._restore(before)
            raise RuntimeError(f"Missing key(s): {', '.join(map(repr, missing))}.")
        return before, missing

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.swap_tensor(name, tensor, allow_missing=True)

    def check_keys(self, keys: Iterable[str]) -> tuple[list[str], list[str]]:
        """The names of tensors that are not among ``keys``, and the keys that are no names; both sorted."""
        given, valid = set(keys), {name for name, _ in self.named_tensors(remove_duplicate=False)}
        return sorted(valid - given), sorted(given - valid)

    def named_parameters(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The module's parameters."""
        yield from self.module.named_parameters(remove_duplicate=remove_duplicate)

    def named_buffers(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The module's buffers."""
        yield from self.module.named_buffers(remove_duplicate=remove_duplicate)

    def named_tensors(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The module's parameters, then its buffers."""
        yield from self.named_parameters(remove_duplicate)
        yield from self.named_buffers(remove_duplicate)

    def named_modules(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """The module and its submodules."""
        yield from self.module.named_modules(remove_duplicate=remove_duplicate)


def _paired(names: Iterable[str], values: Iterable[Tensor]) -> Iterator[tuple[str, Tensor]]:
    names, values = list(names), list(values)
    if len(names) != len(values):
        raise AssertionError(
            f"names and values must have the same length, got {len(names)} names and {len(values)} values"
        )
    return zip(names, values, strict=True)


def set_tensor(module: Module, name: str, tensor: Tensor) -> None:
    """Put a tensor under a name of ``module`` itself."""
    NamedMemberAccessor(module).set_tensor(_own(name), tensor)


def swap_tensor(module: Module, name: str, tensor: Tensor, allow_missing: bool = False) -> Tensor:
    """Put a tensor under a name of ``module`` itself and return what was there."""
    return NamedMemberAccessor(module).swap_tensor(_own(name), tensor, allow_missing)


def _own(name: str) -> str:
    if "." in name:
        raise KeyError('tensor name can\'t contain "."')
    if not name:
        raise KeyError('tensor name can\'t be empty string ""')
    return name
