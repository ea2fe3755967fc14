# What the shell drivers share (see README.md): STEP lines, waiting, records. Sourced, never run.
set -uo pipefail
bootstrap=$OTTLA_BOOTSTRAP prefix=$OTTLA_PREFIX
work=$(mktemp -d "${TMPDIR:-/tmp}/compat.XXXXXX")
deadline_s=40 failed=0 started=()

# Ends what this driver started, by its ids, and removes its files.
clean_up() {
  for pid in "${started[@]:-}"; do [ -z "$pid" ] || kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap clean_up EXIT

client() { echo "CLIENT $*"; }

# step NAME FUNCTION: the function's last line of output is the detail; its failure does not stop the steps after it.
step() {
  local name=$1 out
  if out=$("$2" 2>&1); then
    echo "STEP $name ok $(tail -n 1 <<<"$out")"
  else
    failed=1
    echo "$out" >&2
    echo "STEP $name fail $(tail -n 1 <<<"$out")"
  fi
}

finish() { exit "$failed"; }
die() { echo "$*"; exit 1; }

# wait_until SENTENCE COMMAND...: polls the command until it succeeds.
wait_until() {
  local what=$1 end=$((SECONDS + deadline_s)); shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || die "not within $deadline_s s: $what"
    sleep 0.1
  done
}

# lines TAG FROM TO: deterministic "key-i<TAB>value" lines; every seventh value is worth compressing.
lines() {
  awk -v tag="$1" -v from="$2" -v to="$3" 'BEGIN {
    for (i = from; i < to; i++) {
      value = tag "-" i
      if (i % 7 == 0) { long = ""; for (n = 0; n < 60; n++) long = long value " "; value = long "end" }
      print "key-" i "\t" value
    }
  }'
}

# same SENT GOT: the two files hold the same lines, each once; in the order of the sending wherever keys share a partition.
same() {
  diff <(sort "$1") <(sort "$2") >"$work/diff" || die "sent $(wc -l <"$1") records, got $(wc -l <"$2"): $(sed -n 2p "$work/diff" | cut -c1-200)"
  echo "$(wc -l <"$1") records"
}
