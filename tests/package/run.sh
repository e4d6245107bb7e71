#!/bin/sh
# Builds the packages and tries them on Debian 12 as debootstrap makes it: first the jar of the local
# Maven repository where there is a Java runtime and nothing else, then the .deb under systemd; the jar
# on 64-bit ARM, too, under qemu-user. As root, with a network; leaves target/packages and what Maven
# installs.
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" -eq 0 ] || { echo "run.sh: needs root" >&2; exit 1; }
here=$PWD/tests/package
packages=$PWD/target/packages
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
step() { echo "== $*"; }
run() { "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }; }
# Its own filter of system calls would hide Landlock from what is tried.
export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
in_root() { systemd-nspawn -q --register=no --keep-unit --pipe -D "$root" "$@" </dev/null; }

step packages
run sh native/package/build.sh install
ls -l "$packages"

step "the same bytes, built elsewhere"
mkdir "$scratch/elsewhere"
cp -r native include java pom.xml CMakeLists.txt "$scratch/elsewhere"
(
  umask 027
  export TZ=Asia/Tokyo LC_ALL=C.UTF-8
  run sh "$scratch/elsewhere/native/package/build.sh"
)
diff -r "$packages" "$scratch/elsewhere/target/packages"
rm -rf "$scratch/elsewhere"

step lintian
lintian --allow-root --fail-on error "$packages"/*.deb

step "Debian 12 with a Java runtime"
run debootstrap --variant=minbase --include=systemd-sysv,openjdk-17-jre-headless,attr bookworm "$root"

step "the jar of the local Maven repository"
version=$(sed -n 's|^  <version>\(.*\)</version>|\1|p' pom.xml)
run mvn -B -f "$here/user.xml" $plugin:copy-dependencies -Dbackupkit.version="$version" \
  -DincludeScope=runtime -DoutputDirectory="$root/jars"
cp "$here/files.sh" "$here/jar.sh" "$here/service.sh" "$root"
in_root sh /jar.sh

step "the same jar on 64-bit ARM"
arm=$scratch/arm64
on_arm() { sh tests/arm/with_programs.sh aarch64 - "$@"; }
run on_arm debootstrap --arch=arm64 --variant=minbase --include=openjdk-17-jre-headless,attr bookworm "$arm"
cp -r "$root/jars" "$here/files.sh" "$here/jar.sh" "$arm"
on_arm sh -ec 'mount -t proc proc "$0/proc"; exec chroot "$0" sh /jar.sh' "$arm" </dev/null
rm -rf "$arm"

step "the package under systemd"
cp "$packages"/backupkit_*_amd64.deb "$root/backupkit.deb"
run in_root apt-get install -y --no-install-recommends /backupkit.deb
cp "$here/try.service" "$root/etc/systemd/system"
run in_root systemctl enable try.service
systemd-nspawn -q --register=no --keep-unit -D "$root" --boot </dev/null >"$scratch/log" 2>&1 || :
[ -e "$root/passed" ] || { cat "$scratch/log" "$root/try.log"; exit 1; }

step "hardening"
systemd-analyze security --offline=true --root="$root" --threshold=40 --no-pager backupkit.service | tail -1

step "its removal"
run in_root apt-get purge -y backupkit
left=$(find "$root/etc" "$root/usr" "$root/var/lib" -name '*backupkit*' -o -name '*backupd*')
[ -z "$left" ] || { echo "left: $left"; exit 1; }
echo "all passed"
