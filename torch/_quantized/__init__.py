"""Quantised tensors: integers together with the affine map that says which real numbers they stand for."""
