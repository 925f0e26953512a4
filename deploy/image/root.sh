#!/bin/sh
# Puts together the root filesystem of an image: programs, exactly the shared libraries that they load, and the few
# files that programs expect of any system. It needs no container engine: the Dockerfile runs it, and so do the tests.
#
# Usage: root.sh FOLDER PROGRAM...
#
# Each program goes to FOLDER/usr/bin under its own name and is started there once, by `version`: one that lacks a
# library, or was built for another processor, fails here and not on somebody's node.
set -eu
umask 022

root=$1
shift

mkdir -p "$root/etc/ssl/certs" "$root/usr/bin" "$root/tmp"
# The one place that everybody may write to, where it is not mounted read-only.
chmod 1777 "$root/tmp"

# The names behind the numbers. 0 is there for those who list files; nobody can log in as either.
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/:/sbin/nologin
ithaca:x:65532:65532:Ithaca:/:/sbin/nologin
END
cat >"$root/etc/group" <<'END'
root:x:0:
ithaca:x:65532:
END
# The files of a container runtime (its own name, extra hosts) before DNS.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

# The libraries of a program, the loader among them. A static one has none, and ldd calls that a failure.
libraries() {
  ldd "$1" 2>/dev/null | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
}

for program in "$@"; do
  name=$(basename "$program")
  cp --dereference "$program" "$root/usr/bin/$name"
  chmod 755 "$root/usr/bin/$name"
  for library in $(libraries "$program"); do
    mkdir -p "$root$(dirname "$library")"
    cp --dereference "$library" "$root$library"
  done
  chroot "$root" "/usr/bin/$name" version >/dev/null
done
