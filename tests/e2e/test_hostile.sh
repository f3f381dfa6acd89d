#!/usr/bin/env bash
# 300 files that no program should stumble over: each is chunked or skipped with a counted reason, a run ends
# its records, the export is valid, and memory stays below 1 GB.
source "$(dirname "$0")/expect.bash" "$1" jq iconv
memory_max=1000000000

bash "$scripts/hostile_directory.sh" hostile >/dev/null || { fail "making the directory"; finish; }
export DOBBY_DB=sqlite:hostile.db

# Where no address space is reserved for a sanitizer, the limit is the kernel's word too. Sanitizers also make
# inference so slow that fewer records must do.
records=300
limit() (ulimit -v 2000000 && "$@")
if grep -qaE '__(asan|tsan|ubsan)_' "$program"; then
    records=40
    memory_max=4000000000
    limit() { "$@"; }
fi

check "ingest" limit "$program" ingest --json hostile
cp out ingest.json
same "every file is chunked or skipped" \
    "$(jq '.[0] | .files_seen == .files_chunked + ([.skipped[]] | add)' ingest.json)" true
jq -r '.[0].skipped | to_entries[] | "     \(.value) \(.key)"' ingest.json
same "some are chunked, some skipped" "$(jq '.[0] | .files_chunked > 50 and ([.skipped[]] | add) > 10' ingest.json)" true
same "the records are stored" "$("$program" status --json | jq .total)" "$(jq '.[0].added' ingest.json)"
check "ingest again" "$program" ingest --json hostile
same "ingest again changes nothing" "$(jq -c '.[0] | [.added, .updated, .removed]' out)" '[0,0,0]'

check "run" limit "$program" run --max-records "$records" --json
cp out run.json
same "$records records, none failed" "$(jq -c '[.records, .failed, .leased, .completed + .degraded + .skipped]' run.json)" "[$records,0,0,$records]"
same "memory below 1 GB" "$(jq ".peak_rss_bytes > 0 and .peak_rss_bytes < $memory_max" run.json)" true
echo "     peak $(jq '.peak_rss_bytes / 1e6 | floor' run.json) MB"

for format in jsonl json csv md; do
    check "export $format" limit "$program" export --format $format --output "all.$format"
    iconv -f UTF-8 -t UTF-8 "all.$format" >/dev/null && pass "$format is UTF-8" || fail "$format is not UTF-8"
done
same "every line is an object" "$(jq -r type all.jsonl | sort | uniq -c | tr -s ' ')" \
    " $("$program" status --json | jq .total) object"
same "the array has as many" "$(jq length all.json)" "$(wc -l <all.jsonl)"
same "each skipped record has its reason" "$(jq -c 'select(.state == "skipped" and (.reason == null or .reason == ""))' all.jsonl)" ""
LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f]' all.md && fail "control characters in Markdown" || pass "no control characters in Markdown"
"$program" list >list.txt || fail "list"
LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' list.txt && fail "control characters in the list" || pass "no control characters in the list"
same "a line for each record" "$(($(wc -l <list.txt) - 1))" "$(wc -l <all.jsonl)"
id=$(jq -r 'select(.path | test("\n")) | .id' all.jsonl | head -n 1)
[ -n "$id" ] && check "show of a name with a newline" "$program" show "$id" --content
finish
