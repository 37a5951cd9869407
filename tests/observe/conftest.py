"""Containers on a real Engine."""

from tests.lifecycle.conftest import yard

__all__ = ["yard"]
