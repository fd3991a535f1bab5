"""Recall and canary of plans, zone days, endpoints, the stop of all messages.

Revision ID: 0002
Revises: 0001
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0002.sql").read_text(encoding="utf-8"))
