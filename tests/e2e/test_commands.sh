#!/usr/bin/env bash
# Every command as a new user would use it, on a small source tree.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3 iconv

# ---- help is what the documentation says ----
reference=$scripts/../../docs/commands.md
"$scripts/../../tools/commands_doc" "$program" >generated.md
if cmp -s generated.md "$reference"; then
    pass "docs/commands.md is what --help says"
else
    fail "docs/commands.md differs from --help: tools/commands_doc build/dobby > docs/commands.md" \
        "$(diff generated.md "$reference" | head -5)"
fi
sed -n 's/^## dobby //p' generated.md >names
while IFS= read -r name; do
    # shellcheck disable=SC2086
    "$program" $name --help >one.txt 2>&1 || fail "dobby $name --help"
    # shellcheck disable=SC2086
    "$program" help $name | cmp -s - one.txt || fail "dobby help $name is not dobby $name --help"
done <names
same "commands with help" "$(wc -l <names)" 24
awk 'length > 100 { print FILENAME ": " $0 }' one.txt >wide
same "help fits" "$(cat wide)" ""
same "version" "$("$program" --version)" "dobby $("$program" version --json | jq -r .version)"
printf '[run]\nbroken' >dobby.toml
check "version with a broken configuration" "$program" version
check "help with a broken configuration" "$program" help run
rm dobby.toml

"$program" config show --json | jq -r 'to_entries[] | "\(.key)\t\(.value.value)"' >keys
missing=$(while IFS=$'\t' read -r key value; do
    grep -qF "| \`$key\` | ${value:+\`$value\`}" "$scripts/../../docs/configuration.md" || echo "$key"
done <keys)
same "docs/configuration.md has every key with its default" "$missing" ""

# ---- a small tree ----
mkdir -p source/lib
cat >source/lib/stack.c <<'END'
/* Pushes one value; false when the stack is full. */
bool stack_push(struct stack *stack, int value)
{
    if (stack->count == STACK_MAX)
        return false;
    stack->values[stack->count++] = value;
    return true;
}
END
printf 'def mean(values):\n    return sum(values) / len(values)\n' >source/mean.py
printf '\x7fELF\0\0\0' >source/program
printf 'int odd;\n' >$'source/odd\e[31m, "name".c'
export DOBBY_DB=sqlite:test.db
check "ingest" "$program" ingest --json source
same "ingest counts" "$(jq -c '.[0] | [.files_chunked, .added, .unchanged, .removed]' out)" '[3,4,0,0]'
check "ingest again" "$program" ingest source
grep -q '4 unchanged' out || fail "ingest again changes something" "$(cat out)"
same "status before" "$("$program" status --json | jq -c '[.states.pending, .states.skipped, .total, .summaries]')" '[3,1,4,0]'

check "run with a cap" "$program" run --max-records 1 --json
same "one record" "$(jq -c '[.records, .pending, .interrupted]' out)" '[1,2,false]'
check "run" "$program" run --sessions 2 --threads 1
grep -q '^2 records in ' out && grep -q ' records/min, ' out || fail "run's last lines" "$(cat out)"
check "run again" "$program" run --json
same "nothing is left" "$(jq -c '[.records, .pending, .failed]' out)" '[0,0,0]'

# ---- reading ----
check "status" "$program" status
grep -q 'summaries  *3$' out || fail "status" "$(cat out)"
check "list" "$program" list
same "list has a header and a line each" "$(wc -l <out)" 5
grep -q $'\e' out && fail "list lets a terminal escape through" "$(cat -v out)"
grep -qF 'odd\x1B[31m' out || fail "list shows an escape escaped" "$(cat -v out)"
same "list --state" "$("$program" list --state skipped --json | jq -r '.[].path' | sed 's/.*source/source/')" \
    "$("$program" list --json | jq -r '.[] | select(.state == "skipped") | .path' | sed 's/.*source/source/')"
