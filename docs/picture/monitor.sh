#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes docs/monitor.svg: the monitor as it looks in a terminal, of a real server with
# some clients that are well and some that are not, on a bus of their own. Usage:
# monitor.sh DIRECTORY, which holds the built mandos and mandosctl. It needs tmux.
set -euo pipefail

bin=$(realpath "${1:?usage: monitor.sh DIRECTORY}")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d "${TMPDIR:-/tmp}/mandos-picture-XXXXXX")
chmod 755 "$work"
pids=()
finish() {
    tmux -S "$work/tmux" kill-server 2>/dev/null || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap finish EXIT
await() {
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "Waited in vain for: $*" >&2
    return 1
}

mkdir "$work/etc"
{
    printf '[DEFAULT]\nchecker = true\nsecret = c2VjcmV0\n'
    i=0
    client() {
        i=$((i + 1))
        printf '[%s]\nkey_id = %064d\nhost = %s.example.org\n%b' "$1" $i "$1" "${2:-}"
    }
    client backup 'interval = PT1S\n'
    client db-1 'interval = PT1S\n'
    client db-2 'checker = echo No route to host >\\&2; exit 1\ninterval = PT1S\ntimeout = PT10M\n'
    client laptop-3 'checker = false\ninterval = PT1S\ntimeout = PT2S\n'
    client laptop-7
    client mail 'interval = PT1S\n'
    client nas 'interval = PT1S\n'
    client web-1 'interval = PT1S\n'
    client web-2 'interval = PT1S\n'
} >"$work/etc/clients.conf"
chmod 600 "$work/etc/clients.conf"

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
dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile 2>/dev/null &
pids+=($!)
await test -S "$work/bus"
"$bin/mandos" --foreground --address ::1 --port $((20000 + RANDOM % 20000)) --no-zeroconf \
    --configdir "$work/etc" --statedir "$work/state" 2>"$work/mandos.log" &
pids+=($!)
await "$bin/mandosctl" status

screen() { tmux -S "$work/tmux" -f /dev/null "$@"; }
TERM=xterm-256color screen new-session -d -x 100 -y 24 "TERM=xterm-256color $bin/mandosctl monitor"
shows() { screen capture-pane -p | grep -q -e "$1"; }
await shows backup
"$bin/mandosctl" disable laptop-7 >/dev/null
"$bin/mandosctl" set db-1 timeout=15m >/dev/null
await shows 'laptop-3 .*expired'
await shows 'db-2 .*failing'
await shows 'laptop-7 .*disabled'
await shows 'web-2 .*enabled'
screen capture-pane -e -p | (cd "$here/../.." && go run ./docs/picture) >"$here/../monitor.svg"
