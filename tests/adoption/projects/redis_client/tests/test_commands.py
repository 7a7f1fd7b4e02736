from tests.conftest import skip_if_server_version_lt


def test_set_and_get(r):
    assert r.execute("SET", "a", "1") == "OK"
    assert r.execute("GET", "a") == b"1"
    assert r.execute("GET", "b") is None


def test_hash(r):
    r.execute("HSET", "h", "a", "1")
    found = r.execute("HGETALL", "h")
    assert found in ({b"a": b"1"}, [b"a", b"1"])


@skip_if_server_version_lt("6.2.0")
def test_getdel(r):
    r.execute("SET", "a", "1")
    assert r.execute("GETDEL", "a") == b"1"
    assert r.execute("EXISTS", "a") == 0


def test_pipeline(r):
    assert r.pipeline(("INCR", "n"), ("INCR", "n"), ("LPUSH", "l", "x")) == [1, 2, 1]
