// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mandos/server/debiantest"
)

// initScript is the init script of this project, for a server with directories of
// its own.
func initScript(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile("../etc/init.d/mandos")
	if err != nil {
		t.Fatal(err)
	}
	script, defaults := filepath.Join(dir, "init"), filepath.Join(dir, "default")
	here := strings.NewReplacer("/usr/sbin/mandos", mandos(t), "/var/lib/mandos", dir+"/state", "/etc/default/mandos", defaults)
	if err := os.WriteFile(script, []byte(here.Replace(string(text))), 0o700); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("CONFIGDIR=%[1]s/etc\nDAEMON_ARGS='--no-dbus --no-zeroconf --statedir %[1]s/state --port %[2]s'\n", dir, freePort(t))
	if err := os.WriteFile(defaults, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return script
}

// initPrelude makes a machine of processes and a /run of its own, in which is
// demands an exit status.
const initPrelude = `
mount -t tmpfs none /run
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log
init=$0 dir=$1 mandos=$2 port=$3
wrong() { echo "$@" >&2; exit 1; }
is() { want=$1; shift; "$@"; got=$?; [ $got -eq $want ] || wrong "exit status $got, want $want: $*"; }
pid() { cat /run/mandos.pid; }
gone() { while kill -0 "$1" 2>/dev/null; do sleep 0.05; done; }
`

// TestInitScript runs the init script with Debian's start-stop-daemon and functions.
func TestInitScript(t *testing.T) {
	debiantest.NeedRoot(t, "to have mounts and processes of its own")
	for sentence, script := range map[string]string{
		"it starts, tells, starts no second one, reloads and stops": `
is 3 $init status
is 0 $init start
is 0 $init status
first=$(pid)
is 0 $init start
[ "$(pid)" = "$first" ] || wrong "a second one was started"
is 0 $init reload
is 0 $init stop
is 3 $init status
is 0 $init stop
[ ! -d /proc/$first ] || wrong "it was not stopped"`,
		"a restart is another process": `
is 0 $init start
first=$(pid)
is 0 $init restart
[ ! -d /proc/$first ] && [ "$(pid)" != "$first" ] || wrong "it was not restarted"
is 0 $init status`,
		"one that has ended by itself leaves an empty file, which is no server's": `
is 0 $init start
first=$(pid)
kill $first
gone $first
[ -e /run/mandos.pid ] && [ ! -s /run/mandos.pid ] || wrong "the file is not empty: $(pid)"
is 3 $init status
is 1 $init reload
is 0 $init start
is 0 $init status
is 0 $init stop`,
		"one that was killed leaves its number, which the next one replaces": `
is 0 $init start
first=$(pid)
kill -9 $first
gone $first
is 1 $init status
is 1 $init reload
is 0 $init start
[ "$(pid)" != "$first" ] || wrong "the file is the dead one's"
is 0 $init status`,
		"after one that was killed there is nothing to stop": `
is 0 $init start
first=$(pid)
kill -9 $first
gone $first
is 0 $init stop
is 3 $init status`,
		"the number of another program is no server's": `
echo $$ >/run/mandos.pid
is 0 $init start
[ "$(pid)" != $$ ] || wrong "the file is another's"
is 0 $init status`,
		"a second server is refused and changes nothing": `
is 0 $init start
first=$(pid)
is 1 $mandos --no-dbus --no-zeroconf --port $port --configdir $dir/etc --statedir $dir/other
[ "$(pid)" = "$first" ] || wrong "the file was changed"
is 0 $init status`,
		"a start that fails leaves nobody in the file": `
mkdir $dir/state && echo garbage >$dir/state/state.db && chown -R _mandos: $dir/state
is 1 $init start
[ ! -s /run/mandos.pid ] || wrong "the file has $(pid)"
is 3 $init status`,
		"a start that is ended leaves nobody in the file": `
mkdir $dir/state && mkfifo $dir/state/clients.pickle && chown -R _mandos: $dir/state
$init start & start=$!
exec 3>$dir/state/clients.pickle # and now the server waits for what comes
first=$(pid)
[ -n "$first" ] || wrong "a server that starts is not in the file"
kill $first
wait $start
[ -e /run/mandos.pid ] && [ ! -s /run/mandos.pid ] || wrong "the file has $(pid)"`,
		"no process of root's stays": `
is 0 $init start
beside=$(ps --no-headers --ppid $(pid) -o uid,comm | xargs)
[ "$beside" = "$(id -u _mandos) mandos-reader" ] || wrong "beside the server there is: $beside"`,
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Dir(emptyConfiguration(t))
			cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
				"sh", "-c", initPrelude+script, initScript(t, dir), dir, mandos(t), freePort(t))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestProcdScriptSyntax only parses the script: what runs it is not in Debian.
func TestProcdScriptSyntax(t *testing.T) {
	if out, err := exec.Command("sh", "-n", "../etc/procd/mandos").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
