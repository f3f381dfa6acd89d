#!/usr/bin/env bash
# The database's file is renamed, removed or replaced under a run. The run ends with the error that says so, within
# a moment, and does not touch what lies there by then. A file that is put back has all that was saved.
source "$(dirname "$0")/chaos.bash" "$1"

export DOBBY_ENGINE_NULL_DELAY_MS=100
# ends_in_time WHAT: the run is over within some seconds, with the database's status and the error.
ends_in_time() {
    until_true 10 ended || fail "$1: the run goes on" "$(cat worker.err)"
    await worker
    same "$1: its status" "$status" 5
    grep -q '^dobby: error STORE-0013: ' worker.err && grep -q '^ *try: put the file back' worker.err &&
        pass "$1: it says what to do" || fail "$1: it says what to do" "$(cat worker.err)"
}
ended() { ! alive worker; }

add_records 400
start worker --sessions 4
until_true 30 finished_at_least 20 || fail "the worker stores nothing" "$(cat worker.err)"
mv "$database" aside.db
ends_in_time renamed
mv aside.db "$database"
saved=$(finished)
[ "$saved" -ge 20 ] && pass "what was saved is there" || fail "what was saved is there" "$saved"
intact "put back"

start worker --sessions 4
until_true 30 finished_at_least $((saved + 20)) || fail "the second worker stores nothing" "$(cat worker.err)"
sqlite3 "$database" ".backup '$work/backup.db'"
before=$(sqlite3 backup.db 'SELECT sum(records) FROM tally WHERE state IN (3, 4)')
rm "$database" "$database-wal" "$database-shm"
mv backup.db "$database"
ends_in_time replaced
same "what was put there is as it was" "$(finished)" "$before"
check "the next run" "$program" run
settled "after both"

saved=$(finished)
add_records 400
start worker --sessions 4
until_true 30 finished_at_least $((saved + 20)) || fail "the third worker stores nothing" "$(cat worker.err)"
rm "$database"
ends_in_time removed
finish