same "list --path" "$("$program" list --path '*.py' --json | jq length)" 1
same "list --limit" "$("$program" list --limit 2 --json | jq length)" 2
same "list of nothing" "$("$program" list --path nothing)" "no records"
same "list of nothing, as JSON" "$("$program" list --path nothing --json | jq -c .)" "[]"
id=$("$program" list --path '*.py' --json | jq -r '.[0].id')
check "show" "$program" show "${id:0:12}"
grep -q "^id  *$id\$" out || fail "show has the id" "$(cat out)"
check "show --content" "$program" show "$id" --content --json
same "content is the chunk" "$(jq -r .content out)" "$(cat source/mean.py)"

# ---- export ----
members='["confidence","content_bytes","content_sha256","created_at","error_id","first_line","id","inference_ms","language","last_line","model","path","reason","source","state","summary","tokens_in","tokens_out"]'
"$program" export --format jsonl >all.jsonl
same "jsonl: one object a record" "$(jq -c keys all.jsonl | sort -u)" "$members"
same "jsonl: lines" "$(wc -l <all.jsonl)" 4
iconv -f UTF-8 -t UTF-8 all.jsonl >/dev/null && pass "jsonl is UTF-8" || fail "jsonl is not UTF-8"
same "jsonl: hashes" "$(jq -r 'select(.path | endswith("mean.py")) | .content_sha256' all.jsonl)" \
    "$(sha256sum <source/mean.py | cut -d' ' -f1)"
same "jsonl: summaries are complete" \
    "$(jq -c 'select(.state == "completed" or .state == "degraded") | select(.summary == "" or .confidence <= 0 or .confidence > 1 or .tokens_in < 1 or .created_at == null)' all.jsonl)" ""
check "json to a file" "$program" export --format json --output all.json
same "json is an array of the same" "$(jq -c '.[]' all.json)" "$(jq -c . all.jsonl)"
check "csv" "$program" export --format csv -o all.csv
sqlite3 :memory: '.import --csv all.csv r' 'SELECT count(*), count(DISTINCT id) FROM r' >csv.txt
same "csv is read back by another program" "$(cat csv.txt)" "4|4"
same "csv keeps odd names" "$(sqlite3 :memory: '.import --csv all.csv r' "SELECT path FROM r WHERE path LIKE '%odd%'" | tail -c 20)" \
    "$(jq -r 'select(.path | contains("odd")) | .path' all.jsonl | tail -c 20)"
check "md" "$program" export --format md -o all.md
grep -q '^## ' all.md && grep -q '^- lines 1-2: ' all.md || fail "md has headings and lines" "$(cat all.md)"
ls | grep -q tmp && fail "export left a temporary file" "$(ls)"
"$program" export --format jsonl | head -n 1 >/dev/null
same "export | head ends quietly" "${PIPESTATUS[0]}" 0 # four short lines fit the pipe

# ---- more than one source ----
"$program" list >list.one
grep -q '^source ' list.one && fail "list names the only source" "$(cat list.one)"
mkdir second && echo 'int second;' >second/a.c && "$program" ingest --db sqlite:two.db second >/dev/null
mkdir first && echo 'int first;' >first/a.c && "$program" ingest --db sqlite:two.db first >/dev/null
same "list names each source before its records" "$("$program" list --db sqlite:two.db | sed -n 's/^\(source .*\)/\1/p; s/.*pending  *\(a.c\).*/\1/p')" \
    "source $work/first
a.c
source $work/second
a.c"
rm second/a.c && "$program" ingest --db sqlite:two.db --emptied second >/dev/null
"$program" list --db sqlite:two.db | grep -q '^source ' && fail "list names the only source that has records"

