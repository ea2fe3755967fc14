"""aiokafka: the scenario of ../README.md, on asyncio."""

import asyncio
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import scenario
from scenario import BOOTSTRAP, DEADLINE_S, PARTITIONS, PREFIX, Record, compare, records, step


async def wait_until(what, condition):
    end = time.monotonic() + DEADLINE_S
    while True:
        got = condition()
        if asyncio.iscoroutine(got):
            got = await got
        if got:
            return got
        assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(0.05)


async def with_admin(action):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        return await action(admin)
    finally:
        await admin.close()


async def create(topic):
    async def action(admin):
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])

        async def there():
            described = await admin.describe_topics([topic])
            return described and described[0]["error_code"] == 0 and len(described[0]["partitions"]) == PARTITIONS

        await wait_until(f"{topic} has {PARTITIONS} partitions", there)

    await with_admin(action)


async def produce(topic, sent, **config):
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, linger_ms=5, **config)
    await producer.start()
    try:
        futures = [
            await producer.send(topic, key=r.key, value=r.value, partition=r.partition, headers=list(r.headers)) for r in sent
        ]
        await asyncio.wait_for(asyncio.gather(*futures), DEADLINE_S)
    finally:
        await producer.stop()


def to_record(m):
    return Record(m.partition, m.key, m.value, tuple((k, bytes(v)) for k, v in m.headers))


async def take(consumer, got, count):
    async def enough():
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            got.extend(to_record(m) for m in batch)
        return len(got) >= count

    await wait_until(f"{count} records, got {len(got)}", enough)


async def consume_all(topic, count):
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    got = []
    try:
        consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        await take(consumer, got, count)
        for batch in (await consumer.getmany(timeout_ms=300)).values():  # nothing more may come
            got.extend(to_record(m) for m in batch)
    finally:
        await consumer.stop()
    return got


async def round_trip(name, **config):
    topic = f"{PREFIX}-{name}"
    await create(topic)
    sent = records(name)
    # Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
    await produce(topic, sent[:PARTITIONS], acks="all")
    await produce(topic, sent[PARTITIONS:], **config)
    return compare(sent, await consume_all(topic, len(sent)))


class Member:
    """One group member polling as a task."""

    def __init__(self, topic, group):
        self.got = []
        self.consumer = AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
                                         session_timeout_ms=10000, heartbeat_interval_ms=300)

    async def join(self):
        await self.consumer.start()
        self.task = asyncio.create_task(self.run())

    async def run(self):
        while True:
            for batch in (await self.consumer.getmany(timeout_ms=100)).values():
                self.got.extend(to_record(m) for m in batch)

    def assigned(self):
        return {t.partition for t in self.consumer.assignment()}

    async def leave(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.consumer.stop()


async def rebalance():
    topic, group = f"{PREFIX}-rebalance", f"{PREFIX}-rebalance-group"
    await create(topic)
    everything = set(range(PARTITIONS))
    a, b = Member(topic, group), Member(topic, group)
    await a.join()
    await wait_until("the first member has every partition", lambda: a.assigned() == everything)
    await b.join()
    await wait_until("two members share the partitions",
                     lambda: len(a.assigned()) == 2 and len(b.assigned()) == 2 and a.assigned() | b.assigned() == everything)
    sent = records("rebalance")
    await produce(topic, sent)
    await wait_until("every record arrives", lambda: len(a.got) + len(b.got) >= len(sent))
    compare(sent, a.got + b.got)
    await a.leave()
    await wait_until("the remaining member takes over", lambda: b.assigned() == everything)
    await b.leave()
    return f"{PARTITIONS} partitions, 2 members"


async def commit_resume():
    topic, group = f"{PREFIX}-commit", f"{PREFIX}-commit-group"
    await create(topic)
    sent = records("commit")
    await produce(topic, sent)

    async def read(count):
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False,
                                    auto_offset_reset="earliest", max_poll_records=7)
        await consumer.start()
        try:
            got = []
            await take(consumer, got, count)
            await consumer.commit({tp: await consumer.position(tp) for tp in consumer.assignment()})
            committed = [await consumer.committed(TopicPartition(topic, p)) or 0 for p in range(PARTITIONS)]
            return got, sum(committed)
        finally:
            await consumer.stop()

    first, committed = await read(len(sent) // 2)
    assert committed == len(first), f"committed {committed} of {len(first)}"
    second, committed = await read(len(sent) - len(first))
    assert committed == len(sent), f"committed {committed} of {len(sent)}"
    return compare(sent, first + second)


async def delete():
    topic = f"{PREFIX}-none"

    async def action(admin):
        await admin.delete_topics([topic])

        async def gone():
            return topic not in await admin.list_topics()

        await wait_until(f"{topic} is gone", gone)

    await with_admin(action)
    return topic


def run(action, *args, **config):
    return asyncio.run(asyncio.wait_for(action(*args, **config), 3 * DEADLINE_S))


def main():
    scenario.client("aiokafka", aiokafka.__version__)
    step("create", lambda: run(create, f"{PREFIX}-created"))
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        step(codec or "none", lambda: run(round_trip, codec or "none", compression_type=codec))
    step("idempotent", lambda: run(round_trip, "idempotent", enable_idempotence=True))
    for acks in [0, 1, "all"]:
        step(f"acks-{acks}", lambda: run(round_trip, f"acks-{acks}", acks=acks))
    step("rebalance", lambda: run(rebalance))
    step("commit-resume", lambda: run(commit_resume))
    step("delete", lambda: run(delete))
    scenario.finish()


main()
