"""What older versions left out of projections, and an index of the items a guide held.

Revision ID: 0006
Revises: 0005
"""

from importlib.resources import files

from alembic import op

from ledger.migrations.script import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = files("ledger.migrations").joinpath("0006.sql").read_text(encoding="utf-8")
    run_script(op.get_bind(), script, unhurried=True)
