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

add_records 600
start first --sessions 4
start second --sessions 4
until_true 30 finished_at_least 50 || fail "the workers store nothing" "$(cat first.err second.err)"

lock
before=$(finished)
for ((second = 0; second < seconds; second++)); do
    sleep 1
    alive first && alive second || { fail "a worker gives up after $second s" "$(cat first.err second.err)"; break; }
done
same "nothing is stored meanwhile" "$(finished)" "$before"
check "status can be read meanwhile" "$program" status --json
same "status is what the tables say" "$(jq '.states.completed + .states.degraded' out)" "$before"
unlock

for worker in first second; do
    await "$worker"
    same "worker $worker ends well" "$status" 0
done
settled "locked for $seconds s"
accounted "locked for $seconds s"
same "nothing was done twice" "$(query 'SELECT count(*) FROM record WHERE tries > 1')" 0
same "the workers' counts add up" "$(total_of 'completed + .degraded' first.out second.out)" "$records"

# A run without patience ends, and says why; what it held is done by the next one.
add_records 200
DOBBY_RUN_OUTAGE_MS=1000 start impatient --sessions 4
until_true 30 finished_at_least 620 || fail "the worker stores nothing" "$(cat impatient.err)"
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
