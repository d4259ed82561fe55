"""Prints what a query gives as JSON: `look.py URL SQL`. Databases that store the same differently look alike.

A uuid is text in its usual spelling and a time the microseconds since 1970, also where it is text as SQLAlchemy
writes it. Other bytes are hexadecimal digits.
"""

import json
import re
import sqlite3
import sys
import uuid
from datetime import datetime, timedelta, timezone

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def plain(value):
    if isinstance(value, str) and TIME.fullmatch(value):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return (zoned - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, uuid.UUID) else value


def rows(url, sql):
    """With the drivers alone: SQLAlchemy takes longer to begin than to answer."""
    if url.startswith("sqlite:///"):
        return sqlite3.connect(url.removeprefix("sqlite:///")).execute(sql).fetchall()
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        return connection.execute(sql).fetchall()


print(json.dumps([[plain(value) for value in row] for row in rows(sys.argv[1], sys.argv[2])]))
