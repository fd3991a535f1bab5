"""Calendars of brand, region, store and guide.

Revision ID: 0017
Revises: 0015
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0017.sql").read_text(encoding="utf-8"))
