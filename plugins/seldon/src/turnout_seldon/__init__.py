"""turnout on Seldon Core, v1 and v2."""
