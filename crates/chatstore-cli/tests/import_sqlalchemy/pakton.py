"""Databases of PAKTON: users by e-mail address and conversations by thread id, without any messages."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import common
from common import Manifest, at
from pakton_oddities import fill_oddities


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=datetime.utcnow, onupdate=datetime.utcnow)

    conversations: Mapped[list["Conversation"]] = relationship(
        back_populates="user", cascade="all, delete-orphan"
    )


class Conversation(Base):
    __tablename__ = "conversations"

    thread_id: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    user_email: Mapped[str] = mapped_column(ForeignKey("users.email"), index=True)
    title: Mapped[str | None] = mapped_column(String(500))
    last_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=datetime.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=datetime.utcnow, onupdate=datetime.utcnow)

    user: Mapped[User] = relationship(back_populates="conversations")


TABLES = {model.__tablename__: model.__table__ for model in (User, Conversation)}


def user(email, minute):
    return User(email=email, created_at=at(minute), updated_at=at(minute))


def conversation(thread_id, owner, title, last_message, minute):
    return Conversation(
        thread_id=thread_id,
        user=owner,
        title=title,
        last_message=last_message,
        created_at=at(minute),
        updated_at=at(minute + 5),
    )


def fill_plain(engine):
    """Three users, one without conversations; seven conversations of the first and two of the second."""
    dora, emil, fritz = (
        user("Dora@Example.org", 0),
        user("emil@example.org", 1),
        user("fritz+law@sub.example.org", 2),
    )
    with Session(engine) as session:
        session.add_all([dora, emil, fritz])
        for number in range(1, 8):
            title = f"Contract {number}" if number != 4 else None
            preview = f"Clause {number} …" if number != 5 else None
            session.add(conversation(f"t{number}", dora, title, preview, 10 * number))
        session.add(conversation("2024/07 ä?", emil, "Miete", "Bitte prüfen Sie § 5", 100))
        uuid_of_a_thread = "0f6a3c1e-8d7b-4b7e-9b53-2f1f3c9c7a10"
        session.add(conversation(uuid_of_a_thread, emil, None, None, 110))
        session.commit()


def fill_more(engine):
    """The application goes on: a new user, and a new conversation of each."""
    with Session(engine) as session:
        gerd = user("gerd@example.org", 3000)
        session.add(gerd)
        session.add(conversation("t-gerd", gerd, "New", "hello", 3001))
        dora = session.get(User, "Dora@Example.org")
        session.add(conversation("t8", dora, "Contract 8", "Clause 8 …", 3002))
        session.commit()


def fill_dialogs(engine, dialogs):
    with Session(engine) as session:
        users = [user(f"user{number:02}@example.org", number) for number in range(40)]
        session.add_all(users)
        for number, dialog in enumerate(dialogs):
            turns = [turn["content"] for turn in dialog["turns"]]
            title = turns[0][:60] if number % 3 else None
            owner = users[number * number % 40]
            session.add(conversation(dialog["id"], owner, title, turns[-1], 1000 + number * 97))
        session.commit()


RENAMED = {
    "users": ("people", {"email": "mail", "created_at": "since"}),
    "conversations": ("threads", {"thread_id": "key", "user_email": "owner", "last_message": "preview"}),
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
            "dialogs": lambda engine: fill_dialogs(engine, dialogs()),
        }
        fills[variant](engine)
    with engine.connect() as connection:
        manifest.print(connection, tables)


if __name__ == "__main__":
    common.main(make)
