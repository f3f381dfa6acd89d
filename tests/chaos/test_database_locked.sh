#!/usr/bin/env bash
# Another process holds the database's write lock for far longer than a statement waits. The workers pause, lose
# nothing, hold nothing against the records, and go on when the lock is gone.
source "$(dirname "$0")/chaos.bash" "$1"

seconds=$(in_form 4 30)
export DOBBY_ENGINE_NULL_DELAY_MS=50 DOBBY_STORE_BUSY_TIMEOUT_MS=500
add_records 600
start first --sessions 4
start second --sessions 4
until_true 30 finished_at_least 50 || fail "the workers store nothing" "$(cat first.err second.err)"

coproc locker { sqlite3 -cmd '.timeout 20000' "$database" 2>&1; }
echo "BEGIN EXCLUSIVE; SELECT 'locked';" >&"${locker[1]}"
read -r answer <&"${locker[0]}"
same "another process has the lock" "$answer" locked
before=$(finished)
for ((second = 0; second < seconds; second++)); do
    sleep 1
    alive first && alive second || { fail "a worker gives up after $second s" "$(cat first.err second.err)"; break; }
done
same "nothing is stored meanwhile" "$(finished)" "$before"
check "status can be read meanwhile" "$program" status --json
same "status is what the tables say" "$(jq '.states.completed + .states.degraded' out)" "$before"
echo "COMMIT;" >&"${locker[1]}"
exec {locker[1]}>&-
wait "$locker_PID" 2>/dev/null

for worker in first second; do
    await "$worker"
    same "worker $worker ends well" "$status" 0
done
settled "locked for $seconds s"
accounted "locked for $seconds s"
same "nothing was done twice" "$(query 'SELECT count(*) FROM record WHERE tries > 1')" 0
same "the workers' counts add up" "$(total_of 'completed + .degraded' first.out second.out)" "$records"
undisturbed "locked for $seconds s"
finish
