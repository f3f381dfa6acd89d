#!/usr/bin/env bash
# dobby doctor: what it says of a machine that is well and of several that are not, and that it changes nothing.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3

# ails NAME CHECK: the doctor ends with status 1, and that check ("group check") alone is broken.
ails() {
    local name=$1 check=$2 status=0
    shift 2
    "$program" doctor --quick --json "$@" >out 2>err || status=$?
    same "$name" "$status $(jq -c '[.checks[] | select(.state == "broken") | .group + " " + .check]' out)" "1 [\"$check\"]"
    same "$name: a remedy" "$(jq '[.checks[] | select(.state == "broken") | .remedy | length > 0] | all' out)" true
}

check "doctor without a database" "$program" doctor
grep -q '^[0-9]* checks: 0 broken' out || fail "nothing is broken" "$(cat out)"
grep -q 'try: run dobby ingest' out || fail "it says how to begin" "$(cat out)"
same "no database was made" "$(ls | grep -c 'dobby.db')" 0
mkdir source && printf 'int value(void)\n{\n    return 1;\n}\n' >source/a.c
check "ingest" "$program" ingest source
check "doctor" "$program" doctor --json
same "the groups" "$(jq -c '[.checks[].group] | unique' out)" '["machine","model","settings","store"]'
same "the model answers" "$(jq -r '.checks[] | select(.group == "model" and .check == "answer") | .state' out)" ok
same "the model is the one shipped" "$(jq -r '.checks[] | select(.check == "fingerprint") | .text | endswith(", as shipped")' out)" true
same "the counts are of the checks" \
    "$(jq '.broken == ([.checks[] | select(.state == "broken")] | length) and .warnings == ([.checks[] | select(.state == "warning")] | length)' out)" true
before=$(sqlite3 -readonly dobby.db .dump | sha256sum)
check "doctor --quick" "$program" doctor --quick
same "nothing was written" "$(sqlite3 -readonly dobby.db .dump | sha256sum)" "$before"

ails "a model that is not there" "model file" --model nothing.gguf
printf 'GGUF\3\0\0\0' >cut.gguf
ails "a model that is cut" "model file" --model cut.gguf
printf 'no database at all, but text of some length\n' >text.db
ails "a database that is none" "store file" --db sqlite:text.db
ails "a database nobody can make" "store writable" --db sqlite:no/where.db
ails "a URL without a driver" "store url" --db postgres://host/db
DOBBY_CPU=abacus ails "kernels that do not exist" "machine processor"
printf '[engine]\nsesions = 4\n' >dobby.toml
ails "a configuration that is wrong" "settings configuration"
same "it says where" "$(jq -r '.checks[0] | .error_id + " " + .text' out | grep -c 'APP-0002 .*dobby.toml:2:1')" 1
rm dobby.toml
sqlite3 dobby.db 'UPDATE meta SET value = 99' 2>/dev/null || sqlite3 dobby.db 'PRAGMA user_version = 99'
ails "a newer database" "store file"
same "a newer database has its id" "$(jq -r '.checks[] | select(.state == "broken") | .error_id' out)" STORE-0004
same "an unknown variable" "$(DOBBY_ENGIN_THREADS=1 "$program" doctor --quick --json --db sqlite:none.db | jq -r '.checks[] | select(.check == "environment") | .state + " " + .remedy')" \
    "warning did you mean DOBBY_ENGINE_THREADS?"
refuse "an argument" 2 APP-0001 "one argument too many" "$program" doctor now
finish
