#!/usr/bin/env bash
# Ctrl-C once drains, twice stops; both give every lease back and end with 130. Output that nobody reads any
# more ends a command quietly.
source "$(dirname "$0")/expect.bash" "$1" jq

mkdir source
for ((i = 0; i < 800; i++)); do
    printf 'int scale_%d(const int *items, int count)\n{\n    int total = %d;\n    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n    return total;\n}\n' \
        "$i" "$i" "$((i % 7 + 2))" >"source/scale_$i.c"
done
export DOBBY_DB=sqlite:test.db
check "ingest" "$program" ingest source
cp test.db ingested.db
states() { "$program" status --json | jq ".states | $1"; }

# afresh: every record is still to do, whatever ran before and however fast the machine is
afresh() {
    rm -f test.db-wal test.db-shm
    cp ingested.db test.db
}
# start SESSIONS: a run in the background that has stored something, and has most of its work before it
start() {
    afresh
    "$program" run --sessions "$1" >run.out 2>run.err &
    pid=$!
    for ((tries = 0; tries < 600; tries++)); do
        [ "$(states '.completed + .degraded')" -gt 0 ] && return
        sleep 0.1
    done
    fail "a run stores nothing for a minute" "$(cat run.err)"
}
# ended NAME: the run has ended with 130, holds nothing, and left something to do
ended() {
    local status=0
    wait "$pid" || status=$?
    same "$1: status" "$status" 130
    same "$1: no lease is left" "$(states .leased)" 0
    same "$1: something is left to do" "$(states '.pending > 0')" true
    same "$1: no record was tried in vain" "$(states .failed)" 0
    grep -q 'press Ctrl-C again to stop now' run.err && pass "$1: says what it does" || fail "$1: message" "$(cat run.err)"
    grep -qE '^[0-9]+ records in ' run.out && pass "$1: has its totals" || fail "$1: totals" "$(cat run.out)"
}

start 8
kill -INT "$pid"
ended "one interrupt"
start 8
kill -TERM "$pid"
ended "one termination"
start 8
kill -HUP "$pid"
ended "a closed terminal"
start 64 # so many that the first signal leaves work for the second to stop
kill -INT "$pid"
sleep 0.05 # two signals at the same moment would be one
kill -INT "$pid"
ended "two interrupts"

# Before there is anything to run, too.
afresh
"$program" run --max-records 1 >run.out 2>run.err &
pid=$!
# A signal that comes before the shell's child has become the program would run this shell's EXIT trap in it.
while [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = bash ]; do :; done
sleep 0.02
kill -INT "$pid"
status=0
wait "$pid" || status=$?
# At that moment it may not have come to catching signals yet: then it ends by the signal, holding nothing.
case $status in 130 | 0) pass "an interrupt at the start" ;; *) fail "an interrupt at the start" "status $status" ;; esac
same "an interrupt at the start leaves no lease" "$(states .leased)" 0

# ---- on a terminal ----
# Records that take a while, however fast the machine is: a bar comes only then.
slow_run="DOBBY_ENGINE_NULL_DELAY_MS=100 '$program' run --engine null --sessions 1 --max-records 12"
if command -v script >/dev/null; then
    TERM=xterm script -qec "$slow_run" typescript >/dev/null
    grep -q $'\r.*rec/s.*ETA.*failed' typescript && pass "a terminal gets a bar" || fail "a terminal gets a bar" "$(cat -v typescript)"
    grep -q $'\e\[32m' typescript && pass "with colour" || fail "with colour" "$(cat -v typescript)"
    NO_COLOR=1 TERM=xterm script -qec "$slow_run" typescript >/dev/null
    grep -q $'\e\[3' typescript && fail "NO_COLOR is kept" "$(cat -v typescript)" || pass "NO_COLOR is kept"
    TERM=dumb script -qec "$slow_run" typescript >/dev/null
    grep -q $'\e' typescript && fail "a dumb terminal gets plain lines" "$(cat -v typescript)" ||
        pass "a dumb terminal gets plain lines"
    TERM=xterm script -qec "stty cols 70; '$program' list" typescript >/dev/null
    sed 's/\x1b\[[0-9;]*m//g; s/\r//g; s/\xe2\x80\xa6/./g' typescript | grep -v '^Script ' | awk 'length > 70' >wide
    same "list fits the terminal" "$(cat wide)" ""
else
    echo "SKIP what a terminal shows: there is no script(1)"
fi

# ---- nobody reads ----
for format in jsonl json csv md; do
    { "$program" export --format $format 2>export.err; echo $? >export.status; } | head -n 1 >/dev/null
    same "export $format | head is quiet" "$(cat export.err)" ""
    case $(cat export.status) in
    0 | 1) pass "export $format | head does not crash" ;;
    *) fail "export $format | head" "status $(cat export.status)" ;;
    esac
done
{ "$program" list 2>list.err; echo $? >list.status; } | true
same "list | true is quiet" "$(cat list.err)" ""
finish
