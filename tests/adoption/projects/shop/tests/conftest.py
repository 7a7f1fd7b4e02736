import os
from uuid import uuid4

import httpx
import pytest

API = os.environ["API_URL"].rstrip("/") + "/api/v1"


@pytest.fixture(scope="session")
def client():
    with httpx.Client(base_url=API) as client:
        yield client


@pytest.fixture(scope="module")
def headers(client):
    user = {"email": f"{uuid4().hex}@example.com", "password": "a-long-password"}
    client.post("/users/signup", json=user).raise_for_status()
    form = {"username": user["email"], "password": user["password"]}
    token = client.post("/login/access-token", data=form).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}
