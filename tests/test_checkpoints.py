"""Checkpoints cross between PyTorch and here: data/checkpoint*.pt were written by PyTorch (make_checkpoint.py)."""

import os
import pickle
import subprocess
import warnings
from pathlib import Path

import make_checkpoint
import pytest
import support

import torch


def compare(actual, expected, where="checkpoint"):
    """Assert that two trees of containers, tensors and plain values are the same."""
    assert type(actual) is type(expected), where
    if isinstance(expected, torch.Tensor):
        assert actual.dtype == expected.dtype and actual.shape == expected.shape, where
        assert actual.stride() == expected.stride(), where
        assert (actual.requires_grad, actual.is_conj()) == (expected.requires_grad, expected.is_conj()), where
        assert actual.tolist() == expected.tolist(), where
    elif isinstance(expected, dict):
        assert list(actual) == list(expected), where
        for key in expected:
            compare(actual[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected), where
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            compare(a, e, f"{where}[{i}]")
    else:
        assert actual == expected, where


@pytest.fixture(scope="module")
def expected():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_checkpoint.state()


@pytest.mark.parametrize("options", [{}, {"weights_only": False}, {"mmap": True}], ids=str)
def test_a_checkpoint_of_pytorch(options, expected):
    back = torch.load(support.DATA / "checkpoint.pt", **options)
    compare(back, expected)
    base, view, transposed = back["shared"]
    assert transposed.data_ptr() == base.data_ptr() and view.data_ptr() == base.data_ptr() + 16


def test_a_checkpoint_in_the_format_before():
    back = torch.load(support.DATA / "checkpoint_legacy.pt")
    assert back["weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and back["view"].tolist() == [2, 3] and back["lr"] == 0.1


def test_a_module_of_pytorch():
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(support.DATA / "checkpoint_module.pt")
    net = torch.load(support.DATA / "checkpoint_module.pt", weights_only=False)
    same = make_checkpoint.model()
    x = torch.arange(12.0).view(4, 3)
    assert torch.equal(net(x), same(x)) and repr(net) == repr(same)


def test_loading_into_a_model_and_its_optimizer(expected):
    back = torch.load(support.DATA / "checkpoint.pt")
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.ReLU())
    assert str(net.load_state_dict(back["model"])) == "<All keys matched successfully>"
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    optimizer.load_state_dict(back["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.5 and optimizer.param_groups[0]["momentum"] == 0.5
    compare(net.state_dict(), expected["model"])


def test_what_is_written_here_reads_back_the_same(tmp_path, expected):
    make_checkpoint.write(tmp_path)
    compare(torch.load(tmp_path / "checkpoint.pt"), expected)
    compare(torch.load(tmp_path / "checkpoint.pt", weights_only=False, mmap=True), expected)
    assert torch.load(tmp_path / "checkpoint_legacy.pt")["view"].tolist() == [2, 3]
    assert str(torch.load(tmp_path / "checkpoint_module.pt", weights_only=False)) == str(make_checkpoint.model())


# What the reference runs: it reads what was written here and compares with what it makes itself.
READ_THERE = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
import torch, make_checkpoint
folder = sys.argv[1]
assert not hasattr(torch.version, "tabula")
for options in ({}, {"weights_only": False}, {"mmap": True}):
    assert str(torch.load(folder + "/checkpoint.pt", **options)) == str(make_checkpoint.state()), options
assert torch.load(folder + "/checkpoint_legacy.pt")["view"].tolist() == [2, 3]
net, x = torch.load(folder + "/checkpoint_module.pt", weights_only=False), torch.arange(12.0).view(4, 3)
assert torch.equal(net(x), make_checkpoint.model()(x))
"""


@pytest.mark.skipif("TABULA_REFERENCE" not in os.environ, reason="TABULA_REFERENCE: the Python of an installed PyTorch")
def test_pytorch_reads_what_is_written_here(tmp_path):
    make_checkpoint.write(tmp_path)
    command = [os.environ["TABULA_REFERENCE"], "-P", "-c", READ_THERE, str(tmp_path), str(Path(__file__).parent)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=clean, timeout=120)
    assert done.returncode == 0, done.stderr


def test_settings_of_loading_and_saving(tmp_path):
    from torch.utils.serialization import config

    path = tmp_path / "x.pt"
    torch.save(torch.arange(4.0), path)
    assert (config.load.mmap, config.load.endianness, config.save.compute_crc32) == (False, None, True)
    with config.patch({"load.mmap": True, "save.compute_crc32": False}):
        assert not torch.serialization.get_crc32_options()
        assert torch.load(path).tolist() == [0, 1, 2, 3]
        with open(path, "rb") as file, pytest.raises(ValueError, match="must be a file path"):
            torch.load(file)
    assert torch.serialization.get_crc32_options() and config.load.mmap is False
    with pytest.raises(AttributeError, match="config.load.nothing does not exist"):
        config.load.nothing
