#!/usr/bin/env bash
# Everything at once, in an order that chance decides: three workers are killed, stopped beyond their leases,
# locked out, paused, resumed and canceled, while files change, come and go and some records fail every time.
source "$(dirname "$0")/chaos.bash" "$1"

events=$(in_form 24 240)
export DOBBY_ENGINE_NULL_DELAY_MS=40 DOBBY_RUN_LEASE_MS=2000 DOBBY_STORE_BUSY_TIMEOUT_MS=20000 DOBBY_RUN_RETRY_MS=100
export DOBBY_ENGINE_NULL_FAIL_MARKER='poison' DOBBY_ENGINE_NULL_FAIL_KIND=retryable
workers=(first second third)
poisoned=0
stopped=
declare -A happened=()

start_one() { start "$1" --sessions $((RANDOM % 8 + 1)); }
# Those that ended, for whatever reason that may end a run here, are followed by others.
replace_the_ended() {
    local worker
    for worker in "${workers[@]}"; do
        [ -n "${pids[$worker]-}" ] && alive "$worker" && continue
        if [ -n "${pids[$worker]-}" ]; then
            await "$worker"
            case $status in 0 | 3 | 130 | 137) ;; *) fail "a worker ended with status $status" "$(cat "$worker.err")" ;; esac
        fi
        start_one "$worker"
    done
}
go_on() {
    [ -z "$stopped" ] || signal "$stopped" CONT
    stopped=
}
# tell COMMAND: to one of the active runs; that it has just ended is no fault of the command.
tell() {
    local id
    id=$("$program" runs --active --json | jq -r '.[].id' | shuf -n 1 --random-source=<(yes $RANDOM))
    [ -z "$id" ] || "$program" "$1" "$id" >tell.out 2>&1 || grep -qE 'RUN-000[24]' tell.out || fail "$1" "$(cat tell.out)"
}
edit() {
    local file
    file=$(printf 'source/scale_%06d.c' "$(up_to "$records")")
    echo "/* edited $RANDOM */" >>"$file"
    removed=$((removed + 1))
    add_records 0
}
poison() {
    add_records 1
    echo '/* poison */' >>"$(printf 'source/scale_%06d.c' $((records - 1)))"
    poisoned=$((poisoned + 1))
    removed=$((removed + 1)) # as it was without the poison
    add_records 0
}
lock_for_a_while() {
    sqlite3 -cmd '.timeout 20000' "$database" 'BEGIN EXCLUSIVE' ".shell sleep 1.$((RANDOM % 10))" 'COMMIT' ||
        fail "the lock"
}

add_records 300
for worker in "${workers[@]}"; do start_one "$worker"; done
for ((event = 1; event <= events; event++)); do
    (($(query 'SELECT count(*) FROM record WHERE state = 1') >= 100)) || add_records 200
    replace_the_ended
    sleep_ms "$(up_to 400)"
    victim=${workers[RANDOM % 3]}
    kinds=(kill kill stop lock pause resume resume cancel edit edit poison retry)
    kind=${kinds[RANDOM % ${#kinds[@]}]}
    happened[$kind]=$((${happened[$kind]-0} + 1))
    case $kind in
    kill) signal "$victim" KILL ;;
    stop)
        go_on
        # Not within a transaction: it would keep the lock, and nobody else could go on.
        signal "$victim" STOP
        if sqlite3 -cmd '.timeout 1000' "$database" 'BEGIN IMMEDIATE; ROLLBACK' 2>/dev/null; then
            stopped=$victim
        else
            signal "$victim" CONT
        fi
        ;;
    lock) lock_for_a_while ;;
    pause | resume | cancel) tell "$kind" ;;
    edit) edit ;;
    poison) poison ;;
    retry) "$program" retry >tell.out 2>&1 || fail "retry" "$(cat tell.out)" ;;
    esac
    ((event % 8 != 0)) || intact "after $event events"
done
go_on
for id in $("$program" runs --active --json | jq -r '.[] | select(.state == "paused" or .command == "pause") | .id'); do
    "$program" resume "$id" >tell.out 2>&1 || true
done
for worker in "${workers[@]}"; do
    [ -n "${pids[$worker]-}" ] || continue
    await "$worker"
    case $status in 0 | 3 | 130 | 137) pass "worker $worker ends" ;; *) fail "worker $worker ends" "$status: $(cat "$worker.err")" ;; esac
done
"$program" run >last.out 2>&1
same "the last run's status" "$?" "$([ $poisoned = 0 ] && echo 0 || echo 3)"
settled "$events events" $poisoned
undisturbed "$events events"
for kind in "${!happened[@]}"; do printf '%s %s, ' "${happened[$kind]}" "$kind"; done
echo "$records records, $poisoned that fail, $(query 'SELECT count(*) FROM run') runs," \
    "$(query 'SELECT sum(stale) FROM run') late results refused"
finish
