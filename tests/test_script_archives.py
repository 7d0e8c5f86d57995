"""Archives of compiled modules that PyTorch wrote give here what they give there (tools/make_script_archives.py)."""

import io
import zipfile
from pathlib import Path

import pytest

import torch

FOLDER = Path(__file__).resolve().parent / "data/script_archives"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NAMES = sorted(path.stem for path in FOLDER.glob("*.pt"))


def same(a, b):
    if isinstance(b, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key in b:
            same(a[key], b[key])
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b


def loaded(source):
    extra = {"cases.pt": ""}
    module = torch.jit.load(source, _extra_files=extra)
    return module, torch.load(io.BytesIO(extra["cases.pt"]))


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_gives_the_recorded_results(name):
    module, cases = loaded(str(FOLDER / f"{name}.pt"))
    for method, args, result in cases:
        same(getattr(module, method)(*args), result)


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_written_again_gives_the_same(name):
    module, cases = loaded(str(FOLDER / f"{name}.pt"))
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    again = torch.jit.load(buffer)
    for method, args, result in cases:
        same(getattr(again, method)(*args), result)
    assert again.state_dict().keys() == module.state_dict().keys()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_stable(name):
    first = io.BytesIO()
    torch.jit.save(torch.jit.load(str(FOLDER / f"{name}.pt")), first)
    first.seek(0)
    second = io.BytesIO()
    torch.jit.save(torch.jit.load(first), second)
    second.seek(0)
    assert torch.jit.load(second)._has_method("forward")


def test_damaged_archives_are_refused():
    data = (FOLDER / "mlp.pt").read_bytes()
    for cut in (10, 100, len(data) // 2, len(data) - 30):
        with pytest.raises((RuntimeError, EOFError)):
            torch.jit.load(io.BytesIO(data[:cut]))
    with pytest.raises(RuntimeError, match="constants.pkl"):
        buffer = io.BytesIO()
        torch.save({"a": 1}, buffer)
        buffer.seek(0)
        torch.jit.load(buffer)
    with pytest.raises(ValueError, match="does not exist"):
        torch.jit.load("/nowhere/at/all.pt")


def rewritten(name, change):
    """An archive with other text in its files of code."""
    made = io.BytesIO()
    with zipfile.ZipFile(FOLDER / f"{name}.pt") as source, zipfile.ZipFile(made, "w") as target:
        for item in source.namelist():
            data = source.read(item)
            target.writestr(item, change(data.decode()).encode() if item.endswith(".py") else data)
    made.seek(0)
    return made


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('true')", "open('/etc/passwd')", "eval('1')", "x.__class__.__mro__", "import os",
        "(lambda: 1)()", "torch.serialization.load('x')", "ops.builtins.exec('1')", "print.__self__",
    ],
)  # fmt: skip
def test_text_that_is_no_program_is_refused(line):
    def change(text):
        return text.replace("y = torch.clone(x)", f"y = torch.clone(x)\n    {line}")

    assert "torch.clone(x)" in zipfile.ZipFile(FOLDER / "function.pt").read("function/code/__torch__.py").decode()
    with pytest.raises((RuntimeError, torch.jit.frontend.FrontendError)):
        torch.jit.load(rewritten("function", change))


def test_division_in_old_archives_cuts_off():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(_divided), buffer)
    x = torch.tensor([7, -7])
    made = {}
    for version in ("3", "4", "11"):
        changed = io.BytesIO()
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(changed, "w") as target:
            for item in source.namelist():
                target.writestr(item, version if item.endswith("/version") else source.read(item))
        changed.seek(0)
        made[version] = changed
    assert torch.jit.load(made["4"])(x, torch.tensor(2)).tolist() == [3.5, -3.5]
    old = torch.jit.load(made["3"])
    assert old(x, torch.tensor(2)).tolist() == [3, -3]
    assert old(x, torch.tensor(2.0)).tolist() == [3.5, -3.5]
    again = io.BytesIO()
    torch.jit.save(old, again)
    again.seek(0)
    assert torch.jit.load(again)(x, torch.tensor(2)).tolist() == [3, -3]
    with pytest.raises(RuntimeError, match="maximum supported version"):
        torch.jit.load(made["11"])


def _divided(x, y):
    return x / y


def test_map_location_and_buffers():
    path = FOLDER / "convnet.pt"
    with open(path, "rb") as file:
        module = torch.jit.load(file, map_location="cpu")
    assert module.training is False
    assert "norm.running_mean" in module.state_dict()
    with pytest.warns(UserWarning, match="TorchScript archive"):
        assert isinstance(torch.load(str(path), weights_only=False), torch.jit.ScriptModule)
    with pytest.raises(RuntimeError, match="TorchScript archives"):
        torch.load(str(path), weights_only=True)
