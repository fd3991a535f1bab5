"""Schema, one dated step at a time."""
