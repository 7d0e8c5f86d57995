"""Malformed calls raise what PyTorch raises, and nothing crashes (cases in data/bad_input.txt)."""

import pytest
import support

EXPECTED = support.recorded("bad_input")
CASES = support.read_cases("bad_input")

# How many of the messages have to read as PyTorch's do (after support.normalise). It may only be raised.
LEAST_AGREEING_MESSAGES = 0.95

# PyTorch's own Python trips over these before it checks them; a TypeError that names the argument is what it means.
CLEARER_HERE = {
    'F.normalize("a")': "normalize(): argument 'input' (position 1) must be Tensor, not str",
    "F.mse_loss(torch.ones(2), None)": "mse_loss(): argument 'target' (position 2) must be Tensor, not NoneType",
}


def failure(case: str) -> BaseException | None:
    try:
        support.run_case(case)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("case", CASES)
def test_raises_the_recorded_type(case):
    if "np." in case:
        pytest.importorskip("numpy")
    error = failure(case)
    assert error is not None, f"nothing was raised; PyTorch: {EXPECTED[case]['type']}: {EXPECTED[case]['message']}"
    if case in CLEARER_HERE:
        assert type(error) is TypeError and str(error) == CLEARER_HERE[case]
        return
    assert type(error).__name__ == EXPECTED[case]["type"], f"{error}\nPyTorch: {EXPECTED[case]['message']}"


def test_messages_agree(record_property):
    different = []
    for case in CASES:
        error = failure(case)
        if error is None or support.normalise(str(error)) != support.normalise(EXPECTED[case]["message"]):
            different.append(f"{case}\n    here     {error}\n    PyTorch  {EXPECTED[case]['message'].splitlines()[:1]}")
    agreeing = 1 - len(different) / len(CASES)
    record_property("agreeing_messages", agreeing)
    print(f"{agreeing:.1%} of {len(CASES)} messages agree; the others:", *different, sep="\n")
    assert agreeing >= LEAST_AGREEING_MESSAGES


def test_every_case_is_recorded():
    assert set(CASES) == EXPECTED.keys()
