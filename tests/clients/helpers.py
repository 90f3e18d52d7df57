"""What redis-py builds on commands: pipelines, locks, pub/sub; and the loop by which workers of Sidekiq's kind take jobs."""

import sys
import threading

import redis

client = redis.Redis(port=int(sys.argv[1]), protocol=2, decode_responses=True)


def transactions():
    def move(pipe):
        left = int(pipe.get("left") or 0)
        pipe.multi()
        pipe.set("left", left - 1)
        pipe.incr("right")

    client.set("left", 40)

    def mover():
        own = redis.Redis(port=int(sys.argv[1]), protocol=2, decode_responses=True)
        for _ in range(10):
            own.transaction(move, "left", "right")

    threads = [threading.Thread(target=mover) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (client.get("left"), client.get("right")) == ("0", "40")
    with client.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.rpush("numbers", number)
        assert pipe.execute()[-1] == 1000


def locks():
    lock = client.lock("lock", timeout=30)
    assert lock.acquire(blocking=False) and lock.locked() and lock.owned()
    other = client.lock("lock", timeout=30)
    assert not other.acquire(blocking_timeout=0.05)
    assert lock.extend(30) and client.ttl("lock") > 50
    assert lock.reacquire() and client.ttl("lock") <= 30
    lock.release()
    assert other.acquire(blocking=False)
    try:
        lock.release()
        raise AssertionError("released what it does not own")
    except redis.exceptions.LockError:
        pass
    other.release()
    assert not client.exists("lock")


def messages():
    heard = []
    listener = client.pubsub()
    listener.subscribe(**{"news": lambda message: heard.append(message["data"])})
    listener.psubscribe("news.*")
    while listener.get_message(timeout=0.2):
        pass
    assert client.publish("news", "one") == 1
    assert client.publish("news.local", "two") == 1
    assert client.publish("other", "three") == 0
    got = [listener.get_message(timeout=5) for _ in range(2)]
    assert heard == ["one"], heard
    assert [message["data"] for message in got if message] == ["two"], got
    listener.close()


def jobs():
    done = []

    def worker():
        own = redis.Redis(port=int(sys.argv[1]), protocol=2, decode_responses=True)
        while True:
            job = own.brpoplpush("queue", "working", timeout=5)
            if job in (None, "stop"):
                return
            done.append(job)
            own.lrem("working", 1, job)

    workers = [threading.Thread(target=worker) for _ in range(3)]
    [thread.start() for thread in workers]
    wanted = [f"job {number}" for number in range(200)]
    for job in wanted:
        client.lpush("queue", job)
    client.lpush("queue", *["stop"] * 3)
    [thread.join() for thread in workers]
    assert sorted(done) == sorted(wanted)
    assert client.lrange("working", 0, -1) == ["stop"] * 3


for part in (transactions, locks, messages, jobs):
    part()
