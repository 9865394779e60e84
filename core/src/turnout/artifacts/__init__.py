"""Values saved once under the digest of their content, and verified whenever they are read."""
