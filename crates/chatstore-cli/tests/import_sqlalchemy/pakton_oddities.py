"""What years of use leave in a PAKTON database: every kind of row that does not fit."""

from datetime import datetime, timedelta, timezone

from sqlalchemy import JSON, DateTime, Integer, LargeBinary, Text

from common import Rows, loosened

# Bytes that are no UTF-8, and bytes that are.
BROKEN = b"caf\xe9 \xff\xfe"
WHOLE = "café ☕".encode()

EMAILS = [
    # (e-mail, what is odd, whether it has to be reported); spellings of one address are one user
    ("ADA@EXAMPLE.ORG", "another row's address in other letters and without blanks", True),
    ("Ada@example.org", "another row's address in other letters", True),
    (" ada@example.org ", "an address with blanks around it, which are removed", False),
    ("ａｄａ@example.org", None, False),
    ("STRASSE@example.org", None, False),
    ("straße@example.org", None, False),
    ("", "an empty address", True),
    ("   ", "a blank address", True),
    ("nowhere", "an address that is none", True),
    ("two@at@example.org", "an address with two @", False),
    ("m" * 300 + "@example.org", "an address that is too long", True),
    ("tab\t@example.org", "a control character in an address", True),
    ("grüße@exämple.org", None, False),
]

THREADS = [
    # (thread id, what is odd, whether it has to be reported)
    ("", "an empty thread id", True),
    ("t" * 256, "a thread id that is too long", True),
    ("t" * 255, None, False),
    ("a/b?c#d", None, False),
    ("ümlaut ß", None, False),
    (" spaces ", None, False),
    ("tab\tid", "a control character in a thread id", True),
    ("line\nid", "a line end in a thread id", True),
    ("..", None, False),
    ("%2F", None, False),
    ("T-1", None, False),
    ("t-1", None, False),
    ("0F6A3C1E-8D7B-4B7E-9B53-2F1F3C9C7A10", None, False),
    ("0f6a3c1e-8d7b-4b7e-9b53-2f1f3c9c7a10", "the uuid of another thread in another spelling", False),
    ("🎉", None, False),
]


class Pakton(Rows):
    """Rows with the usual values, unless the caller knows better."""

    def __init__(self, connection, manifest):
        super().__init__(connection)
        self.manifest = manifest
        self.number = 0

    def times(self, given):
        self.number += 1
        return {"created_at": self.time(self.number), "updated_at": self.time(self.number), **given}

    def user(self, email, **values):
        self.add("users", email=email, **self.times(values))
        return email

    def conversation(self, thread_id, user_email="Ada@example.org", **values):
        usual = {"title": f"About {self.number}", "last_message": "and so on"}
        self.add(
            "conversations", thread_id=thread_id, user_email=user_email, **self.times({**usual, **values})
        )
        return thread_id

    def odd(self, table, key, what, must=True):
        self.manifest.odd(table, key, what, must)


def emails(app):
    for position, (email, what, must) in enumerate(EMAILS):
        app.user(email)
        # Each user has a conversation, which has to arrive with them.
        app.conversation(f"of-{position}", email)
        if what:
            app.odd("users", email, what, must)


def lost_parents(app):
    for thread_id, email in (
        ("lost-1", "gone@example.org"),
        ("lost-2", "gone@example.org"),
        ("lost-3", "GONE@example.org"),
    ):
        key = app.conversation(thread_id, email)
        app.odd("conversations", key, "an address without a user", must=False)
    # One user is made.
    for email in ("gone@example.org", "GONE@example.org"):
        app.odd("users", email, "an address that only conversations have", must=False)
    app.odd("conversations", app.conversation("lost-4", None), "no address")
    app.odd("conversations", app.conversation("lost-5", ""), "an empty address", must=False)
    app.odd("conversations", app.conversation("lost-6", "no address at all"), "an address that is none")


def threads(app):
    for thread_id, what, must in THREADS:
        app.conversation(thread_id)
        if what:
            app.odd("conversations", thread_id, what, must)
    # Nothing forbids it without a primary key.
    app.conversation("twice", title="the first")
    app.odd("conversations", app.conversation("twice", title="the second"), "a thread id twice")
    app.conversation("of-two")
    app.odd(
        "conversations",
        app.conversation("of-two", "STRASSE@example.org"),
        "a thread id of two users",
        must=False,
    )
    app.user("twice@example.org")
    app.odd("users", app.user("twice@example.org"), "an address twice")
    app.conversation("of-twice", "twice@example.org")
    same = {"title": "alike", "created_at": app.time(500), "updated_at": app.time(500)}
    app.conversation("alike", **same)
    app.odd("conversations", app.conversation("alike", **same), "a row twice, alike in everything")


