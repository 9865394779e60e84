"""Stacks: which tools a pipeline runs on, chosen by one YAML file."""
