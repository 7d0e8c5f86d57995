"""Where PyTorch keeps the parts of ``torch.utils.benchmark``: the names are the same."""
