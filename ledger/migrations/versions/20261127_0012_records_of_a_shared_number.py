"""Records of a number that several members share are found by an index.

Revision ID: 0012
Revises: 0011
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = files("ledger.migrations").joinpath("0012.sql").read_text(encoding="utf-8")
    run_script(op.get_bind(), script, unhurried=True)
