#!/bin/sh
# with_programs.sh aarch64|armhf LIBRARIES COMMAND...
# Runs COMMAND while the kernel starts that machine's programs by qemu-user, with these libraries, or
# where LIBRARIES is - with those of the root that each program is in.
# As root the whole kernel does, and forgets it at the end; otherwise a user namespace of COMMAND's
# own, which Linux has from 6.7 on. Where neither can be had, COMMAND runs all the same.
set -eu

apart() {
  if [ "$(id -u)" -eq 0 ]; then
    unshare -m "$@"
  else
    unshare -U --map-root-user -m "$@"
  fi
}

# How the kernel knows a program of the machine: by the beginning of its ELF header, whether it is
# linked for a fixed place or for any.
rule() {
  zeros='\x00\x00\x00\x00\x00\x00\x00\x00'
  ones='\xff\xff\xff\xff\xff\xff\xff\xff'
  printf ":%s:M::%s:%s:%s:$flags" "$name" "\x7fELF$class\x01\x01\x00$zeros\x02\x00$number\x00" \
    "\xff\xff\xff\xff\xff\xff\xff\x00$ones\xfe\xff\xff\xff" "$interpreter"
}

if [ "$1" = --apart ]; then
  place=$2 user=$3 group=$4
  shift 4
else
  place=
fi
machine=$1 libraries=$2
shift 2
# The emulator takes memory between fork and exec, by an allocator of glib's that another thread may
# have locked: the child would wait for ever (qemu issue 285).
export G_SLICE=always-malloc
case $machine in
  aarch64) emulator=qemu-aarch64 class='\x02' number='\xb7' ;;
  armhf) emulator=qemu-arm class='\x01' number='\x28' ;;
  *) echo "with_programs.sh: no such machine: $machine" >&2; exit 2 ;;
esac
trap 'exit 1' HUP INT TERM

if [ -z "$place" ]; then
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
  mkdir "$place/kernel"
  if [ "$libraries" != - ]; then
    printf '#!/bin/sh\nexec %s -L %s "$@"\n' "$(command -v $emulator)" "$libraries" >"$place/run"
    chmod 755 "$place/run"
  fi
  chmod 755 "$place"
  if apart mount -t binfmt_misc none "$place/kernel" 2>/dev/null; then
    apart sh "$0" --apart "$place" "$(id -u)" "$(id -g)" "$machine" "$libraries" "$@"
  else
    echo "with_programs.sh: this kernel is not told of programs of $machine" >&2
    "$@"
  fi
  exit
fi

name=backupkit-$machine-$$ interpreter=$place/run flags=
if [ "$libraries" = - ]; then
  # The kernel opens it now, so it needs no path in those roots, and no library.
  interpreter=$(command -v $emulator-static) flags=F
fi
mount -t binfmt_misc none "$place/kernel"
trap 'echo -1 >"$place/kernel/$name"' EXIT
rule >"$place/kernel/register"
if [ "$user" -eq 0 ]; then
  "$@"
else
  unshare -U --map-user="$user" --map-group="$group" "$@"
fi
