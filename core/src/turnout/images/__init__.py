"""The container images that steps may be started in, or that serve an endpoint: their files, and what builds them."""
