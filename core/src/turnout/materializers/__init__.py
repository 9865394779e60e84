"""Python values to files and back, one materializer for each kind of value."""
