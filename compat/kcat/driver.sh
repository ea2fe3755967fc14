#!/usr/bin/env bash
# kcat (librdkafka of the distribution): the scenario of ../README.md. It makes topics by writing to them and cannot delete.
source "$(dirname "$0")/../steps.sh"
partitions=4 per_partition=50

# send TOPIC TAG [kcat options]: 50 records to each partition, those of partition 0 with a header that repeats.
send() {
  local topic=$1 tag=$2 p headers; shift 2
  for ((p = 0; p < partitions; p++)); do
    headers=(); [ "$p" != 0 ] || headers=(-H tag="$tag" -H tag=twice)
    lines "$tag-$p" 0 $per_partition | tee "$work/$topic.sent.$p" |
      kcat -b "$bootstrap" -P -t "$topic" -p "$p" -K '\t' "${headers[@]}" "$@" 2>"$work/err" || die "kcat -P: $(tail -n 1 "$work/err")"
    # Warnings of a retry are no failure; a record given up is one even where kcat ends with 0.
    ! grep -E '^% (ERROR|FATAL|Delivery failed)' "$work/err" >"$work/bad" || die "kcat -P: $(tail -n 1 "$work/bad")"
  done
}

# receive TOPIC: everything from the beginning, each partition compared in order, headers included.
receive() {
  local topic=$1 p tag=$2
  timeout $deadline_s kcat -b "$bootstrap" -C -t "$topic" -o beginning -e -q -f '%p %h\t%k\t%s\n' >"$work/$topic.got" 2>"$work/err" ||
    die "kcat -C: $(tail -n 1 "$work/err")"
  for ((p = 0; p < partitions; p++)); do
    local headers=""; [ "$p" != 0 ] || headers="tag=$tag,tag=twice"
    sed "s/^/$p $headers\t/" "$work/$topic.sent.$p" >"$work/want"
    grep "^$p " "$work/$topic.got" >"$work/have"
    cmp -s "$work/want" "$work/have" ||
      die "partition $p: sent $(wc -l <"$work/want") records, got $(wc -l <"$work/have"): $(diff "$work/want" "$work/have" | sed -n 2p | cut -c1-200)"
  done
  echo "$(wc -l <"$work/$topic.got") records"
}

has_partitions() { [ "$(kcat -b "$bootstrap" -L -t "$1" 2>/dev/null | grep -c "^    partition .*leader [0-9]")" = "$partitions" ]; }

create() {
  wait_until "$1 has $partitions partitions" has_partitions "$1" # asking for it makes it, where topics are made by asking
}

round_trip() {
  local name=$1; shift
  create "$prefix-$name"
  send "$prefix-$name" "$name" "$@"
  receive "$prefix-$name" "$name"
}

created() { create "$prefix-created"; }
none() { round_trip none; }
gzip_() { round_trip gzip -z gzip; }
snappy() { round_trip snappy -z snappy; }
lz4() { round_trip lz4 -z lz4; }
zstd_() { round_trip zstd -z zstd; }
idempotent() { round_trip idempotent -X enable.idempotence=true; }
acks_0() { round_trip acks-0 -X acks=0; }
acks_1() { round_trip acks-1 -X acks=1; }
acks_all() { round_trip acks-all -X acks=all; }

# How many partitions a member's last report says that it has.
assigned() { grep -o 'assigned: .*' "$1" 2>/dev/null | tail -n 1 | grep -o '\[[0-9]*\]' | sort -u; }
assigned_is() { [ "$(assigned "$1" | wc -l)" = "$2" ]; }
shared() { assigned_is "$1" 2 && assigned_is "$2" 2 && [ "$( (assigned "$1"; assigned "$2") | sort -u | wc -l)" = "$partitions" ]; }
arrived() { [ "$(cat "$work/a.out" "$work/b.out" | wc -l)" -ge $((partitions * per_partition)) ]; }

member() { # NAME GROUP TOPIC
  # stdbuf: kcat buffers what it prints into a file, and the test looks while it runs.
  stdbuf -oL kcat -b "$bootstrap" -X auto.offset.reset=earliest -X session.timeout.ms=10000 -X heartbeat.interval.ms=300 \
    -u -f '%p\t%k\t%s\n' -G "$2" "$3" >"$work/$1.out" 2>"$work/$1.err" &
  started+=($!)
}

rebalance() {
  local topic=$prefix-rebalance group=$prefix-rebalance-group p
  create "$topic"
  member a "$group" "$topic"; local a=$!
  wait_until "the first member has every partition" assigned_is "$work/a.err" $partitions
  member b "$group" "$topic"; local b=$!
  wait_until "two members share the partitions" shared "$work/a.err" "$work/b.err"
  send "$topic" rebalance
  wait_until "every record arrives" arrived
  for ((p = 0; p < partitions; p++)); do sed "s/^/$p\t/" "$work/$topic.sent.$p"; done >"$work/want"
  cat "$work/a.out" "$work/b.out" >"$work/have"
  same "$work/want" "$work/have" >/dev/null
  kill -INT "$a"; wait "$a"
  wait_until "the remaining member takes over" assigned_is "$work/b.err" $partitions
  kill -INT "$b"; wait "$b"
  echo "$partitions partitions, 2 members"
}

commit_resume() {
  local topic=$prefix-commit group=$prefix-commit-group p
  create "$topic"
  send "$topic" commit
  local read=(timeout $deadline_s kcat -b "$bootstrap" -X auto.offset.reset=earliest -q -f '%p\t%k\t%s\n')
  "${read[@]}" -c 80 -G "$group" "$topic" >"$work/first" 2>"$work/err" || die "first half: $(tail -n 1 "$work/err")"
  "${read[@]}" -c 120 -G "$group" "$topic" >"$work/second" 2>"$work/err" || die "second half: $(tail -n 1 "$work/err")"
  for ((p = 0; p < partitions; p++)); do sed "s/^/$p\t/" "$work/$topic.sent.$p"; done >"$work/want"
  cat "$work/first" "$work/second" >"$work/have"
  same "$work/want" "$work/have"
}

client kcat "$(kcat -V | sed -n 's/^Version \([^ ]*\) .*librdkafka \([^ ]*\) .*/\1 (librdkafka \2)/p')"
step create created
step none none
step gzip gzip_
step snappy snappy
step lz4 lz4
step zstd zstd_
step idempotent idempotent
step acks-0 acks_0
step acks-1 acks_1
step acks-all acks_all
step rebalance rebalance
step commit-resume commit_resume
finish
