"""What years of use leave in a chat_app database: every kind of row that does not fit."""

import json
import uuid
from datetime import datetime, timedelta, timezone

from sqlalchemy import JSON, Date, DateTime, Integer, Interval, LargeBinary, Numeric, Text, Uuid

from common import Rows, at, loosened, stable_uuid

# Bytes that are no UTF-8, and bytes that are.
BROKEN = b"caf\xe9 \xff\xfe"
WHOLE = "café ☕".encode()

NAMES = [
    # (username, e-mail, what is odd, whether it has to be reported)
    ("Ada", "ada@example.org", None, False),
    (" ada ", "ada2@example.org", "a name that is taken after trimming", True),
    ("ＡＤＡ", "ada3@example.org", "a name that is taken in full width letters", True),
    ("STRASSE", "Strasse@example.org", None, False),
    ("straße", "straße@example.org", "a name and an address that are taken after case folding", True),
    ("", "empty@example.org", "an empty name", True),
    ("   ", "blank@example.org", "a blank name", True),
    ("x" * 65, "long@example.org", "a name that is too long", True),
    ("tab\tname", "tab@example.org", "a control character in a name", True),
    ("zero\u200bwidth", "zero@example.org", "an invisible character in a name", False),
    ("nomail", None, "no address", False),
    ("emptymail", "", "an empty address", True),
    ("badmail", "nowhere", "an address that is none", True),
    ("longmail", "m" * 300 + "@example.org", "an address that is too long", True),
    ("twice", "ADA@EXAMPLE.ORG", "an address that is taken after case folding", True),
    (None, "noname@example.org", "no name", False),
    (None, None, "neither name nor address", True),
    ("ab", "ab@example.org", None, False),
    ("李娜", "li@example.org", None, False),
    ("نامه\u200cای", "zwnj@example.org", None, False),
    ("login@example.org", None, None, False),
    ("other@example.org", "not-other@example.org", "a name with an @ that is no address of its user", True),
    ("emoji 🎉 名", "emoji@example.org", None, False),
    ("anonymous", "anonymous@example.org", "the name of the built-in user", False),
]


class ChatApp(Rows):
    """Rows with the usual values, unless the caller knows better."""

    def __init__(self, connection, manifest):
        super().__init__(connection)
        self.manifest = manifest
        self.last = {"users": 0, "conversations": 0, "messages": 0, "responses": 0}

    def row(self, table, usual, given):
        self.last[table] += 1
        values = {"id": self.last[table], **usual, **given}
        self.add(table, **values)
        return values["id"]

    def user(self, **values):
        number = self.last["users"] + 1
        usual = {
            "username": f"user{number}",
            "email": f"user{number}@example.org",
            "hashed_password": "$2b$10$Vw4sP87QcvT0o6zyrq.BCuCyglQ.qCjCJAiqusnGR5MhO1K.wS.h6",
            "is_active": self.flag(True),
            "created_at": self.time(number),
            "updated_at": self.time(number),
        }
        return self.row("users", usual, values)

    def conversation(self, **values):
        number = self.last["conversations"] + 1
        usual = {
            "uuid": stable_uuid("odd conversation", number),
            "title": f"Conversation {number}",
            "default_model": "small-1",
            "user_id": 1,
            "created_at": self.time(100 + number),
            "updated_at": self.time(100 + number),
        }
        return self.row("conversations", usual, values)

    def message(self, conversation, **values):
        number = self.last["messages"] + 1
        usual = {
            "uuid": stable_uuid("odd message", number),
            "conversation_id": conversation,
            "role": "user",
            "content": f"message {number}",
            "created_at": self.time(1000 + number),
        }
        return self.row("messages", usual, values)

    def answer(self, conversation, **values):
        return self.message(conversation, role="assistant", **values)

    def response(self, message, **values):
        number = self.last["responses"] + 1
        usual = {
            "message_id": message,
            "model_used": "small-1",
            "tokens_prompt": 1,
            "tokens_completion": 2,
            "tokens_total": 3,
            "completion_time_ms": 4,
            "created_at": self.time(1000 + number),
        }
        return self.row("responses", usual, values)

    def odd(self, table, key, what, must=True):
        self.manifest.odd(table, key, what, must)


def names(app):
    for username, email, what, must in NAMES:
        key = app.user(username=username, email=email)
        # Each user has a conversation, which has to arrive with them.
        app.message(app.conversation(user_id=key))
        if what:
            app.odd("users", key, what, must)
    app.odd("users", app.user(full_name="N" * 5000), "a full name that is too long")
    app.odd("users", app.user(hashed_password=""), "an empty password", must=False)
    app.odd("users", app.user(hashed_password="letmein"), "a password that is not hashed", must=False)
    app.odd("users", app.user(hashed_password=None), "no password", must=False)
    app.odd("users", app.user(is_active=None), "neither active nor not", must=False)


