def test_health(web):
    assert web.get("/health").text == "ok\n"


def test_an_order_is_kept(order, db):
    assert db.exists(f"order:{order}")


def test_an_order_is_packed(order, packed):
    assert packed(order)
