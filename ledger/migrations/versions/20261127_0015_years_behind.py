"""Who serves a member is found by an index that the years behind do not slow down.

Revision ID: 0015
Revises: 0014
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.beside import build_index
from ledger.migrations.script import run_script

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Holds all that is asked of a member's cycles, so that no row is fetched, and all of a member's stand side by side.
    build_index(
        op, "plan_member_served", "plan_member (tenant_id, member_id, plan_id, cycle) INCLUDE (guide_id)"
    )
    build_index(
        op,
        "plan_cycle_unsettled",
        "plan_cycle (tenant_id, plan_id, cycle) INCLUDE (ends_on) WHERE state <> 'settled'",
    )
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0015.sql").read_text(encoding="utf-8"))
