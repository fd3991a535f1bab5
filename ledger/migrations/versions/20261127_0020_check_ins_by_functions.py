"""Check-ins are read and written by functions that hold the asker once; the door is a function.

Revision ID: 0020
Revises: 0019
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0020.sql").read_text(encoding="utf-8"))
