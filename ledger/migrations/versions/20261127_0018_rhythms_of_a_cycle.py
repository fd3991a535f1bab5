"""A cycle keeps the rhythms of its categories.

Revision ID: 0018
Revises: 0017
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0018.sql").read_text(encoding="utf-8"))
