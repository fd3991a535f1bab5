"""Contact accounts: limits, and the messages that went to a member.

Revision ID: 0024
Revises: 0021
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.beside import build_index
from ledger.migrations.script import run_script

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0024.sql").read_text(encoding="utf-8"))
    # Few messages reach a member; guides' nudges are not in it.
    build_index(
        op,
        "outbox_of_member",
        "outbox (tenant_id, member_id, claimed_at) WHERE member_id IS NOT NULL",
    )