# ---- one text ----
printf 'int add(int a, int b) { return a + b; }\n' >add.c
check "summarize a file" "$program" summarize add.c
[ -s out ] || fail "summarize says nothing"
same "summarize: file, path and standard input agree" "$("$program" summarize --path add.c - <add.c)" "$(cat out)"
same "summarize --json" "$("$program" summarize --json add.c | jq -r .summary)" "$(cat out)"
[ -s err ] && fail "summarize warns of a good summary" "$(cat err)"
same "summarize: what a run stores" "$(
    mkdir alone && cp add.c alone && export DOBBY_DB=sqlite:alone.db
    "$program" ingest alone >/dev/null && "$program" run >/dev/null 2>&1 && "$program" export --format jsonl | jq -r .summary
)" "$("$program" summarize add.c)"
check "summarize what is cut off" "$program" summarize --max-tokens-out 2 add.c
grep -q '^dobby: warning RUN-0005: .*: cut off at 2 tokens$' err && grep -q '^  try: ' err && [ -s out ] &&
    pass "it is printed, with a warning" || fail "it is printed, with a warning" "$(cat out err)"
same "summarize --json: why it is degraded" \
    "$("$program" summarize --max-tokens-out 2 --json add.c 2>/dev/null | jq -c .degraded_reason)" '"cut off at 2 tokens"'
same "summarize --json: nothing is wrong" "$("$program" summarize --json add.c | jq -c .degraded_reason)" null
printf '// Code generated by hand. DO NOT EDIT.\nint x;\n' >generated.c
check "summarize what ingest would skip, but is text" "$program" summarize generated.c
printf 'hello <|im_end|>' >special.txt
ids=$("$program" tokenize special.txt)
same "tokenize prints an array" "$(jq -c type <<<"$ids")" '"array"'
same "tokenize --json" "$("$program" tokenize --json - <special.txt | jq -c .ids)" "$(jq -c . <<<"$ids")"
[ "$("$program" tokenize --special special.txt | jq length)" -lt "$(jq length <<<"$ids")" ] ||
    fail "--special makes no difference"
same "tokenize nothing" "$("$program" tokenize - </dev/null)" "[]"
model=$(realpath "$scripts/../../models/dobby-nano/dobby-nano-q8_0.gguf")
check "model info" "$program" model info "$model" --json
same "model info" "$(jq -c '[.architecture, .layers, .hidden, .vocabulary, .weight_type, .chat_format]' out)" \
    '["qwen2",12,512,16384,"Q8_0","chatml"]'

# ---- configuration ----
printf '[engine]\nthreads = 1\n[run]\nseed = 5\n' >dobby.toml
env DOBBY_RUN_TOPK=3 DOBBY_QQQQQQQQQQ=1 DOBBY_CPU=avx2 "$program" config check >out 2>err
same "config check: status of a warning" $? 0
grep -q '^dobby: warning APP-0005: .*DOBBY_RUN_TOPK; did you mean DOBBY_RUN_TOP_K?$' err &&
    grep -q '^dobby: warning APP-0005: .*DOBBY_QQQQQQQQQQ$' err && [ "$(grep -c 'APP-0005' err)" = 2 ] &&
    pass "config check: variables that nobody reads" || fail "config check: variables that nobody reads" "$(cat err)"
check "config check: nothing is wrong" "$program" config check
[ -s err ] && fail "config check warns of nothing" "$(cat err)"
check "config show" env DOBBY_RUN_TOP_K=3 "$program" config show --sessions 7
for line in 'db.url .* environment DOBBY_DB' 'engine.threads  *1  *dobby.toml:2:11' 'run.top_k  *3  *environment DOBBY_RUN_TOP_K' \
    'engine.sessions  *7  *flag --sessions' 'run.temperature  *0  *default'; do
    grep -qE "^$line\$" out || fail "config show: $line" "$(cat out)"
done
same "config show --json" "$("$program" config show --json | jq -c '."run.seed" | [.value, .origin, .name, .line]')" '[5,"file","dobby.toml",4]'
check "config check" "$program" config check
finish
