"""What every Python driver shares: the records, the comparison and the STEP lines.

The lines that the runner reads (see ../README.md) are printed here and nowhere else.
"""

import os
import sys
import time
import traceback
from dataclasses import dataclass

BOOTSTRAP = os.environ["OTTLA_BOOTSTRAP"]
PREFIX = os.environ["OTTLA_PREFIX"]
PARTITIONS = 4
RECORDS = 200
DEADLINE_S = 40.0


@dataclass(frozen=True)
class Record:
    """One record as it is compared: `value` is None for a tombstone."""

    partition: int
    key: bytes
    value: bytes | None
    headers: tuple


def records(tag, count=RECORDS, partitions=PARTITIONS):
    """Deterministic records: every tenth is a tombstone, every seventh is long enough to be worth compressing."""
    made = []
    for i in range(count):
        value = None if i % 10 == 9 else (f"{tag}-{i} ".encode() * (60 if i % 7 == 0 else 1))
        headers = (("tag", tag.encode()), ("tag", b"twice")) if i % 3 == 0 else ()
        made.append(Record(i % partitions, f"key-{i}".encode(), value, headers))
    return made


def compare(sent, got):
    """Every record once, in the order of its partition; raises with the first difference."""
    for partition in sorted({r.partition for r in sent} | {r.partition for r in got}):
        want = [r for r in sent if r.partition == partition]
        have = [r for r in got if r.partition == partition]
        for i, (a, b) in enumerate(zip(want, have)):
            if a != b:
                raise AssertionError(f"partition {partition}, record {i}: sent {a}, got {b}")
        if len(want) != len(have):
            raise AssertionError(f"partition {partition}: sent {len(want)} records, got {len(have)}")
    return f"{len(sent)} records"


def wait_until(what, condition, seconds=DEADLINE_S, pause=0.05):
    """Polls `condition` until it gives something true."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)


_failed = False


def client(name, version):
    print(f"CLIENT {name} {version}", flush=True)


def step(name, action):
    """Runs one step and prints its line; a failure does not stop the steps after it."""
    global _failed
    try:
        detail = action()
        print(f"STEP {name} ok {detail or ''}".rstrip(), flush=True)
    except Exception as e:  # the line is the report; the trace helps who looks closer
        _failed = True
        traceback.print_exc()
        print(f"STEP {name} fail {type(e).__name__}: {e}".replace("\n", " "), flush=True)


def finish():
    sys.stdout.flush()
    sys.stderr.flush()
    # Leaves without waiting for client threads: some clients hang in their destructors once a step has failed.
    os._exit(1 if _failed else 0)