def texts(app):
    app.odd("conversations", app.conversation("long-title", title="T" * 2000), "a title of 2,000 characters")
    app.odd(
        "conversations", app.conversation("long-last", last_message="ü" * 5000), "a preview that is too long"
    )
    app.odd("conversations", app.conversation("huge-last", last_message="ß" * 1_000_000), "a preview of 2 MB")
    app.conversation("empty-texts", title="", last_message="")
    app.conversation("no-texts", title=None, last_message=None)
    values = {
        "note": "kept as it is",
        "score": 7,
        "extra": '{"deep": [1, {"a": null}]}',
        "raw": b"\x00\xff\x10",
    }
    app.user("extra@example.org", **values)
    app.conversation("extra", "extra@example.org", **values)
    for table, key in (("users", "extra@example.org"), ("conversations", "extra")):
        app.manifest.keeps(table, key, "note", "kept as it is")
        app.manifest.keeps(table, key, "score", 7)


def times(app):
    east = datetime(2024, 1, 2, 10, tzinfo=timezone(timedelta(hours=2)))
    # The columns of SQLite are text here; 'infinity' is a time of PostgreSQL that is none of ours.
    of_sqlite = [
        ("2024-01-02T10:00:00Z", False),
        ("2024-01-02T10:00:00+02:00", False),
        ("2024-01-02", False),
        ("1704189600", False),
        ("1704189600123", False),
        ("02.01.2024 10:00", True),
        ("yesterday", True),
        ("", True),
        (None, True),
    ]
    of_postgres = [
        (east, False),
        (None, True),
        ("infinity", True),
        ("-infinity", True),
        ("0044-03-15 BC", False),
    ]
    for position, (value, must) in enumerate(of_sqlite if app.is_sqlite else of_postgres):
        email = app.user(f"time{position}@example.org", created_at=value, updated_at=value)
        key = app.conversation(f"time-{position}", email, created_at=value, updated_at=value)
        app.odd("users", email, f"the time {value}", must)
        app.odd("conversations", key, f"the time {value}", must)


def bytes_of_sqlite(app):
    for name, value, what in (
        ("broken", BROKEN, "bytes that are no UTF-8"),
        ("whole", WHOLE, "bytes that are UTF-8"),
        ("nul", "a\x00b", "a NUL character"),
    ):
        app.odd("conversations", app.conversation(f"{name}-title", title=value), f"{what} in a title")
        app.odd("conversations", app.conversation(f"{name}-last", last_message=value), f"{what} in a preview")
    app.odd("users", app.user("nul\x00@example.org"), "a NUL character in an address")
    app.odd("conversations", app.conversation("nul\x00id"), "a NUL character in a thread id")
    app.conversation(b"bytes-as-id")
    app.odd("conversations", "bytes-as-id", "a thread id as bytes")
    key = app.conversation("nul\x00" + "x" * 300)
    app.odd("conversations", key, "a thread id with a NUL character that is too long")
    app.conversation(b"tab\t\xff")
    app.odd("conversations", "tab\t\ufffd", "a thread id as bytes with a control character")
    app.odd("conversations", app.conversation(4711), "a number as a thread id", must=False)


EXTRA = [("note", Text), ("score", Integer), ("extra", JSON), ("raw", LargeBinary)]


def fill_oddities(engine, metadata, manifest):
    """Makes the tables without what would refuse such rows, and fills them; returns the tables."""
    is_sqlite = engine.dialect.name == "sqlite"
    names = ("users.created_at", "users.updated_at", "conversations.created_at", "conversations.updated_at")
    kind = Text() if is_sqlite else DateTime(timezone=True)
    loose = loosened(metadata, EXTRA, dict.fromkeys(names, kind))
    loose.create_all(engine)
    with engine.begin() as connection:
        app = Pakton(connection, manifest)
        for fill in (emails, lost_parents, threads, texts, times):
            fill(app)
        if is_sqlite:
            bytes_of_sqlite(app)
            app.odd("conversations", app.conversation(None, title="the first of none"), "no thread id")
            app.odd("conversations", app.conversation(None, title="the second of none"), "no thread id")
    return dict(loose.tables)
