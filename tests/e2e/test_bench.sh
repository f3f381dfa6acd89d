#!/usr/bin/env bash
# dobby bench: both commands in short, the document they share, and what they refuse. No figure is a test.
source "$(dirname "$0")/expect.bash" "$1" jq

check "bench kernels" "$program" bench kernels --only attention --seconds 0 --threads 1
same "a header, rows, ceilings" "$(sed -n '1s/ .*//p' out) $(grep -c '^attention ' out) $(grep -c '^ceilings on ' out)" \
    "KERNEL $(grep -c '^attention ' out) 1"
check "bench kernels --json" "$program" bench kernels --only qkv --seconds 0 --json -o kernels.json
same "the saved report is the printed one" "$(jq -c . out)" "$(jq -c . kernels.json)"
same "machine.ceilings" "$(jq -r '.machine.ceilings | has("bf16_tile_tflops", "int8_tile_tops", "fp32_vector_tflops", "read_gb_per_s")' out | sort -u)" true
same "reading was measured" "$(jq '.machine.ceilings.read_gb_per_s > 0' out)" true
same "kernels have what they need" \
    "$(jq -c '[.kernels[] | [.name, (.isa | type), (.product | type), .k, .achieved > 0]] | map(.[0, 3, 4]) | unique' out)" '[true,896,"qkv"]'
same "no engine was measured" "$(jq -c .engine out)" "[]"
same "DOBBY_CPU picks the set" \
    "$(DOBBY_CPU=ref "$program" bench kernels --only attention --seconds 0 --json | jq -r '.kernels[].isa' | sort -u)" ref

check "bench engine" "$program" bench engine --shape tiny --sessions 1,3,auto --records 4 --json -o engine.json
same "engine rows" "$(jq -c '[.engine[] | [.model, .records, .automatic]]' out)" \
    '[["tiny",4,false],["tiny",4,false],["tiny",4,true]]'
same "engine figures" "$(jq '[.engine[] | .records_per_min, .prefill_tokens_per_s, .decode_tokens_per_s, .first_token_ms,
    .p50_ms, .p95_ms, .p99_ms, .peak_rss_mb, .sessions, .threads] | all(. > 0)' out)" true
check "bench engine of the embedded model" "$program" bench engine --model "$(realpath "$scripts/../../models/dobby-nano/dobby-nano-q8_0.gguf")" \
    --sessions 1 --records 1 --precision exact --json
same "its row" "$(jq -c '[.engine[] | [.model, .precision]]' out)" '[["dobby-nano","q8_0/f32"]]'

# Memory stays what it was when the first thousand records were done.
check "bench engine, a long row" "$program" bench engine --shape tiny --sessions 64 --records 3000 --json
same "memory is flat" "$(jq -c '.engine[0] | .records == 3000 and .peak_rss_mb < .first_1000_rss_mb + 4' out)" true
check "bench engine --against" "$program" bench engine --shape tiny --sessions 1,2 --records 2 --against engine.json
same "a ratio where there is one" "$(grep -c '^tiny .*[0-9]x ' out) $(grep -c '^tiny ' out)" "1 2"
check "bench kernels --against" "$program" bench kernels --only qkv --seconds 0 --json --against kernels.json
same "every kernel has its ratio" "$(jq -c '[.kernels[].against.achieved > 0] | unique' out)" "[true]"

check "bench pipeline" "$program" bench pipeline --engine null --records 100 --bytes 300 --dir .
same "where the time went" "$(grep -cE '^(store|engine)_[a-z_]+ |^pipeline itself ' out)" 8
same "its database is gone" "$(find . -name 'dobby-*' | wc -l)" 0
check "bench pipeline --json" "$program" bench pipeline --engine null --records 100 --json
same "every record, once" "$(jq -c '[.engine, .records, .completed, .degraded + .skipped + .failed, .record_bytes]' out)" '["null",100,100,0,2048]'
same "figures" "$(jq '[.seconds, .records_per_min, .peak_rss_mb, .database_mb, .first_result_ms] | all(. > 0)' out)" true
same "no database was made here" "$(find . -name 'dobby*' | wc -l)" 0
check "bench pipeline with the embedded model" "$program" bench pipeline --records 3 --bytes 200 --max-tokens-out 8 --json
same "its records" "$(jq -c '[.model, .completed + .degraded, .tokens_out > 0]' out)" '["dobby-nano",3,true]'

