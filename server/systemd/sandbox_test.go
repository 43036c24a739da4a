// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"strings"
	"testing"
)

// shipped is what systemd 252 and 257 say of etc/systemd/mandos.service.
const shipped = `BindPaths=
BindReadOnlyPaths=
ProtectHome=yes
ProtectSystem=strict
PrivateTmp=yes
ReadWritePaths=-/var/lib/mandos
ReadOnlyPaths=
InaccessiblePaths=
StateDirectory=
LoadState=loaded
`

func TestWhatTheSandboxForbids(t *testing.T) {
	for sentence, c := range map[string]struct {
		settings string // instead of those of the shipped unit
		write    bool
		path     string
		want     string // "" if it is allowed
	}{
		"the usual state directory":                  {"", true, "/var/lib/mandos", ""},
		"another state directory":                    {"", true, "/srv/mandos", "does not let the server write there (ProtectSystem=strict): add ReadWritePaths=/srv/mandos to it"},
		"one whose name begins with that of another": {"", true, "/var/lib/mandos2", "ReadWritePaths=/var/lib/mandos2"},
		"a state directory in root's home":           {"", true, "/root/state", "does not show /root to the server (ProtectHome=yes): choose another place, or change ProtectHome"},
		"a state directory that ends with the unit":  {"", true, "/tmp/state", "does not show /tmp to the server (PrivateTmp=yes)"},
		"a secret in /etc":                           {"", false, "/etc/mandos/x", ""},
		"a secret in root's home":                    {"", false, "/root/x", "does not show /root to the server (ProtectHome=yes)"},
		"a secret in a home":                         {"", false, "/home/bob/x", "ProtectHome=yes"},
		"a state directory that was allowed":         {"ReadWritePaths=/var/lib/mandos /srv/mandos", true, "/srv/mandos", ""},
		"what is hidden and allowed below":           {"ReadWritePaths=/root/state", true, "/root/state", "does not show /root"},
		"what is mounted where all is hidden":        {"BindReadOnlyPaths=/srv/x:/root/x:rbind", false, "/root/x", ""},
		"a home that may be read":                    {"ProtectHome=read-only", false, "/root/x", ""},
		"a home that may be read, to write":          {"ProtectHome=read-only", true, "/root/x", "(ProtectHome=read-only): add ReadWritePaths=/root/x"},
		"a path that is closed":                      {"InaccessiblePaths=-/srv", false, "/srv/x", "does not show /srv to the server (InaccessiblePaths)"},
		"what is closed and allowed below":           {"InaccessiblePaths=/srv\nReadWritePaths=/srv/x", true, "/srv/x", "does not show /srv"},
		"no sandbox":                                 {"ProtectSystem=no\nProtectHome=no\nPrivateTmp=no", true, "/root/x", ""},
		"a weaker one":                               {"ProtectSystem=full", true, "/etc/mandos/state", "(ProtectSystem=full)"},
	} {
		s := parseSandbox("mandos.service", shipped+c.settings+"\n")
		got := s.Read(c.path)
		if c.write {
			got = s.Write(c.path)
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", sentence, got, c.want)
		}
	}
}

func TestAUnitThatThereIsNotForbidsNothing(t *testing.T) {
	s := parseSandbox("mandos.service", strings.Replace(shipped, "LoadState=loaded", "LoadState=not-found", 1))
	if got := s.Write("/srv"); s != nil || got != "" {
		t.Errorf("%v, %q", s, got)
	}
}
