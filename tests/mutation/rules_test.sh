#!/bin/bash
# rules_test.sh LIBRARY_DIR CONFORMANCE OPS POINTWISE: each rule of
# differentiation is made wrong in one place (see mutants.cpp), and one of the
# three test programs has to fail. LIBRARY_DIR/mutants holds the core with the
# faults.
set -u
library=$1 conformance=$2 ops=$3 pointwise=$4

unary="neg abs relu cast exp expm1 log log1p sqrt rsqrt cbrt sin cos tan asin
  acos atan sinh cosh tanh asinh acosh atanh sigmoid erf erfc erfinv lgamma
  digamma row_sum row_mean row_max row_softmax row_log_softmax row_normalize"
binary="add sub mul mulz div fmod remainder minimum maximum pow atan2"
nodes="reshape flatten squeeze unsqueeze permute transpose expand slice select
  flip split slice_put cat stack pad gather scatter_add index_put index_add
  matmul prod max min cumsum cumprod linear_recurrence"

list() {
  local op
  for op in $unary; do
    echo "factor $op 0"
    echo "drop $op 0"
    # Sums, extrema and normal rows have forward rules of their nodes.
    case $op in
      cast | row_sum | row_mean | row_max | row_normalize) ;;
      *) echo "forward $op 0" ;;
    esac
  done
  for op in $binary; do
    printf '%s\n' "factor $op 0" "factor $op 1" "drop $op 0" "drop $op 1" \
      "forward $op 0" "forward $op 1"
  done
  printf '%s\n' "factor where 1" "factor where 2" "drop where 1" "drop where 2"
  printf '%s\n' "factor polygamma 1" "drop polygamma 1" "drop row_normalize 1"
  for op in sub mul mulz div fmod remainder minimum maximum pow atan2; do
    echo "swap $op 0"
  done
  for op in log1p tan acos asin atan tanh asinh acosh sigmoid row_softmax \
    row_log_softmax; do
    echo "term $op 0"
  done
  printf '%s\n' "term pow 0" "term atan2 0" "term atan2 1"
  for op in $nodes; do
    echo "factor $op 0"
    echo "drop $op 0"
  done
  echo "drop index_select 0"
  for op in cat stack slice_put scatter_add index_put index_add matmul \
    linear_recurrence; do
    echo "factor $op 1"
    echo "drop $op 1"
  done
}

run() {
  LD_LIBRARY_PATH=$library/mutants:$library "$@" --gtest_fail_fast \
    --gtest_brief=1 2>&1
}

suite() {
  case ${JACQUARD_MUTANT-} in
    forward*)
      run "$conformance" --gtest_filter='Operations/ForwardRules.Agree*'
      return
      ;;
  esac
  run "$conformance" --gtest_filter='Operations/Gradients.*' &&
    run "$pointwise" --gtest_filter='Derivatives.*' && run "$ops"
}

if ! output=$(suite); then
  echo "fails without a fault:"
  echo "$output" | tail -n 20
  exit 1
fi
total=0 missed=0
while read -r mutant; do
  total=$((total + 1))
  if JACQUARD_MUTANT=$mutant suite >/dev/null; then
    missed=$((missed + 1))
    echo "not seen: $mutant"
  fi
done < <(list)
echo "$total faults, $missed not seen"
[ "$missed" = 0 ]
