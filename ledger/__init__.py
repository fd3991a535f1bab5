"""Facts and decisions in PostgreSQL, appended through one door, and the projections made of them."""
