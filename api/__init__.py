"""The HTTP API: routes over the same commands and reads the command line uses, one error mapping."""
