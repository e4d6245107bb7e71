#!/bin/sh
# maven.sh ARGUMENT...: runs Maven; fails as it does, and when -Xcheck:jni warned: the JVM itself
# goes on after a warning.
set -eu
cd "$(dirname "$0")/.."
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
# An earlier run's warnings are not this one's.
rm -rf target/surefire-reports
{ mvn -B "$@" 2>&1 || : >"$log/failed"; } | tee "$log/output"
# What the JVM itself prints, surefire puts into its reports' dump files.
mkdir -p target/surefire-reports
if grep -rnF 'WARNING in native method' "$log/output" target/surefire-reports >&2; then
  echo "-Xcheck:jni warned of the native library" >&2
  exit 1
fi
[ ! -e "$log/failed" ] || exit 1
