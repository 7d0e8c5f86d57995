"""The documentation: every example runs and prints what it says, and every native name has a text."""

import doctest
import importlib
import inspect
import pkgutil
import types
import warnings

import pytest

import torch

NATIVE = [torch._C._VariableFunctions, torch._C._nn, torch._C._linalg, torch._C._special, torch._C._fft]


def public_modules():
    """Return all modules of the package whose path has no leading underscore anywhere."""
    names = [info.name for info in pkgutil.walk_packages(torch.__path__, "torch.")]
    return [torch, *(importlib.import_module(n) for n in names if not any(p.startswith("_") for p in n.split(".")))]


def members(owner):
    """Yield the public names and objects of a module or class."""
    names = getattr(owner, "__all__", None) or dir(owner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(set(names)):
            if name.startswith("_"):
                continue
            item = inspect.getattr_static(owner, name, None) or getattr(owner, name, None)
            if item is not None and not isinstance(item, types.ModuleType):
                yield name, item


def documented_objects():
    """Yield (path, object) once for each text with an example."""
    seen = set()
    for owner in [*public_modules(), torch.Tensor, *NATIVE]:
        path = "torch.Tensor" if owner is torch.Tensor else owner.__name__
        found = [(path, owner), *((f"{path}.{name}", item) for name, item in members(owner))]
        for where, item in list(found):
            if isinstance(item, type) and item is not owner and (item.__module__ or "").startswith("torch"):
                found += [(f"{where}.{name}", method) for name, method in members(item)]
        for where, item in found:
            text = getattr(item, "__doc__", None)
            if isinstance(text, str) and ">>>" in text and text not in seen:
                seen.add(text)
                yield where, text


EXAMPLES = dict(documented_objects())


@pytest.fixture
def settings():
    """Put back what examples of setters change."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.set_default_device(None)
    torch.set_printoptions(profile="default")
    torch.use_deterministic_algorithms(False)
    torch.set_grad_enabled(True)


@pytest.mark.parametrize("path", EXAMPLES)
def test_example(path, settings):
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(EXAMPLES[path]), {"torch": torch}, path, None, 0)
    report = []
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


def has_text(operation):
    """A native operation's __doc__ starts with the lines of its signatures; the text comes after an empty line."""
    text = operation.__doc__ or ""
    return "\n\n" in text if hasattr(operation, "_schemas") else bool(text)


def test_native_names_are_documented():
    missing = [f"{m.__name__}.{n}" for m in NATIVE for n, item in members(m) if not has_text(item)]
    missing += [
        f"torch.Tensor.{name}"
        for name, item in members(torch.Tensor)
        if not isinstance(item, (str, int, bool, float)) and not has_text(item)
    ]
    assert not missing, f"{len(missing)} without a text: {' '.join(missing)}"


def test_native_functions_have_examples():
    functions = [(f"{m.__name__}.{n}", item) for m in NATIVE for n, item in members(m) if not n.endswith("_")]
    missing = [path for path, item in functions if ">>>" not in item.__doc__]
    assert not missing, f"{len(missing)} without an example: {' '.join(missing)}"


def test_public_names_are_documented():
    missing = [name for name, item in members(torch) if callable(item) and not has_text(item)]
    assert not missing, " ".join(missing)


def test_a_doc_starts_with_the_signature():
    assert torch.add.__doc__.startswith("add(input, other, *, alpha=1, out=None) -> Tensor\n")
    assert torch.Tensor.add.__doc__.startswith("Tensor.add(other, *, alpha=1) -> Tensor\n")
