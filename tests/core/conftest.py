"""The bench that the runtime is tried on."""

from bench import bench

__all__ = ["bench"]
