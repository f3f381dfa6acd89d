#!/usr/bin/env bash
# The wall clock jumps an hour forwards and backwards under three workers, one of which is killed and replaced
# with leases that then seem to lie an hour ahead. Leases are judged by the wall clock, so a record may be done
# again; none is lost, stored twice, or kept waiting for the hour.
source "$(dirname "$0")/chaos.bash" "$1"

library=$(find /usr/lib /usr/local/lib -name 'libfaketimeMT.so.1' 2>/dev/null | head -n 1)
[ -n "$library" ] || { echo "skipped: there is no libfaketime (Debian's package faketime)"; exit 77; }
jumps=$(in_form 4 40)
export DOBBY_ENGINE_NULL_DELAY_MS=60
# What reads the file again at each question sees a jump as a process sees the machine's. The monotonic clock
# does not jump there either.
set_clock() { echo "$1" >clock.new && mv clock.new clock; }
set_clock +0
with_clock=(env LD_PRELOAD="$library" FAKETIME_TIMESTAMP_FILE="$work/clock" FAKETIME_NO_CACHE=1
    FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1)
real_program=$program
printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$(printf '"%s" ' "${with_clock[@]}")" "$real_program" >"$work/dobby"
chmod +x "$work/dobby"
program=$work/dobby

workers=(first second third)
add_records 400
for worker in "${workers[@]}"; do start "$worker" --sessions $((RANDOM % 8 + 1)); done
hours=0
for ((jump = 1; jump <= jumps; jump++)); do
    (($(query 'SELECT count(*) FROM record WHERE state = 1') >= 150)) || add_records 300
    sleep_ms $((300 + $(up_to 1000)))
    # One up, one down, two down, and so on: the clock is an hour or two off in either direction.
    case $((RANDOM % 3)) in
    0) hours=$((hours > 0 ? -1 : 1)) ;;
    1) hours=$((hours + 1)) ;;
    2) hours=$((hours - 1)) ;;
    esac
    set_clock "$([ $hours -lt 0 ] || echo +)${hours}h"
    sleep_ms $((300 + $(up_to 700)))
    for worker in "${workers[@]}"; do
        alive "$worker" && continue
        await "$worker"
        [ $status = 0 ] || fail "a worker ended by itself with status $status" "$(cat "$worker.err")"
        start "$worker" --sessions $((RANDOM % 8 + 1))
    done
    if ((jump % 2 == 0)); then # its leases were taken at an hour that the next jump may undo
        victim=${workers[RANDOM % 3]}
        signal "$victim" KILL
        await "$victim"
        start "$victim" --sessions $((RANDOM % 8 + 1))
    fi
done
set_clock +0
for worker in "${workers[@]}"; do
    await "$worker"
    same "worker $worker ends well" "$status" 0
done
started=$(now_ms)
check "a last run" "$program" run
[ $(($(now_ms) - started)) -lt 600000 ] && pass "nothing waits for an hour" || fail "the last run waited"
settled "$jumps jumps"
accounted "$jumps jumps"
program=$real_program
undisturbed "$jumps jumps"
echo "$records records, $jumps jumps: $(query 'SELECT sum(attempt) - count(*) FROM record') further attempts"
finish
