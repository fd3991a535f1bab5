"""Personal texts under members' keys, consents, erasure.

Revision ID: 0005
Revises: 0004
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), files("ledger.migrations").joinpath("0005.sql").read_text(encoding="utf-8"))
