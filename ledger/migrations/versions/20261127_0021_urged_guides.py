"""Guides who were urged.

Revision ID: 0021
Revises: 0020
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0021.sql").read_text(encoding="utf-8"))
