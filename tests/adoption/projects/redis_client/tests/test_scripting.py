import pytest
from tinyredis import ResponseError

LUA = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def test_eval(r):
    assert r.execute("EVAL", LUA, 1, "n", 3) == 3
    assert r.execute("GET", "n") == b"3"


def test_evalsha_of_a_script_that_was_loaded(r):
    digest = r.execute("SCRIPT", "LOAD", LUA)
    assert r.execute("EVALSHA", digest, 1, "n", 3) == 3


def test_an_error_in_a_script_is_raised(r):
    r.execute("SET", "n", "word")
    with pytest.raises(ResponseError, match="not an integer"):
        r.execute("EVAL", LUA, 1, "n", 3)
