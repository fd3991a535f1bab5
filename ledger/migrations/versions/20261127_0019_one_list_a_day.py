"""One list a guide a day: targets, items put off, absence.

Revision ID: 0019
Revises: 0018
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.beside import build_index
from ledger.migrations.script import run_script

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0019.sql").read_text(encoding="utf-8"))
    # Two, so that neither holds what lies behind in the way of what is open.
    build_index(op, "task_lent", "task (tenant_id, guide_id) WHERE lent AND state = 'open'")
    build_index(
        op,
        "task_lent_done",
        "task (tenant_id, guide_id, last_attempt_on) WHERE lent AND state <> 'open'",
    )
    # Who comes to the store on a day, by the guide who booked it.
    build_index(
        op,
        "check_in_booked",
        "check_in (tenant_id, next_on, guide_id, member_id)"
        " WHERE outcome = 'booked_visit' AND next_on IS NOT NULL",
    )
