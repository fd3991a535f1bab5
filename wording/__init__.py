"""What a person reads: one message catalogue for every screen, page and answer, Chinese first."""
