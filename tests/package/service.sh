#!/bin/sh
# Backs up and restores through the packaged command and the service that systemd starts for it.
set -eu
. /files.sh
state_of() { systemctl show -P ActiveState "$1"; }
process_of() { systemctl show -P MainPID backupkit.service; }
ended() {
  for try in $(seq 100); do
    [ "$(state_of backupkit.service)" != inactive ] || return 0
    sleep 0.1
  done
  return 1
}

make_apps
set -x
systemd-run --unit=app sleep infinity
app=/sys/fs/cgroup$(systemctl show -P ControlGroup app.service)
bundle notes ', "extension": {"command": ["/usr/local/bin/hook"]}, "freeze": "'"$app"'"'
[ "$(state_of backupkit.socket)" = active ]
[ "$(state_of backupkit.service)" = inactive ]
before=$(state)
backupkit backup --to /store
[ "$(state_of backupkit.service)" = active ]
grep -q 'frozen 0' "$app/cgroup.events"
systemctl reload backupkit.service
backupkit verify --from /store
wipe
backupkit restore --from /store --mirror
[ "$before" = "$(state)" ]
# A caller without the right has no answer but that.
if setpriv --reuid=1000 --regid=1000 --clear-groups backupkit status; then exit 1; fi

# After a crash it is there again by itself, and ends when it was idle; the next call starts it anew.
crashed=$(process_of)
kill -KILL "$crashed"
backupkit status >/dev/null
[ "$(process_of)" != "$crashed" ]
mkdir -p /run/systemd/system/backupkit.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/sbin/backupd --idle 100\n' >/run/systemd/system/backupkit.service.d/idle.conf
systemctl daemon-reload
systemctl stop backupkit.service
backupkit status >/dev/null
ended
backupkit capabilities | grep notes
ended
systemctl start backupkit-recover.service
# What the kernel lacks, or the units take away, would be in the log beside that one call.
journalctl -b -q -u backupkit.service -u backupkit-recover.service -p warning -o cat _COMM=backupd >/log
grep -q 'uid 1000 has no backup permission' /log
if grep -v 'uid 1000 has no backup permission' /log; then exit 1; fi

bash -c '. /usr/share/bash-completion/completions/backupkit; COMP_WORDS=(backupkit ca); COMP_CWORD=1
  _complete_backupkit; [ "${COMPREPLY[*]}" = capabilities ]'
bash -c '. /usr/share/bash-completion/completions/backupd; COMP_WORDS=(backupd --i); COMP_CWORD=1
  _backupd; [ "${COMPREPLY[*]}" = --idle ]'
rm /etc/backupkit/bundles/*
touch /passed
