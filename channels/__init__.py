"""Ways out of the house: robots, mail and webhooks, sent through apprise, each end told honestly."""
