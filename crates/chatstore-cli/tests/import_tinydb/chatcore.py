"""Files of chatcore, written by TinyDB itself: users, conversations, messages, sessions and documents.

Prints how many rows each table has, as JSON. What TinyDB does not write by itself is put into the file afterwards.
"""

import argparse
import base64
import hashlib
import json

from tinydb import TinyDB

SALT = bytes(range(16))


def hashed(password):
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 100_000)
    return base64.b64encode(SALT + digest).decode()


def fill_plain(db):
    db.table("sessions").insert_multiple(
        {"user_id": "u-ada", "access_jti": f"jti-{number}", "expires_at": "2024-01-01T00:00:00"}
        for number in range(3)
    )
    # Before the conversations and users that they name.
    db.table("messages").insert_multiple(
        [
            {"message_id": "m-1", "conversation_id": "trip", "role": "user",
             "content": "Where is it warm in March?", "created_at": "2024-03-01T10:00:00.250000+00:00"},
            {"message_id": "m-2", "conversation_id": "trip", "role": "assistant", "content": "In Málaga.",
             "created_at": "2024-03-01T10:00:01+00:00", "token_count": 4, "used_documents": ["guide", {"page": 7}]},
            {"message_id": "m-3", "conversation_id": "trip", "role": "user", "content": "谢谢",
             "created_at": "2024-03-01T11:00:02+01:00"},
        ]
    )
    db.table("conversations").insert_multiple(
        [
            {"conversation_id": "trip", "user_id": "u-ada", "title": "Trip", "message_count": 3,
             "created_at": "2024-03-01T10:00:00+00:00", "updated_at": "2024-03-01T10:00:02+00:00"},
            {"conversation_id": "chess", "user_id": "grace", "title": "Chess",
             "created_at": "2024-03-02T10:00:00+00:00", "colour": "white",
             "messages": [{"role": "user", "content": "e4"}, {"role": "assistant", "content": "e5"}]},
        ]
    )
    db.table("documents").insert(
        {"document_id": "guide", "user_id": "ada@example.org", "title": "Guide",
         "content": {"places": ["Málaga"]}, "created_at": "2024-02-01T10:00:00+00:00"}
    )
    db.table("users").insert_multiple(
        [
            {"user_id": "u-ada", "username": "Ada", "email": "ada@example.org", "password_hash": hashed("correct horse"),
             "created_at": "2024-01-01T10:00:00+00:00"},
            {"user_id": "u-grace", "username": "grace", "created_at": "2024-01-02T10:00:00+00:00"},
        ]
    )


def fill_oddities(db):
    db.table("messages").insert_multiple(
        [
            {"id": 2**70, "conversation_id": 2**65, "role": "human", "content": "one", "timestamp": 1709287200},
            {"id": 2**70 + 1, "conversation_id": 2**65, "role": "ai", "content": "two", "timestamp": 1709287201500},
            {"id": 3, "conversation_id": "absent", "role": "user", "content": "lost"},
            {"id": 4, "conversation_id": 2**65, "role": "user", "content": "four", "timestamp": "someday"},
            {"id": 5, "conversation_id": 2**65, "role": "user", "content": None, "score": float("nan")},
            {"id": 6, "conversation_id": 2**65, "role": "user", "content": "half \ud800 pair"},
            {"id": 6, "conversation_id": 2**65, "role": "user", "content": "half \ud800 pair"},
            {"id": 6, "conversation_id": 2**65, "role": "user", "content": "another six"},
        ]
    )
    db.table("conversations").insert_multiple(
        [
            {"id": 2**65, "user_id": 1, "title": "Huge", "message_count": 99},
            {"id": "again", "user_id": " ADA ", "title": "First", "messages": [{"role": "user", "content": "a"}]},
            {"id": "again", "user_id": "ada", "title": "First", "messages": [{"role": "user", "content": "b"}]},
            {"id": "ownerless", "title": "Of nobody"},
            {"id": "stranger", "user_id": "Zoë", "title": "Of one without a row"},
        ]
    )
    db.table("users").insert_multiple(
        [
            {"username": "ada", "password_hash": hashed("correct horse")},
            {"username": "  ADA ", "email": "ada@example.org"},
            {"username": "bob", "password_hash": hashed("battery staple")},
        ]
    )
    db.table("feedback").insert_multiple([{"stars": 5}, {"stars": 4}])


def fill_many(db):
    db.table("users").insert_multiple({"username": f"user{number:02}", "password_hash": hashed("x")} for number in range(20))
    db.table("conversations").insert_multiple(
        {"conversation_id": f"c{number}", "user_id": f"user{number % 20:02}", "title": f"Talk {number}"}
        for number in range(200)
    )
    db.table("messages").insert_multiple(
        {"message_id": f"m{number}", "conversation_id": f"c{number * 7 % 200}", "role": "user" if number % 2 else "assistant",
         "content": f"line {number}", "created_at": 1_700_000_000 + number}
        for number in range(6000)
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("variant")
    arguments = parser.parse_args()
    fills = {"plain": fill_plain, "oddities": fill_oddities, "many": fill_many}
    with TinyDB(arguments.file) as db:
        fills[arguments.variant](db)
        print(json.dumps({name: len(db.table(name)) for name in db.tables()}))


if __name__ == "__main__":
    main()
