"""The event tables, and triggers that refuse to change or delete what is recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TABLES = ("event", "event_serial")
REFUSAL = "the ledger only grows: record a correction"


def upgrade() -> None:
    """Make the tables and close them."""
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("chip", sa.Text, nullable=False),
        sa.Column(
            "quantity", sa.Integer, sa.CheckConstraint("quantity > 0", name="some_chips"), nullable=False
        ),
        *(
            sa.Column(f"{end}_{part}", sa.Text)
            for end in ("from", "to")
            for part in ("state", "pool", "site", "counterparty")
        ),
        sa.Column("counterparty", sa.Text, nullable=False),
        sa.Column("price", sa.Text),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("corrects", sa.Text, sa.ForeignKey("event.key"), unique=True),
        sa.Column("recorded_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "event_serial",
        sa.Column("event_id", sa.Integer, sa.ForeignKey("event.id"), primary_key=True),
        sa.Column("serial", sa.Text, primary_key=True),
    )
    if op.get_bind().dialect.name == "postgresql":
        _close_in_postgresql()
    else:
        _close_in_sqlite()


def _close_in_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _close_in_sqlite() -> None:
    for table in TABLES:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
