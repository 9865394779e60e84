"""The attacks are tried on the bench of the core tests."""

from bench import bench

__all__ = ["bench"]
