"""Databases of chatcore (SQLModel), Coach Bot and Chatter (SQLAlchemy), as their descriptions have them."""

import uuid
from datetime import datetime, timezone

import common
from common import Manifest, at, stable_uuid
from sqlalchemy import JSON, Column, ForeignKey, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlmodel import Field, SQLModel


class ChatcoreUser(SQLModel, table=True):
    __tablename__ = "users"
    id: int | None = Field(default=None, primary_key=True)
    username: str = Field(unique=True, index=True)
    password_hash: str
    created_at: datetime


class ChatcoreConversation(SQLModel, table=True):
    __tablename__ = "conversations"
    id: int | None = Field(default=None, primary_key=True)
    conversation_id: str = Field(unique=True, index=True)
    user_id: int = Field(foreign_key="users.id", ondelete="CASCADE")
    title: str | None = None
    message_count: int = 0
    created_at: datetime
    updated_at: datetime


class ChatcoreMessage(SQLModel, table=True):
    __tablename__ = "messages"
    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    conversation_id: int = Field(foreign_key="conversations.id", ondelete="CASCADE")
    role: str
    content: str
    used_documents: list | None = Field(default=None, sa_column=Column(JSON))
    token_count: int | None = None
    created_at: datetime


class ChatcoreDocument(SQLModel, table=True):
    __tablename__ = "documents"
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id", ondelete="CASCADE")
    title: str
    content: dict = Field(sa_column=Column(JSON))
    created_at: datetime


class ChatcoreSession(SQLModel, table=True):
    __tablename__ = "sessions"
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id", ondelete="CASCADE")
    access_jti: str


class CoachBase(DeclarativeBase):
    pass


class CoachUser(CoachBase):
    __tablename__ = "users"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    created_at: Mapped[datetime]


class CoachChat(CoachBase):
    __tablename__ = "chats"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str | None]
    created_at: Mapped[datetime]


class CoachMessage(CoachBase):
    __tablename__ = "messages"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    chat_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("chats.id"))
    role: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[datetime]


class CoachLog(CoachBase):
    __tablename__ = "logs"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message: Mapped[str]


class ChatterBase(DeclarativeBase):
    pass


conversation_members = Table(
    "conversation_members",
    ChatterBase.metadata,
    Column("conversation_id", ForeignKey("conversations.id"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True),
)


class ChatterUser(ChatterBase):
    __tablename__ = "users"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    hashed_password: Mapped[str]
    created_at: Mapped[datetime]


class ChatterConversation(ChatterBase):
    __tablename__ = "conversations"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    members: Mapped[list[ChatterUser]] = relationship(secondary=conversation_members)


class ChatterMessage(ChatterBase):
    __tablename__ = "messages"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("conversations.id"))
    sender_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    content: Mapped[str]
    created_at: Mapped[datetime]


HASH = "$pbkdf2-sha256$100000$AAECAwQFBgcICQoLDA0ODw$x1bJKAb6bPjnrOs.XGZ7kFxhJ0F8AVA.ewiEljExgs8"


def utc(minutes, microseconds=0):
    """chatcore's times have a zone."""
    return at(minutes, microseconds).replace(tzinfo=timezone.utc)


def fill_chatcore(session):
    session.add_all([ChatcoreUser(id=1, username="ada", password_hash=HASH, created_at=utc(0)),
                     ChatcoreUser(id=2, username="grace", password_hash=HASH, created_at=utc(1))])
    session.flush()
    for number in range(1, 4):
        session.add(ChatcoreConversation(id=number, conversation_id=f"short{number}", user_id=1 + number % 2, title=f"Talk {number}",
                                         message_count=2, created_at=utc(10 * number), updated_at=utc(10 * number + 2)))
    session.flush()
    for number in range(6):
        asked = number % 2 == 0
        session.add(ChatcoreMessage(message_id=f"m{number}", conversation_id=1 + number // 2, role="user" if asked else "assistant",
                                    content=f"line {number}", used_documents=None if asked else ["guide", {"page": number}],
                                    token_count=number, created_at=utc(10 * (1 + number // 2), number)))
    session.add(ChatcoreDocument(user_id=1, title="Guide", content={"places": ["Málaga"]}, created_at=utc(5)))
    session.add_all([ChatcoreSession(user_id=1, access_jti="a"), ChatcoreSession(user_id=2, access_jti="b")])


def fill_coach_bot(session):
    user, chat = uuid.UUID(stable_uuid("user")), uuid.UUID(stable_uuid("chat"))
    session.add(CoachUser(id=user, email="ada@example.org", created_at=at(0)))
    session.flush()
    session.add(CoachChat(id=chat, user_id=user, title="Running", created_at=at(1)))
    session.flush()
    for number in range(4):
        session.add(CoachMessage(id=uuid.UUID(stable_uuid("message", number)), chat_id=chat, content=f"step {number}",
                                 role="assistant" if number % 2 else "user", created_at=at(2, number)))
    session.add(CoachLog(id=uuid.UUID(stable_uuid("log")), message="started"))


def fill_chatter(session):
    names = ["ada", "grace", "joan"]
    people = [
        ChatterUser(id=uuid.UUID(stable_uuid(name)), username=name, hashed_password=HASH, created_at=at(number))
        for number, name in enumerate(names)
    ]
    session.add_all(people)
    session.flush()
    shared = ChatterConversation(
        id=uuid.UUID(stable_uuid("shared")), name="Lunch", creator_id=people[0].id, created_at=at(5), members=people[:2]
    )
    session.add(shared)
    session.flush()
    for number in range(4):
        session.add(ChatterMessage(id=uuid.UUID(stable_uuid("said", number)), conversation_id=shared.id,
                                   sender_id=people[number % 2].id, content=f"said {number}", created_at=at(6, number)))


def more_of_chatcore(number):
    return ChatcoreMessage(message_id=f"more{number}", conversation_id=1, role="user", content=f"more {number}",
                           created_at=utc(60 + number // 60, number))


def more_of_coach_bot(number):
    return CoachMessage(id=uuid.UUID(stable_uuid("more", number)), chat_id=uuid.UUID(stable_uuid("chat")), role="user",
                        content=f"more {number}", created_at=at(60 + number // 60, number))


def more_of_chatter(number):
    return ChatterMessage(id=uuid.UUID(stable_uuid("more", number)), conversation_id=uuid.UUID(stable_uuid("shared")),
                          sender_id=uuid.UUID(stable_uuid("ada")), content=f"more {number}",
                          created_at=at(60 + number // 60, number))


VARIANTS = {
    "chatcore": (SQLModel.metadata, fill_chatcore, more_of_chatcore),
    "coach-bot": (CoachBase.metadata, fill_coach_bot, more_of_coach_bot),
    "chatter": (ChatterBase.metadata, fill_chatter, more_of_chatter),
}
# With a long conversation: an import that takes a while.
MANY, COUNT = "-many", 5_000


def make(engine, variant, dialogs):
    metadata, fill, more = VARIANTS[variant.removesuffix(MANY)]
    metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
        if variant.endswith(MANY):
            session.flush()
            session.add_all(more(number) for number in range(COUNT))
        session.commit()
    with engine.connect() as connection:
        Manifest().print(connection, metadata.tables)


if __name__ == "__main__":
    common.main(make)