def lost_parents(app):
    app.odd("conversations", app.conversation(user_id=4711), "a user who is gone")
    key = app.message(4711)
    app.odd("messages", key, "a conversation that is gone")
    app.odd("responses", app.response(key), "the response of a message without a conversation")
    app.odd("messages", app.message(None), "no conversation")
    app.odd("responses", app.response(4711), "a message that is gone")
    app.odd("responses", app.response(None), "no message")


def identifiers(app):
    for spelling in (str.upper, lambda it: it.replace("-", ""), "{{{}}}".format, "urn:uuid:{}".format):
        # Read as what they are, so nothing is odd about them.
        conversation = app.conversation(uuid=spelling(stable_uuid("conversation", spelling("x"))))
        app.message(conversation, uuid=spelling(stable_uuid("message", spelling("x"))))
    for text in ("chat-1", "", None, "not a uuid " * 30, "tab\tchat"):
        conversation = app.conversation(uuid=text)
        app.odd("conversations", conversation, f"a uuid that is none: {text!r}")
        app.odd("messages", app.message(conversation, uuid=text), f"a uuid that is none: {text!r}")
    twice = stable_uuid("twice")
    app.conversation(uuid=twice)
    second = app.conversation(uuid=twice, user_id=2)
    app.odd("conversations", second, "a uuid that another conversation of somebody else has", must=False)
    third = app.conversation(uuid=twice.upper())
    app.odd("conversations", third, "a uuid that another conversation has")
    app.message(third, uuid=twice)
    app.odd("messages", app.message(third, uuid=twice), "a uuid that another message has")
    nil = app.conversation(uuid=str(uuid.UUID(int=0)))
    app.odd("conversations", nil, "a uuid of zeros", must=False)


def texts(app):
    key = app.conversation(title="T" * 2000)
    app.odd("conversations", key, "a title of 2,000 characters")
    app.odd("conversations", app.conversation(default_model="m" * 300), "a model that is too long")
    app.odd("conversations", app.conversation(default_model=""), "an empty model")
    app.odd("conversations", app.conversation(default_model=None), "no model", must=False)
    app.message(key, content="")
    app.message(key, content="ß" * 1_000_000)
    app.message(key, content="\u202e\ufffe line\r\n\x01 \U0010ffff")
    app.odd("messages", app.message(key, content=None), "no content")
    app.odd("messages", app.message(key, model="m" * 300), "a model that is too long")
    app.odd("messages", app.message(key, model=""), "an empty model")
    for role in ("User", "bot", "AI", "human", "function", "moderator", "", None):
        app.odd("messages", app.message(key, role=role), f"the role {role!r}")
    app.message(key, role="system")
    app.message(key, role="tool")
    app.odd("messages", app.message(key, role="x" * 500), "a role that is too long")


def responses(app):
    conversation = app.conversation()
    first = app.answer(conversation)
    app.response(first)
    app.odd("responses", app.response(first, model_used="second"), "the second response of a message")
    question = app.message(conversation)
    app.odd("responses", app.response(question), "the response of a user's message")
    for what, values in {
        "negative tokens": {"tokens_prompt": -1, "tokens_total": 1},
        "a negative time": {"completion_time_ms": -5},
        "no model": {"model_used": None},
        "an empty model": {"model_used": ""},
        "a model that is too long": {"model_used": "m" * 300},
    }.items():
        app.odd("responses", app.response(app.answer(conversation), **values), what)
    for what, values in {
        "a total that is not the sum": {"tokens_total": 99},
        "more tokens than there are": {"tokens_prompt": 2**31 - 1, "tokens_total": None},
    }.items():
        app.odd("responses", app.response(app.answer(conversation), **values), what, must=False)
    app.response(app.answer(conversation), tokens_prompt=None, tokens_completion=None, tokens_total=None)


def unknown_columns(app):
    values = {
        "note": "kept as it is",
        "score": 7,
        "extra": '{"deep": [1, {"a": null}]}',
        "raw": b"\x00\xff\x10",
    }
    if not app.is_sqlite:
        values |= {
            "price": "12.3400",
            "reference": str(uuid.UUID(int=7)),
            "since": "2023-05-06",
            "lasted": "1 day 02:03:04",
            "seen": "2024-01-02 10:00:00+02",
        }
    app.user(response="of users", **values)
    conversation = app.conversation(response="of conversations", **values)
    message = app.answer(conversation, response="of messages", **values)
    app.odd("messages", message, "an unknown column called response")
    app.response(message, response="of responses", **values)
    for table, key in app.last.items():
        app.manifest.keeps(table, key, "note", "kept as it is")
        app.manifest.keeps(table, key, "score", 7)
        app.manifest.keeps(table, key, "response", f"of {table}")
    large = json.dumps({"text": "w" * 100_000})
    app.odd("messages", app.message(conversation, extra=large), "a column of 100 KB", must=False)


