"""Every `workflow.patched` id, in the order they came. An id is never used again."""

from __future__ import annotations

SKIP_A_DAY_THAT_IS_OVER = "skip-a-day-that-is-over"
"""A dispatch that an outage delayed beyond the close cuts no lists for a day nobody can work any more."""
NUDGE_A_LITTLE_LATE = "nudge-a-little-late"
"""A slot that passed while the day was being restarted is still nudged within the hour."""
