"""RQ against a server: `rq_worker.py PORT`. Jobs with results, after others, failing, tried again and at their time, done
by workers that end when nothing is left. Ends with 0 when every answer was right."""

import datetime
import sys
import time

import redis
from rq_jobs import add, fail, fail_once, note
from rq import Callback, Queue, Retry, SimpleWorker, Worker
from rq.job import Job, JobStatus
from rq.results import Result

# Newer redis-py begins with HELLO 3, which servers of version 5 do not know.
client = redis.Redis(port=int(sys.argv[1]), protocol=2)
queue = Queue("jobs", connection=client)


def work(kind=SimpleWorker, **arguments):
    worker = kind([queue], connection=client)
    worker.work(burst=True, logging_level="CRITICAL", **arguments)
    return worker


def results():
    jobs = [queue.enqueue(add, number, 1) for number in range(40)]
    jobs += queue.enqueue_many([Queue.prepare_data(add, (number, 2), job_id=f"many-{number}") for number in range(10)])
    assert len(queue) == 50 and queue.count == 50
    assert queue.get_job_position(jobs[7].id) == 7
    cancelled = queue.enqueue(add, 1, 1)
    cancelled.cancel()
    work()
    assert [job.return_value() for job in jobs] == [*range(1, 41), *range(2, 12)]
    assert cancelled.get_status() is JobStatus.CANCELED and cancelled.return_value() is None
    assert queue.is_empty() and len(queue.finished_job_registry) == 50 and len(queue.started_job_registry) == 0
    assert jobs[0].latest_result().type is Result.Type.SUCCESSFUL
    assert 0 < client.ttl(jobs[0].key) <= 500


def dependent():
    first = queue.enqueue(add, 1, 2)
    second = queue.enqueue(add, 3, 4, depends_on=first, on_success=Callback(note))
    failing = queue.enqueue(fail)
    never = queue.enqueue(add, 5, 6, depends_on=failing)
    assert (second.get_status(), never.get_status()) == (JobStatus.DEFERRED,) * 2
    work()
    assert (second.get_status(), second.return_value()) == (JobStatus.FINISHED, 7)
    assert client.lrange("noted", 0, -1) == [second.id.encode()]
    assert never.get_status() is JobStatus.DEFERRED and never.id in queue.deferred_job_registry


def failing():
    job = queue.enqueue(fail, on_failure=Callback(note))
    work()
    assert job.get_status() is JobStatus.FAILED and job in queue.failed_job_registry
    assert "as it was meant to" in job.latest_result().exc_string
    assert client.rpop("noted") == job.id.encode()
    queue.failed_job_registry.requeue(job)
    assert job.get_status() is JobStatus.QUEUED
    work()
    assert len(job.results()) == 2
    job.delete()
    assert not Job.exists(job.id, connection=client)


def again():
    job = queue.enqueue(fail_once, "at once", retry=Retry(max=2))
    work()
    assert (job.get_status(), job.return_value()) == (JobStatus.FINISHED, "the second time")


def at_their_time():
    later = queue.enqueue_in(datetime.timedelta(seconds=1), add, 20, 22)
    retried = queue.enqueue(fail_once, "later", retry=Retry(max=1, interval=1))
    assert later.get_status() is JobStatus.SCHEDULED and later in queue.scheduled_job_registry
    work()
    assert retried.get_status() is JobStatus.SCHEDULED
    deadline = time.monotonic() + 60
    while len(queue.scheduled_job_registry) and time.monotonic() < deadline:
        time.sleep(0.2)
        work(with_scheduler=True)
    work()
    assert (later.return_value(), retried.return_value()) == (42, "the second time")


def own_process():
    job = queue.enqueue(add, 2, 2)
    work(Worker)
    assert job.return_value() == 4
    assert Worker.all(connection=client) == []


client.flushall()
for part in (results, dependent, failing, again, at_their_time, own_process):
    part()
