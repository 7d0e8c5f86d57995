"""Modules of settings: names that exist, with defaults, that programs read, set and change for a while."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import hashlib
import pickle
import sys
from pathlib import Path
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ConfigModule", "install_config_module"]


class SubConfigProxy:
    """The settings of a module whose names start alike: ``config.triton.cudagraphs``."""

    def __init__(self, config: ConfigModule, prefix: str) -> None:
        super().__setattr__("_config", config)
        super().__setattr__("_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        return self._config._value(self._prefix + name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._config._set(self._prefix + name, value)

    def __delattr__(self, name: str) -> None:
        self._config._reset(self._prefix + name)


class ConfigModule(ModuleType):
    """A module of settings. Reading, setting or changing one that does not exist is an AttributeError.

    ``del config.name`` takes a setting back to its default.
    """

    _defaults: dict[str, Any]
    _overrides: dict[str, Any]
    _aliases: dict[str, tuple[str, str]]
    _groups: dict[str, SubConfigProxy]

    @property
    def _config(self) -> dict[str, Any]:
        """The settings and their values, settings of groups as ``group.name``."""
        return {name: self._value(name) for name in (*self._defaults, *self._aliases)}

    def _where(self, name: str) -> tuple[ConfigModule, str]:
        if name in self._aliases:
            path, target = self._aliases[name]
            other = self if path == self.__name__ else _module(path)
            return other._where(target)
        if name not in self._defaults:
            raise AttributeError(f"{self.__name__}.{name} does not exist")
        return self, name

    def _value(self, name: str) -> Any:
        config, name = self._where(name)
        if name not in config._overrides:
            default = config._defaults[name]
            if not isinstance(default, (list, dict, set)):
                return default
            config._overrides[name] = copy.deepcopy(default)  # it may be written to
        return config._overrides[name]

    def _set(self, name: str, value: Any) -> None:
        config, name = self._where(name)
        config._overrides[name] = value

    def _reset(self, name: str) -> None:
        config, name = self._where(name)
        config._overrides.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        groups = self.__dict__.get("_groups", {})
        return groups[name] if name in groups else self._value(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or isinstance(value, ModuleType):
            super().__setattr__(name, value)
        else:
            self._set(name, value)

    def __delattr__(self, name: str) -> None:
        self._reset(name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self._groups, *(n for n in self._config if "." not in n)})

    def get_type(self, config_name: str) -> type:
        """The type of a setting's default."""
        config, name = self._where(config_name)
        return type(config._defaults[name])

    def shallow_copy_dict(self) -> dict[str, Any]:
        """All settings and their values."""
        return self._config

    def get_config_copy(self) -> dict[str, Any]:
        """All settings and copies of their values."""
        return copy.deepcopy(self._config)

    to_dict = get_config_copy

    def _saved(self) -> dict[str, Any]:
        ignored = set(self._defaults.get("_save_config_ignore", ()))
        return {k: v for k, v in self._config.items() if k not in ignored}

    def save_config(self) -> bytes:
        """The settings as bytes for ``load_config``."""
        return pickle.dumps(self._saved(), protocol=2)

    def save_config_portable(self, *, ignore_private_configs: bool = True) -> dict[str, Any]:
        """The settings that can be used on another machine: those that are no one's own."""
        return {k: v for k, v in self._saved().items() if not (ignore_private_configs and k.startswith("_"))}

    def load_config(self, maybe_pickled_config: bytes | dict[str, Any]) -> None:
        """Set what ``save_config`` saved."""
        saved = maybe_pickled_config
        values = saved if isinstance(saved, dict) else pickle.loads(saved)  # noqa: S301 - the program's own bytes
        for name, value in values.items():
            if name in self._defaults or name in self._aliases:
                self._set(name, value)

    def codegen_config(self) -> str:
        """A program that sets what differs from the defaults."""
        return "\n".join(
            f"{self.__name__}.{name} = {value!r}"
            for name, value in self._config.items()
            if name not in self._aliases and value != self._defaults[name]
        )

    def get_hash(self) -> bytes:
        """A digest of the settings."""
        return hashlib.md5(repr(sorted(self._saved().items())).encode(), usedforsecurity=False).digest()

    def patch(self, arg1: str | dict[str, Any] | None = None, arg2: Any = None, **kwargs: Any) -> Any:
        """A context, and a decorator, in which settings have other values.

        >>> import torch._dynamo.config as config
        >>> with config.patch(verbose=True):
        ...     print(config.verbose)
        True
        """
        if arg1 is None:
            changes = dict(kwargs)
        elif arg2 is not None or isinstance(arg1, str):
            assert isinstance(arg1, str), "first argument must be a string when passing 2 positional args to patch"
            changes = {arg1: arg2}
        else:
            assert isinstance(arg1, dict), "first argument must be a dict when passing a single positional arg to patch"
            changes = dict(arg1)
        return _Patch(self, changes)

    def _make_closure_patcher(self, **changes: Any) -> Callable[[], Callable[[], None]]:
        def change() -> Callable[[], None]:
            before = {k: self._value(k) for k in changes}
            for k, v in changes.items():
                self._set(k, v)

            def revert() -> None:
                for k, v in before.items():
                    self._set(k, v)

            return revert

        return change


