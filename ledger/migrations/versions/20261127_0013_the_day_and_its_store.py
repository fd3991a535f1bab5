"""Whether a record holds, which day an instant belongs to, and who may change it, are the same for whoever asks.

Revision ID: 0013
Revises: 0012
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0013.sql").read_text(encoding="utf-8"))
