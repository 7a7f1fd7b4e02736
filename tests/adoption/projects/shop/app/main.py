import hashlib
import hmac
import os
from typing import Annotated
from urllib.parse import parse_qs

import psycopg
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

app = FastAPI(openapi_url="/api/v1/openapi.json")
oauth2 = OAuth2PasswordBearer(tokenUrl="/api/v1/login/access-token")
KEY = os.environ["SECRET_KEY"].encode() or os.urandom(16)


class User(BaseModel):
    email: str
    password: str


class Item(BaseModel):
    title: str
    price: int = 0


def database():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        yield connection


Database = Annotated[psycopg.Connection, Depends(database)]


def sign(text):
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def current_user(token: Annotated[str, Depends(oauth2)]):
    email, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), sign(email).encode()):
        raise HTTPException(401, "Could not validate credentials")
    return email


CurrentUser = Annotated[str, Depends(current_user)]


@app.get("/api/v1/utils/health-check/")
def health_check() -> bool:
    return True


@app.post("/api/v1/users/signup")
def sign_up(user: User, db: Database):
    db.execute("INSERT INTO users VALUES (%s, %s)", (user.email, sign(user.password)))
    return {"email": user.email}


@app.post("/api/v1/login/access-token")
async def log_in(request: Request, db: Database):
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    query = "SELECT email FROM users WHERE email = %s AND password = %s"
    if not db.execute(query, (form.get("username"), sign(form.get("password", "")))).fetchone():
        raise HTTPException(400, "Incorrect email or password")
    return {"access_token": f"{form['username']}.{sign(form['username'])}", "token_type": "bearer"}


@app.get("/api/v1/users/me")
def me(user: CurrentUser):
    return {"email": user}


@app.post("/api/v1/items/")
def add_item(item: Item, user: CurrentUser, db: Database):
    query = "INSERT INTO items (owner, title, price) VALUES (%s, %s, %s) RETURNING id"
    (number,) = db.execute(query, (user, item.title, item.price)).fetchone()
    return {"id": number, **item.model_dump()}


@app.get("/api/v1/items/")
def items(user: CurrentUser, db: Database):
    found = db.execute("SELECT title, price FROM items WHERE owner = %s ORDER BY id", (user,))
    return [{"title": title, "price": price} for title, price in found]
