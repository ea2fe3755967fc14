#!/usr/bin/env bash
# ottla's own command line: what the README's first session shows, and the scenario of ../README.md as far as it goes.
source "$(dirname "$0")/../steps.sh"
partitions=4

ottla() { "$OTTLA" "$@" -b "$bootstrap" 2>"$work/err" || die "ottla $1: $(head -n 1 "$work/err")"; }
expect() { grep -qE -- "$1" "$2" || die "no '$1' in: $(tr '\n' ' ' <"$2" | cut -c1-400)"; }
create() { ottla topic create "$1" --partitions $partitions >/dev/null; }

session() {
  local topic=$prefix-greetings
  create "$topic"
  wait_until "$topic is listed" listed "$topic"
  printf 'en:hello\nde:hallo\ncs:ahoj\n' | ottla produce "$topic" --key-separator : >/dev/null || exit 1
  ottla consume "$topic" --from-beginning --exit --print-key >"$work/out"
  [ "$(wc -l <"$work/out")" = 3 ] || die "$(wc -l <"$work/out") of 3 records"
  expect "en.*hello" "$work/out"
  ottla topic describe "$topic" >"$work/out"; expect "$topic" "$work/out"
  ottla cluster describe >"$work/out"; expect "127.0.0.1" "$work/out"
}

round_trip() {
  local name=$1 topic=$prefix-$1; shift
  create "$topic"
  lines "$name" 0 200 | tee "$work/sent" | ottla produce "$topic" --key-separator $'\t' --header tag="$name" "$@" >/dev/null || exit 1
  ottla consume "$topic" --from-beginning --exit --format '%k\t%s\n' >"$work/got"
  same "$work/sent" "$work/got"
}

none() { round_trip none; }
gzip_() { round_trip gzip --compression gzip; }
snappy() { round_trip snappy --compression snappy; }
lz4() { round_trip lz4 --compression lz4; }
zstd_() { round_trip zstd --compression zstd; }
idempotent() { round_trip idempotent; }
acks_0() {
  create "$prefix-acks-0"
  # Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
  lines acks-0 0 20 | tee "$work/sent" | ottla produce "$prefix-acks-0" --key-separator $'\t' >/dev/null || exit 1
  lines acks-0 20 200 | tee -a "$work/sent" | ottla produce "$prefix-acks-0" --key-separator $'\t' --acks 0 --no-idempotence >/dev/null || exit 1
  wait_until "every record arrives" all_of "$prefix-acks-0" 200
  same "$work/sent" "$work/got"
}
all_of() { ottla consume "$1" --from-beginning --exit --format '%k\t%s\n' >"$work/got"; [ "$(wc -l <"$work/got")" -ge "$2" ]; }
acks_1() { round_trip acks-1 --acks 1 --no-idempotence; }
acks_all() { round_trip acks-all --acks all --no-idempotence; }

commit_resume() {
  local topic=$prefix-commit group=$prefix-commit-group
  create "$topic"
  lines commit 0 200 | tee "$work/sent" | ottla produce "$topic" --key-separator $'\t' >/dev/null || exit 1
  ottla consume "$topic" --group "$group" --timeout 30 --from-beginning --max-messages 80 --format '%k\t%s\n' >"$work/got"
  ottla consume "$topic" --group "$group" --timeout 30 --max-messages 120 --format '%k\t%s\n' >>"$work/got"
  same "$work/sent" "$work/got" >/dev/null
  ottla group list >"$work/out"; expect "$group" "$work/out"
  ottla group describe "$group" >"$work/out"; expect "$topic" "$work/out"
}

delete() {
  ottla topic delete "$prefix-none" --yes >/dev/null
  wait_until "$prefix-none is gone" gone "$prefix-none"
}
listed() { ottla topic list >"$work/out" && grep -q "^$1 " "$work/out"; }
gone() { ! listed "$1"; }

client ottla "$("$OTTLA" --version | cut -d' ' -f2)"
step create session
step none none
step gzip gzip_
step snappy snappy
step lz4 lz4
step zstd zstd_
step idempotent idempotent
step acks-0 acks_0
step acks-1 acks_1
step acks-all acks_all
step commit-resume commit_resume
step delete delete
finish
