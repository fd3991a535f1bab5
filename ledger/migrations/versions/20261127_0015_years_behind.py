"""Who serves a member is found by an index that the years behind do not slow down.

Revision ID: 0015
Revises: 0012
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0015.sql").read_text(encoding="utf-8"))
