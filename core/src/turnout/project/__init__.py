"""The project's own files: which they are, what git says of them, and their archive."""
