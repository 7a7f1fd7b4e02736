def test_nothing_at_first(client, headers):
    assert client.get("/items/", headers=headers).json() == []


def test_an_item_keeps_its_price(client, headers):
    item = {"title": "Tea", "price": 350}
    assert client.post("/items/", headers=headers, json=item).status_code == 200
    assert client.get("/items/", headers=headers).json() == [item]
