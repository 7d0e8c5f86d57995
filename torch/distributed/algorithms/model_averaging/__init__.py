"""Averaging parameters instead of gradients."""
