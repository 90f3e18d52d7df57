"""The jobs of `rq_worker.py`: RQ takes none from the script itself."""

from rq import get_current_job


def add(left, right):
    return left + right


def fail():
    raise ValueError("as it was meant to")


def fail_once(key):
    if get_current_job().connection.incr(key) == 1:
        raise ValueError("the first time")
    return "the second time"


def note(job, connection, *_):
    connection.rpush("noted", job.id)
