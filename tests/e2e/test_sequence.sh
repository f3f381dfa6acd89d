#!/usr/bin/env bash
# What is inferred when: a repository cold, warm, with one function edited, with another prompt, and back. Work is
# what should be there minus what is, so each step's inferences are known beforehand.
source "$(dirname "$0")/expect.bash" "$1" jq sqlite3 git

export DOBBY_DB=sqlite:test.db DOBBY_INGEST_CHUNK_TOKENS=64
mkdir repository
cd repository || exit 1
git init -q .
verbs=(add scale clamp count find copy)
for ((file = 0; file < 3; file++)); do
    for ((i = 0; i < 4; i++)); do
        printf 'int %s_%d(const int *items, int count)\n{\n    int total = %d;\n    for (int i = 0; i < count; i++)\n        total += items[i] * %d;\n    return total;\n}\n\n' \
            "${verbs[(file + i) % 6]}" $((file * 4 + i)) $((file + 3)) $((i + 2))
    done >"part_$file.c"
done
cd ..
# step NAME INFERRED REUSED ARGUMENT...: a run that infers and reuses exactly so many; its totals are in run.json.
step() {
    local name=$1 inferred=$2 reused=$3
    shift 3
    "$program" run --json "$@" >run.json 2>run.err || { fail "$name" "$(cat run.err)"; return; }
    same "$name" "$(jq -c '[.inferred, .reused, .failed, .pending]' run.json)" "[$inferred,$reused,0,0]"
}
# planned NAME STALE TO_DO[/TO_INFER] ARGUMENT...: what dobby plan says of the same, without a timed sample
planned() {
    local name=$1 stale=$2 to_do=$3
    shift 3
    same "$name: plan says so" "$("$program" plan --sample-seconds 0 --json "$@" | jq -c '[.stale, .to_do, .to_infer]')" \
        "[$stale,${to_do%/*},${to_do#*/}]"
}
ingest() { "$program" ingest repository --json >ingest.json 2>ingest.err || fail "ingest" "$(cat ingest.err)"; }
current() { sqlite3 -readonly test.db 'SELECT r.id, s.text, s.id FROM record r JOIN summary s ON s.record_seq = r.seq AND s.current ORDER BY r.id'; }

ingest
chunks=$(jq '.[0].added' ingest.json)
[ "$chunks" -ge 10 ] && pass "cold: $chunks chunks" || fail "cold: chunks" "$(cat ingest.json)"
planned "cold" 0 "$chunks"
step "cold: each chunk once" "$chunks" 0
current >cold

ingest
same "warm: nothing changes" "$(jq -c '.[0] | [.added, .updated, .unchanged, .removed]' ingest.json)" "[0,0,$chunks,0]"
planned "warm" 0 0
step "warm: nothing" 0 0
cmp -s cold <(current) && pass "warm: the same results" || fail "warm: the same results"

sed -i 's/total = 4;/total = 44;/; 8,$s/total = 44;/total = 4;/' repository/part_1.c
ingest
same "edited: exactly its chunk" "$(jq -c '.[0] | [.added, .updated, .unchanged, .removed]' ingest.json)" "[1,0,$((chunks - 1)),1]"
planned "edited" 0 1
step "edited: exactly its chunk" 1 0
current >edited
same "edited: the others keep theirs" "$(comm -12 cold edited | wc -l)" $((chunks - 1))

printf 'Say in one sentence what this does:\n{content}\n' >prompt.txt
planned "another prompt, kept" "$chunks" 0 --prompt prompt.txt
step "another prompt, kept: nothing" 0 0 --prompt prompt.txt
same "another prompt, kept: says how many are stale" "$(jq .stale_kept run.json)" "$chunks"
check "another prompt, kept: for people" "$program" run --prompt prompt.txt --stale keep
grep -qE "\b$chunks\b.*--stale redo" out err && pass "another prompt, kept: says what to do" ||
    fail "another prompt, kept: says what to do" "$(cat out err)"
cmp -s edited <(current) && pass "another prompt, kept: the same results" || fail "another prompt, kept: the same results"

planned "another prompt, redone" "$chunks" "$chunks" --prompt prompt.txt --stale redo
"$program" run --json --prompt prompt.txt --stale redo --max-records 1 >run.json 2>run.err
same "another prompt, one redone: the rest is as it was" \
    "$(jq -c '[.inferred, .total, .pending, .stale_redone, .stale_kept, .cap]' run.json)" \
    "[1,1,0,1,$((chunks - 1)),\"max-records\"]"
planned "another prompt, one redone: the rest is stale" $((chunks - 1)) 0 --prompt prompt.txt
planned "the first prompt, one redone: only that is stale" 1 0
planned "another prompt, the rest" $((chunks - 1)) $((chunks - 1)) --prompt prompt.txt --stale redo
step "another prompt, redone: all" $((chunks - 1)) 0 --prompt prompt.txt --stale redo
same "another prompt, redone: counted" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[$((chunks - 1)),0]"
same "another prompt, redone: both versions are there" "$("$program" list --versions --json | jq -c '[length, (map(select(.current)) | length)]')" \
    "[$((2 * chunks)),$chunks]"
step "another prompt, again: nothing" 0 0 --prompt prompt.txt --stale redo
current >other

same "the first prompt, redone: plan says so" "$("$program" plan --sample-seconds 0 --json --stale redo | jq -c '[.stale, .stored, .to_infer]')" \
    "[$chunks,$chunks,0]"
step "the first prompt, redone: nothing, since its versions are there" 0 0 --stale redo
same "the first prompt, redone: counted" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[0,$chunks]"
cmp -s edited <(current) && pass "the first prompt, redone: the results of then" || fail "the first prompt, redone: the results of then"

