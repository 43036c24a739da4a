// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/keytls/keytlstest"
)

// theSecret is what nobody is ever told, and theText is how clients.conf has it.
const theSecret = "Ph'nglui mglw'nafh Cthulhu R'lyeh wgah'nagl fhtagn, iä iä, gof'nn hupadgh Shub-Niggurath"

var theText = base64.StdEncoding.EncodeToString([]byte(theSecret))

// wantKept looks for pieces of the secret, in each form it has.
func wantKept(t *testing.T, where, said string) {
	t.Helper()
	const long = 12
	for _, form := range []string{theSecret, theText, strings.ToLower(theText), fmt.Sprintf("%x", theSecret), fmt.Sprint([]byte(theSecret))} {
		for i := range len(form) - long + 1 {
			if strings.Contains(said, form[i:i+long]) {
				t.Errorf("%s has a piece of the secret:\n%.2000s", where, said)
				return
			}
		}
	}
}

// brokenSections are ways to write a client wrongly that put its secret at risk.
func brokenSections(key *keytlstest.Key) map[string]string {
	head := "[host1]\nkey_id = " + key.KeyID() + "\nchecker = :\n"
	return map[string]string{
		"swallowed by a duration":  head + "timeout = PT5M\n  secret = " + theText + "\n",
		"swallowed by the host":    head + "host = example.org\n  secret = " + theText + "\n",
		"swallowed by the checker": head + "checker = fping %\n  secret = " + theText + "\n",
		"as a duration":            head + "timeout = " + theText + "\nsecret = " + theText + "\n",
		"as a file":                head + "secfile = " + theText + "\n",
		"as a file with a slash":   head + "secfile = /" + theText + "\n",
		"referred to":              head + "secret = " + theText + "\nhost = %(secret)s\n",
		"with a reference":         head + "secret = %(" + theText + ")s\n",
		"cut off":                  head + "secret = " + theText[:len(theText)-2] + "\n",
		"not indented":             head + "secret =\n" + strings.ReplaceAll(theText, "=", "") + "\n",
		"twice":                    head + "secret = " + theText + "\nsecret = " + theText + "\n",
		"without a section":        "secret = " + theText + "\n" + head,
	}
}

// TestNothingTheServerSaysShowsASecret: not of a configuration that it refuses at the
// start, in a check, for lint or in a reload, and not of what callers set.
func TestNothingTheServerSaysShowsASecret(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	good := "[host1]\nkey_id = " + key.KeyID() + "\nsecret = " + theText + "\nchecker = :\nhost = %(key_id)s\n"
	bus := dbustest.Start(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	s := startServer(t, good, "--debug")
	server := connect(t, bus.Address)

	for sentence, section := range brokenSections(key) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(section), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"--check", "--findings", "--foreground"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			said, err := exec.CommandContext(ctx, mandos(t), mode, "--configdir", dir, "--statedir", filepath.Join(dir, "state"), "--no-dbus").CombinedOutput()
			if len(said) == 0 || err == nil && mode != "--findings" {
				t.Errorf("%s, %s: %v, said %q", sentence, mode, err, said)
			}
			wantKept(t, sentence+", "+mode, string(said))
		}
		s.configure(section)
		_, err := server.Reload(t.Context())
		if err == nil {
			t.Errorf("%s: reloaded", sentence)
		}
		wantKept(t, sentence+", the answer to a reload", fmt.Sprint(err))
	}
	s.configure(good)

	caller, err := dbus.Connect(bus.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	host1 := caller.Object(dbusapi.BusName, dbus.ObjectPath(clientNamed(t, server, "host1").Path))
	for property, values := range map[string][]any{
		"Secret":  {[]byte(theSecret), theSecret, []string{theSecret}, map[string]string{theSecret: theText}, int32(7)},
		"Checker": {"fping %" + theSecret, []byte(theSecret), "%(" + theText + ")s"},
		"Host":    {[]byte(theSecret)}, "Timeout": {theText, []byte(theSecret)}, "ApprovedByDefault": {theText}, "Enabled": {theText}, "Expires": {theText}, "Nothing": {theText},
	} {
		for _, value := range values {
			for _, face := range []string{dbusapi.ClientInterface, "", "no.such.Interface"} {
				err := host1.Call(dbusapi.PropertiesInterface+".Set", 0, face, property, dbus.MakeVariant(value)).Err
				wantKept(t, fmt.Sprintf("the answer to Set %s = %T", property, value), fmt.Sprintf("%v %#v", err, err))
			}
		}
	}
	if err := host1.Call(dbusapi.PropertiesInterface+".Set", 0, dbusapi.ClientInterface, "Secret", theText, theText).Err; err == nil {
		t.Error("a call with strange arguments succeeds")
	} else {
		wantKept(t, "the answer to strange arguments", fmt.Sprintf("%v %#v", err, err))
	}
	if got, err := fetch(t, s.port, key); err != nil || got != theSecret {
		t.Errorf("the client got %q, %v", got, err)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Error(err)
	}
	wantKept(t, "the log", s.log())
	db, err := os.ReadFile(filepath.Join(s.state, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	wantKept(t, "the state", string(db))
}
