"""Artifact stores on a disk and in a bucket, the layout of their keys, and a run as it lies in one."""
