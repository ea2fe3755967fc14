"""kafka-python: the scenario of ../README.md."""

import inspect
import threading

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import OffsetAndMetadata

import scenario
from scenario import BOOTSTRAP, DEADLINE_S, PARTITIONS, PREFIX, Record, compare, records, step, wait_until

admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
# 2.0 has neither idempotence nor a leader epoch in a committed offset.
IDEMPOTENT = "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG


def offset(value):
    fields = inspect.signature(OffsetAndMetadata).parameters
    return OffsetAndMetadata(value, "", -1) if "leader_epoch" in fields else OffsetAndMetadata(value, "")


def create(topic):
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    wait_until(f"{topic} has {PARTITIONS} partitions", lambda: len(consumer.partitions_for_topic(topic) or ()) == PARTITIONS)
    consumer.close()


def produce(topic, sent, **config):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, linger_ms=5, **config)
    futures = [producer.send(topic, key=r.key, value=r.value, partition=r.partition, headers=list(r.headers)) for r in sent]
    producer.flush(DEADLINE_S)
    for f in futures:
        f.get(DEADLINE_S)
    producer.close()


def to_record(m):
    return Record(m.partition, m.key, m.value, tuple((k, bytes(v)) for k, v in m.headers))


def consume_all(topic, count):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
    consumer.seek_to_beginning()
    got = []

    def poll(ms):
        for batch in consumer.poll(timeout_ms=ms).values():
            got.extend(to_record(m) for m in batch)
        return len(got) >= count

    wait_until(f"{count} records from {topic}", lambda: poll(200), pause=0)
    poll(300)  # nothing more may come
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
        self.consumer = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
                                      session_timeout_ms=10000, heartbeat_interval_ms=300, metadata_max_age_ms=2000)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            for batch in self.consumer.poll(timeout_ms=100).values():
                self.got.extend(to_record(m) for m in batch)
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
        consumer = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False,
                                 auto_offset_reset="earliest", max_poll_records=7)
        got = []

        def enough():
            for batch in consumer.poll(timeout_ms=200).values():
                got.extend(to_record(m) for m in batch)
            return len(got) >= count

        wait_until(f"{count} records", enough, pause=0)
        consumer.commit({tp: offset(consumer.position(tp)) for tp in consumer.assignment()})
        committed = sum(consumer.committed(TopicPartition(topic, p)) or 0 for p in range(PARTITIONS))
        consumer.close()
        return got, committed

    first, committed = read(len(sent) // 2)
    assert committed == len(first), f"committed {committed} of {len(first)}"
    second, committed = read(len(sent) - len(first))
    assert committed == len(sent), f"committed {committed} of {len(sent)}"
    return compare(sent, first + second)


def delete():
    topic = f"{PREFIX}-none"
    admin.delete_topics([topic])
    wait_until(f"{topic} is gone", lambda: topic not in admin.list_topics())
    return topic


def main():
    scenario.client("kafka-python", kafka.__version__)
    step("create", lambda: create(f"{PREFIX}-created"))
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        step(codec or "none", lambda: round_trip(codec or "none", compression_type=codec))
    plain = {"enable_idempotence": False} if IDEMPOTENT else {}
    if IDEMPOTENT:
        step("idempotent", lambda: round_trip("idempotent", enable_idempotence=True))
    for acks in [0, 1, "all"]:
        step(f"acks-{acks}", lambda: round_trip(f"acks-{acks}", acks=acks, **plain))
    step("rebalance", rebalance)
    step("commit-resume", commit_resume)
    step("delete", delete)
    scenario.finish()


main()
