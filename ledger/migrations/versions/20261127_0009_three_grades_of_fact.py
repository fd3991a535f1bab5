"""Systems of record, their feeds and watermarks; devices and evidence of check-ins.

Revision ID: 0009
Revises: 0008
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = files("ledger.migrations").joinpath("0009.sql").read_text(encoding="utf-8")
    run_script(op.get_bind(), script, unhurried=True)
