"""Modules whose activations are made again in the backward pass, or kept elsewhere."""
