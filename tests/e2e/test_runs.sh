#!/usr/bin/env bash
# Runs from another terminal: pause, resume, cancel, the list of runs, the view that is watched; records that are
# tried again; the versions of a summary.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3

export DOBBY_DB=sqlite:test.db DOBBY_ENGINE_KIND=null
refuse "no database, no runs" 5 STORE-0011 'test.db' "$program" runs
refuse "no database to pause in" 5 STORE-0011 'test.db' "$program" pause
mkdir source
for ((i = 0; i < 400; i++)); do
    printf 'int scale_%d(int x)\n{\n    return x * %d;\n}\n' "$i" "$i" >"source/scale_$i.c"
done
check "ingest" "$program" ingest source
states() { "$program" status --json | jq ".states | $1"; }
# until_true COMMAND...: asks ten times a second for a minute
until_true() { for ((tries = 0; tries < 600; tries++)); do "$@" && return; sleep 0.1; done; false; }
more_than() { [ "$(states '.completed + .degraded')" -gt "$1" ]; }
start() { DOBBY_ENGINE_NULL_DELAY_MS=200 "$program" run --json --sessions "$1" "${@:3}" >"$2.out" 2>"$2.err" & }
kill_all() { jobs -p | xargs -r kill -9 2>/dev/null; chmod -R u+rwX "$work"; rm -rf "$work"; }
trap kill_all EXIT

same "no run yet" "$("$program" runs)" "no runs"
same "no run yet, as JSON" "$("$program" runs --json | jq -c .)" "[]"
refuse "nothing to pause" 6 RUN-0002 'no run is active' "$program" pause
refuse "nothing to resume" 6 RUN-0002 'no run is active' "$program" resume
refuse "nothing to cancel" 6 RUN-0002 "begins with 'zz'" "$program" cancel zz
refuse "one run at a time" 2 APP-0001 'one argument too many' "$program" pause a b

# ---- one run, told from here ----
start 4 first
until_true more_than 0 || fail "the run stores nothing" "$(cat first.err)"
id=$("$program" runs --json | jq -r '.[0].id')
same "it is listed" "$("$program" runs --active --json | jq -c '[.[] | [.id, .state, .command]]')" "[[\"$id\",\"running\",\"none\"]]"
check "pause" "$program" pause --json
same "pause is answered" "$(jq -c '[.run, .command, .state, .answered, .waited_ms <= 1000]' out)" "[\"$id\",\"pause\",\"paused\",true,true]"
until_true eval '[ "$(states .leased)" = 0 ]' || fail "a paused run gives its leases back" "$(states .)"
before=$(states .completed)
sleep 1
same "a paused run does nothing" "$(states .completed)" "$before"
check "pause again" "$program" pause "${id:0:13}"
same "pause again is fine" "$(cat out)" "run $id is paused"
"$program" status | grep -q "^run $id  paused" && pass "status shows it" || fail "status shows it" "$("$program" status)"
check "resume" "$program" resume "$id"
same "resume is answered" "$(cat out)" "run $id is running"
until_true more_than "$before" || fail "it goes on" "$(cat first.err)"
check "cancel" "$program" cancel "${id:0:20}" --json
same "cancel is answered" "$(jq -c '[.state, .answered, .waited_ms <= 1000]' out)" '["canceled",true,true]'
status=0
wait %1 || status=$?
same "the canceled run's status" "$status" 130
same "it leaves no lease" "$(states .leased)" 0
same "it leaves work" "$(states '.pending > 0')" true
refuse "an ended run is not paused" 6 RUN-0004 "run $id is canceled" "$program" pause "${id:0:13}"
same "its row has its totals" "$("$program" runs "$id" --json | jq -c '[.state, .done, .completed, .failed, .tokens_in, .tokens_out]')" \
    "$(jq -c '["canceled", .records, .completed, .failed, .tokens_in, .tokens_out]' first.out)"
same "its row has its settings and figures" "$("$program" runs "$id" --json | jq -c '[.settings.model != null, .metrics.latency_ms.p50 > 0, .ended_at != null, .pid > 0]')" \
    '[true,true,true,true]'
check "one run for people" "$program" runs "${id:0:13}"
grep -q "^run $id  canceled" out && grep -q '^  settings  ' out && grep -q '^  latency ms ' out &&
    pass "a run for people has its parts" || fail "a run for people has its parts" "$(cat out)"

# ---- two runs ----
start 2 second
start 2 third
two_runs() { [ "$("$program" runs --active --json | jq length)" = 2 ]; }
until_true two_runs || fail "two runs are listed" "$(cat second.err third.err)"
mapfile -t ids < <("$program" runs --active --json | jq -r '.[].id')
refuse "pause must say which" 6 RUN-0003 "${ids[0]}, ${ids[1]}" "$program" pause
check "pause one of them" "$program" pause "${ids[0]}"
same "the other one goes on" "$("$program" runs --active --json | jq -c '[.[].state]')" '["paused","running"]'
check "cancel the paused one" "$program" cancel "${ids[0]}"
check "cancel the only one left" "$program" cancel
wait
refuse "runs that share a beginning" 6 RUN-0003 'several' "$program" runs 0
refuse "a run that never was" 6 RUN-0002 "begins with 'ffff'" "$program" runs ffff

