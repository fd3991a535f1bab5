"""A folder for PYTHONPATH: what Python imports by itself when a process starts."""
