"""The day of a big brand: see `bench.day.__main__`."""
