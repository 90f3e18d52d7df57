"""redis-py against a server: `session.py PORT`. Ends with 0 when every answer was right."""
import sys

import redis

port = int(sys.argv[1])
# Newer redis-py begins with HELLO 3, which servers of version 5 do not know.
r = redis.Redis(port=port, decode_responses=True, protocol=2)
assert r.ping()
assert r.info("server")["redis_version"] == "5.0.14"
r.flushall()

assert r.set("greeting", "hello") and r.get("greeting") == "hello"
assert r.set("greeting", "again", nx=True) is None
assert r.set("session", "s", px=60_000) and 0 < r.pttl("session") <= 60_000
assert r.mset({"a": "1", "b": "2"}) and r.mget("a", "b", "c") == ["1", "2", None]
assert r.incrby("a", 41) == 42 and r.incrbyfloat("a", "0.5") == 42.5
assert r.append("greeting", " world") == 11 and r.getrange("greeting", 6, -1) == "world"
assert r.setbit("bits", 100, 1) == 0 and r.bitcount("bits") == 1 and r.bitpos("bits", 1) == 100
assert r.bitfield("bits").incrby("u8", 8, 255).execute() == [255]
assert r.delete("a", "b", "absent") == 2 and r.exists("greeting", "greeting") == 2

pipe = r.pipeline(transaction=False)
for number in range(1000):
    pipe.set(f"many:{number}", number)
assert all(pipe.execute())
assert sorted(r.scan_iter(match="many:*", count=100)) == sorted(f"many:{n}" for n in range(1000))

r.client_setname("session.py")
assert any(client["name"] == "session.py" for client in r.client_list())
assert r.config_set("maxmemory-samples", 7) and r.config_get("maxmemory*")["maxmemory-samples"] == "7"
assert r.object("encoding", "many:7") == "int"
payload = redis.Redis(port=port, protocol=2).dump("greeting")
assert redis.Redis(port=port, protocol=2).restore("copy", 0, payload) and r.get("copy") == "hello world"
try:
    r.incr("greeting")
    raise AssertionError("INCR of a text was taken")
except redis.ResponseError as error:
    assert str(error) == "value is not an integer or out of range", error
big = "x" * 3_000_000
assert r.set("big", big) and r.get("big") == big
assert r.flushall() and r.dbsize() == 0
print("redis-py", redis.__version__)
