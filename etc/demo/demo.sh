#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows the whole product at work on this machine, touching nothing of it: a
# private system bus, our server on [::1], and the real mandos-client of Debian
# fetching the password of its disk. Usage: demo.sh DIRECTORY, which holds the
# built mandos and mandosctl.
set -euo pipefail

bin=$(realpath "${1:?usage: demo.sh DIRECTORY}")
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

# await repeats a command until it succeeds, for two minutes.
await() {
    local end=$((SECONDS + 120))
    while [ $SECONDS -lt $end ]; do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "Waited in vain for: $*" >&2
    return 1
}
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/mandos-demo-XXXXXX")
chmod 755 "$work"
pids=()
finish() {
    status=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    if [ "$status" -ne 0 ] && [ -s "$work/mandos.log" ]; then
        echo "The server's log:" >&2
        cat "$work/mandos.log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

say "A host's keys and its encrypted password, made by Debian's mandos-keygen"
debian=$("$(dirname "$0")/../../.ci/unpack" mandos-client)
keygen=$debian/usr/sbin/mandos-keygen
fetch=$(echo "$debian"/usr/lib/*/mandos/plugins.d/mandos-client)
password='correct horse battery staple'
mkdir "$work/keys" "$work/etc"
printf '%s' "$password" >"$work/password"
show "$keygen" --dir "$work/keys" --name host1 --length 2048 --sublength 2048 >"$work/keygen.log" 2>&1
"$keygen" --dir "$work/keys" --name host1 --no-ssh --passfile "$work/password" >"$work/etc/clients.conf"
echo "checker = true" >>"$work/etc/clients.conf"
chmod 600 "$work/etc/clients.conf"
sed -n '1,6p' "$work/etc/clients.conf"
echo "    ..."

say "A private system bus, and the server on [::1]"
cat >"$work/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$work/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus
dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile 2>"$work/bus.log" &
pids+=($!)
await test -S "$work/bus"

port=$((20000 + RANDOM % 20000))
printf '%s$ mandos --foreground --address ::1 --port %d --no-zeroconf ...%s\n' "$bold" "$port" "$plain"
"$bin/mandos" --foreground --address ::1 --port "$port" --no-zeroconf \
    --configdir "$work/etc" --statedir "$work/state" 2>"$work/mandos.log" &
pids+=($!)
await "$bin/mandosctl" status
ctl() {
    printf '%s$ mandosctl %s%s\n' "$bold" "$*" "$plain"
    "$bin/mandosctl" "$@"
}
ctl list

# mandos-client gives up root for uid 65534, which must be able to read the keys.
if [ "$(id -u)" -eq 0 ]; then chown -R 65534 "$work/keys"; fi
boot() {
    exec timeout 120 "$fetch" --connect "::1:$port" --interface none \
        --seckey "$work/keys/seckey.txt" --pubkey "$work/keys/pubkey.txt" \
        --tls-privkey "$work/keys/tls-privkey.pem" --tls-pubkey "$work/keys/tls-pubkey.pem" 2>"$work/client.log"
}

say "The host boots: Debian's real mandos-client asks for the password of its disk"
got=$(boot) || { cat "$work/client.log" >&2; exit 1; }
echo "mandos-client got: $got"
[ "$got" = "$password" ]
ctl list

say "The host is reported stolen: it is disabled and gets nothing any more"
ctl disable host1
ctl list
boot >"$work/got" & # it would ask for ever
client=$!
pids+=("$client")
await grep -q 'Client host1 is disabled' "$work/mandos.log"
kill "$client" 2>/dev/null || true # it may have given up by itself
if wait "$client" || [ -s "$work/got" ]; then
    echo "It got: $(cat "$work/got")" >&2
    exit 1
fi
echo "mandos-client got nothing, as it should."

say "It was found again"
ctl enable host1
got=$(boot)
echo "mandos-client got: $got"
[ "$got" = "$password" ]

say "The client as an object on D-Bus"
show busctl introspect --no-pager se.recompile.Mandos /clients/host1 se.recompile.Mandos.Client

say "What the server logged"
sed 's/^/  /' "$work/mandos.log"

say "All of it worked. Nothing is left behind."
