"""What a guide did stays with the store where she stood; a member is hers while she serves them.

Revision ID: 0007
Revises: 0006
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0007.sql").read_text(encoding="utf-8"))
