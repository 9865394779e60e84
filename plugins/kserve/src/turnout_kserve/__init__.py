"""turnout on KServe."""
