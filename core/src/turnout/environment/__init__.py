"""The packages that a step runs with: declared, imported, and locked to exact pins."""
