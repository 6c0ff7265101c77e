#!/bin/sh
# isa_symbols_test.sh FILE...: objects of the levels of cpu_fallback/isa (or a
# directory that holds them).
#
# Fails if a weak symbol is defined in two levels' objects – the linker keeps
# one for both, and one level runs another's instructions – or if an object
# defines a weak symbol outside its level's namespace. The level of an object is
# told by the namespace of its strong symbols.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 OBJECT|DIRECTORY..." >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for path in "$@"; do
  if [ -d "$path" ]; then
    find "$path" -name '*.o'
  else
    echo "$path"
  fi
done >"$work/files"

levels='x86_64_v2 x86_64_v3 x86_64_v4 generic'
objects=0
failed=0
: >"$work/all"
while read -r object; do
  nm --defined-only "$object" >"$work/symbols"
  level=
  for candidate in $levels; do
    if grep -q " [TDRB] .*12cpu_fallback[0-9]*${candidate}" "$work/symbols"
    then
      level=$candidate
    fi
  done
  [ -n "$level" ] || continue
  objects=$((objects + 1))
  # What the compiler adds for exceptions and sanitizers has no code.
  awk '$2 ~ /^[WVwvu]$/ { print $3 }' "$work/symbols" |
    grep -v -e '^DW\.ref\.' -e '^__odr_asan' -e '^[at]san\.' \
      >"$work/weak" || true
  while read -r symbol; do
    echo "$symbol $level" >>"$work/all"
    case $symbol in
      *"$level"*) ;;
      *)
        echo "$object: weak symbol outside $level: $(echo "$symbol" | c++filt)"
        failed=1
        ;;
    esac
  done <"$work/weak"
done <"$work/files"

if [ "$objects" -eq 0 ]; then
  echo "no object of a level found" >&2
  exit 1
fi
sort -u "$work/all" | cut -d' ' -f1 | uniq -d >"$work/shared"
if [ -s "$work/shared" ]; then
  echo "weak symbols that levels share:"
  c++filt <"$work/shared"
  failed=1
fi
[ "$failed" -eq 0 ] || exit 1
echo "$objects objects: no weak symbol is shared"
