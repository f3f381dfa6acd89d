#!/usr/bin/env bash
# dobby run: caps and their exit status, equal prompts, stale summaries, failures, an engine and a database that
# fail for a while. With the null engine: nothing is inferred.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3

# ends NAME STATUS COMMAND...: the command ends with the status; its output is in out and err.
ends() {
    local name=$1 want=$2 status=0
    shift 2
    "$@" >"$work/out" 2>"$work/err" || status=$?
    same "$name" "$status" "$want"
    [ $status = "$want" ] || head -c 600 "$work/err"
}
query() { sqlite3 -cmd '.timeout 5000' test.db "$1"; }
# ingest NUMBER: a tree of so many files, each one record, that all differ.
ingest() {
    rm -rf source test.db*
    mkdir source
    for ((i = 0; i < $1; i++)); do printf 'int value_%d(void) { return %d; }\n' "$i" "$i" >"source/$i.c"; done
    "$program" ingest source >ingest.out || fail "ingest"
}
export DOBBY_DB=sqlite:test.db DOBBY_ENGINE_KIND=null

# ---- one of each ----
ingest 2
ends "one record" 0 "$program" run --max-records 1
grep -q '^1 record in ' out && grep -q '^1 record is left: dobby run$' out || fail "one is no plural" "$(cat out)"
"$program" run --max-records 1 >out && grep -q '^1 record in ' out || fail "the other one" "$(cat out)"
ingest 1
grep -q ': 1 file, 1 of them text, 1 chunk, ' ingest.out || fail "one file is no plural" "$(cat ingest.out)"

# ---- caps ----
ingest 60
ends "--max-records ends with 0" 0 "$program" run --max-records 10 --json
same "--max-records is a cap" "$(jq -c '[.state, .cap, .records, .pending, .leased, .error]' out)" '["capped","max-records",10,50,0,null]'
ends "--max-tokens ends with 7" 7 "$program" run --max-tokens 100 --sessions 1 --json
same "--max-tokens says why" "$(jq -c '[.state, .cap, .pending > 0, .leased]' out)" '["capped","max-tokens",true,0]'
DOBBY_ENGINE_NULL_DELAY_MS=100 ends "--max-time ends with 7" 7 "$program" run --max-time 300ms --sessions 1
grep -q '^ended because --max-time was reached$' out && grep -q ' records are left: dobby run$' out ||
    fail "--max-time says why" "$(cat out)"
ends "the rest" 0 "$program" run --json
same "nothing is left" "$(jq -c '[.state, .cap, .pending, .failed]' out)" '["finished",null,0,0]'
ends "caps that are not reached" 0 "$program" run --max-records 5 --max-time 1h --max-tokens 5 --max-failures 1 --json
same "nothing to do is finished" "$(jq -c '[.state, .records]' out)" '["finished",0]'
refuse "a time that is none" 2 APP-0001 "--max-time 'soon'" "$program" run --max-time soon
refuse "sessions the wrong way round" 2 APP-0002 "run.sessions_min is 5" "$program" run --sessions-min 5 --sessions-max 2
refuse "more sessions than there are" 2 APP-0002 "the engine has 4 sessions" "$program" run --sessions 4 --sessions-min 5
refuse "stale what?" 2 APP-0001 "" "$program" run --stale maybe

# ---- what does not fit the context ----
rm -rf source test.db* && mkdir source
for i in 1 2 3; do
    printf 'int value_%d(void)\n{\n' $i
    for j in 1 2 3 4 5 6 7 8 9; do printf '    call_number_%d(the_value_of(%d), "a text", %d);\n' $j $i $j; done
    printf '}\n'
done >source/long.c
echo 'int short_one;' >source/short.c
export DOBBY_INGEST_CHUNK_TOKENS=400 DOBBY_ENGINE_CONTEXT_TOKENS=184 DOBBY_RUN_MAX_TOKENS=40
check "chunks longer than the context are ingested" "$program" ingest source --json
grep -q '^dobby: warning INGEST-0003: ' err && grep -qE 'has room for 1[12][0-9]: longer' err && grep -q '^  try: ' err &&
    pass "with a warning" || fail "with a warning" "$(cat err)"
jq -e '.[0].added' out >/dev/null || fail "the warning is apart from the output" "$(cat out)"
chunks=$(jq '.[0].added' out)
ends "they are skipped" 0 "$program" run
tail -1 out | grep -qE "^most records were skipped, $((chunks - 1)) of $chunks: they are longer than the context. Lower ingest.chunk_tokens" &&
    pass "and the last line says so" || fail "and the last line says so" "$(cat out)"
grep -qE "^$((chunks - 1)) times INFER-0002, .* context is 184 of which 40 are kept for the summary; record " out &&
    pass "with an example" || fail "with an example" "$(cat out)"
