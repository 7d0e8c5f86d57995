"""Backends of ``torch.compile``: what turns a graph into a function."""
