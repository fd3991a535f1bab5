"""Partitions are made of the ledger's own tables alone.

Revision ID: 0011
Revises: 0010
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0011.sql").read_text(encoding="utf-8"))
