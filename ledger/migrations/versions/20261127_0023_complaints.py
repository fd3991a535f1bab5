"""Complaints, a case each.

Revision ID: 0023
Revises: 0021
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0023.sql").read_text(encoding="utf-8"))
