"""What the pipeline's steps are made of: plain functions over tables that know nothing of pipelines."""
