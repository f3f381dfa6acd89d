#!/usr/bin/env bash
# dobby plan: what it counts, that it writes nothing, and that a run then does what it said.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3

export DOBBY_DB=sqlite:test.db
mkdir source
for i in 1 2 3 4 5; do printf 'int value_%d(void)\n{\n    return %d;\n}\n' $i $i >source/a$i.c; done
printf '\x7fELF\0\0\0' >source/program
check "ingest" "$program" ingest source
sum() { sqlite3 -readonly test.db .dump | sha256sum; }
before=$(sum)
check "plan" "$program" plan --engine null
same "what is to do" "$(sed -n 's/^\(to do\|  to infer\|  skipped\)  *\([0-9]*\).*/\2/p' out | tr '\n' ' ')" "1 5 5 "
grep -q '^time  *[0-9.]* s to ' out || fail "a range of times" "$(cat out)"
check "plan --json" "$program" plan --engine null --json
same "its counts" "$(jq -c '[.to_do, .to_infer, .duplicates, .stored, .stale, .states.skipped, .skipped[0].count]' out)" \
    '[5,5,0,0,0,1,1]'
same "its estimate" "$(jq -c '.estimate | [.sample_records, .seconds_min < .seconds_max, .summary_bytes, .tokens_out]' out)" \
    '[5,true,370,125]'
same "nothing was written" "$(sum)" "$before"
check "without a sample" "$program" plan --engine null --sample-seconds 0 --json
same "no estimate" "$(jq -c '[.to_infer, .estimate]' out)" '[5,null]'
check "with the embedded model" "$program" plan --sample-seconds 1 --max-tokens-out 4 --json
same "its sample" "$(jq -c '[.to_infer, .estimate.sample_records, .estimate.seconds_max > 0]' out)" '[5,5,true]'
same "still nothing was written" "$(sum)" "$before"

"$program" plan --engine null --json >plan.json 2>/dev/null
check "run" "$program" run --engine null --json
same "the run did what was planned" "$(jq -c '[.records, .inferred, .tokens_in]' out)" "$(jq -c '[.to_do, .to_infer, .tokens_in]' plan.json)"
check "plan when all is done" "$program" plan --engine null
same "nothing is to do" "$(grep -c '^time' out) $(sed -n 's/^to do  *//p' out)" "0 0"

mkdir copies && cp source/a1.c copies/b.c && cp source/a1.c copies/c.c
printf '%s' '{content}' >plain.txt
check "other settings" "$program" plan --engine null --prompt plain.txt --json
same "results are stale and kept" "$(jq -c '[.stale, .to_do]' out)" '[5,0]'
check "redo them" "$program" plan --engine null --prompt plain.txt --stale redo --json
same "results are stale and to do" "$(jq -c '[.stale, .to_do, .to_infer]' out)" '[5,5,5]'
check "ingest copies" "$program" ingest copies
check "copies" "$program" plan --engine null --prompt plain.txt --json
same "one of two copies is inferred" "$(jq -c '[.to_do, .duplicates, .to_infer]' out)" '[2,1,1]'

refuse "no database" 5 STORE-0011 "none.db" "$program" plan --db sqlite:none.db
refuse "too long a sample" 2 APP-0001 "--sample-seconds must be" "$program" plan --sample-seconds 99999
refuse "no such model" 4 MODEL-0001 "nothing.gguf" "$program" plan --model nothing.gguf
finish
