"""Which torch is under test, said at the top of every run."""

import pytest

import torch


def pytest_report_header():
    return f"torch {torch.__version__} from {torch.__file__}, {torch.get_num_threads()} threads"


@pytest.fixture(autouse=True)
def _seeded():
    """Start every test from the same random state and leave the global modes as they were."""
    torch.manual_seed(0)
    yield
    assert torch.is_grad_enabled(), "the test left gradients switched off"
    assert torch.get_default_dtype() == torch.float32, "the test left another default dtype"
