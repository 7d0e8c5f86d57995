"""torch.utils.benchmark: instructions counted by Callgrind, where Valgrind is installed; random tensors."""

import shutil

import pytest

import torch
from torch.utils.benchmark import CopyIfCallgrind, FuzzedParameter, FuzzedSparseTensor, Fuzzer, ParameterAlias, Timer


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("callgrind_annotate"), reason="needs Valgrind")
def test_instructions_are_counted():
    timer = Timer("torch.add(x, x)", globals={"x": CopyIfCallgrind(torch.ones(4))})
    stats = timer.collect_callgrind(number=200, retain_out_file=True)
    assert stats.number_per_run == 200 and "fn=" in stats.stmt_callgrind_out
    # a call of the core from Python takes hundreds to thousands of instructions
    assert 200 * 200 < stats.counts() < 200 * 20_000
    assert stats.stats(inclusive=True).inclusive and not stats.stats().inclusive
    assert "Instructions:" in repr(stats.as_standardized())


@pytest.mark.skipif(not shutil.which("callgrind_annotate"), reason="needs Valgrind")
def test_what_callgrind_cannot_have():
    with pytest.raises(ValueError, match="mark it by CopyIfCallgrind"):
        Timer("f()", globals={"f": print}).collect_callgrind(1)


def test_without_valgrind_the_error_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(OSError, match="apt install valgrind"):
        Timer("pass").collect_callgrind(1)


def test_choices_and_aliases():
    pytest.importorskip("numpy")
    fuzzer = Fuzzer(
        [
            FuzzedParameter("n", 1, 5, "uniform"),
            FuzzedParameter("same", distribution={ParameterAlias("n"): 1.0}),
            FuzzedParameter("one of", distribution={2: 3, 7: 1}),
        ],
        [],
        seed=0,
    )
    drawn = [params for _, _, params in fuzzer.take(400)]
    assert all(params["same"] == params["n"] for params in drawn)
    assert {params["one of"] for params in drawn} == {2, 7}
    assert 240 < sum(params["one of"] == 2 for params in drawn) < 360
    with pytest.raises(AssertionError, match="Distribution is not normalized"):
        FuzzedParameter("x", distribution={1: 0.5, 2: 0.6}, strict=True)


def test_constraints_that_cannot_be_satisfied():
    pytest.importorskip("numpy")
    fuzzer = Fuzzer([FuzzedParameter("n", 1, 5, "uniform")], [], constraints=[lambda params: False], seed=0)
    with pytest.raises(ValueError, match="Failed to generate a set of valid parameters"):
        next(fuzzer.take(1))
    assert fuzzer.rejection_rate == 1


def test_sparse_tensors():
    pytest.importorskip("numpy")
    tensor = FuzzedSparseTensor("x", ("n", 6, 2), sparse_dim=2, nnz=4, coalesced=False)
    for tensors, properties, params in Fuzzer([FuzzedParameter("n", 3, 9, "uniform")], [tensor], seed=0).take(3):
        x = tensors["x"]
        assert x.shape == (params["n"], 6, 2) and x.is_sparse and x.sparse_dim() == 2 and x._nnz() == 4
        assert properties["x"]["is_hybrid"] and properties["x"]["density"] == 4 / (params["n"] * 6)
