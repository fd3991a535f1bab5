"""All I/O of the workflows: read, let the domain decide, append. Thin on purpose."""
