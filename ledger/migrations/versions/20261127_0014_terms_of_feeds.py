"""Terms of feeds with their history; whom a record's source named; returns of no more than was bought.

Revision ID: 0014
Revises: 0013
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.beside import build_index
from ledger.migrations.script import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0014.sql").read_text(encoding="utf-8"))
    # The last message of a source, and those of a span, however many there are.
    build_index(op, "feed_message_by_time", "feed_message (tenant_id, source, known_at)")
