"""Prints as JSON what Alembic finds in a database when it compares it with the models: `compare.py URL`.

    {"models": [tables that there are models of], "differences": ["add_column users.full_name", ...]}

A difference is named after the operation by which Alembic would bring the database to the models.
"""

import json
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.types import TypeEngine

from models import metadata

OPTIONS = {
    "compare_type": True,
    "compare_server_default": True,
    # Of checks the names are compared, and that only when asked for.
    "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
}


def engine_of(url):
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))


def one_by_one(differences):
    """Alembic puts what it changes in one column into a list of its own."""
    for difference in differences:
        yield from difference if isinstance(difference, list) else [difference]


def spelled(value, dialect):
    return value.compile(dialect=dialect) if isinstance(value, TypeEngine) else str(value)


def named(difference, dialect):
    what, *rest = difference
    if what.startswith("modify_"):
        _, table, column, _, found, wanted = rest
        return f"{what} {table}.{column} from {spelled(found, dialect)} to {spelled(wanted, dialect)}"
    if what.endswith("_column"):
        _, table, column = rest
        return f"{what} {table}.{column.name}"
    (part,) = rest
    if what.endswith("_table"):
        return f"{what} {part.name}"
    return f"{what} {part.table.name}.{part.name}"


engine = engine_of(sys.argv[1])
with engine.connect() as connection:
    context = MigrationContext.configure(connection, opts=OPTIONS)
    found = [named(difference, engine.dialect) for difference in one_by_one(compare_metadata(context, metadata))]
engine.dispose()
print(json.dumps({"models": sorted(metadata.tables), "differences": found}))
