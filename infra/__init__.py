"""Settings, logging, the Temporal client, embedded servers, and the one bootstrap that wires it all."""
