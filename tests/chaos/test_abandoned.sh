#!/usr/bin/env bash
# A record that takes its worker down every time, as one that makes an engine crash would: every worker that has it
# dies by SIGKILL. It is given up with a reason after a bounded number of times, and the good ones are completed.
source "$(dirname "$0")/chaos.bash" "$1"

add_records 1
export DOBBY_ENGINE_NULL_DELAY_MS=60000
attempt() { query 'SELECT attempt FROM record'; }
is_taken() { [ "$(attempt)" -gt "$before" ] && ! is_failed; }
is_failed() { [ "$(query 'SELECT count(*) FROM record WHERE state = 5')" = 1 ]; }
taken_or_ended() { is_taken || ! alive worker; }
deaths=0
while ! is_failed && ((deaths < 100)); do
    before=$(attempt)
    start worker
    until_true 30 taken_or_ended || { fail "the worker takes the record" "$(cat worker.err)"; break; }
    signal worker KILL
    await worker
    [ $status != 137 ] || deaths=$((deaths + 1))
done
is_failed && pass "it is given up after $deaths deaths" || fail "it is given up" "$deaths deaths"
export DEATHS=$deaths
same "with a reason" "$("$program" list --state failed --json | jq -c ".[] | [.error_id, (.reason | contains(env.DEATHS + \" times\"))]")" \
    '["RUN-0001",true]'
unset DOBBY_ENGINE_NULL_DELAY_MS
add_records 100
start worker
await worker
same "the run says that a record has failed" "$status" 3
settled "after $deaths deaths" 1
accounted "after $deaths deaths"
check "retry gives it another chance" "$program" retry
check "which it uses" "$program" run
settled "after another chance"
finish