class _Patch(contextlib.ContextDecorator):
    def __init__(self, config: ConfigModule, changes: dict[str, Any]) -> None:
        self.config, self.changes = config, changes
        self.before: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        before = {name: self.config._value(name) for name in self.changes}
        self.before.append(before)
        for name, value in self.changes.items():
            self.config._set(name, value)

    def __exit__(self, *exc: Any) -> None:
        for name, value in self.before.pop().items():
            self.config._set(name, value)

    def __call__(self, func: Any) -> Any:
        if isinstance(func, type):
            for name, method in list(vars(func).items()):
                if name.startswith("test") and callable(method):
                    setattr(func, name, self(method))
            return func

        @functools.wraps(func)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with _Patch(self.config, self.changes):
                return func(*args, **kwargs)

        return inner


def _module(path: str) -> ConfigModule:
    from importlib import import_module

    found = import_module(path)
    assert isinstance(found, ConfigModule)
    return found


def read_settings(path: Path) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """The settings that a recorded list names, and those that are other names of them."""
    values: dict[str, Any] = {}
    aliases: dict[str, tuple[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, mark, rest = line.partition(" = ")
        if mark:
            values[name] = ast.literal_eval(rest)
        else:
            name, _, target = line.partition(" -> ")
            home, _, other = target.rpartition(".")
            aliases[name] = (home, other)
    return values, aliases


def install_config_module(
    module: ModuleType | str, settings: Path | None = None, shared: dict[str, list[str]] | None = None
) -> None:
    """Turn a module into one of settings: its plain values, and those of its classes as ``class.name``.

    Names in capitals stay the module's own.

    Args:
        settings: a recorded list of further settings.
        shared: settings of other modules, by the module's path, that this one has too.
    """
    if isinstance(module, str):
        module = sys.modules[module]
    values, aliases = read_settings(settings) if settings is not None else ({}, {})
    for path, names in (shared or {}).items():
        aliases.update({name: (path, name) for name in names})
    plain = (bool, int, float, str, list, dict, set, tuple, type(None))
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            values.update({f"{name}.{k}": v for k, v in vars(value).items() if not k.startswith("_")})
        elif name.startswith("__") or not isinstance(value, plain) or name.isupper():
            continue
        else:
            values[name] = value
        delattr(module, name)
    fields = vars(module)
    fields["_defaults"], fields["_aliases"], fields["_overrides"] = values, aliases, {}
    module.__class__ = ConfigModule
    assert isinstance(module, ConfigModule)
    prefixes = {name.rpartition(".")[0] for name in (*values, *aliases) if "." in name}
    fields["_groups"] = {p: SubConfigProxy(module, p + ".") for p in prefixes}
