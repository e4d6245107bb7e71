#!/bin/sh
# Backs up and restores by the jar alone, which has the service with it.
set -eu
. /files.sh
backupkit() { java -cp '/jars/*' org.backupkit.cli.Main "$@"; }
make_apps
before=$(state)
backupkit backup --root / --to /store
wipe
backupkit restore --root / --from /store --mirror
[ "$before" = "$(state)" ]
backupkit demo
rm -rf /store /data /etc/backupkit /var/lib/backupkit