def times_of_sqlite(app):
    """Each in a conversation of its own, and in a message between two others."""
    for text, must in (
        ("2024-01-02T10:00:00Z", False),
        ("2024-01-02T10:00:00.123456+02:00", False),
        ("2024-01-02 10:00", False),
        ("2024-01-02", False),
        (1704189600, False),
        (1704189600123, False),
        ("1704189600", False),
        ("02.01.2024 10:00", True),
        ("yesterday", True),
        ("2024-13-45 99:00:00", True),
        ("", True),
        (None, True),
        (-1, False),
        (2**62, True),
        (1e300, True),
        ("9999-12-31 23:59:59.999999", False),
        ("0000-00-00 00:00:00", True),
        (BROKEN, True),
    ):
        conversation = app.conversation(created_at=text, updated_at=text)
        what = f"the time {text!r}"
        app.odd("conversations", conversation, what, must)
        app.message(conversation)
        key = app.answer(conversation, created_at=text)
        app.odd("messages", key, what, must)
        app.odd("responses", app.response(key, created_at=text), what, must)
        app.odd("users", app.user(created_at=text, updated_at=text), what, must)


def times_of_postgres(app):
    east = timezone(timedelta(hours=2))
    # 'infinity' is a time of PostgreSQL that is none of ours.
    for value, must in (
        (datetime(2024, 1, 2, 10, tzinfo=east), False),
        (None, True),
        ("infinity", True),
        ("-infinity", True),
        ("0044-03-15 10:00:00 BC", False),
        ("9999-12-31 23:59:59.999999", False),
        ("20000-01-01 00:00:00", False),
    ):
        conversation = app.conversation(created_at=value, updated_at=value)
        what = f"the time {value}"
        app.odd("conversations", conversation, what, must)
        app.message(conversation)
        key = app.answer(conversation, created_at=value)
        app.odd("messages", key, what, must)
        app.odd("responses", app.response(key, created_at=value), what, must)
        app.odd("users", app.user(created_at=value, updated_at=value), what, must)


def bytes_of_sqlite(app):
    for value, what in (
        (BROKEN, "bytes that are no UTF-8"),
        (WHOLE, "bytes that are UTF-8"),
        ("a\x00b", "a NUL character"),
    ):
        app.odd("users", app.user(username=value), f"{what} in a name")
        app.odd("users", app.user(full_name=value), f"{what} in a full name")
        key = app.conversation(title=value)
        app.odd("conversations", key, f"{what} in a title")
        app.odd("messages", app.message(key, content=value), f"{what} in a message")
        app.odd("messages", app.message(key, model=value), f"{what} in a model")
        app.odd("responses", app.response(app.answer(key), model_used=value), f"{what} in a model")
        app.odd("messages", app.message(key, note=value), f"{what} in an unknown column", must=False)
    # Of other types than the columns say, which SQLite allows.
    app.odd("users", app.user(username=4711), "a number as a name", must=False)
    app.odd("messages", app.message(1, content=3.5), "a number as content", must=False)
    app.odd("users", app.user(is_active="yes"), "a word as a flag", must=False)
    app.odd("users", app.user(is_active=2), "a number as a flag", must=False)
    app.odd("responses", app.response(app.answer(1), tokens_total="many"), "a word as tokens")
    app.odd("responses", app.response(app.answer(1), tokens_total=3.5), "half a token")
    app.odd("conversations", app.conversation(user_id="1"), "a number as text", must=False)
    app.odd("conversations", app.conversation(user_id="ada"), "a name in place of a number")


EXTRA = [("note", Text), ("response", Text), ("score", Integer), ("extra", JSON), ("raw", LargeBinary)]
EXTRA_OF_POSTGRES = [
    ("price", Numeric(12, 4)),
    ("reference", Uuid),
    ("since", Date),
    ("lasted", Interval),
    ("seen", DateTime(timezone=True)),
]


def fill_oddities(engine, metadata, manifest):
    """Makes the tables without what would refuse such rows, and fills them; returns the tables."""
    is_sqlite = engine.dialect.name == "sqlite"
    zoned = {"messages.created_at": DateTime(timezone=True), "users.created_at": DateTime(timezone=True)}
    extra = EXTRA if is_sqlite else EXTRA + EXTRA_OF_POSTGRES
    loose = loosened(metadata, extra, zoned)
    loose.create_all(engine)
    with engine.begin() as connection:
        app = ChatApp(connection, manifest)
        for fill in (names, lost_parents, identifiers, texts, responses, unknown_columns):
            fill(app)
        if is_sqlite:
            times_of_sqlite(app)
            bytes_of_sqlite(app)
        else:
            times_of_postgres(app)
    return dict(loose.tables)
