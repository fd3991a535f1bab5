"""Seals: an append-only Merkle tree over the positions.

Revision ID: 0007
Revises: 0011
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0007"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0007.sql").read_text(encoding="utf-8"))
