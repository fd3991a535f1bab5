"""Guides are hired, transferred and leave, stores close: from which day.

Revision ID: 0004
Revises: 0003
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0004.sql").read_text(encoding="utf-8"))
