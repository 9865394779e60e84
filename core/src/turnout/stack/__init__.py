"""Stack files: found, merged, checked, and bound to the settings of components."""
