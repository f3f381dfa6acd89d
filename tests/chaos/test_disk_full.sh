#!/usr/bin/env bash
# The disk runs full under a run and is freed later. The run waits for room, or without patience (run.outage_ms)
# ends with the error that says so; nothing is half-written; afterwards the work is completed.
[ -n "${DOBBY_CHAOS_NAMESPACE-}" ] || {
    # A small file system needs a mount, which a namespace of our own allows without changing the machine's.
    for namespace in '-m' '-rm'; do
        if unshare "$namespace" true 2>/dev/null; then
            DOBBY_CHAOS_NAMESPACE=$namespace exec unshare "$namespace" bash "$0" "$@"
        fi
    done
    echo "skipped: this user may not make a mount namespace, so there is no small disk to fill"
    exit 77
}
source "$(dirname "$0")/chaos.bash" "$1"

rounds=$(in_form 2 8)
export DOBBY_ENGINE_NULL_DELAY_MS=10
mkdir small
mount -t tmpfs -o size=24m none small || { echo "skipped: this user may not mount a tmpfs"; exit 77; }
database=$work/small/chaos.db
export DOBBY_DB=sqlite:$database
trap 'umount "$work/small" 2>/dev/null; cleanup' EXIT
fill() { cat /dev/zero >small/filler 2>/dev/null; }
space() { echo $(($(df --output=avail -B1 small | tail -n 1))); }

stored=0
paused=0
for ((round = 1; round <= rounds; round++)); do
    add_records 1500
    # One waits for room, the next has no patience and ends.
    if ((round % 2 == 0)); then export DOBBY_RUN_OUTAGE_MS=500; else unset DOBBY_RUN_OUTAGE_MS; fi
    start worker --sessions 8
    until_true 30 finished_at_least $((stored + 20)) || fail "the worker stores nothing" "$(cat worker.err)"
    sleep_ms "$(up_to 800)"
    fill
    # Pages that are there already are still written, so it takes a moment until there is no way on.
    before=-1
    while alive worker && [ "$(finished)" != "$before" ]; do
        before=$(finished)
        sleep 1.5
        fill
    done
    same "round $round: the disk was full" "$(space)" 0
    [ "$before" -lt "$records" ] || fail "round $round: the run was over before the disk was full"
    if [ -z "${DOBBY_RUN_OUTAGE_MS-}" ]; then
        alive worker && pass "round $round: the run waits" || fail "round $round: the run waits" "$(cat worker.err)"
        paused=$((paused + 1))
        intact "round $round: while it waits"
        rm small/filler
    else
        await worker
        rm small/filler
        same "round $round: the run ends with the database's status" "$status" 5
        grep -q '^dobby: error STORE-0007: ' worker.err && pass "round $round: it says why" ||
            fail "round $round: it says why" "$(cat worker.err)"
        intact "round $round: after its end"
        start worker --sessions 8
    fi
    await worker
    same "round $round: with room again the work is completed" "$status" 0
    [ $status = 0 ] || cat worker.err
    stored=$(finished)
done
settled "$rounds full disks"
accounted "$rounds full disks"
# A run that ends can give nothing back on a full disk, so the next one finds its leases as those of the dead.
same "a full disk costs no record more than the runs that ended" \
    "$(query "SELECT count(*) FROM record WHERE tries > 1 + $rounds - $paused")" 0
undisturbed "$rounds full disks"
echo "$records records; the run waited $paused of $rounds times, and ended otherwise"
finish