# contracts NAME OPTION...: status 1 just when a contract is broken; the document is in out.
contracts() {
    local name=$1 status=0
    shift
    "$program" bench contracts "$@" --json >out 2>err || status=$?
    same "$name" "$status" "$(jq 'if .broken > 0 then 1 else 0 end' out)"
}
contracts "bench contracts of the store" --only 1.9
same "rows of the store" "$(jq -c '[.contracts[] | .row, .engine] | unique' out) $(jq '.contracts | length' out)" '[null,"1.9"] 10'
contracts "bench contracts of a slow store" --only 3.5
same "rows of a slow store" "$(jq -c '[.contracts[] | [.row, .engine, .unit]]' out)" '[["3.5","null","ms"],["3.5","null","records"]]'
contracts "bench contracts of runs" --only 3.15 --engine null
same "each has a limit and a figure" \
    "$(jq -c '[.contracts[] | [.row, .engine, (.limit | type), (.measured == null) == (.verdict == "not measured")]] | unique' out)" \
    '[["3.15","null","number",true]]'
same "the counts are of the rows" "$(jq -c '[.met + .broken + .not_measured == (.contracts | length), (.contracts | length)]' out)" '[true,9]'
DOBBY_ENGINE_NULL_FAIL_MARKER="7. */" contracts "bench contracts of runs that fail" --only 3.15 --engine null
same "records that fail break a contract" \
    "$(jq -c '.contracts[] | select(.contract == "records that fail") | [.measured, .verdict]' out)" '[10,"broken"]'
DOBBY_ENGINE_NULL_FAIL_MARKER="7. */" "$program" bench contracts --only 3.15 --engine null >out 2>err
same "and the table says so" "$? $(grep -c 'records that fail .* broken$' out)" "1 1"
same "no database is left" "$(find . -name 'dobby-*' | wc -l)" 0

refuse "sessions that are none" 2 APP-0001 "--sessions must be" "$program" bench engine --sessions 1,many
refuse "no sessions" 2 APP-0001 "--sessions must be" "$program" bench engine --sessions 0
refuse "an unknown shape" 2 APP-0001 "there is no shape 'large'" "$program" bench engine --shape large
refuse "an unknown kernel" 2 APP-0001 "no kernel is called 'upp'" "$program" bench kernels --only upp
refuse "an unknown precision" 2 APP-0001 "one of: auto, exact, bf16, int8, int4" "$program" bench engine --precision f16
refuse "a report that is not there" 6 OS-0002 "nothing.json" "$program" bench kernels --against nothing.json
echo '[]' >list.json
refuse "a report that is none" 1 BASE-0003 "a report is an object" "$program" bench kernels --against list.json
refuse "nowhere to save" 1 APP-0003 "no/where.json" "$program" bench engine --shape tiny -o no/where.json
refuse "no records" 2 APP-0001 "--records must be at least 1" "$program" bench pipeline --records 0
refuse "records of no bytes" 2 APP-0001 "--bytes must be from 1 to" "$program" bench pipeline --bytes 0
refuse "records beyond the limit" 2 APP-0001 "--bytes must be from 1 to" "$program" bench pipeline --bytes 99999999
refuse "no such directory" 6 OS-0002 "no/where" "$program" bench pipeline --engine null --dir no/where
refuse "no such engine" 2 APP-0001 "one of: native, null" "$program" bench pipeline --engine nul
refuse "no such contract" 2 APP-0001 "--only" "$program" bench contracts --only 9.9
finish
