#!/bin/sh
# An include may only go down: fails when a layer includes one that it does not stand on.
set -eu
cd "$1"
bad=0
check() {  # check LAYER ALLOWED...
  layer=$1
  shift
  allowed=$(printf '%s|' "$layer" "$@")
  found=$(grep -nE '^#include "native/' "native/$layer"/*.h "native/$layer"/*.cc 2>/dev/null |
    grep -vE "\"native/(${allowed%|})/" || true)
  [ -z "$found" ] && return
  printf 'native/%s may include only %s:\n%s\n' "$layer" "$*" "$found" >&2
  bad=1
}
check base
check io base
check transfer base
check archive io base
check manifest archive io base
check protocol io base
check extension protocol manifest archive io base
check service transfer protocol manifest io base
check client protocol io base
check jni client io base
if grep -rln '<jni.h>' native include | grep -v '^native/jni/'; then
  echo 'jni.h belongs to native/jni alone' >&2
  bad=1
fi
exit $bad
