"""What the makers of old databases share.

A maker creates the tables of an application, fills them and prints a manifest:

    {"rows": {table: rows that are really there},
     "oddities": [{"table", "key", "what", "must"}, ...],
     "kept": [{"table", "key", "field", "value"}, ...]}

`must` says that an import has to report the row; without it, it may. `kept` are columns no model knows.
"""

import argparse
import json
import uuid
from datetime import datetime, timedelta

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text
from sqlalchemy import create_engine, func, select

# Everything is counted from here, so that a database comes out alike each time.
BEGIN = datetime(2024, 1, 2, 10, 0, 0, 250000)
_NAMESPACE = uuid.UUID("7c5b7e0e-54a1-4f0c-9a43-0d7c1c5b8c11")


def at(minutes, microseconds=0):
    """A time without a zone, as `datetime.utcnow` gives it."""
    return BEGIN + timedelta(minutes=minutes, microseconds=microseconds)


def stable_uuid(*parts):
    """The same for the same parts, in the usual spelling."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def engine_of(url):
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = "postgresql+psycopg://" + url[len(prefix) :]
    return create_engine(url)


class Manifest:
    """What was put into a database, and what is odd about it."""

    def __init__(self):
        self.oddities = []
        self.kept = []

    def odd(self, table, key, what, must=True):
        named = "null" if key is None else str(key)
        self.oddities.append({"table": table, "key": named, "what": what, "must": must})

    def keeps(self, table, key, field, value):
        self.kept.append({"table": table, "key": str(key), "field": field, "value": value})

    def print(self, connection, tables):
        rows = {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in tables.items()
        }
        print(json.dumps({"rows": rows, "oddities": self.oddities, "kept": self.kept}))


def loosened(metadata, extra_columns=(), times=None):
    """The same tables as people find them years later: nothing is enforced but integer keys.

    `extra_columns` makes the columns that no model knows; `times` replaces the type of a time: {"table.column": type}.
    """
    loose = MetaData()
    for table in metadata.sorted_tables:
        columns = []
        for column in table.columns:
            kind = column.type
            if isinstance(kind, (String, Text)):
                kind = Text()
            if isinstance(kind, DateTime) and times:
                kind = times.get(f"{table.name}.{column.name}", kind)
            is_key = column.primary_key and isinstance(kind, Integer)
            columns.append(Column(column.name, kind, primary_key=is_key, nullable=not is_key))
        # The table's own, because a column belongs to one table.
        columns += [Column(name, kind) for name, kind in extra_columns]
        Table(table.name, loose, *columns)
    return loose


class Rows:
    """Writes values as they are, past all types of SQLAlchemy."""

    def __init__(self, connection):
        self.connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"

    def add(self, table, **values):
        mark = "?" if self.is_sqlite else "%s"
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join([mark] * len(values))
        self.connection.exec_driver_sql(
            f'insert into "{table}" ({names}) values ({marks})', tuple(values.values())
        )

    def time(self, minutes):
        """As SQLAlchemy leaves a time in the database."""
        return str(at(minutes)) if self.is_sqlite else at(minutes)

    def flag(self, value):
        return int(value) if self.is_sqlite else value


def dialogs(file, count):
    """Conversations from all parts of a file, because its languages follow each other; without a file, made up ones."""
    if not file:
        return [invented_dialog(number) for number in range(count)]
    with open(file, encoding="utf-8") as lines:
        everything = [json.loads(line) for line in lines]
    step = max(1, len(everything) // count)
    return everything[::step][:count]


def invented_dialog(number):
    words = ["知道，", "好的。"] if number % 2 else ["I know. ", "Very well, "]
    contents = [words[turn % 2] * (1 + (number * 7 + turn * 3) % 40) for turn in range(4 + number % 17)]
    turns = [
        {"role": "assistant" if turn % 2 else "user", "content": content}
        for turn, content in enumerate(contents)
    ]
    return {"id": f"invented-{number}", "turns": turns}


def copy_renamed(engine, metadata, fill, names):
    """Fills the tables under other names: {"table": ("name", {"column": "name"})}; returns them by their old ones."""
    original = create_engine("sqlite://")
    metadata.create_all(original)
    fill(original)
    renamed = MetaData()
    tables = {}
    for table in metadata.sorted_tables:
        name, columns = names[table.name]
        copies = [
            Column(columns.get(column.name, column.name), column.type, primary_key=column.primary_key)
            for column in table.columns
        ]
        tables[table.name] = Table(name, renamed, *copies)
    renamed.create_all(engine)
    with original.connect() as source, engine.begin() as target:
        for table in metadata.sorted_tables:
            columns = names[table.name][1]
            for row in source.execute(select(table)).mappings():
                values = {columns.get(name, name): value for name, value in row.items()}
                target.execute(tables[table.name].insert().values(**values))
    return tables


def main(make):
    """Reads the command line and calls `make(engine, variant, dialogs)`; the last is a function that gives the dialogs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="where the database is, as SQLAlchemy writes it")
    parser.add_argument(
        "variant", help="what to put there, or for an application that goes on what to do there"
    )
    parser.add_argument(
        "--dialogs", help="real conversations for the variant dialogs, one JSON object a line"
    )
    parser.add_argument("--conversations", type=int, default=300, help="how many, for the variant dialogs")
    arguments = parser.parse_args()
    make(
        engine_of(arguments.url),
        arguments.variant,
        lambda: dialogs(arguments.dialogs, arguments.conversations),
    )
