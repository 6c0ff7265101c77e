#!/bin/sh
# Every test that docs/parity.md names is there.
root=$(cd "$(dirname "$0")/../.." && pwd)
missing=0
for name in $(grep -o '`[A-Z][A-Za-z]*\.[A-Z][A-Za-z0-9]*`' "$root/docs/parity.md" |
  tr -d '\140' | sort -u); do
  suite=${name%%.*} test=${name#*.}
  grep -rqzE "TEST(_F|_P)?\($suite,[[:space:]]*$test\)" "$root/tests" ||
    { echo "docs/parity.md names $name, which is no test"; missing=1; }
done
exit $missing
