#!/usr/bin/env bash
# Another process holds the database's write lock for far longer than a statement waits. The workers pause, lose
# nothing, hold nothing against the records, and go on when the lock is gone.
source "$(dirname "$0")/chaos.bash" "$1"

seconds=$(in_form 4 30)
export DOBBY_ENGINE_NULL_DELAY_MS=50 DOBBY_STORE_BUSY_TIMEOUT_MS=500
lock() {
    coproc locker { sqlite3 -cmd '.timeout 20000' "$database" 2>&1; }
    local answer
    echo "BEGIN EXCLUSIVE; SELECT 'locked';" >&"${locker[1]}"
    read -r answer <&"${locker[0]}"
    same "another process has the lock" "$answer" locked
}
unlock() {
    local pid=$locker_PID
    echo "COMMIT;" >&"${locker[1]}"
    exec {locker[1]}>&-
    wait "$pid" 2>/dev/null
}

# locked_out NAME LEASE_MS: two workers that hold leases of so many ms are locked out, and finish afterwards.
locked_out() {
    local name=$1 done_before=$records before second worker
    export DOBBY_RUN_LEASE_MS=$2
    add_records 600
    start first --sessions 4
    start second --sessions 4
    until_true 30 finished_at_least $((done_before + 50)) || fail "$name: the workers store nothing" "$(cat first.err second.err)"
    lock
    before=$(finished)
    held=$(query 'SELECT count(*) FROM record WHERE state = 2')
    for ((second = 0; second < seconds; second++)); do
        sleep 1
        alive first && alive second && continue
        fail "$name: a worker gives up after $second s" "$(cat first.err second.err)"
        break
    done
    same "$name: nothing is stored meanwhile" "$(finished)" "$before"
    check "$name: status can be read meanwhile" "$program" status --json
    same "$name: status is what the tables say" "$(jq '.states.completed + .states.degraded' out)" "$before"
    unlock
    for worker in first second; do
        await "$worker"
        same "$name: worker $worker ends well" "$status" 0
    done
    settled "$name"
    accounted "$name"
    same "$name: the workers' counts add up" "$(total_of 'completed + .degraded' first.out second.out)" $((records - done_before))
}
further_tries() { query 'SELECT sum(tries) - count(*) FROM record'; }

locked_out "locked for $seconds s" 60000
same "nothing was done twice" "$(further_tries)" 0
# Leases that nobody could renew have expired by then: either worker may take them, and the other's are refused.
locked_out "locked for longer than leases last" 2000
[ "$(further_tries)" -le "$held" ] && pass "only what was held then was done twice" ||
    fail "only what was held then was done twice" "$(further_tries) further tries, $held leases"
unset DOBBY_RUN_LEASE_MS
done_before=$records

# A run without patience ends, and says why; what it held is done by the next one.
add_records 200
DOBBY_RUN_OUTAGE_MS=1000 start impatient --sessions 4
until_true 30 finished_at_least $((done_before + 20)) || fail "the worker stores nothing" "$(cat impatient.err)"
lock
await impatient
same "without patience it ends with the database's status" "$status" 5
grep -q '^dobby: warning STORE-0003: ' impatient.err && pass "it says why" || fail "it says why" "$(cat impatient.err)"
intact "after its end"
unlock
check "the next run" "$program" run
settled "after an impatient run"
undisturbed "locked for $seconds s"
finish
