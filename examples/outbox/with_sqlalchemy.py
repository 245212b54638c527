import os

from sqlalchemy import JSON, Column, Integer, Text, create_engine
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    total = Column(Text)


class Event(Base):
    """A row for hookctl; what is left out gets the table's own default."""

    __tablename__ = "hookctl_outbox"
    id = Column(Integer, primary_key=True)
    event_type = Column(Text, nullable=False)
    data = Column(JSON)
    entity = Column(Text)


engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///app.db"))
with Session(engine) as session, session.begin():  # one transaction
    session.add(Order(id=7, total="12.50"))
    session.add(Event(event_type="order.created", data={"id": 7, "total": "12.50"}, entity="order:7"))
