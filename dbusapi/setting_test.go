// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestTheSettingsOfEveryMandosServer(t *testing.T) {
	var got []string
	for _, s := range upstreamSettings {
		got = append(got, s.Key+" "+s.Type)
	}
	slices.Sort(got)
	want := []string{
		"approval_delay t", "approval_duration t", "approved_by_default b", "checker s", "extended_timeout t", "host s",
		"interval t", "secret ay", "timeout t",
	}
	if !slices.Equal(got, want) {
		t.Errorf("they are %q", got)
	}
}

func TestChangedPropertiesAreSettingsInWords(t *testing.T) {
	got, err := settingsIn(map[string]dbus.Variant{
		"Timeout":           dbus.MakeVariant(uint64(5_400_000)),
		"ApprovedByDefault": dbus.MakeVariant(false),
		"Host":              dbus.MakeVariant("foo"),
		"Expires":           dbus.MakeVariant(""),
	}, []string{"Secret", "Other"})
	if want := map[string]string{"timeout": "1h 30m", "approved_by_default": "no", "host": "foo", "secret": ""}; err != nil || !maps.Equal(got, want) {
		t.Errorf("they are %v, error %v", got, err)
	}
	if _, err := settingsIn(map[string]dbus.Variant{"Host": dbus.MakeVariant(7.5)}, nil); err == nil || err.Error() != "property Host is a float64" {
		t.Errorf("one of another type: %v", err)
	}
}

// The settings that only a later server has are found among the properties that have no
// field.
func TestSettingsOfALaterServer(t *testing.T) {
	settings := []Setting{
		{Key: "leeway", Property: "Leeway", Type: "t"}, {Key: "watched", Property: "Watched", Type: "b"}, {Key: "floor", Property: "Floor", Type: "s"},
		{Key: "timeout", Property: "Timeout", Type: "t"},
	}
	var c Client
	if err := c.setTexts([]string{"Name", "Leeway", "Watched", "Floor", "NoSetting"}, []string{"foo", "90000", "true", "3rd", "x"}); err != nil {
		t.Fatal(err)
	}
	if err := c.resolve(settings); err != nil {
		t.Fatal(err)
	}
	before := c.Other
	if want := map[string]string{"leeway": "1m 30s", "watched": "yes", "floor": "3rd"}; c.Name != "foo" || !maps.Equal(before, want) {
		t.Errorf("they are %v", before)
	}
	changed := map[string]dbus.Variant{"Leeway": dbus.MakeVariant(uint64(1000)), "Timeout": dbus.MakeVariant(uint64(2000))}
	if err := c.update(ClientInterface1, changed); err != nil {
		t.Fatal(err)
	}
	if err := c.resolve(settings); err != nil || c.Other["leeway"] != "1s" || len(c.Other) != 3 || before["leeway"] != "1m 30s" {
		t.Errorf("changed they are %v, before %v, error %v", c.Other, before, err)
	}
	if err := c.update(ClientInterface1, map[string]dbus.Variant{"Watched": dbus.MakeVariant("perhaps")}); err != nil {
		t.Fatal(err)
	}
	if err := c.resolve(settings); err == nil || !strings.HasPrefix(err.Error(), "property Watched: ") {
		t.Errorf("one that cannot be understood: %v", err)
	}
}

func TestOwnSettingsAreDescribed(t *testing.T) {
	text := Introspection([]string{ClientInterface, ClientInterface1, PeerInterface}, nil, []Property{{"Leeway", "t", "readwrite"}, {"Floor", "s", "read"}})
	_, own, _ := strings.Cut(text, ClientInterface1)
	own, _, _ = strings.Cut(own, "</interface>")
	const want = `    <property name="Leeway" type="t" access="readwrite"/>
    <property name="Floor" type="s" access="read"/>
  `
	if !strings.HasSuffix(own, want) || strings.Count(text, "Leeway") != 1 {
		t.Errorf("the interface ends in %.300q", own[max(0, len(own)-300):])
	}
}
