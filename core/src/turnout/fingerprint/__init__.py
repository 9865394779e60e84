"""The digest of all the code that a function reaches."""
