// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
)

func TestListTellsWhatTheObjectManagerTells(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"), settings("bar"))
	<-s.askForSecret(t, settings("foo"))
	root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
	var objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	if err := root.Call(dbusapi.ObjectManagerInterface+".GetManagedObjects", 0).Store(&objects); err != nil {
		t.Fatal(err)
	}
	var names []string
	var rows [][]string
	if err := root.Call(dbusapi.ServerInterface1+".GetClients", 0, []string{"foo", "nobody", "bar"}).Store(&names, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(objects) || len(rows) != 2 {
		t.Fatalf("%d clients are listed, of %d", len(rows), len(objects))
	}
	for _, row := range rows {
		listed := make(map[string]string)
		for i, name := range names {
			listed[name] = row[i]
		}
		told := 0
		for face, values := range objects[dbus.ObjectPath(listed["ObjectPath"])] {
			for name, value := range values {
				told++
				if want := fmt.Sprint(value.Value()); listed[name] != want {
					t.Errorf("%s.%s is %q, want %q", face, name, listed[name], want)
				}
			}
		}
		if told != len(names) {
			t.Errorf("%d properties are listed, of %d", len(names), told)
		}
	}
}

func TestWhoIsGoneIsListedAndComesBackOrIsForgotten(t *testing.T) {
	b := dbustest.Start(t)
	foo, bar := settings("foo"), settings("bar")
	s := serve(t, b.Address, foo, bar)
	api, ctx := connect(t, b.Address), t.Context()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, want string) {
		t.Helper()
		if !errors.Is(err, dbusapi.ErrRefused) || err.Error() != want {
			t.Errorf("answered %v", err)
		}
	}
	clients, err := api.Clients(ctx)
	do(err)
	do(api.Remove(ctx, clients[1]))
	gone, err := api.Gone(ctx)
	do(err)
	if len(gone) != 1 || gone[0].Name != "foo" || gone[0].KeyID != foo.KeyID || gone[0].Fingerprint != foo.Fingerprint || !gone[0].GoneSince.IsZero() ||
		gone[0].Because != dbusapi.RemovedByAdministrator || gone[0].By.UID != uint32(os.Getuid()) || gone[0].By.PID != uint32(os.Getpid()) || time.Since(gone[0].Since) > time.Minute {
		t.Errorf("gone are %+v", gone)
	}
	refused(api.Forget(ctx, "foo"), "client foo has a section in the configuration; take that out and reload, and forget it then")
	do(api.EnableNamed(ctx, "foo"))
	if by := s.by(client.Enabled); by.PID != uint32(os.Getpid()) {
		t.Errorf("it was enabled by %v", by)
	}
	if clients, err = api.Clients(ctx); err != nil || len(clients) != 2 || !clients[1].Enabled {
		t.Errorf("the clients are %+v, error %v", clients, err)
	}
	do(api.Disable(ctx, clients[1]))
	do(reload(ctx, s, client.FromConfiguration, []client.Settings{bar}))
	refused(api.EnableNamed(ctx, "foo"), "client foo has no section in the configuration; write it again and reload, and enable it then")
	if gone, err = api.Gone(ctx); err != nil || len(gone) != 1 || gone[0].Because != dbusapi.ByAdministrator || gone[0].GoneSince.IsZero() {
		t.Errorf("gone are %+v, error %v", gone, err)
	}
	do(api.Forget(ctx, "foo"))
	if by := s.by(client.Forgotten); by.PID != uint32(os.Getpid()) {
		t.Errorf("it was forgotten by %v", by)
	}
	for _, err := range []error{api.Forget(ctx, "foo"), api.EnableNamed(ctx, "foo")} {
		if !errors.Is(err, dbusapi.ErrNoClient) {
			t.Errorf("one that nothing is known of: %v", err)
		}
	}
	if reloaded, err := api.Reload(ctx); err != nil || !slices.Equal(reloaded.Added, []string{"new"}) || !slices.Equal(reloaded.Removed, []string{"old", "older"}) || len(reloaded.Changed) != 0 {
		t.Errorf("the reload answered %+v, error %v", reloaded, err)
	}
}

