"""Errors, names, canonical JSON, digests, time and redaction: what every room stands on."""
