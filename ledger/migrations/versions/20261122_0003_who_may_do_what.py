"""Accounts, grants, credentials, devices; row-level security for the API.

Revision ID: 0003
Revises: 0002
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0003.sql").read_text(encoding="utf-8"))
