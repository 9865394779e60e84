"""The local engine: ready steps in parallel, in warm workers of this machine."""
