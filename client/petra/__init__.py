"""Petra: actor-based, consistent storage for Python programs."""
