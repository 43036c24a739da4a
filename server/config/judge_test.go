// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"mandos/server/client"
)

func TestRemarksAreToldWhereTheSettingIs(t *testing.T) {
	dir := t.TempDir()
	const key = "0000000000000000000000000000000000000000000000000000000000000001"
	secret := filepath.Join(dir, "secret")
	write(t, secret, "secret")
	write(t, filepath.Join(dir, "clients.conf"), "[DEFAULT]\nkey_id = "+key+"\ninterval = PT1M\n\n"+
		"[a]\nsecret = c2VjcmV0\n[b]\nsecfile = "+secret+"\n[c]\nsecret = c2VjcmV0\ntimeout = soon\n")
	flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
	options := AddFlags(flags)
	if err := flags.Parse([]string{"--configdir", dir}); err != nil {
		t.Fatal(err)
	}
	options.Judge = func(c client.Settings) []Remark {
		return []Remark{{Key: "secret", Problem: "S of " + c.Name}, {Key: "timeout", Problem: "T of " + c.Name}, {Key: "interval", Problem: "I"}}
	}
	conf, err := options.Load()
	if err == nil || !strings.Contains(err.Error(), "[c] timeout") {
		t.Errorf("the error is %v", err)
	}
	var got []string
	for _, w := range conf.Warnings {
		if text := strings.TrimPrefix(w.String(), dir+"/clients.conf"); strings.HasSuffix(text, "I") || strings.Contains(text, " of ") {
			got = append(got, text)
		}
	}
	want := []string{
		":3: [DEFAULT] interval: I",
		":5: [a] timeout: T of a",
		":6: [a] secret: S of a",
		":7: [b] timeout: T of b",
		":8: [b] secfile: S of b",
		":10: [c] secret: S of c",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("warned of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
