#!/bin/sh
# Makes the archives here, each by a program and in a format of its own; needs root for the owners,
# the device and the attributes. Written with GNU tar 1.34, bsdtar and bsdcpio 3.6.2, Python 3.11,
# git 2.39, GNU cpio 2.13, MirBSD's pax 20201030, BusyBox 1.35 and Go 1.19.
# Beside each archive <name>.txt says what a reader must give.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
umask 022

# What every format can hold.
mkdir -p plain/dir
echo 'some bytes' >plain/dir/file
: >plain/dir/empty
ln -s file plain/dir/soft
ln plain/dir/file plain/hard
chown -hR 1000:1001 plain
chmod 2750 plain/dir
chmod 4711 plain/dir/empty
touch -hd '2001-02-03 04:05:06.123456789 UTC' plain/dir/file plain/dir/soft
touch -d '2001-02-03 04:05:07 UTC' plain/dir/empty plain/dir plain

# What only some can: other types, long paths and targets, owners and times past octal digits.
mkdir -p more
mkfifo more/pipe
mknod more/null c 1 3
name=$(printf '%0120d' 1)
mkdir -p "more/$name/$name"
echo deep >"more/$name/$name/leaf"
ln -s "$name/$name/$name" more/far
echo latin >"more/$(printf 'b\374cher')"
echo old >more/old
touch -hd '2001-02-03 04:05:06 UTC' more/* "more/$name"/* "more/$name/$name/leaf"
touch -hd '1960-01-02 03:04:05 UTC' more/old
chown -hR 3000000:4294967294 more
touch -d '2242-03-16 12:56:33 UTC' more

# Of ustar's 255 bytes the first 155 go into the prefix.
part=$(printf '%090d' 1)
mkdir -p "ustar/$part"
echo split >"ustar/$part/$part"
chown -R 1000:1001 ustar
touch -d '2001-02-03 04:05:06 UTC' "ustar/$part/$part" "ustar/$part" ustar

# Blocks of data and of zeros in turn, more than the four of a header; and one that is all hole.
mkdir -p sparse
i=0
while [ $i -lt 30 ]; do
  head -c 512 /dev/zero | tr '\0' "\\$(printf '%03o' $((i + 32)))"
  head -c 512 /dev/zero
  i=$((i + 1))
done >sparse/comb
truncate -s 200000 sparse/comb
truncate -s 9663676416 sparse/huge
truncate -s 70000 sparse/tail
printf tail | dd of=sparse/tail conv=notrunc status=none
chown -R 1000:1001 sparse
touch -d '2001-02-03 04:05:06 UTC' sparse/* sparse

# Attributes.
mkdir -p attributes/dir
echo a >attributes/file
chown -R 1000:1001 attributes
setfattr -n user.binary -v 0x00ff0a3d attributes/file
setfattr -n user.empty attributes/file
setfattr -n 'user.a=b%c' -v x attributes/file
setcap cap_net_raw+ep attributes/file
setfacl -m u:12345:r attributes/file
setfacl -m u:12345:rx -d -m g:54321:rwx attributes/dir
touch -d '2001-02-03 04:05:06 UTC' attributes/* attributes

gnu() {
  tar --sort=name --numeric-owner -b1 -cf "$here/$@"
}
pax="--format=posix --pax-option=delete=atime,delete=ctime,exthdr.name=x"
gnu gnu_v7.tar --format=v7 plain
gnu gnu_ustar.tar --format=ustar plain ustar
gnu gnu_oldgnu.tar --format=oldgnu plain more
gnu gnu_label.tar --format=gnu --label=volume plain
gnu gnu_listing.tar --format=gnu --incremental plain
gnu gnu_pax.tar $pax plain more
gnu gnu_pax_global.tar $pax --pax-option=gid:=7 --pax-option=uid=8 plain
gnu gnu_dot.tar $pax -C plain .
gnu gnu_attributes.tar $pax --xattrs --xattrs-include='*' --acls attributes
raw="--sparse --hole-detection=raw"
gnu gnu_sparse_old.tar --format=gnu $raw sparse/comb sparse/tail
gnu gnu_sparse_huge.tar --format=gnu --sparse sparse/huge
for version in 0.0 0.1 1.0; do
  gnu gnu_sparse_$version.tar $pax $raw --sparse-version=$version sparse/comb sparse/tail
done
gnu gnu_sparse_huge_1.0.tar $pax --sparse sparse/huge

bsd() {
  archive=$1
  format=$2
  shift 2
  bsdtar --format="$format" --numeric-owner -b1 -cf "$here/$archive" "$@"
}
bsd bsd_v7.tar v7tar plain
bsd bsd_ustar.tar ustar plain ustar
bsd bsd_gnutar.tar gnutar plain more
LC_ALL=C.UTF-8 bsd bsd_pax.tar pax plain more sparse/tail
bsd bsd_attributes.tar pax --xattrs --acls attributes

list() {
  find "$@" | LC_ALL=C sort
}
for format in ustar tar; do
  list plain | cpio --quiet -o -H $format >"$here/cpio_$format.tar"
done
list plain ustar | bsdcpio --quiet -o -H ustar >"$here/bsdcpio_ustar.tar"
list plain more/far more/null more/old more/pipe "more/$name" | bsdcpio --quiet -o -H pax >"$here/bsdcpio_pax.tar"
list plain ustar | pax -wd -x ustar -b 512 -f "$here/pax_ustar.tar"
busybox tar -cf "$here/busybox.tar" plain more/far more/old "more/$name"
busybox tar -cf "$here/busybox_dot.tar" -C plain .

cat >write.go <<'GO'
package main

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Puts what is below the top into the archive.
func add(writer *tar.Writer, top string, format tar.Format) {
	check(filepath.Walk(top, func(path string, info os.FileInfo, err error) error {
		check(err)
		target, _ := os.Readlink(path)
		header, err := tar.FileInfoHeader(info, target)
		check(err)
		header.Name, header.Format = path, format
		if info.IsDir() {
			header.Name += "/"
		}
		check(writer.WriteHeader(header))
		if info.Mode().IsRegular() {
			file, err := os.Open(path)
			check(err)
			_, err = io.Copy(writer, file)
			check(err)
		}
		return nil
	}))
}

func main() {
	for name, format := range map[string]tar.Format{"gnu": tar.FormatGNU, "pax": tar.FormatPAX} {
		out, err := os.Create(os.Args[1] + "/go_" + name + ".tar")
		check(err)
		writer := tar.NewWriter(out)
		add(writer, "plain", format)
		add(writer, "more", format)
		check(writer.Close())
	}
}
GO
go run write.go "$here"
rm write.go

python3 - "$here" <<'PYTHON'
import sys, tarfile
for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT),
                   ("pax", tarfile.PAX_FORMAT)):
    with tarfile.open(f"{sys.argv[1]}/python_{name}.tar", "w", format=form,
                      encoding="utf-8", errors="surrogateescape") as tar:
        tar.add("plain")
        if name != "ustar":
            tar.add("more")
PYTHON

git init -q repository
cd repository
cp ../plain/dir/file .
git add file
GIT_AUTHOR_DATE='981173106 +0000' GIT_COMMITTER_DATE='981173106 +0000' \
  git -c user.name=a -c user.email=a@b commit -qm file
git archive --format=tar HEAD -o "$here/git.tar"
cd ..

# The zeros at the end cut off, all and all but one block of them.
size=$(stat -c %s "$here/gnu_v7.tar")
head -c $((size - 1024)) "$here/gnu_v7.tar" >"$here/no_end.tar"
head -c $((size - 512)) "$here/gnu_v7.tar" >"$here/half_end.tar"
# Only the first archive is read of two, and what is before a block of zeros.
cat "$here/gnu_ustar.tar" "$here/gnu_v7.tar" >"$here/concatenated.tar"
{
  cat "$here/no_end.tar"
  head -c 512 /dev/zero
  cat "$here/gnu_ustar.tar"
} >"$here/zeros_inside.tar"
# Nothing but padding.
for archive in python_ustar python_gnu python_pax git; do
  python3 - "$here/$archive.tar" <<'PYTHON'
import sys
data = open(sys.argv[1], "rb").read().rstrip(b"\0")
data += bytes(-len(data) % 512 + 1024)
open(sys.argv[1], "wb").write(data)
PYTHON
done
