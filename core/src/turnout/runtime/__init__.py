"""What running a step means, the same on every engine."""
