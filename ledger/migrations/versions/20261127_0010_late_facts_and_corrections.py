"""Late facts and corrections of check-ins.

Revision ID: 0010
Revises: 0009
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = files("ledger.migrations").joinpath("0010.sql").read_text(encoding="utf-8")
    run_script(op.get_bind(), script, unhurried=True)
