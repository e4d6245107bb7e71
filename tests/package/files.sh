# Two apps of a device and how to compare them; read by the other scripts.

# One of the user 1000, with a hook, and one of root that has what only root can.
make_apps() {
  mkdir -p /data/notes/drafts /data/system /etc/backupkit/bundles
  cd /data/notes
  echo "a note" >drafts/a.txt
  cp /usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so big
  for number in $(seq 500); do echo "$number" >"drafts/$number"; done
  ln -s drafts/a.txt newest
  ln drafts/a.txt second
  mkfifo pipe
  chmod 2755 drafts
  chown -hR 1000:1000 .
  chmod 4711 big
  setfattr -n user.tag -v blue drafts/a.txt
  chmod 700 .
  cd /data/system
  mknod null c 1 3
  echo "of others" >other
  cp /bin/true capable
  mkdir closed
  echo deep >closed/deep
  chown -R 1001:1002 other closed
  chmod 2755 other
  chmod 000 closed
  # CAP_NET_RAW, permitted and effective.
  setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 capable
  setfattr -n trusted.mark -v secret other
  # A program with a compiler of its own, in the middle of what may not be.
  cat >/usr/local/bin/hook <<'END'
#!/bin/sh
echo '{"hook":1,"calls":["onBackup","onRestore"]}'
while IFS= read -r line; do
  id=${line#'{"id":'}
  if java -version 2>/dev/null; then
    printf '{"id":%s,"result":""}\n' "${id%%,*}"
  else
    printf '{"id":%s,"error":"no Java"}\n' "${id%%,*}"
  fi
done
END
  chmod 755 /usr/local/bin/hook
  bundle notes ', "extension": {"command": ["/usr/local/bin/hook"]}'
  bundle system ''
}

bundle() { # NAME MORE
  printf '{"name": "%s", "versionCode": 1, "versionName": "1", "sandbox": "/data/%s"%s,
    "backup": {"allowToBackupRestore": true, "includes": ["*"]}}\n' "$1" "$1" "$2" >"/etc/backupkit/bundles/$1.json"
}

# Everything of them as tar has it.
state() {
  tar -C /data --sort=name --xattrs --xattrs-include='*' --exclude=.backup \
    --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf - . | sha256sum
}

# What is there is not what comes back.
wipe() {
  find /data/notes /data/system -mindepth 1 -delete
  echo "new since" >/data/notes/new
}
