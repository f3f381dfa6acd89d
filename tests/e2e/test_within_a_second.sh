#!/usr/bin/env bash
# A run obeys within a second, however long the engine's pass takes: pause, cancel and a second Ctrl-C, with the
# scalar kernels, whose passes take seconds. Times are the program's own.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3

mkdir source
for ((i = 0; i < 400; i++)); do
    printf 'int scale_%d(const int *items, int count)\n{\n    int total = %d;\n    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n    return total;\n}\n' \
        "$i" "$i" "$((i % 7 + 2))" >"source/scale_$i.c"
done
export DOBBY_DB=sqlite:test.db DOBBY_CPU=ref
check "ingest" "$program" ingest source
states() { "$program" status --json | jq ".states | $1"; }
row() { sqlite3 -readonly test.db "SELECT $1 FROM run ORDER BY seq DESC LIMIT 1"; }
at_most() { if [ "$2" -le "$3" ]; then pass "$1"; else fail "$1" "$2 ms, not $3"; fi; }
kill_all() { jobs -p | xargs -r kill -9 2>/dev/null; rm -rf "$work"; }
trap kill_all EXIT

# start: a run in the background whose engine is at work, at another point of a pass each time
start() {
    "$program" run >run.out 2>run.err &
    pid=$!
    for ((tries = 0; tries < 600; tries++)); do
        [ "$(states .leased)" -gt 0 ] && break
        sleep 0.05
    done
    sleep "$1"
}
# ended NAME: the run ended as it was told, and what it had is there for the next one
ended() {
    local status=0
    wait "$pid" || status=$?
    same "$1: status" "$status" 130
    same "$1: nothing is leased, failed or lost" "$(states '[.leased, .failed, .pending + .completed + .degraded]' | jq -c .)" \
        '[0,0,400]'
}

start 0.9
check "pause" "$program" pause --json
same "pause is answered" "$(jq .answered out)" true
at_most "pause" "$(jq .waited_ms out)" 1000
claimed=$(states '.completed + .degraded + .leased')
sleep 0.6
more=$(($(states '.completed + .degraded + .leased') - claimed))
if [ $more -le 0 ]; then pass "a paused run takes no record"; else fail "a paused run took $more records"; fi
check "cancel while it pauses" "$program" cancel
ended "canceled while it pauses"
at_most "cancel while it pauses" "$(row '(ended_us - command_us) / 1000')" 1000
for wait_s in 0.4 1.7; do
    start $wait_s
    check "cancel after $wait_s s" "$program" cancel
    ended "cancel after $wait_s s"
    at_most "cancel after $wait_s s" "$(row '(ended_us - command_us) / 1000')" 1000
done
for wait_s in 0.7 1.4; do
    start $wait_s
    kill -INT $pid
    sleep 0.05 # two signals at the same moment would be one
    told_us=$(($(date +%s%N) / 1000))
    kill -INT $pid
    ended "two interrupts after $wait_s s"
    at_most "two interrupts after $wait_s s" "$(row "(ended_us - $told_us) / 1000")" 1000
done

# In an outage too: another process holds the database's write lock.
unset DOBBY_CPU
export DOBBY_ENGINE_KIND=null DOBBY_ENGINE_NULL_DELAY_MS=300
start 0.1
sqlite3 test.db 'BEGIN IMMEDIATE' '.shell sleep 6' 'ROLLBACK' &
locker=$!
sleep 1.5
kill -INT $pid
sleep 0.3
told_ms=$(date +%s%3N)
kill -INT $pid
status=0
wait "$pid" || status=$?
took_ms=$(($(date +%s%3N) - told_ms))
same "two interrupts in an outage: status" "$status" 130
at_most "two interrupts in an outage" "$took_ms" 1500 # the process' end as the shell sees it
grep -q 'STORE-0003' run.err && grep -q '^interrupted meanwhile' run.err && pass "it says why nothing was saved" ||
    fail "it says why nothing was saved" "$(cat run.err)"
wait "$locker"

# Others see that it is held up, though it can write nothing down.
start 0.1
sqlite3 test.db 'BEGIN IMMEDIATE' '.shell sleep 9' 'ROLLBACK' &
locker=$!
sleep 4.5
"$program" status >out
grep -q 'no sign of life for [3-9] s' out && ! grep -q 'ETA [0-9]' out && pass "a run that is held up is told from one that works" ||
    fail "a run that is held up is told from one that works" "$(cat out)"
wait "$locker"
"$program" cancel >/dev/null
wait "$pid"
finish
