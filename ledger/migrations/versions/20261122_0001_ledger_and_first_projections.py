"""The ledger, its guards, master data, purchase facts and the first projections.

Revision ID: 0001
Revises: none
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0001.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP SCHEMA daogou CASCADE")
