#!/usr/bin/env bash
# Every mistake a user can make gets an error with its id, the particulars, a remedy, and its exit status.
source "$(dirname "$0")/expect.bash" "$1" sqlite3 head

mkdir source empty
printf 'int add(int a, int b)\n{\n    return a + b;\n}\n' >source/add.c
model=$("$program" config show --json >/dev/null && realpath "$scripts/../../models/dobby-nano/dobby-nano-q8_0.gguf")
[ -f "$model" ] || { echo "skipped: the embedded model is not beside the source"; exit 77; }

# ---- the command line and the configuration ----
refuse "no command" 2 APP-0001 "a command is missing" "$program"
refuse "an unknown command" 2 APP-0001 "did you mean: dobby status?" "$program" statsu
refuse "an unknown flag" 2 APP-0001 "did you mean --sessions?" "$program" run --sesions 2
refuse "a value out of range" 2 APP-0001 "from 1 to 256" "$program" run --threads 1000
refuse "a missing value" 2 APP-0001 "--db needs a value" "$program" run --db
refuse "a missing argument" 2 APP-0001 "needs PATH" "$program" ingest
refuse "an argument too many" 2 APP-0001 "one argument too many" "$program" status now
refuse "export without a format" 2 APP-0001 "--format" "$program" export
refuse "export in an unknown format" 2 APP-0001 "did you mean json?" "$program" export --format jsn
printf '[engine]\nthreads = 2\nsesions = 4\n' >bad.toml
refuse "an unknown key" 2 APP-0002 "bad.toml:3:11: there is no key 'engine.sesions'; did you mean engine.sessions?" \
    "$program" status --config bad.toml
printf '[run]\ntop_p = 2\n' >bad.toml
refuse "a key out of range" 2 APP-0002 "bad.toml:2:9: run.top_p must be a number from" "$program" status --config bad.toml
refuse "a missing configuration" 2 APP-0002 "none.toml" "$program" status --config none.toml
refuse "a bad variable" 2 APP-0002 "DOBBY_RUN_SEED" env DOBBY_RUN_SEED=soon "$program" status

# ---- the database ----
refuse "a database without scheme" 5 STORE-0001 "write sqlite:some.db" "$program" ingest --db some.db source
refuse "an unknown scheme" 5 STORE-0001 "there is no driver" "$program" ingest --db mysql://h/d source
refuse "a password stays secret" 5 STORE-0001 "mysql://u:***@h/d" "$program" ingest --db mysql://u:geheim@h/d source
grep -q geheim err && fail "the password is in the error" "$(cat err)"
refuse "no such database directory" 5 STORE-0002 "" "$program" ingest --db sqlite:no/where.db source
for command in run status list "show a" "export --format csv"; do
    # shellcheck disable=SC2086
    refuse "$command without a database" 5 STORE-0011 "run dobby ingest first" "$program" $command --db sqlite:none.db
done
[ -e none.db ] && fail "a reading command made a database"

check "ingest" "$program" ingest --db sqlite:good.db source
refuse "an id that is not there" 5 STORE-0009 "" "$program" show --db sqlite:good.db zzzz
cp good.db newer.db
sqlite3 newer.db 'PRAGMA user_version = 9999' >/dev/null
for command in run status "ingest source"; do
    # shellcheck disable=SC2086
    refuse "a newer schema: $command" 5 STORE-0004 "" "$program" $command --db sqlite:newer.db
done
sqlite3 older.db <"$scripts/../unit/drivers/sqlite/schema_1.sql"
refuse "an older schema, to a reader" 5 STORE-0012 "run dobby ingest or dobby run" "$program" status --db sqlite:older.db
check "a doctor finds nothing broken in it" "$program" doctor --quick --db sqlite:older.db
check "a writer" "$program" retry --db sqlite:older.db
check "brings it up to date" "$program" status --db sqlite:older.db
printf 'This is no database, but it is long enough to be taken for one by its size alone.%01000d\n' 0 >text.db
refuse "a text file as database" 5 STORE-0006 "" "$program" status --db sqlite:text.db
mkdir directory.db
refuse "a directory as database" 5 'STORE-000[26]' "" "$program" ingest --db sqlite:directory.db source

# Root may write anywhere: the program then runs as another user.
as_user=()
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
mkdir read_only
cp good.db read_only/good.db
chmod 755 "$work"
chmod 555 read_only
chmod 444 read_only/good.db
if "${as_user[@]}" test -x "$program" && ! "${as_user[@]}" test -w read_only/good.db; then
    refuse "a read-only database: run" 5 'STORE-000[25]' "" "${as_user[@]}" "$program" run --db sqlite:read_only/good.db
    refuse "a read-only database: ingest" 5 'STORE-000[25]' "" \
        "${as_user[@]}" "$program" ingest --db sqlite:read_only/good.db source
else
    echo "SKIP a read-only database: there is no other user to run as"
fi

# ---- the model ----
refuse "no such model" 4 MODEL-0001 "none.gguf" "$program" run --db sqlite:good.db --model none.gguf
printf 'Once upon a time.\n' >story.gguf
refuse "a text file as model" 4 'MODEL-000[23]' "story.gguf" "$program" run --db sqlite:good.db --model story.gguf
refuse "a text file as model: info" 4 'MODEL-000[23]' "" "$program" model info story.gguf
refuse "an empty directory as model" 4 'MODEL-000[1-3]' "" "$program" model info empty
refuse "a forced kernel set that is not there" 4 INFER-0004 "" \
    env DOBBY_CPU=abacus "$program" run --db sqlite:good.db