# ---- a run that dies ----
start 2 fourth
until_true eval '[ "$("$program" runs --active --json | jq length)" = 1 ]'
id=$("$program" runs --active --json | jq -r '.[0].id')
kill -9 %%
wait 2>/dev/null
same "it is shown as lost" "$("$program" runs "$id" --json | jq -r .state)" lost
refuse "nobody is left to pause" 6 RUN-0002 'no run is active' "$program" pause
refuse "nor by its name" 6 RUN-0004 "run $id is lost" "$program" pause "$id"
same "its row says so from then on" "$(sqlite3 -readonly test.db "SELECT state FROM runs WHERE id = '$id'")" lost
check "runs" "$program" runs
same "runs has a heading and a line each" "$(wc -l <out)" 5
same "runs --limit" "$("$program" runs --limit 2 --json | jq length)" 2

# ---- a run whose machine is gone ----
# As from another machine: whether its process lives, nobody here can tell.
gone() { sqlite3 test.db "UPDATE run SET state = 1, ended_us = NULL, owner = 'host=far.example;boot=b;ns=1;pid=1;start=1;id=$id', heartbeat_us = $(date +%s)000000 - $1000000 WHERE id = '$id'"; }
gone 3
same "a run that was here a moment ago is no other" "$("$program" runs "$id" --json | jq -c '[.state, .silent_since]')" '["running",null]'
gone 60
same "one that shows no sign of life is silent" "$("$program" runs "$id" --json | jq -c '[.state, .silent_since == .heartbeat_at]')" '["running",true]'
"$program" status | grep -q '^  silent since 20.*dobby cancel' && pass "status says so" || fail "status says so" "$("$program" status)"
check "pause it" "$program" pause
same "which it does not answer" "$(sed 's/.*; it/it/' out)" "it is still running: see dobby status"
check "cancel it" "$program" cancel --json
same "cancel closes it" "$(jq -c '[.state, .answered, .closed]' out)" '["lost",false,true]'
gone 60
check "cancel it for people" "$program" cancel "$id"
grep -q "^run $id does not answer and was silent since 20.*closed as lost" out && pass "cancel says so" || fail "cancel says so" "$(cat out)"
refuse "then no run is active" 6 RUN-0002 'no run is active' "$program" pause

# ---- one that was only cut off ----
start 2 cut_off
until_true eval '[ "$("$program" runs --active --json | jq length)" = 1 ]'
id=$("$program" runs --active --json | jq -r '.[0].id')
kill -STOP %%
sqlite3 -cmd '.timeout 5000' test.db "UPDATE run SET heartbeat_us = heartbeat_us - 60000000 WHERE id = '$id'"
check "cancel a run that is stopped" "$program" cancel --json
same "it is closed" "$(jq -c '[.state, .closed]' out)" '["lost",true]'
kill -CONT %%
status=0
wait %% || status=$?
same "coming back it finds the command and ends" "$status $("$program" runs "$id" --json | jq -r .state)" "130 canceled"
same "and leaves no lease" "$(states .leased)" 0

# ---- watching ----
start 2 fifth
until_true eval '[ "$("$program" runs --active --json | jq length)" = 1 ]'
# watch LINES ARGUMENT...: watches until so many lines are in watch.out, then a second more, and interrupts it
watch() {
    "$program" status --watch "${@:2}" >watch.out 2>watch.err &
    local pid=$!
    until_true eval '[ "$(wc -l <watch.out)" -ge '"$1"' ]' || fail "watch $2 prints" "$(cat watch.err)"
    sleep 1.2
    kill -INT $pid
    wait $pid
}
watch 2
same "watch ends with Ctrl-C and 0" "$?" 0
grep -qE '^20[0-9T:.-]+Z run [0-9a-f-]{18} running: [0-9]+ of [0-9]+ records, .* p99 ' watch.out &&
    pass "watch prints a line for a run" || fail "watch prints a line for a run" "$(cat watch.out watch.err)"
watch 1 --json
same "watch --json prints an object a line" "$(jq -c '[.total, (.runs | length)]' watch.out | sort -u)" '[400,1]'
if command -v script >/dev/null; then
    TERM=xterm timeout 5 script -qec "stty cols 70 rows 12; timeout --preserve-status -s INT 2 '$program' status --watch" typescript >/dev/null
    grep -q $'\e\[H' typescript && grep -q $'\e\[J' typescript && pass "a terminal is redrawn" ||
        fail "a terminal is redrawn" "$(cat -v typescript)"
    # What was drawn last: twelve rows less the one where the cursor waits, of 69 columns.
    sed 's/\r//g' typescript | grep -v '^Script ' | awk -v RS=$'\e\\\\[H' 'END { printf "%s", $0 }' |
        sed 's/\x1b\[[0-9;]*[A-Za-z]//g' >frame
    same "the view fits the terminal" "$(awk 'length > 69' frame)" ""
    [ "$(wc -l <frame)" -le 12 ] && pass "in rows too" || fail "in rows too" "$(cat frame)"
    grep -q "400 records: " frame && grep -q '^run ' frame && grep -q '^  latency ms ' frame &&
        pass "the view has records, runs and latencies" || fail "the view has records, runs and latencies" "$(cat frame)"
