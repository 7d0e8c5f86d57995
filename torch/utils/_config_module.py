"""Settings that live in a module: known names only, changed for a while by ``patch``, read and written as one dict.

A module of settings ends with ``install(__name__)``. Its public variables are settings; so are those of the classes in
it, under ``"class.name"``. What they hold at that time are the defaults.
"""

from __future__ import annotations

import copy
import functools
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OWN = frozenset({"_defaults", "_values", "_groups", "_prefix"})


def install(name: str) -> None:
    """Turn the module of this name into one of settings."""
    module = sys.modules[name]
    values: dict[str, Any] = {}
    groups: dict[str, Group] = {}
    for key, value in list(vars(module).items()):
        if key.startswith("_") or isinstance(value, ModuleType) or key in ("annotations", "Any", "TYPE_CHECKING"):
            continue
        if isinstance(value, type) and value.__module__ == name:
            members = {f"{key}.{k}": v for k, v in vars(value).items() if not k.startswith("_")}
            values.update(members)
            groups[key] = Group(module, f"{key}.")
        else:
            values[key] = value
        delattr(module, key)
    module.__dict__.update(_values=values, _defaults=copy.deepcopy(values), _groups=groups)
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

    def _known(self, name: str) -> str:
        if name not in self._values:
            raise AttributeError(f"{self.__name__}.{name} does not exist")
        return name

    def __getattr__(self, name: str) -> Any:
        groups = self.__dict__.get("_groups", {})
        if name in groups:
            return groups[name]
        # A module without these has just been made: pickle and importlib look at it.
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(f"{self.__name__}.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN or name.startswith("__"):
            super().__setattr__(name, value)
        else:
            self._values[self._known(name)] = value

    def __delattr__(self, name: str) -> None:
        self._values[name] = copy.deepcopy(self._defaults[self._known(name)])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._groups, *(key for key in self._values if "." not in key)})

    def get_config_copy(self) -> dict[str, Any]:
        """All settings, as a dict that may be changed."""
        return copy.deepcopy(self._values)

    def load_config(self, maybe_pickled_config: bytes | Mapping[str, Any]) -> None:
        """Set what a dict, or what ``save_config`` gave, says."""
        given = maybe_pickled_config
        if isinstance(given, bytes):
            import pickle

            given = pickle.loads(given)
        for name, value in given.items():
            self._values[self._known(name)] = value

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
        return type(self._defaults[self._known(config_name)])

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
        return self._config._values[self._config._known(self._prefix + name)]

    def __setattr__(self, name: str, value: Any) -> None:
        self._config._values[self._config._known(self._prefix + name)] = value

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
        values = self._config._values
        self._before.append({self._config._known(name): values[name] for name in self._changes})
        values.update(self._changes)

    def __exit__(self, *exc: object) -> None:
        self._config._values.update(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, under these settings."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapped
