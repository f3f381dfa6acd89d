#!/usr/bin/env bash
# A worker is stopped (SIGSTOP, as when a laptop sleeps) for longer than its leases last, and goes on (SIGCONT)
# when others have done its work: its late results are refused and counted, and change nothing.
source "$(dirname "$0")/chaos.bash" "$1"

rounds=$(in_form 1 8)
lease_ms=5000
export DOBBY_ENGINE_NULL_DELAY_MS=40 DOBBY_RUN_LEASE_MS=$lease_ms
leased() { query 'SELECT count(*) FROM record WHERE state = 2'; }
# Stopped within a transaction it would keep the file's lock, and then nobody could do its work.
can_write() { sqlite3 -cmd '.timeout 1000' "$database" 'BEGIN IMMEDIATE; ROLLBACK' 2>/dev/null; }
# holds_work: stops the sleeper at this moment if it holds leases and no lock then.
holds_work() {
    signal sleeper STOP
    [ "$(leased)" -gt 0 ] && can_write && return
    signal sleeper CONT
    alive sleeper || add_records 100
    false
}

late=0
stored=0
for ((round = 1; round <= rounds; round++)); do
    add_records 300
    start sleeper --sessions 4
    until_true 30 finished_at_least $((stored + 20)) || fail "the worker stores nothing" "$(cat sleeper.err)"
    sleep_ms "$(up_to 500)"
    until_true 30 holds_work || fail "the worker was never stopped with work in its hands"
    held=$(leased)
    sleep_ms $((lease_ms + 500))
    check "round $round: another worker" "$program" run --json
    cp "$work/out" other.out
    same "round $round: it took over what the sleeper held" "$(query 'SELECT count(*) FROM record WHERE state IN (1, 2)')" 0
    results "$database" >before.txt
    signal sleeper CONT
    await sleeper
    same "round $round: the sleeper ends well" "$status" 0
    results "$database" >after.txt
    cmp -s before.txt after.txt && pass "round $round: late results change nothing" ||
        fail "round $round: late results change nothing" "$(diff before.txt after.txt | head -n 5)"
    refused=$(total_of stale sleeper.out)
    [ "$refused" -ge 1 ] && [ "$refused" -le "$held" ] && pass "round $round: late results are counted" ||
        fail "round $round: late results are counted" "$refused counted, $held leases held"
    late=$((late + refused))
    same "round $round: stored by one or the other" "$(total_of 'completed + .degraded' sleeper.out other.out)" $((records - stored))
    stored=$records
done
settled "$rounds sleeps"
accounted "$rounds sleeps"
undisturbed "$rounds sleeps"
echo "$records records, $late late results refused"
finish
