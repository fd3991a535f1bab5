"""Plans as users write them."""
