"""Settings that live in a module: known names only, changed for a while by ``patch``, read and written as one dict.

A module of settings ends with ``install(__name__)``. Its public variables are settings; so are those of the classes in
it, under ``"class.name"``. What they hold at that time are the defaults. More settings may come from a recorded list of
``name = value`` and ``name -> module.name``, and from other modules of settings.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_OWN = frozenset({"_defaults", "_values", "_groups", "_prefix", "_aliases"})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """The settings that a recorded list names, and those that are settings of other modules, or other names."""
    values: dict[str, Any] = {}
    aliases: dict[str, tuple[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, mark, text = line.partition(" = ")
        if mark:
            values[name] = ast.literal_eval(text)
        else:
            name, _, target = line.partition(" -> ")
            home, _, other = target.rpartition(".")
            aliases[name] = (home, other)
    return values, aliases


def install(name: str, recorded: Path | None = None, shared: Mapping[str, Iterable[str]] | None = None) -> None:
    """Turn the module of this name into one of settings.

    Args:
        recorded: a list of further settings.
        shared: settings of other modules, by the module's name, that this one has too.
    """
    module = sys.modules[name]
    values, aliases = _read(recorded) if recorded is not None else ({}, {})
    for path, names in (shared or {}).items():
        aliases.update({one: (path, one) for one in names})
    groups: dict[str, Group] = {
        prefix: Group(module, f"{prefix}.") for prefix in {key.rpartition(".")[0] for key in values} if prefix
    }
    for key, value in list(vars(module).items()):
        if key.startswith("_") or isinstance(value, ModuleType) or key in ("annotations", "Any", "TYPE_CHECKING"):
            continue
        if inspect.isroutine(value) or (isinstance(value, type) and value.__module__ != name):
            continue
        if isinstance(value, type) and value.__module__ == name:
            members = {f"{key}.{k}": v for k, v in vars(value).items() if not k.startswith("_")}
            values.update(members)
            groups[key] = Group(module, f"{key}.")
        else:
            values[key] = value
        delattr(module, key)
    module.__dict__.update(_values=values, _defaults=copy.deepcopy(values), _groups=groups, _aliases=aliases)
    module.__class__ = ConfigModule


class ConfigModule(ModuleType):
    """A module whose variables are settings.

    Reading or setting a name that is none raises AttributeError.

    >>> from torch.utils.serialization import config
    >>> config.save.storage_alignment
    64
    >>> with config.patch("save.storage_alignment", 4096):
    ...     config.save.storage_alignment
    4096
    """

    _values: dict[str, Any]
    _defaults: dict[str, Any]
    _groups: dict[str, Group]
    _aliases: dict[str, tuple[str, str]]

    def _place(self, name: str) -> tuple[ConfigModule, str]:
        """The module that has a setting, and what it is called there."""
        if name in self._aliases:
            from importlib import import_module

            path, target = self._aliases[name]
            other: Any = self if path == self.__name__ else import_module(path)
            return other._place(target)  # type: ignore[no-any-return]
        if name not in self._values:
            raise AttributeError(f"{self.__name__}.{name} does not exist")
        return self, name

    def _get(self, name: str) -> Any:
        config, name = self._place(name)
        return config._values[name]

    def _put(self, name: str, value: Any) -> None:
        config, name = self._place(name)
        config._values[name] = value

    def __getattr__(self, name: str) -> Any:
        # A module without these has just been made: pickle and importlib look at it.
        own = self.__dict__
        if name in own.get("_values", {}):
            return own["_values"][name]
        if name in own.get("_groups", {}):
            return own["_groups"][name]
        if name in own.get("_aliases", {}):
            return self._get(name)
        raise AttributeError(f"{self.__name__}.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN or name.startswith("__") or isinstance(value, ModuleType):
            super().__setattr__(name, value)
        else:
            self._put(name, value)

    def __delattr__(self, name: str) -> None:
        config, name = self._place(name)
        config._values[name] = copy.deepcopy(config._defaults[name])

    def __dir__(self) -> list[str]:
        names = (key for key in (*self._values, *self._aliases) if "." not in key)
        return sorted({*super().__dir__(), *self._groups, *names})

    def shallow_copy_dict(self) -> dict[str, Any]:
        """All settings, as a dict that holds the same values."""
        return {name: self._get(name) for name in (*self._values, *self._aliases)}

    def get_config_copy(self) -> dict[str, Any]:
        """All settings, as a dict that may be changed."""
        return copy.deepcopy(self.shallow_copy_dict())

    to_dict = get_config_copy

    def get_hash(self) -> bytes:
        """A digest of the settings."""
        return hashlib.md5(self.save_config(), usedforsecurity=False).digest()

    def load_config(self, maybe_pickled_config: bytes | Mapping[str, Any]) -> None:
        """Set what a dict, or what ``save_config`` gave, says."""
        given = maybe_pickled_config
        if isinstance(given, bytes):
            import pickle

            given = pickle.loads(given)
        for name, value in given.items():
            self._put(name, value)

    def save_config(self) -> bytes:
        """All settings, pickled."""
        import pickle

        return pickle.dumps(self._values, protocol=2)

    def codegen_config(self) -> str:
        """A program that sets what is not at its default."""
        changed = (name for name, value in self._values.items() if value != self._defaults[name])
        return "\n".join(f"{self.__name__}.{name} = {self._values[name]!r}" for name in changed)

    def get_type(self, config_name: str) -> type:
        """The type of a setting's default."""
        config, name = self._place(config_name)
        return type(config._defaults[name])

    def patch(self, arg1: str | dict[str, Any] | None = None, arg2: Any = None, **kwargs: Any) -> Patch:
        """Change settings inside a ``with`` block, or while a decorated function runs.

        Args:
            arg1: the name of a setting, or a dict of names and values.
            arg2: the value that goes with a name.
            kwargs: settings by name.

        Raises AttributeError, on entering, for a name that is no setting.
        """
        changes = dict(kwargs)
        if isinstance(arg1, str):
            changes[arg1] = arg2
        elif arg1 is not None:
            changes.update(arg1)
        return Patch(self, changes)


class Group:
    """Settings whose names begin alike: ``config.save`` holds those under ``"save."``."""

    _config: Any
    _prefix: str

    def __init__(self, config: ModuleType, prefix: str) -> None:
        self.__dict__.update(_config=config, _prefix=prefix)

    def __getattr__(self, name: str) -> Any:
        return self._config._get(self._prefix + name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._config._put(self._prefix + name, value)

    def __delattr__(self, name: str) -> None:
        self._config.__delattr__(self._prefix + name)

    def __dir__(self) -> list[str]:
        return [key[len(self._prefix) :] for key in self._config._values if key.startswith(self._prefix)]


class Patch:
    """Settings that hold inside a ``with`` block, or while a decorated function runs."""

    def __init__(self, config: ConfigModule, changes: dict[str, Any]) -> None:
        self._config = config
        self._changes = changes
        self._before: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        self._before.append({name: self._config._get(name) for name in self._changes})
        for name, value in self._changes.items():
            self._config._put(name, value)

    def __exit__(self, *exc: object) -> None:
        for name, value in self._before.pop().items():
            self._config._put(name, value)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, under these settings."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapped
