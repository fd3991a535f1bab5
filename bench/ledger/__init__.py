"""The engine's hot paths beside the bare thing: `make bench`."""
