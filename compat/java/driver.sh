#!/usr/bin/env bash
# Java: Kafka's own command-line tools (and with them the Java clients), each run as its shell script would run it.
# Beyond the scenario of ../README.md the administrative tools are tried, each as a step of its own.
#   driver.sh           the scenario against a running broker
#   driver.sh at-rest   what is left on disk once the broker has stopped
source "$(dirname "$0")/../steps.sh"
tools=org.apache.kafka.tools partitions=4

cat >"$work/log4j2.xml" <<'L'
<Configuration status="OFF"><Appenders><Console name="C" target="SYSTEM_ERR"><PatternLayout pattern="%p %m (%c)%n"/></Console></Appenders><Loggers><Root level="ERROR"><AppenderRef ref="C"/></Root></Loggers></Configuration>
L

# tool CLASS ARGS...: stdout to the caller, stderr kept for the report; -Xshare and the C1 compiler make short runs short.
tool() {
  timeout 120 java -Xmx256M -XX:TieredStopAtLevel=1 -Xshare:auto -Dlog4j2.configurationFile="$work/log4j2.xml" -cp "$OTTLA_KAFKA_TOOLS/*" "$@" 2>"$work/err" ||
    { cat "$work/err" >&2; die "${1##*.} exits with $?: $(grep -v '^\s*at ' "$work/err" | head -n 3 | tr '\n' ' ')"; }
}
topics() { tool $tools.TopicCommand --bootstrap-server "$bootstrap" "$@"; }
groups_() { tool $tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" "$@"; }
expect() { grep -qE -- "$1" "$2" || die "no '$1' in: $(tr '\n' ' ' <"$2" | cut -c1-400)"; }

create() { topics --create --topic "$1" --partitions $partitions --replication-factor 1 >/dev/null; }

describe_topics() {
  create "$prefix-created"
  topics --list >"$work/out"; expect "^$prefix-created$" "$work/out"
  topics --describe --topic "$prefix-created" >"$work/out"
  expect "PartitionCount: $partitions.*ReplicationFactor: 1" "$work/out"
  [ "$(grep -c "Leader: 1.*Replicas: 1.*Isr: 1" "$work/out")" = $partitions ] || die "$(cat "$work/out")"
}

# send TOPIC TAG [options]: 200 keyed records with a header.
send() {
  local topic=$1 tag=$2; shift 2
  lines "$tag" 0 200 | sed "s/^/tag:$tag\t/" | tee "$work/$topic.sent" |
    tool $tools.ConsoleProducer --bootstrap-server "$bootstrap" --topic "$topic" --reader-property parse.key=true \
      --reader-property parse.headers=true "$@" >"$work/out" || exit 1
  # The tool prints a lost record as an ERROR and exits with 0.
  ! grep -q ERROR "$work/err" || die "ConsoleProducer: $(grep ERROR "$work/err" | head -n 1)"
}

# read TOPIC COUNT [options]: prints what arrived as "headers<TAB>key<TAB>value".
read_() {
  local topic=$1 count=$2; shift 2
  tool $tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" --max-messages "$count" --timeout-ms 30000 \
    --formatter-property print.key=true --formatter-property print.headers=true "$@"
}

round_trip() {
  local name=$1 topic=$prefix-$1; shift
  create "$topic"
  send "$topic" "$name" "$@"
  read_ "$topic" 200 --from-beginning >"$work/$topic.got"
  same "$work/$topic.sent" "$work/$topic.got"
}

none() { round_trip none; }
gzip_() { round_trip gzip --compression-codec gzip; }
snappy() { round_trip snappy --compression-codec snappy; }
lz4() { round_trip lz4 --compression-codec lz4; }
zstd_() { round_trip zstd --compression-codec zstd; }
plain=(--command-property enable.idempotence=false)
idempotent() { round_trip idempotent --request-required-acks all --command-property enable.idempotence=true; }
acks_0() { round_trip acks-0 --request-required-acks 0 "${plain[@]}"; }
acks_1() { round_trip acks-1 --request-required-acks 1 "${plain[@]}"; }
acks_all() { round_trip acks-all --request-required-acks all "${plain[@]}"; }

# What a VerifiableConsumer's last report of an assignment names.
assigned() { grep '"name":"partitions_assigned"' "$1" 2>/dev/null | tail -n 1 | grep -o '"partition":[0-9]*' | sort -u; }
assigned_is() { [ "$(assigned "$1" | wc -l)" = "$2" ]; }
shared() { assigned_is "$1" 2 && assigned_is "$2" 2 && [ "$( (assigned "$1"; assigned "$2") | sort -u | wc -l)" = $partitions ]; }
values() { grep -h '"name":"record_data"' "$@" | grep -o '"value":"[0-9]*"' | tr -dc '0-9\n'; }
arrived() { [ "$(values "$work/a.out" "$work/b.out" | wc -l)" -ge 1000 ]; }

member() { # NAME GROUP TOPIC
  java -Xmx256M -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$work/log4j2.xml" -cp "$OTTLA_KAFKA_TOOLS/*" $tools.VerifiableConsumer --bootstrap-server "$bootstrap" \
    --topic "$3" --group-id "$2" --session-timeout 10000 --verbose --assignment-strategy org.apache.kafka.clients.consumer.RoundRobinAssignor \
    >"$work/$1.out" 2>"$work/$1.err" &
  started+=($!)
}

rebalance() {
  local topic=$prefix-rebalance group=$prefix-rebalance-group
  create "$topic"
  member a "$group" "$topic"; local a=$!
  wait_until "the first member has every partition" assigned_is "$work/a.out" $partitions
  member b "$group" "$topic"; local b=$!
  wait_until "two members share the partitions" shared "$work/a.out" "$work/b.out"
  tool $tools.VerifiableProducer --bootstrap-server "$bootstrap" --topic "$topic" --max-messages 1000 --acks -1 >"$work/out"
  expect '"name":"tool_data".*"acked":1000' "$work/out"
  wait_until "every record arrives" arrived
  seq 0 999 >"$work/want"; values "$work/a.out" "$work/b.out" >"$work/have"
  same "$work/want" "$work/have" >/dev/null
  kill "$a"; wait "$a"
  wait_until "the remaining member takes over" assigned_is "$work/b.out" $partitions
  kill "$b"; wait "$b"
  echo "$partitions partitions, 2 members, 1000 records"
}

commit_resume() {
  local topic=$prefix-commit group=$prefix-commit-group
  create "$topic"
  send "$topic" commit
  read_ "$topic" 80 --group "$group" --from-beginning >"$work/have"
  read_ "$topic" 120 --group "$group" >>"$work/have"
  same "$work/$topic.sent" "$work/have"
}

consumer_groups() {
  local topic=$prefix-commit group=$prefix-commit-group
  groups_ --list >"$work/out"; expect "^$group$" "$work/out"
  groups_ --describe --group "$group" >"$work/out" || return 1
  [ "$(awk -v t="$topic" '$2 == t { lag += $6; at += $4 } END { print at "/" lag }' "$work/out")" = 200/0 ] || die "$(cat "$work/out")"
  groups_ --describe --group "$group" --state >"$work/out"; expect "Empty +0" "$work/out"
  groups_ --reset-offsets --to-earliest --topic "$topic" --group "$group" --execute >"$work/out"; expect "$topic +0 +0" "$work/out"
  groups_ --delete-offsets --topic "$topic" --group "$group" >"$work/out"; expect "Successful" "$work/out"
  groups_ --delete --group "$group" >"$work/out"; expect "successful" "$work/out"
  groups_ --list >"$work/out"
  ! grep -q "^$group$" "$work/out" || die "$group is still there"
}

get_offsets() {
  tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$prefix-none" >"$work/out"
  [ "$(awk -F: '{ n += $3 } END { print n }' "$work/out")" = 200 ] || die "$(cat "$work/out")"
  for time in earliest max-timestamp 1; do
    tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic-partitions "$prefix-none:0" --time $time >"$work/out"
    expect "^$prefix-none:0:[0-9]+$" "$work/out"
  done
}

delete_records() {
  echo "{\"version\":1,\"partitions\":[{\"topic\":\"$prefix-gzip\",\"partition\":0,\"offset\":10}]}" >"$work/offsets.json"
  tool $tools.DeleteRecordsCommand --bootstrap-server "$bootstrap" --offset-json-file "$work/offsets.json" >"$work/out"
  expect "low_watermark: 10" "$work/out"
  tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic-partitions "$prefix-gzip:0" --time earliest >"$work/out"
  expect "^$prefix-gzip:0:10$" "$work/out"
}

configs() {
  local of=(kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" --entity-type topics --entity-name "$prefix-created")
  tool "${of[@]}" --alter --add-config retention.ms=3600000,cleanup.policy=[compact,delete] >"$work/out"
  tool "${of[@]}" --describe >"$work/out"; expect "retention.ms=3600000" "$work/out"; expect "cleanup.policy=compact,delete" "$work/out"
  tool "${of[@]}" --alter --delete-config retention.ms >"$work/out"
  tool "${of[@]}" --describe --all >"$work/out"; expect "retention.ms=604800000" "$work/out"
  if (tool "${of[@]}" --alter --add-config segment.bytes=many >/dev/null 2>&1); then die "segment.bytes=many was taken"; fi
  tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" --entity-type brokers --entity-name 1 --describe --all >"$work/out"
  expect "num.partitions=$partitions" "$work/out"
}

# broker_configs: what a broker changes while it runs, for this one and for all (KIP-226).
broker_configs() {
  local brokers=(kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" --entity-type brokers)
  local one=("${brokers[@]}" --entity-name 1) all=("${brokers[@]}" --entity-default)
  tool "${all[@]}" --alter --add-config message.max.bytes=3000000,max.connections=10000 >"$work/out"
  tool "${one[@]}" --alter --add-config message.max.bytes=2000000 >"$work/out"
  tool "${all[@]}" --describe >"$work/out"
  expect '^ +max.connections=10000 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:max.connections=10000\}' "$work/out"
  tool "${one[@]}" --describe >"$work/out"
  expect 'message.max.bytes=2000000 sensitive=false synonyms=\{DYNAMIC_BROKER_CONFIG:message.max.bytes=2000000, DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=3000000, ' "$work/out"
  tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" --entity-type topics --entity-name "$prefix-created" --describe --all >"$work/out"
  expect 'max.message.bytes=2000000 .*DYNAMIC_BROKER_CONFIG:message.max.bytes=2000000' "$work/out"
  if (tool "${one[@]}" --alter --add-config num.partitions=9 >/dev/null 2>"$work/refused"); then die "num.partitions was taken"; fi
  expect 'Cannot update these configs dynamically: \[num.partitions\]' "$work/refused"
  if (tool "${all[@]}" --alter --add-config cordoned.log.dirs=* >/dev/null 2>"$work/refused"); then die "cordoned.log.dirs was taken"; fi
  expect 'broker id must be specified: \[cordoned.log.dirs\]' "$work/refused"
  # Through the controller's listener as well (KIP-919).
  local by_controller=(kafka.admin.ConfigCommand --bootstrap-controller "$OTTLA_CONTROLLER" --entity-type brokers --entity-default)
  tool "${by_controller[@]}" --alter --add-config message.max.bytes=4000000 >"$work/out"
  tool "${all[@]}" --describe >"$work/out"; expect ' message.max.bytes=4000000 ' "$work/out"
  tool "${by_controller[@]}" --alter --add-config message.max.bytes=3000000 >"$work/out"
  tool "${one[@]}" --alter --delete-config message.max.bytes >"$work/out"
  tool "${one[@]}" --describe --all >"$work/out"
  expect ' message.max.bytes=3000000 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=3000000, ' "$work/out"
  tool "${all[@]}" --alter --delete-config message.max.bytes,max.connections >"$work/out"
  tool "${one[@]}" --describe --all >"$work/out"
  expect ' message.max.bytes=1048588 sensitive=false synonyms=\{DEFAULT_CONFIG:' "$work/out"
  expect ' max.connections=2147483647 sensitive=false synonyms=\{DEFAULT_CONFIG:' "$work/out"
}

partitions_() {
  topics --alter --topic "$prefix-created" --partitions 6 >/dev/null
  topics --describe --topic "$prefix-created" >"$work/out"; expect "PartitionCount: 6" "$work/out"
}

log_dirs() {
  tool $tools.LogDirsCommand --bootstrap-server "$bootstrap" --describe --topic-list "$prefix-none" >"$work/out"
  expect "\"partition\":\"$prefix-none-3\",\"size\":[1-9]" "$work/out"
}

cluster() {
  tool $tools.ClusterTool cluster-id --bootstrap-server "$bootstrap" >"$work/out"; expect "Cluster ID: [-_A-Za-z0-9]{22}$" "$work/out"
  tool $tools.ClusterTool list-endpoints --bootstrap-server "$bootstrap" >"$work/out"; expect "^1 +127.0.0.1" "$work/out"
}

quorum() {
  local by
  for by in --bootstrap-server="$bootstrap" --bootstrap-controller="$OTTLA_CONTROLLER"; do
    tool $tools.MetadataQuorumCommand "${by%%=*}" "${by#*=}" describe --status >"$work/out"
    expect "LeaderId: +1$" "$work/out"; expect "CurrentVoters: +\[\{\"id\": 1" "$work/out"
    tool $tools.MetadataQuorumCommand "${by%%=*}" "${by#*=}" describe --replication >"$work/out"
    expect "^1\s.*Leader" "$work/out"
  done
}

api_versions() {
  tool $tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap" >"$work/out"
  expect "Produce\(0\): [0-9]+ to [0-9]+ \[usable: [0-9]+\]" "$work/out"
  expect "Fetch\(1\): " "$work/out"
}

# dump_log: every kind of file that the broker left when it stopped. (In a running Kafka the newest index is longer than
# what was written to it, and the tool stumbles over the rest.)
dump_log() {
  local bad='mismatch|non-?secutive|corrupt|isvalid: false|does not match|exception'
  find "$OTTLA_DATA" \( -path "*/$prefix-*" -o -path '*/__consumer_offsets-*' -o -path '*/__cluster_metadata-0/*' \) -size +0 \
    \( -name '*.log' -o -name '*.index' -o -name '*.timeindex' -o -name '*[0-9].snapshot' \) | sort >"$work/files"
  # Many directories are alike: one file in seven, and all of the topics whose producers were idempotent or compressed.
  awk -v keep="$prefix-(idempotent|zstd)-|cluster_metadata" 'NR % 7 == 1 || $0 ~ keep' "$work/files" | head -n 60 >"$work/some"
  [ "$(wc -l <"$work/some")" -gt 10 ] || die "only $(wc -l <"$work/some") files to look at"
  tool $tools.DumpLogSegments --deep-iteration --files "$(paste -sd, "$work/some")" >"$work/out"
  ! grep -iqE "$bad" "$work/out" "$work/err" || die "$(grep -ihE "$bad" "$work/out" "$work/err" | head -n 1)"
  expect 'baseOffset: 0 ' "$work/out"
  tool $tools.DumpLogSegments --cluster-metadata-decoder --files "$(grep 'cluster_metadata.*log$' "$work/files" | head -n 1)" >"$work/out"
  expect 'TOPIC_RECORD' "$work/out"
  echo "$(wc -l <"$work/some") files"
}

delete() {
  topics --delete --topic "$prefix-none" >/dev/null
  wait_until "$prefix-none is gone" gone "$prefix-none"
}
gone() { topics --list >"$work/out" && ! grep -q "^$1$" "$work/out"; }

if [ "${1:-}" = at-rest ]; then # the broker has stopped; its directory is OTTLA_DATA
  step dump-log dump_log
  finish
fi
client "Java (kafka-tools)" "$(tool $tools.TopicCommand --version | cut -d' ' -f1)"
step create describe_topics
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
step consumer-groups consumer_groups
step get-offsets get_offsets
step delete-records delete_records
step configs configs
step broker-configs broker_configs
step partitions partitions_
step log-dirs log_dirs
step cluster cluster
step metadata-quorum quorum
step api-versions api_versions
step delete delete
finish
