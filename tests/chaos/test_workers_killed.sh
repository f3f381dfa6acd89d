#!/usr/bin/env bash
# Three workers share one database; at random moments one of them dies by SIGKILL and a new one takes its place.
# Nothing is lost, nothing is stored twice, and the results are those of a run that nobody disturbed.
source "$(dirname "$0")/chaos.bash" "$1"

kills=$(in_form 8 100)
export DOBBY_ENGINE_NULL_DELAY_MS=60
workers=(first second third)
start_one() { start "$1" --sessions $((RANDOM % 8 + 1)); }

add_records 400
for worker in "${workers[@]}"; do start_one "$worker"; done
killed=0
while ((killed < kills)); do
    # There is always something to do, so that a kill meets a worker in the midst of its work.
    (($(query 'SELECT count(*) FROM record WHERE state = 1') >= 150)) || add_records 300
    sleep_ms "$(up_to 700)"
    victim=${workers[RANDOM % 3]}
    for worker in "${workers[@]}"; do
        if ! alive "$worker"; then # it had found nothing to do
            await "$worker"
            [ $status = 0 ] || fail "a worker ended by itself with status $status" "$(cat "$worker.err")"
            start_one "$worker"
        fi
    done
    signal "$victim" KILL
    await "$victim"
    [ $status = 137 ] || continue
    killed=$((killed + 1))
    ((killed % $(in_form 4 10) != 0)) || intact "after $killed kills"
    start_one "$victim"
done
for worker in "${workers[@]}"; do
    await "$worker"
    same "worker $worker ends well" "$status" 0
done
# What the last dead worker held may have been out of the others' sight: their leases last longer than they did.
check "a last run" "$program" run
settled "$kills kills"
accounted "$kills kills"
undisturbed "$kills kills"
echo "$records records, $kills kills: $(query 'SELECT sum(attempt) - count(*) FROM record') further attempts"
finish
