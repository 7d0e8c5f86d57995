"""Counting instructions: see ``timer_interface``."""
