"""Replenishment, measured: the predicted next purchase against the one that came (docs/replenishment.md)."""
