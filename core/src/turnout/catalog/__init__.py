"""The index of runs and artifacts, their aliases, and the collection of garbage."""
