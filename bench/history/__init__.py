"""Whether years of history slow down what people look at every day: see `bench.history.__main__`."""
