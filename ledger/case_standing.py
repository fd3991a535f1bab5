"""Whether a complaint of a member's waits for its end: pieces of SQL for whoever asks before contacting them."""

from __future__ import annotations

NO_COMPLAINT = """NOT EXISTS (SELECT FROM complaint_case cc WHERE cc.tenant_id = $1 AND cc.member_id = {member}
        AND cc.state IN ('open', 'answered'))"""
"""No case of the member's is unfinished now; by an index that holds nothing else. `member`: SQL of the id."""

WAITED = "(c.state <> 'withdrawn' AND c.opened_at < {at} AND (c.ended_at IS NULL OR c.ended_at > {at}))"
"""The case `c` waited at an instant: what was reported then was done in spite of it."""