# Cut at 50 places: the ten first within the header, the rest over the metadata and the tensors.
bytes=$(stat -c %s "$model")
bad_cuts=0
for i in $(seq 0 49); do
    if [ "$i" -lt 10 ]; then cut=$((i * 7)); else cut=$((bytes / 40 * (i - 10) + i * 13)); fi
    head -c "$cut" "$model" >cut.gguf
    status=0
    "$program" run --db sqlite:good.db --model cut.gguf >out 2>err || status=$?
    if [ $status != 4 ] || ! grep -qE '^dobby: error MODEL-000[2-6]: ' err; then
        fail "a model cut at $cut bytes" "status $status: $(head -c 300 err)"
        bad_cuts=$((bad_cuts + 1))
    fi
done
[ $bad_cuts = 0 ] && pass "a model cut at 50 places"

# ---- the input ----
refuse "no such path" 6 OS-0002 "nowhere" "$program" ingest --db sqlite:new.db source nowhere
[ -e new.db ] && fail "a misspelt path made a database"
refuse "an empty directory" 6 INGEST-0001 "" "$program" ingest --db sqlite:good.db empty
# Two ingests of one source at once, that cut it otherwise: whichever began last leaves it complete.
mkdir twice
for ((i = 0; i < 600; i++)); do
    printf 'int f_%d(int a)\n{\n' $i
    for j in 1 2 3 4 5 6 7 8; do printf '    a += %d * a + %d;\n' $i $j; done
    printf '    return a;\n}\n'
done | split -l 12 --additional-suffix=.c -a 3 - twice/f_
"$program" ingest --db sqlite:twice.db twice >/dev/null
"$program" ingest --db sqlite:twice.db --chunk-tokens 30 twice >first 2>&1 &
"$program" ingest --db sqlite:twice.db twice >second 2>&1 || grep -q STORE-0014 second || fail "the second of two ingests" "$(cat second)"
wait $! || grep -q STORE-0014 first || fail "the first of two ingests" "$(cat first)"
same "two ingests at once leave every file" "$(sqlite3 twice.db 'SELECT count(DISTINCT path) FROM record')" 600
mkdir emptied && echo 'int a;' >emptied/a.c
check "a directory that will be emptied" "$program" ingest --db sqlite:emptied.db emptied
mv emptied away
refuse "a directory that is gone" 6 OS-0002 "emptied" "$program" ingest --db sqlite:emptied.db emptied
same "it removes nothing" "$(sqlite3 emptied.db 'SELECT count(*) FROM record')" 1
mv away emptied && rm emptied/a.c
refuse "a directory that has no file any more" 6 INGEST-0005 "emptied" "$program" ingest --db sqlite:emptied.db emptied
same "it removes nothing either" "$(sqlite3 emptied.db 'SELECT count(*) FROM record')" 1
check "a directory that was emptied" "$program" ingest --db sqlite:emptied.db --emptied emptied
grep -q "1 removed" out && grep -q "no file is left there" out && pass "it says so" || fail "it says so" "$(cat out)"
same "its records are gone" "$(sqlite3 emptied.db 'SELECT count(*) FROM record')" 0
refuse "summarize: no such file" 6 OS-0002 "nowhere.c" "$program" summarize nowhere.c
refuse "summarize: nothing" 6 INGEST-0001 "standard input" "$program" summarize - </dev/null
refuse "summarize: white space" 6 INGEST-0001 "standard input" "$program" summarize - <<<'   '
printf 'int add(int a, int b);\n' | iconv -f UTF-8 -t UTF-16LE >wide.c
refuse "summarize: UTF-16" 6 INGEST-0004 "wide.c is UTF-16" "$program" summarize wide.c
refuse "summarize: a program" 6 INGEST-0004 "standard input is binary" "$program" summarize - <"$program"
refuse "summarize: an engine that fails" 4 INFER-0005 "" env DOBBY_ENGINE_KIND=null DOBBY_ENGINE_NULL_FAIL_MARKER=add \
    "$program" summarize - <<<'int add(void);'
refuse "summarize: a directory" 6 OS-0006 "" "$program" summarize source
for ((i = 0; i < 3000; i++)); do echo "int value_$i = $i;"; done >long.c
refuse "summarize: longer than the context" 6 INFER-0002 "" "$program" summarize long.c
head -c 5000000 /dev/zero | tr '\0' 'a' >huge.c
refuse "tokenize: larger than the limit" 6 BASE-0002 "" "$program" tokenize huge.c

# ---- the prompt ----
printf 'Say something.\n' >plain.txt
refuse "a prompt without placeholder" 2 PROMPT-0001 "{content}" "$program" run --db sqlite:good.db --prompt plain.txt
refuse "no such prompt" 2 PROMPT-0001 "none.txt" "$program" run --db sqlite:good.db --prompt none.txt

# ---- the output ----
refuse "a full disk" 1 APP-0003 "" bash -c '"$0" export --db sqlite:good.db --format jsonl >/dev/full' "$program"
refuse "an output directory that is not there" 1 APP-0003 "no/where" \
    "$program" export --db sqlite:good.db --format json --output no/where.json
finish
