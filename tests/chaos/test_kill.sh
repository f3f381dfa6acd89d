#!/usr/bin/env bash
# Kills `dobby run` with SIGKILL at 20 random moments over one database. After each the database is whole and
# nothing that was finished is lost; after a last run every record is completed exactly once, with the same
# bytes as in a database whose run nobody disturbed.
#
#   tests/chaos/test_kill.sh PROGRAM      DOBBY_TEST_SEED=N repeats the moments of an earlier test
set -euo pipefail
program=$(realpath "$1")
kills=20

for tool in sqlite3 jq; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
work=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "failed: $* (seed $seed)" >&2; exit 1; }

seed=${DOBBY_TEST_SEED:-$(date +%N)}
seed=$((10#$seed))
RANDOM=$((seed % 32768))
database=$work/killed.db
# What the surroundings set must not lead the test to another database or another model.
unset DOBBY_DB DATABASE_URL DOBBY_MODEL MODEL_PATH
cd "$work"

# Small functions that all differ, one a file.
files=0
add_files() {
    local last=$((files + $1)) verbs=(add scale clamp count find copy swap join)
    mkdir -p source
    for (( ; files < last; files++)); do
        local verb=${verbs[files % 8]}
        printf 'int %s_%d(const int *items, int count)\n{\n    int total = %d;\n    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n    return total;\n}\n' \
            "$verb" "$files" "$((files * 7 % 31))" "$((files % 13 + 1))" >"source/${verb}_$files.c"
    done
}
ingest() { "$program" ingest --db "sqlite:$1" source >ingest.log 2>&1 || { cat ingest.log >&2; fail "ingest"; }; }
query() { sqlite3 -cmd '.timeout 10000' "$database" "$1"; }
finished_query='SELECT count(*) FROM record WHERE state IN (3, 4)' # completed, degraded
in_state() { "$program" status --db "sqlite:$database" --json | jq ".states.$1"; }
now_ms() { date +%s%3N; }

add_files 60
ingest "$database"

# How long a start takes here (sanitizers make it long), so that kills fall before, within and after it.
started=$(now_ms)
"$program" run --db "sqlite:$database" --max-records 1 >run.log 2>&1 || { cat run.log >&2; fail "the first run"; }
start_ms=$(($(now_ms) - started))
echo "seed $seed, a start with one record takes $start_ms ms"

finished_before=$(query "$finished_query")
late=0
room=40 # records that a run is to have before it; doubled when a machine is done with them before the moment comes
for ((kill_number = 1; kill_number <= kills; kill_number++)); do
    if (($(in_state pending) + $(in_state leased) < room)); then
        add_files "$room"
        ingest "$database"
    fi
    # Every fourth dies while it starts; the others somewhere behind their first few results, however fast
    # this machine is. They differ in sessions, which no result may depend on.
    sessions=$((RANDOM % 8 + 1))
    "$program" run --db "sqlite:$database" --sessions "$sessions" >run.log 2>&1 &
    pid=$!
    if ((kill_number % 4 == 0)); then
        wait_ms=$((RANDOM % (start_ms + 1)))
    else
        wanted=$((finished_before + RANDOM % 8 + 1))
        while kill -0 "$pid" 2>/dev/null && (($(query "$finished_query") < wanted)); do
            sleep 0.05
        done
        wait_ms=$((RANDOM % 400))
    fi
    sleep "$((wait_ms / 1000)).$(printf '%03d' $((wait_ms % 1000)))"
    kill -9 "$pid" 2>/dev/null || true
    status=0
    { wait "$pid" || status=$?; } 2>/dev/null
    pid=
    if [ "$status" = 0 ]; then # nothing was left to do before the moment came
        late=$((late + 1)) room=$((room * 2))
    elif [ "$status" != 137 ]; then
        cat run.log >&2
        fail "a run ended by itself with status $status"
    fi
    integrity=$(query 'PRAGMA integrity_check')
    [ "$integrity" = ok ] || fail "after kill $kill_number: $integrity"
    finished=$(query "$finished_query")
    [ "$finished" -ge "$finished_before" ] || fail "after kill $kill_number: $finished finished, before $finished_before"
    [ "$(query 'SELECT count(*) FROM summary')" = "$finished" ] || fail "after kill $kill_number: summaries without records"
    [ "$((finished + $(in_state pending) + $(in_state leased)))" = "$files" ] ||
        fail "after kill $kill_number: some records are in no state that they should be in"
    echo "kill $kill_number, $sessions sessions: $finished of $files finished, $(in_state leased) leased"
    finished_before=$finished
done
[ "$late" -le 5 ] || fail "$late of $kills runs had ended before they were to be killed"

# The dead runs' leases come back at once, although they last 60 s: the next run returns them all before it
# claims its one record, and leaves none of its own.
last_run() { "$program" run --db "sqlite:$database" "$@" >run.log 2>&1 || { cat run.log >&2; fail "a last run"; }; }
last_run --max-records 1
[ "$(in_state leased)" = 0 ] || fail "$(in_state leased) leases of dead runs"
last_run
"$program" export --db "sqlite:$database" --format jsonl >killed.jsonl

total=$(wc -l <killed.jsonl)
[ "$total" = "$files" ] || fail "$total records, $files files"
[ "$(jq -r .id killed.jsonl | sort -u | wc -l)" = "$total" ] || fail "records that share an id"
not_done=$(jq -r 'select(.state != "completed" and .state != "degraded") | .state' killed.jsonl | wc -l)
[ "$not_done" = 0 ] || fail "$not_done records are not finished"
completed=$(jq -r 'select(.state == "completed") | .state' killed.jsonl | wc -l)
[ "$(query 'SELECT count(*) FROM summary')" = "$total" ] || fail "not one summary a record"
[ "$(query 'SELECT count(DISTINCT record_seq) FROM summary WHERE current = 1')" = "$total" ] ||
    fail "a record without its summary"

# Each result was counted by the transaction that stored it, whoever died after.
[ "$(query 'SELECT sum(completed), sum(degraded), sum(failed), sum(skipped) FROM run')" = \
    "$(query 'SELECT sum(state = 3), sum(state = 4), sum(state = 5), sum(state = 6) FROM record')" ] ||
    fail "the runs' rows do not add up to the tables"
[ "$(query 'SELECT count(*) FROM record WHERE owner IS NOT NULL')" = 0 ] || fail "a lease is left"

# The same again, undisturbed.
ingest "$work/calm.db"
"$program" run --db "sqlite:$work/calm.db" >run.log 2>&1 || { cat run.log >&2; fail "the undisturbed run"; }
"$program" export --db "sqlite:$work/calm.db" --format jsonl >calm.jsonl
for name in killed calm; do
    jq -c '[.id, .path, .state, .summary, .confidence, .tokens_in, .tokens_out]' "$name.jsonl" | sort >"$name.txt"
done
cmp killed.txt calm.txt || fail "the kills changed results"

echo "$total records, $completed completed, each summarised once; $kills kills cost" \
    "$(($(query 'SELECT sum(attempt) FROM record') - total)) further attempts"
