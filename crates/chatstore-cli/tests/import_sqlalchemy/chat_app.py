"""Databases of chat_app: users, conversations with a default model, messages and what their answers cost."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import common
from chat_app_oddities import fill_oddities
from common import Manifest, at, stable_uuid


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True, index=True)
    username: Mapped[str] = mapped_column(String(50), unique=True, index=True)
    email: Mapped[str] = mapped_column(String(100), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=datetime.utcnow, onupdate=datetime.utcnow)

    conversations: Mapped[list["Conversation"]] = relationship(back_populates="user")


class Conversation(Base):
    __tablename__ = "conversations"

    id: Mapped[int] = mapped_column(primary_key=True, index=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, index=True)
    title: Mapped[str | None] = mapped_column(String(255))
    default_model: Mapped[str] = mapped_column(String(100))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=datetime.utcnow, onupdate=datetime.utcnow)

    user: Mapped[User | None] = relationship(back_populates="conversations")
    messages: Mapped[list["Message"]] = relationship(
        back_populates="conversation", order_by="Message.created_at", cascade="all, delete-orphan"
    )


class Message(Base):
    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True, index=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, index=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    role: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)

    conversation: Mapped[Conversation] = relationship(back_populates="messages")
    response: Mapped["Response | None"] = relationship(back_populates="message", cascade="all, delete-orphan")


class Response(Base):
    __tablename__ = "responses"

    id: Mapped[int] = mapped_column(primary_key=True, index=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"), unique=True)
    model_used: Mapped[str] = mapped_column(String(100))
    tokens_prompt: Mapped[int | None]
    tokens_completion: Mapped[int | None]
    tokens_total: Mapped[int | None]
    completion_time_ms: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)

    message: Mapped[Message] = relationship(back_populates="response")


TABLES = {model.__tablename__: model.__table__ for model in (User, Conversation, Message, Response)}

# "correct horse battery staple" as the usual libraries hash it.
HASHES = {
    "bcrypt": "$2b$10$Vw4sP87QcvT0o6zyrq.BCuCyglQ.qCjCJAiqusnGR5MhO1K.wS.h6",
    "passlib": "$pbkdf2-sha256$29000$/R9DqFWqFaLU.n8vZazVWg$7NBO7okHkHtNdWGIqitC.i0IkqtZRzacraoKVIsLhc8",
    "werkzeug": "pbkdf2:sha256:10000$q3VgM7oLIFGjiTYc$"
    "73c357ed37d143e1bd2f0ba911b245b46777f2dbb6bbf7c90157f55f434b277a",
    "django": "pbkdf2_sha256$10000$saltsalt$/1hX7qtsmfhAfhVKsr7Yp6+bgA0sGnvSupD0+qDPQmk=",
    "argon2": "$argon2id$v=19$m=65536,t=3,p=4$szhg3LlsfIHh3DEjV+Trug$"
    "JDJtyGpMF1K2eHwfUPNgzR6mfXKTq0uHhbQRZtj9QN4",
}


def user(name, full_name, library, minute, **more):
    return User(
        username=name,
        email=f"{name}@example.org",
        full_name=full_name,
        hashed_password=HASHES[library],
        created_at=at(minute),
        updated_at=at(minute + 1),
        **more,
    )


def conversation(name, owner, title, model, minute, *messages):
    return Conversation(
        uuid=stable_uuid("conversation", name),
        user=owner,
        title=title,
        default_model=model,
        created_at=at(minute),
        updated_at=at(minute + len(messages)),
        messages=list(messages),
    )


def message(name, role, content, time, model=None, response=None):
    return Message(
        uuid=stable_uuid("message", name),
        role=role,
        content=content,
        model=model,
        created_at=time,
        response=response,
    )


def response(model, prompt, completion, milliseconds, time):
    known = prompt is not None and completion is not None
    return Response(
        model_used=model,
        tokens_prompt=prompt,
        tokens_completion=completion,
        tokens_total=prompt + completion if known else None,
        completion_time_ms=milliseconds,
        created_at=time,
    )


def fill_plain(engine):
    """Five users, six conversations of which one is empty and one without an owner, 15 messages and six responses."""
    ada = user("ada", "Ada Lovelace", "bcrypt", 0)
    ben = user("ben", None, "passlib", 1)
    chen = user("chen", "陈伟", "werkzeug", 2)
    dora = user("dora", "Dora", "django", 3, is_active=False)
    emil = user("emil", "Émile", "argon2", 4)
    relativity = conversation(
        "relativity",
        ada,
        "Relativity",
        "openai/gpt-3.5-turbo",
        10,
        message("r1", "user", "Explain relativity", at(10)),
        message(
            "r2",
            "assistant",
            "Einstein's theory …",
            at(11),
            response=response("openai/gpt-3.5-turbo", 20, 150, 2500, at(11, 5)),
        ),
        message("r3", "user", "Explain quantum physics", at(12), model="openai/gpt-4"),
        message(
            "r4",
            "assistant",
            "Quanta …",
            at(13),
            response=response("openai/gpt-4", 200, 100, 3200, at(13, 7)),
        ),
        message("r5", "user", "Thanks", at(14)),
        message(
            "r6",
            "assistant",
            "Welcome",
            at(15),
            response=response("openai/gpt-4", 300, None, None, at(15, 9)),
        ),
    )
    empty = conversation("empty", ada, None, "openai/gpt-4", 20)
    # Made in one go, so the ids say which came first.
    ties = conversation(
        "ties", ben, "Ties", "small-1", 30, *[message(f"t{n}", "user", f"tie {n}", at(30)) for n in range(3)]
    )
    # What was written last belongs first.
    late = conversation(
        "late",
        ben,
        "Late",
        "small-1",
        40,
        message("l2", "assistant", "second", at(42), response=response("small-1", 7, 10, 70, at(42))),
        message("l1", "user", "first", at(41)),
    )
    chinese = conversation(
        "chinese",
        chen,
        "音乐",
        "通义/qwen-max",
        24 * 60,
        message("c1", "user", "知道《开始懂了》这首歌吗？", at(24 * 60)),
        message(
            "c2",
            "assistant",
            "知道,是收录在《我要的幸福》专辑里的一首歌。🎵",
            at(24 * 60 + 1),
            response=response("通义/qwen-max", 5, 10, 50, at(24 * 60 + 1)),
        ),
    )
    nobodys = conversation(
        "nobodys",
        None,
        "A visitor",
        "small-1",
        50,
        message("n1", "user", "hello", at(50)),
        message("n2", "assistant", "hi", at(51), response=response("small-1", 1, 2, 3, at(51))),
    )
    with Session(engine) as session:
        for row in (ada, ben, chen, dora, emil):
            session.add(row)
            session.flush()
        for row in (relativity, empty, ties, late, chinese, nobodys):
            session.add(row)
            session.flush()
        session.commit()


def fill_more(engine):
    """The application goes on: a new user, a new conversation, and two messages and a response in an old one."""
    with Session(engine) as session:
        fay = user("fay", "Fay", "bcrypt", 3000)
        first = message("f1", "user", "I am new here", at(3001))
        session.add(conversation("new", fay, "New", "small-1", 3001, first))
        old = session.query(Conversation).filter_by(uuid=stable_uuid("conversation", "relativity")).one()
        old.messages.append(message("r7", "user", "One more thing", at(3002)))
        answer = response("openai/gpt-4", 11, 12, 13, at(3003))
        old.messages.append(message("r8", "assistant", "Yes?", at(3003), response=answer))
        session.commit()


def fill_regenerated(engine):
    """The application goes on: an answer was not liked and is made anew."""
    with Session(engine) as session:
        old = session.query(Conversation).filter_by(uuid=stable_uuid("conversation", "relativity")).one()
        old.messages.remove(old.messages[-1])
        answer = response("openai/gpt-4", 300, 7, 800, at(16))
        old.messages.append(message("r6 again", "assistant", "You are welcome", at(16), response=answer))
        session.commit()


def fill_claimed(engine):
    """The application goes on: the user without an account has signed up and keeps the conversation."""
    with Session(engine) as session:
        emil = session.query(User).filter_by(username="emil").one()
        session.query(Conversation).filter_by(user_id=None).one().user = emil
        session.commit()


def fill_dialogs(engine, dialogs):
    models = ["openai/gpt-3.5-turbo", "openai/gpt-4", "anthropic/claude-3-opus"]
    with Session(engine) as session:
        users = [user(f"user{number:02}", f"User {number}", "bcrypt", number) for number in range(40)]
        session.add_all(users)
        session.flush()
        for number, dialog in enumerate(dialogs):
            minute = 1000 + number * 97
            messages = []
            for position, turn in enumerate(dialog["turns"]):
                time = at(minute, position * 1_500_000)
                answer = None
                if turn["role"] == "assistant":
                    size = len(turn["content"])
                    answer = response(models[(number + position) % 3], size * 2, size, 100 + size, time)
                override = models[2] if position % 6 == 4 else None
                name = f"{dialog['id']}/{position}"
                messages.append(message(name, turn["role"], turn["content"], time, override, answer))
            owner = users[number * number % 40] if number % 50 else None
            title = dialog["turns"][0]["content"][:60] if number % 3 else None
            session.add(conversation(dialog["id"], owner, title, models[number % 3], minute, *messages))
            # A conversation at a time, so that ids rise with time.
            session.flush()
        endless = [
            message(
                f"endless/{n}",
                "user",
                f"number {n}",
                at(90_000, n * 1000),
                models[1] if n % 100 == 0 else None,
            )
            for n in range(1500)
        ]
        session.add(conversation("endless", users[1], "Endless", models[0], 90_000, *endless))
        session.commit()


RENAMED = {
    "users": ("accounts", {"username": "login", "hashed_password": "pw", "full_name": "display name"}),
    "conversations": ("chats", {"uuid": "public_id", "user_id": "account", "default_model": "llm"}),
    "messages": ("Chat Lines", {"conversation_id": "chat", "content": "text", "created_at": "sent_at"}),
    "responses": ("completions", {"message_id": "line", "tokens_total": "tokens"}),
}


def make(engine, variant, dialogs):
    manifest = Manifest()
    tables = TABLES
    if variant == "oddities":
        tables = fill_oddities(engine, Base.metadata, manifest)
    elif variant == "renamed":
        tables = common.copy_renamed(engine, Base.metadata, fill_plain, RENAMED)
    else:
        Base.metadata.create_all(engine)
        fills = {
            "plain": fill_plain,
            "more": fill_more,
            "regenerated": fill_regenerated,
            "claimed": fill_claimed,
            "dialogs": lambda engine: fill_dialogs(engine, dialogs()),
        }
        fills[variant](engine)
    with engine.connect() as connection:
        manifest.print(connection, tables)


if __name__ == "__main__":
    common.main(make)
