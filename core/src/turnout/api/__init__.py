"""What users call from Python: pipelines to run, runs to look into, compare, replay, resume and sweep."""