DOBBY_INGEST_CHUNK_TOKENS=48 check "what it says helps: ingest" "$program" ingest source
[ -s err ] && fail "what fits is not warned of" "$(cat err)"
ends "what it says helps: run" 0 "$program" run
grep -q "most records were skipped" out && fail "what it says helps" "$(cat out)"
same "nothing is skipped" "$(query "SELECT count(*) FROM record WHERE state <> 3")" 0
unset DOBBY_INGEST_CHUNK_TOKENS DOBBY_ENGINE_CONTEXT_TOKENS DOBBY_RUN_MAX_TOKENS

# ---- failures ----
ingest 40
export DOBBY_ENGINE_NULL_FAIL_MARKER=value_17 DOBBY_RUN_RETRY_MS=10
ends "a failure that does not pass" 3 "$program" run --json
same "it fails at once, the others do not" "$(jq -c '[.completed, .failed, .retried]' out)" '[39,1,0]'
same "errors by id" "$(jq -c '[.errors[] | [.id, .count, .retryable, .record != null]]' out)" '[["INFER-0005",1,false,true]]'
ingest 40
DOBBY_ENGINE_NULL_FAIL_KIND=retryable ends "a failure that may pass" 3 "$program" run --json
same "it is tried three times" "$(jq -c '[.completed, .failed, .retried]' out)" '[39,1,2]'
same "errors that may pass" "$(jq -c '[.errors[] | [.id, .count, .retryable]]' out)" '[["BASE-0001",3,true]]'
same "the dead letter says why" "$("$program" list --state failed --json | jq -r '.[].reason' | grep -c 'attempt 3 of 3')" 1
ingest 40
ends "--max-failures ends with 7" 7 "$program" run --max-failures 1 --sessions 1 --json
same "--max-failures says why, at once" "$(jq -c '[.cap, .failed, .pending > 0, .leased]' out)" '["max-failures",1,true,0]'
unset DOBBY_ENGINE_NULL_FAIL_MARKER DOBBY_RUN_RETRY_MS

# ---- equal prompts and stale summaries ----
printf 'Say what this does: {content}\n' >plain.txt
printf 'Another question: {content}\n' >other.txt
ingest 6
for ((i = 0; i < 20; i++)); do cp source/1.c "source/copy$i.c"; done
"$program" ingest source >ingest.out
ends "equal prompts" 0 "$program" run --prompt plain.txt --json
same "equal prompts once" "$(jq -c '[.completed, .inferred, .reused]' out)" '[26,6,20]'
same "reused is what the table holds" "$(query 'SELECT sum(reused), count(*) FROM summary')" '20|26'
ends "another prompt" 0 "$program" run --prompt other.txt
grep -q '^26 summaries were made with other settings and kept: dobby run --stale redo$' out ||
    fail "stale summaries are told" "$(cat out)"
ends "another prompt, redo" 0 "$program" run --prompt other.txt --stale redo --json
same "all are redone" "$(jq -c '[.inferred, .reused, .stale_redone, .stale_restored]' out)" '[6,20,26,0]'
ends "back again" 0 "$program" run --prompt plain.txt --stale redo --json
same "back again infers nothing" "$(jq -c '[.inferred, .reused, .stale_redone, .stale_restored]' out)" '[0,0,0,26]'
same "versions are kept" "$(query 'SELECT count(*), sum(current) FROM summary')" '52|26'

# ---- a database that is locked for a while ----
ingest 60
{ echo 'BEGIN EXCLUSIVE;'; sleep 3; echo 'COMMIT;'; } | sqlite3 test.db &
locker=$!
sleep 0.5
ends "a locked database is waited for" 0 "$program" run --json
wait $locker
same "nothing is lost by the lock" "$(jq -c '[.completed, .pending, .leased, .errors[0].id]' out)" '[60,0,0,"STORE-0003"]'
ingest 60
{ echo 'BEGIN EXCLUSIVE;'; sleep 4; echo 'COMMIT;'; } | sqlite3 test.db &
locker=$!
sleep 0.5
DOBBY_RUN_OUTAGE_MS=300 refuse "and not for ever" 5 STORE-0003 "is in use" "$program" run --json
same "what it ended with is told to programs too" \
    "$(jq -c '[.state, .error.id, .error.retryable, .pending, .leased, (.run | length)]' out)" '["failed","STORE-0003",true,60,0,36]'
refuse "no model" 4 MODEL-0001 nowhere "$program" run --engine native --model nowhere.gguf --json
same "an error before the run, too" "$(jq -c '[.run, .state, .error.id, .pending]' out)" '[null,"failed","MODEL-0001",60]'
refuse "no database" 5 STORE-0011 nowhere "$program" run --db sqlite:nowhere.db --json
same "and without a database" "$(jq -c '[.run, .error.id, .pending]' out)" '[null,"STORE-0011",null]'
wait $locker
same "no lease is left" "$(query 'SELECT count(*) FROM record WHERE owner IS NOT NULL')" 0
ends "the next run does it" 0 "$program" run --json
same "the next run did it" "$(jq -c '[.completed, .pending]' out)" '[60,0]'
same "runs are a table" "$(query 'SELECT count(*) FROM run')" 1
finish