func TestAnyNumberOfClientsIsListedInPages(t *testing.T) {
	const many = 2500
	all := make([]client.Settings, many)
	for i := range all {
		all[i] = settings(fmt.Sprintf("foo%04d", i))
	}
	b := dbustest.Start(t)
	s := serve(t, b.Address, all...)
	api, ctx := connect(t, b.Address), t.Context()
	clients, err := api.Clients(ctx)
	if err != nil || len(clients) != many || clients[1234].Name != "foo1234" {
		t.Fatalf("%d clients, error %v", len(clients), err)
	}
	for _, c := range clients {
		if err := api.Disable(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := reload(ctx, s, client.FromConfiguration, all[:1]); err != nil {
		t.Fatal(err)
	}
	gone, err := api.Gone(ctx)
	if err != nil || len(gone) != many-1 || gone[1233].Name != "foo1234" || gone[many-2].Because != dbusapi.ByAdministrator {
		t.Errorf("%d are gone, error %v", len(gone), err)
	}
	root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
	err = root.Call(dbusapi.ServerInterface1+".GetClients", 0, make([]string, 1001)).Err
	if answer, ok := err.(dbus.Error); !ok || answer.Name != failed+"LimitsExceeded" || !strings.Contains(err.Error(), "at most 1000") {
		t.Errorf("a page that is too long is answered %v", err)
	}
}

func TestClientsAreFoundByTheirNamesAndKeys(t *testing.T) {
	foo, bar, old := settings("foo"), settings("bar"), settings("old")
	bar.KeyID, bar.Fingerprint = strings.Repeat("AB", 32), foo.Fingerprint
	old.KeyID, old.Fingerprint = "", strings.Repeat("EF", 20)
	b := dbustest.Start(t)
	serve(t, b.Address, foo, bar, old)
	api, ctx := connect(t, b.Address), t.Context()
	for sentence, c := range map[string]struct {
		keyID, fingerprint string
		want               []string
	}{
		"by the key ID":              {foo.KeyID, "", []string{"foo"}},
		"by the fingerprint":         {"", foo.Fingerprint, []string{"foo", "bar"}},
		"by either":                  {bar.KeyID, old.Fingerprint, []string{"bar", "old"}},
		"nobody by what nobody has":  {strings.Repeat("00", 32), "", nil},
		"nobody by what is not told": {"", "", nil},
	} {
		if names, err := api.NamesWithKey(ctx, c.keyID, c.fingerprint); err != nil || !slices.Equal(names, c.want) {
			t.Errorf("%s: %q, error %v", sentence, names, err)
		}
	}
	if names, err := api.Names(ctx); err != nil || !slices.Equal(names, []string{"bar", "foo", "old"}) {
		t.Errorf("the names are %q, error %v", names, err)
	}
	clients, err := api.ClientsNamed(ctx, []string{"old", "nobody", "foo"})
	if err != nil || len(clients) != 2 || clients[0].Name != "old" || clients[1].KeyID != foo.KeyID {
		t.Errorf("the clients are %+v, error %v", clients, err)
	}
}

func TestStatistics(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, settings("foo"))
	api, ctx := connect(t, b.Address), t.Context()
	status, err := api.Status(ctx)
	if diff := cmp.Diff(dbusapi.Statistics{"handouts": uint64(3), "save-seconds": 0.25}, status.Statistics); err != nil || diff != "" {
		t.Errorf("error %v, wanted (-) and got (+):\n%s", err, diff)
	}
	listed, err := api.ListStatistics(ctx)
	if diff := cmp.Diff((&daemon{}).ListStatistics(), listed); err != nil || diff != "" {
		t.Errorf("error %v, wanted (-) and got (+):\n%s", err, diff)
	}
}

func TestTheSettingsAreListed(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, settings("foo"))
	listed, err := connect(t, b.Address).Settings(t.Context())
	if err != nil || len(listed) != len(client.AllSettings) {
		t.Fatalf("%d are, error %v", len(listed), err)
	}
	for i, want := range []dbusapi.Setting{
		{Key: "key_id", Property: "KeyID", Interface: dbusapi.ClientInterface, Type: "s"},
		{Key: "fingerprint", Property: "Fingerprint", Interface: dbusapi.ClientInterface, Type: "s"},
		{Key: "secret", Property: "Secret", Interface: dbusapi.ClientInterface, Type: "ay", Writable: true},
		{Key: "host", Property: "Host", Interface: dbusapi.ClientInterface, Type: "s", Writable: true},
		{Key: "checker", Property: "Checker", Interface: dbusapi.ClientInterface, Type: "s", Writable: true, Default: "fping -q -- %%(host)s"},
		{Key: "timeout", Property: "Timeout", Interface: dbusapi.ClientInterface, Type: "t", Writable: true, Default: "PT5M"},
	} {
		if listed[i] != want {
			t.Errorf("listed is %+v, want %+v", listed[i], want)
		}
	}
	for _, want := range []dbusapi.Setting{
		{Key: "approved_by_default", Property: "ApprovedByDefault", Interface: dbusapi.ClientInterface, Type: "b", Writable: true, Default: "True"},
		{Key: "record_required", Property: "RecordRequired", Interface: dbusapi.ClientInterface1, Type: "b", Writable: true, Default: "False"},
	} {
		if !slices.Contains(listed, want) {
			t.Errorf("not listed is %+v", want)
		}
	}
}
