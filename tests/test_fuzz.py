"""Random calls: nothing crashes, hangs or contradicts NumPy. tests/fuzz_calls.py is the program for longer runs."""

import os

import fuzz_calls
import pytest


def findings(*options):
    return fuzz_calls.fuzz(fuzz_calls.parse([f"--log={os.devnull}", *options]))


def test_malformed_calls_of_every_operation():
    assert findings("--calls=4") == []


def test_results_agree_with_numpy():
    twins = pytest.importorskip("numpy_twins").TWINS
    assert findings("--calls=25", *twins) == []


def test_calls_drawn_by_hypothesis():
    pytest.importorskip("hypothesis")
    assert findings("--hypothesis", "--calls=20", "add", "sum", "cat", "where", "Tensor.__getitem__", "nn.linear") == []


@pytest.mark.slow
def test_a_hundred_thousand_calls():
    pytest.importorskip("hypothesis")
    assert findings("--hypothesis", "--calls=100") == []
