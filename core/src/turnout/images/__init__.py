"""The container image that a step may be started in: its files, and what builds them."""
