"""Seals: an append-only Merkle tree over the positions.

Revision ID: 0008
Revises: 0007
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0008.sql").read_text(encoding="utf-8"))
