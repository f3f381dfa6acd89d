#!/usr/bin/env bash
# One record among a thousand makes the engine fail every time. It fails after its attempts, with the reason; the
# thousand are completed, and neither the run nor its breaker takes one record for a failing engine.
source "$(dirname "$0")/chaos.bash" "$1"

export DOBBY_ENGINE_NULL_FAIL_MARKER='poison for the engine' DOBBY_ENGINE_NULL_FAIL_KIND=retryable
add_records 1000
echo "/* poison for the engine */" >source/poison.c
add_records 0
records=1001
start worker
await worker
same "the run says that a record failed" "$status" 3
same "its counts" "$(jq -c '[.completed + .degraded, .failed, .skipped, .pending, .leased]' worker.out)" '[1000,1,0,0,0]'
settled "one bad record" 1
accounted "one bad record"
same "the bad one failed" "$(query 'SELECT path FROM record WHERE state = 5')" poison.c
tries=$(query 'SELECT tries FROM record WHERE state = 5')
[ "$tries" -ge 2 ] && pass "after $tries attempts" || fail "after several attempts" "$tries"
same "no other was tried twice" "$(query 'SELECT count(*) FROM record WHERE tries > 1 AND state <> 5')" 0
check "status" "$program" status
grep -q ' failed ' out && pass "status has the reason" || fail "status has the reason" "$(cat out)"
"$program" list --state failed --json | jq -e '.[0].error_id and .[0].reason' >/dev/null && pass "list has the reason" ||
    fail "list has the reason"

# Forty side by side, and at last no good one among them: they look like a failing engine, and are told apart.
add_records 100
for ((i = 0; i < 40; i++)); do echo "/* poison for the engine, $i */" >"source/z_$i.c"; done
add_records 0
records=$((records + 40))
start worker
await worker
same "the run says that records failed" "$status" 3
settled "forty bad records in a row" 41
accounted "forty bad records in a row"
same "each had its attempts" "$(query 'SELECT min(tries), max(tries) FROM record WHERE state = 5')" "$tries|$tries"
same "no good one was tried twice" "$(query 'SELECT count(*) FROM record WHERE tries > 1 AND state <> 5')" 0

# And one that the engine does not even take, among a thousand more.
export DOBBY_ENGINE_NULL_FAIL_KIND=refused
echo "/* poison for the engine, refused */" >source/scale_001600_refused.c
add_records 1000
records=$((records + 1))
start worker
await worker
same "the run says that a record was refused" "$status" 3
settled "a refused record" 42
same "it was tried once" "$(query "SELECT tries FROM record WHERE path LIKE '%refused.c'")" 1
same "the others once each" "$(query 'SELECT count(*) FROM record WHERE tries > 1 AND state <> 5')" 0
finish