step "other sampling, kept: nothing" 0 0 --max-tokens-out 40
same "other sampling, kept: says how many are stale" "$(jq .stale_kept run.json)" "$chunks"

# Under the other prompt only the chunk that is edited now is new; the rest has a version.
sed -i '0,/total = 3;/s//total = 33;/' repository/part_0.c
ingest
step "edited, and the other prompt: exactly its chunk" 1 0 --prompt prompt.txt --stale redo
same "edited, and the other prompt: the rest is restored" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[0,$((chunks - 1))]"
same "edited, and the other prompt: the results of then" "$(comm -12 other <(current) | wc -l)" $((chunks - 1))

# Another chunker makes other chunks: plan and run say so before anything is cut anew, and what is new then is
# inferred, and only that.
export DOBBY_INGEST_CHUNK_TOKENS=32
stale_cut() { jq -c '[.stale_cut, (.cut_otherwise | length), .cut_otherwise[0].results, .cut_otherwise[0].difference]' "$@"; }
changed="[$chunks,1,$chunks,\"chunk_tokens 64, now 32\"]"
planned "another chunker, before ingest" 0 0 --prompt prompt.txt
same "another chunker, before ingest: plan says what it would cut otherwise" \
    "$("$program" plan --sample-seconds 0 --json --prompt prompt.txt | stale_cut)" "$changed"
same "another chunker, before ingest: as an option too" \
    "$("$program" plan --sample-seconds 0 --json --prompt prompt.txt --chunk-tokens 64 | stale_cut)" '[0,0,null,null]'
told="$chunks results of $work/repository are stale: cut with chunk_tokens 64, now 32; ingesting it again cuts anew"
for command in "plan --sample-seconds 0" run; do
    # shellcheck disable=SC2086 # a command and its options
    check "another chunker, before ingest: $command, for people" "$program" $command --prompt prompt.txt
    grep -qxF "$told" out && pass "another chunker, before ingest: $command says what to do" ||
        fail "another chunker, before ingest: $command says what to do" "$(cat out)"
done
step "another chunker, before ingest: nothing" 0 0 --prompt prompt.txt
same "another chunker, before ingest: the run says so too" "$(stale_cut run.json)" "$changed"
ingest
same "another chunker: the old chunks go" "$(jq -c '.[0] | [.unchanged, .removed]' ingest.json)" "[0,$chunks]"
chunks=$(jq '.[0].added' ingest.json)
# Small chunks have equals, and this prompt does not name the path: so many are inferred.
distinct() { sqlite3 -readonly test.db "SELECT count(DISTINCT content_sha256) FROM record ${1:-}"; }
unequal=$(distinct)
[ "$chunks" -gt "$unequal" ] && [ "$unequal" -gt 12 ] && pass "another chunker: $chunks new chunks, $unequal of them unequal" ||
    fail "another chunker: new chunks" "$chunks, $unequal of them unequal"
same "another chunker: nothing is stale" "$("$program" plan --sample-seconds 0 --json --prompt prompt.txt | stale_cut)" '[0,0,null,null]'
planned "another chunker" 0 "$chunks/$unequal" --prompt prompt.txt
step "another chunker: what is new" "$unequal" $((chunks - unequal)) --prompt prompt.txt
same "a current result for each record" "$(sqlite3 -readonly test.db 'SELECT count(*) = (SELECT count(*) FROM summary WHERE current) FROM record')" 1

# A part of the source cut anew leaves the rest as it was.
mkdir repository/part && mv repository/part_2.c repository/part/ && ingest
moved=$(jq '.[0].added' ingest.json)
new=$(distinct "WHERE state = 1 AND content_sha256 NOT IN (SELECT content_sha256 FROM record WHERE state = 3)")
step "a moved file: what no other has" "$new" $((moved - new)) --prompt prompt.txt
DOBBY_INGEST_CHUNK_TOKENS=48 "$program" ingest repository/part --json >part.json 2>&1 || fail "a part cut anew" "$(cat part.json)"
part=$(jq '.[0] | .added + .unchanged' part.json)
same "a part cut anew: it alone is cut otherwise" \
    "$("$program" plan --sample-seconds 0 --json --prompt prompt.txt | jq -c '.cut_otherwise | map([.records, .difference])')" \
    "[[$part,\"chunk_tokens 48, now 32\"]]"
ingest
same "a part cut as before" "$("$program" plan --sample-seconds 0 --json --prompt prompt.txt | stale_cut)" '[0,0,null,null]'
"$program" run --prompt prompt.txt >run.out 2>&1 || fail "a part cut as before: run" "$(cat run.out)"

# The rest of what a result follows from: sampling, precision, model. A seed matters only where something is drawn.
export DOBBY_RUN_PROMPT_FILE=$work/prompt.txt
redo() {
    local name=$1 inferred=$2 restored=$3
    shift 3
    planned "$name, kept" "$chunks" 0 "$@"
    planned "$name, redone" "$chunks" "$chunks/$inferred" --stale redo "$@"
    step "$name, redone" "$inferred" $((inferred > 0 ? chunks - inferred : 0)) --stale redo "$@"
    same "$name, redone: counted" "$(jq -c '[.stale_redone, .stale_restored]' run.json)" "[$((chunks - restored)),$restored]"
    planned "$name, again" 0 0 "$@"
}
redo "fewer tokens" "$unequal" 0 --max-tokens-out 24
DOBBY_RUN_TEMPERATURE=0.5 redo "drawn" "$unequal" 0
DOBBY_RUN_TEMPERATURE=0.5 redo "drawn by another seed" "$unequal" 0 --seed 7
redo "another precision" "$unequal" 0 --precision exact
redo "another model" "$unequal" 0 --engine null
redo "the first ones" 0 "$chunks"
finish
