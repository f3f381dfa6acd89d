# What the chaos tests share: records, workers, and the check that holds after anything that was done to them.
#
#   source chaos.bash PROGRAM TOOL...     as ../e2e/expect.bash
#
# DOBBY_CHAOS=full asks for the full form (make chaos); the short one is what `make check` runs.
# DOBBY_TEST_SEED=N repeats the random moments of an earlier test.
# The workers run the null engine, which gives every record the same text: what is put to the test is the
# pipeline and the store, so a record costs a stated delay and no inference.
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/expect.bash" "$@"
for tool in sqlite3 jq; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done

full=$([ "${DOBBY_CHAOS-}" = full ] && echo 1 || echo 0)
# in_form SHORT FULL: the number for the form that was asked for
in_form() { if [ "$full" = 1 ]; then echo "$2"; else echo "$1"; fi; }
seed=$((10#${DOBBY_TEST_SEED:-$(date +%N)}))
RANDOM=$((seed % 32768))
echo "seed $seed, $(in_form short full) form"
# up_to N: a random number from 0 to N - 1, beyond what RANDOM alone can say
up_to() { echo $(((RANDOM * 32768 + RANDOM) % $1)); }
sleep_ms() { sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"; }
now_ms() { date +%s%3N; }

database=$work/chaos.db
export DOBBY_ENGINE_KIND=null DOBBY_DB=sqlite:$database
query() { sqlite3 -readonly -cmd '.timeout 20000' "$database" "$1"; }

# add_records N: N more small files in source/, each one record, no two alike. Brings the database up to date.
records=0
removed=0 # records that went since, perhaps with a result that a run has counted
add_records() {
    local first=$records
    records=$((records + $1))
    mkdir -p source
    awk -v first="$first" -v last="$records" 'BEGIN {
        for (i = first; i < last; i++) {
            file = sprintf("source/scale_%06d.c", i)
            printf "int scale_%d(const int *items, int count)\n{\n    int total = %d;\n", i, i % 31 > file
            printf "    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n", i % 13 + 1 > file
            print "    return total;\n}" > file
            close(file)
        }
    }'
    "$program" ingest source >ingest.out 2>ingest.err ||
        { fail "ingest of $1 more records" "$(cat ingest.err)"; finish; }
}

# ---- workers ----
declare -A pids=()
# start NAME ARGUMENT...: a worker in the background; NAME.out has its totals as JSON, NAME.err what it says.
start() {
    local name=$1
    shift
    "$program" run --json "$@" >"$name.out" 2>"$name.err" &
    pids[$name]=$!
}
alive() { [ -n "${pids[$1]-}" ] && kill -0 "${pids[$1]}" 2>/dev/null; }
# signal NAME SIGNAL
signal() { kill -"$2" "${pids[$1]}" 2>/dev/null; }
# await NAME: until the worker has ended; its exit status is in $status.
await() {
    status=0
    { wait "${pids[$1]}" || status=$?; } 2>/dev/null
    unset "pids[$1]"
}
cleanup() {
    local pid
    for pid in "${pids[@]}"; do
        kill -CONT "$pid" 2>/dev/null
        kill -9 "$pid" 2>/dev/null
    done
    chmod -R u+rwX "$work" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
# until_true SECONDS COMMAND...: asks ten times a second; false when the time is over.
until_true() {
    local end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$end" ] || return 1
        sleep 0.1
    done
}
finished() { query 'SELECT count(*) FROM record WHERE state IN (3, 4)'; } # completed, degraded
finished_at_least() { [ "$(finished)" -ge "$1" ]; }

# ---- what must hold ----
# intact NAME: at any moment, whatever was done: the file is whole and no result is there without its state.
intact() {
    local name=$1 wrong=
    [ "$(query 'PRAGMA integrity_check')" = ok ] || wrong+=" the file is damaged;"
    [ -z "$(query 'PRAGMA foreign_key_check')" ] || wrong+=" a reference leads nowhere;"
    [ "$(query 'SELECT count(*) FROM record')" = "$records" ] || wrong+=" records are missing;"
    [ "$(query "$unmatched_query")" = 0 ] || wrong+=" a result without its state, or a state without its result;"
    if [ -z "$wrong" ]; then pass "$name: intact"; else fail "$name: intact" "$wrong"; fi
}
unmatched_query='SELECT count(*) FROM record r WHERE (r.state IN (3, 4)) !=
    EXISTS (SELECT 1 FROM summary s WHERE s.record_seq = r.seq AND s.current = 1)'

# settled NAME [FAILED]: at the end: every record is terminal, each result is stored exactly once, and every
# count that Dobby prints is what a query of the tables gives. FAILED records (default 0) have no result.
settled() {
    local name=$1 lost=${2:-0} what want ask
    intact "$name"
    while IFS='#' read -r what want ask; do
        same "$name: $what" "$(query "$ask")" "$want"
    done <<END
no record is pending or leased#0#SELECT count(*) FROM record WHERE state IN (1, 2)
no run is left active#0#SELECT count(*) FROM run WHERE state IN (1, 2)
no run claims more than there is#0#SELECT max(0, sum(completed + degraded) - (SELECT count(*) FROM summary) - $removed) FROM run
no result is there that no run counts#0#SELECT max(0, (SELECT count(*) FROM summary) - sum(completed + degraded)) FROM run
no lease is left#0#SELECT count(*) FROM record WHERE owner IS NOT NULL OR lease_until_us IS NOT NULL
records without a result#$lost#SELECT count(*) FROM record WHERE state = 5
each failed record says why#$lost#SELECT count(*) FROM record WHERE state = 5 AND error_id <> '' AND reason <> ''
one result a record#$((records - lost))#SELECT count(*) FROM summary
one current result a record#$((records - lost))#SELECT count(DISTINCT record_seq) FROM summary WHERE current = 1
each result is of the present content#0#SELECT count(*) FROM summary s JOIN record r ON r.seq = s.record_seq WHERE s.content_sha256 <> r.content_sha256
END
    same "$name: status counts as the tables do" \
        "$("$program" status --json | jq -c '[.total, .states.pending, .states.leased, .states.completed, .states.degraded, .states.failed, .states.skipped, .summaries, .tokens_in, .tokens_out]')" \
        "$(query "SELECT json_array(count(*), sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4), sum(state = 5), sum(state = 6),
            (SELECT count(*) FROM summary WHERE current = 1), (SELECT sum(tokens_in) FROM summary WHERE current = 1),
            (SELECT sum(tokens_out) FROM summary WHERE current = 1)) FROM record")"
}

# accounted NAME: what the runs' rows say adds up to what the tables hold, also where runs died: a result is counted by
# the transaction that stores it. Not where records went, changed or were tried again since: those were counted too.
accounted() {
    same "$1: the runs' rows add up to the tables" \
        "$(query "SELECT sum(completed), sum(degraded), sum(failed), sum(skipped) FROM run")" \
        "$(query 'SELECT sum(state = 3), sum(state = 4), sum(state = 5), sum(state = 6) FROM record')"
    same "$1: the runs' JSON says the same" \
        "$("$program" runs --limit 0 --json | jq -c '[(map(.completed) | add), (map(.degraded) | add), (map(.stale) | add)]')" \
        "$(query 'SELECT json_array(sum(completed), sum(degraded), sum(stale)) FROM run')"
}

# total_of FIELD FILE...: the sum of a field over the totals that workers printed
total_of() {
    local field=$1
    shift
    jq -s "map(.$field) | add" "$@"
}

# results DATABASE: every record with its result, one line each, for comparing two databases.
results() {
    sqlite3 -readonly "$1" "SELECT r.path, r.state, s.text, s.confidence, s.tokens_in, s.tokens_out, hex(s.result_key)
        FROM record r LEFT JOIN summary s ON s.record_seq = r.seq AND s.current = 1 ORDER BY r.path, r.position"
}
# undisturbed NAME: the results are those of a run over the same source that nobody disturbed.
undisturbed() {
    local name=$1
    (
        export DOBBY_DB=sqlite:$work/calm.db DOBBY_ENGINE_NULL_DELAY_MS=0
        rm -f "$work"/calm.db*
        "$program" ingest source && { "$program" run "${@:2}" || [ $? = 3 ]; } # 3: what fails every time
    ) >calm.out 2>calm.err || { fail "$name: the undisturbed run" "$(cat calm.err)"; return; }
    results "$database" >disturbed.txt
    results "$work/calm.db" >calm.txt
    if cmp -s disturbed.txt calm.txt; then
        pass "$name: the same results as undisturbed"
    else
        fail "$name: the same results as undisturbed" "$(diff disturbed.txt calm.txt | head -n 5)"
    fi
}
