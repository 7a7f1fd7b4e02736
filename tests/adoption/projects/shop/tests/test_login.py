def test_wrong_password(client):
    form = {"username": "nobody@example.com", "password": "wrong"}
    assert client.post("/login/access-token", data=form).status_code == 400


def test_me(client, headers):
    assert "@" in client.get("/users/me", headers=headers).json()["email"]


def test_nobody(client):
    assert client.get("/users/me").status_code == 401
