"""The contract of each kind of component, the hooks that collect classes, and the registry that finds them by name."""
