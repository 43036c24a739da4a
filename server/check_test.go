// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckReportsWhatWouldGoWrong(t *testing.T) {
	d := realClient(t)
	taken, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	const key = "3797f36e98845e7dd1fd71f53cc9a3881b38a00ac062823a9f4a9688d999ba03"
	for sentence, c := range map[string]struct {
		clients string
		mode    os.FileMode
		port    string
		ok      bool
		says    []string
	}{
		"nothing, when all is well": {
			clients: d.section + "checker = true\n", ok: true,
			says: []string{"fine: the configuration of 1 clients was read", "0 errors, 0 warnings"}},
		"every error of the configuration": {
			clients: "[a]\nkey_id = x\n[b]\ntimeout = soon\n",
			says:    []string{"clients.conf:1: [a]", "clients.conf:4: [b] timeout"}},
		"a secret in plain text": {
			clients: "[a]\nkey_id = " + key + "\nsecret = c2VjcmV0\nchecker = true\n", ok: true,
			says: []string{"clients.conf:3: [a] secret: it is not encrypted"}},
		"a timeout shorter than the interval": {
			clients: d.section + "checker = true\ninterval = PT10M\n", ok: true,
			says: []string{"[host1] timeout: 5m0s is not longer than the interval of 10m0s"}},
		"a checker whose program is missing": {
			clients: d.section + "checker = nosuchprogram %%(host)s\n", ok: true,
			says: []string{`there is no program "nosuchprogram"`}},
		"a file that others can read": {
			clients: d.section + "checker = true\n", mode: 0o644, ok: true,
			says: []string{"warning: ", "clients.conf"}},
		"a port that is taken": {
			clients: d.section + "checker = true\n", port: takenPort,
			says: []string{"error: cannot listen", "address already in use"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			mode := c.mode
			if mode == 0 {
				mode = 0o600
			}
			if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(c.clients), mode); err != nil {
				t.Fatal(err)
			}
			port := c.port
			if port == "" {
				port = freePort(t)
			}
			out, err := exec.Command(mandos(t), "--check", "--no-dbus", "--no-zeroconf", "--port", port,
				"--configdir", dir, "--statedir", filepath.Join(dir, "state")).CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("error %v\n%s", err, out)
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
				t.Error("it left a state directory")
			}
		})
	}
}
