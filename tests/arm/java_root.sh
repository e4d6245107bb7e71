#!/bin/sh
# java_root.sh ROOT: unpacks Debian's Java for 64-bit ARM, and the libraries it needs, below ROOT.
# Nothing is installed: apt has folders of its own for this.
set -eu
mkdir -p "$1"
root=$(cd "$1" && pwd)
[ ! -e "$root/complete" ] || exit 0

apt() {
  apt-get -q -o Dir::State="$root/apt" -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt/cache" \
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= "$@"
}

mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial"
: >"$root/apt/status"
cd "$root/apt"
apt update
apt download libc6 libgcc-s1 libstdc++6 zlib1g openjdk-17-jre-headless
for package in *.deb; do
  dpkg-deb -x "$package" "$root"
done
# What a link means below / is below ROOT.
find "$root" -type l -lname '/*' | while read -r link; do
  ln -sfn "$root$(readlink "$link")" "$link"
done
rm -rf "$root/apt"
: >"$root/complete"
