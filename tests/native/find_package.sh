#!/bin/sh
# find_package.sh BUILD [OPTION...]: installs BUILD into a prefix of its own and builds the example
# against what is there, configured with the options; it must name the app of a device root.
set -eu
build=$1
shift
example=$(dirname "$0")/example
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
root=$scratch/root

for component in service development; do
  cmake --install "$build" --prefix "$prefix" --component "$component" >>"$scratch/log"
done
cmake -S "$example" -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" "$@" >>"$scratch/log"
cmake --build "$scratch/build" >>"$scratch/log" || {
  cat "$scratch/log"
  exit 1
}
mkdir -p "$root/etc/backupkit/bundles" "$root/data/notes"
cat >"$root/etc/backupkit/bundles/com.example.notes.json" <<'END'
{"name": "com.example.notes", "versionCode": 1, "versionName": "1.0", "sandbox": "data/notes",
 "backup": {"allowToBackupRestore": true, "includes": ["*"]}}
END
list=$("$scratch/build/example" "$prefix/sbin/backupd" "$root")
case $list in
  *com.example.notes*) ;;
  *) echo "the list is: $list" && exit 1 ;;
esac
