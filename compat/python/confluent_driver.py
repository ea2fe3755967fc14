"""confluent-kafka (librdkafka): the scenario of ../README.md."""

import threading

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import scenario
from scenario import BOOTSTRAP, DEADLINE_S, PARTITIONS, PREFIX, Record, compare, records, step, wait_until

admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def create(topic):
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(DEADLINE_S)

    def there():
        t = admin.list_topics(timeout=10).topics.get(topic)
        return t and len(t.partitions) == PARTITIONS and all(p.leader >= 0 for p in t.partitions.values())

    wait_until(f"{topic} has {PARTITIONS} partitions with a leader", there)


def produce(topic, sent, **config):
    errors = []
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5, **config})
    for r in sent:
        producer.produce(
            topic, key=r.key, value=r.value, partition=r.partition, headers=list(r.headers),
            on_delivery=lambda e, m: e and errors.append(str(e)),
        )
    left = producer.flush(DEADLINE_S)
    assert not errors and left == 0, f"{left} undelivered, {errors[:3]}"


def to_record(m):
    return Record(m.partition(), m.key(), m.value(), tuple(m.headers() or ()))


def consume_all(topic, count):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{PREFIX}-reader", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(PARTITIONS)])
    got = []

    def enough():
        for m in consumer.consume(500, 0.2):
            assert m.error() is None, m.error()
            got.append(to_record(m))
        return len(got) >= count

    try:
        wait_until(f"{count} records from {topic}, got {len(got)}", enough, pause=0)
        got.extend(to_record(m) for m in consumer.consume(10, 0.3))  # nothing more may come
    finally:
        consumer.close()
    return got


def round_trip(name, **config):
    topic = f"{PREFIX}-{name}"
    create(topic)
    sent = records(name)
    # Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
    produce(topic, sent[:PARTITIONS], acks="all")
    produce(topic, sent[PARTITIONS:], **config)
    return compare(sent, consume_all(topic, len(sent)))


class Member:
    """One group member polling on its own thread."""

    def __init__(self, topic, group):
        self.assigned, self.got, self.stop = set(), [], threading.Event()
        self.consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
                                  "session.timeout.ms": 10000, "heartbeat.interval.ms": 300})
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            m = self.consumer.poll(0.1)
            if m is not None and m.error() is None:
                self.got.append(to_record(m))
            self.assigned = {t.partition for t in self.consumer.assignment()}
        self.consumer.close()
        self.assigned = set()

    def leave(self):
        self.stop.set()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), "the member did not close"


def rebalance():
    topic, group = f"{PREFIX}-rebalance", f"{PREFIX}-rebalance-group"
    create(topic)
    everything = set(range(PARTITIONS))
    a = Member(topic, group)
    wait_until("the first member has every partition", lambda: a.assigned == everything)
    b = Member(topic, group)
    wait_until("two members share the partitions",
               lambda: len(a.assigned) == 2 and len(b.assigned) == 2 and a.assigned | b.assigned == everything)
    sent = records("rebalance")
    produce(topic, sent)
    wait_until("every record arrives", lambda: len(a.got) + len(b.got) >= len(sent))
    compare(sent, a.got + b.got)
    a.leave()
    wait_until("the remaining member takes over", lambda: b.assigned == everything)
    b.leave()
    return f"{PARTITIONS} partitions, 2 members"


def commit_resume():
    topic, group = f"{PREFIX}-commit", f"{PREFIX}-commit-group"
    create(topic)
    sent = records("commit")
    produce(topic, sent)

    def read(count):
        consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "enable.auto.commit": False,
                             "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        got = []

        def enough():
            m = consumer.poll(0.1)
            if m is not None:
                assert m.error() is None, m.error()
                got.append(to_record(m))
            return len(got) >= count

        wait_until(f"{count} records", enough, pause=0)
        # Positions, not what librdkafka has fetched ahead.
        consumer.commit(offsets=consumer.position(consumer.assignment()), asynchronous=False)
        committed = consumer.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=10)
        consumer.close()
        return got, sum(max(t.offset, 0) for t in committed)

    first, committed = read(len(sent) // 2)
    assert committed == len(first), f"committed {committed} of {len(first)}"
    second, committed = read(len(sent) - len(first))
    assert committed == len(sent), f"committed {committed} of {len(sent)}"
    return compare(sent, first + second)


def delete():
    topic = f"{PREFIX}-none"
    admin.delete_topics([topic])[topic].result(DEADLINE_S)
    wait_until(f"{topic} is gone", lambda: topic not in admin.list_topics(timeout=10).topics)
    return topic


def main():
    scenario.client("confluent-kafka (Python)", f"{confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})")
    step("create", lambda: create(f"{PREFIX}-created"))
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        step(codec, lambda: round_trip(codec, **{"compression.type": codec}))
    step("idempotent", lambda: round_trip("idempotent", **{"enable.idempotence": True}))
    for acks in ["0", "1", "all"]:
        step(f"acks-{acks}", lambda: round_trip(f"acks-{acks}", acks=acks))
    step("rebalance", rebalance)
    step("commit-resume", commit_resume)
    step("delete", delete)
    scenario.finish()


main()