else
    echo "SKIP what a terminal shows: there is no script(1)"
fi
check "cancel it" "$program" cancel
wait
"$program" status --watch --json | head -n 1 >/dev/null
same "watch | head ends quietly" "${PIPESTATUS[0]}" 1
watch 1
same "nothing runs: said once" "$(sed 's/^20[^ ]* //; s/: .*//' watch.out)" "no run is active; 400 records"
refuse "--interval 0" 2 APP-0001 'from 1 to' "$program" status --watch --interval 0
refuse "--interval alone" 2 APP-0001 '--interval goes with --watch' "$program" status --interval 2

# ---- trying again ----
check "the rest" "$program" run
same "all is done" "$(states '[.completed, .pending, .leased]' | jq -c .)" '[400,0,0]'
same "nothing failed" "$("$program" retry)" "nothing to retry"
printf 'int poison(void);\n' >source/poison.c
printf 'int venom(void);\n' >source/venom.c
check "ingest two more" "$program" ingest source
DOBBY_ENGINE_NULL_FAIL_MARKER='(void);' "$program" run >run.out 2>&1
same "both fail" "$?" 3
poison=$("$program" list --state failed --path poison.c --json | jq -r '.[0].id')
good=$("$program" list --state completed --limit 1 --json | jq -r '.[0].id')
refuse "retry what is not there" 5 STORE-0009 zz "$program" retry "$poison" zz
same "then nothing is retried" "$(states .failed)" 2
refuse "retry what is completed" 2 APP-0001 'is completed' "$program" retry "$good"
refuse "retry what is in another state" 2 APP-0001 'is failed; what can be retried is skipped' "$program" retry --state skipped "$poison"
refuse "retry a state that cannot be" 2 APP-0001 completed "$program" retry --state completed
refuse "ids and --path" 2 APP-0001 '--path' "$program" retry --path 'p*' "$poison"
check "retry one" "$program" retry "${poison:0:12}"
same "retry one says so" "$(cat out)" "1 record will be tried again: dobby run"
same "one is pending" "$(states '[.pending, .failed]' | jq -c .)" '[1,1]'
check "retry by path, nothing there" "$program" retry --path 'p*' --json
same "it is not failed any more" "$(jq -c . out)" '{"requeued":0}'
check "retry the rest" "$program" retry --json
same "retry the rest counts" "$(jq .requeued out)" 1
same "they have all their attempts" "$(sqlite3 -readonly test.db 'SELECT sum(tries) FROM record WHERE state = 1')" 0
check "run again" "$program" run
same "all is done again" "$(states '[.completed, .failed, .pending]' | jq -c .)" '[402,0,0]'

# A summary that is cut off is degraded, and stays until there is a better one.
printf 'int short_of(int x);\n' >source/short.c
check "ingest one more" "$program" ingest source
check "run with few tokens" "$program" run --max-tokens-out 3
same "it is degraded" "$(states .degraded)" 1
short=$("$program" list --state degraded --json | jq -r '.[0].id')
check "retry degraded" "$program" retry --state degraded
same "its summary stays meanwhile" "$("$program" list --id "$short" --json | jq -c '[.[0].state, .[0].summary != null]')" '["pending",true]'
check "run with enough tokens" "$program" run
same "it is completed" "$("$program" list --id "$short" --json | jq -r '.[0].state')" completed

# ---- versions ----
same "both versions are there" "$("$program" list --versions --id "$short" --json | jq -c '[.[] | [.current, .of_present_content]]')" '[[true,true],[false,true]]'
same "the newest first" "$("$program" list --versions --id "$short" --json | jq -c '[.[] | (.summary | length)] | .[0] > .[1]')" true
same "a record without versions is there too" "$("$program" list --versions --json | jq 'map(.id) | unique | length')" 403
check "versions for people" "$program" list --versions --id "$short"
same "the current one is marked" "$(grep -c ' \* 20[0-9-]* [0-9:]*  ' out)/$(wc -l <out)" 1/3
# A user who may only read: root is nobody for that.
nobody=()
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod -R a+rX,a-w . && chmod a+w out err
if "${nobody[@]}" "$program" version >/dev/null 2>&1; then
    refuse "a database that this user cannot write" 5 STORE-0005 'test.db' "${nobody[@]}" "$program" retry
    check "which the user can read" "${nobody[@]}" "$program" runs
else
    echo "SKIP a database that cannot be written: another user cannot run $program"
fi
finish
