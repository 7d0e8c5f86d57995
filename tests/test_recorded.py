"""Printed text, random draws, losses, optimizers and odd calls are what PyTorch 2.13 gives (cases in data/*.txt)."""

import pytest
import support


def outcomes(name):
    """Parametrise a test over the cases of a file and what was recorded for each."""
    expected = support.recorded(name)
    return pytest.mark.parametrize("case, expected", [(case, expected[case]) for case in support.read_cases(name)])


@outcomes("printing")
def test_printed_text(case, expected):
    assert support.run_case(case) == expected


@outcomes("random")
def test_random_draws(case, expected):
    # the softmax and its logarithms round as this library's own functions do; what is drawn is exact
    rtol = 1e-6 if "gumbel" in case else 0.0
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol)


@outcomes("losses")
def test_losses_and_their_gradients(case, expected):
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=2e-5, atol=2e-6)


@outcomes("optim")
def test_optimizers_and_schedulers(case, expected):
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=1e-5, atol=1e-6)


@outcomes("calls")
def test_calls(case, expected):
    # short sums and inner products agree to the last bit where there are fused multiplications
    tolerance = 1e-7 if "torch.dot(x[:n]" in case else 1e-6
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=tolerance, atol=tolerance)


@outcomes("amp")
def test_autocast(case, expected):
    # values that went through bfloat16
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=2e-2, atol=1e-2)


@outcomes("amp_errors")
def test_autocast_refuses(case, expected):
    with pytest.raises(Exception) as raised:
        support.run_case(case)
    assert (type(raised.value).__name__, str(raised.value)) == (expected["type"], expected["message"])


@pytest.mark.parametrize("name", ["printing", "random", "losses", "optim", "calls", "amp", "amp_errors"])
def test_every_case_is_recorded(name):
    assert set(support.read_cases(name)) == support.recorded(name).keys()
