// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(address, iface string) Origin {
	from := Origin{Interface: iface}
	if address != "" {
		from.Address = netip.AddrPortFrom(netip.MustParseAddr(address), 4711)
	}
	return from
}

func TestWhatIsAllowedFromWhere(t *testing.T) {
	for sentence, c := range map[string]struct {
		allow string
		from  Origin
		want  Verdict
	}{
		"anywhere":                                   {"", at("198.51.100.7", "eth0"), Passes},
		"an address of the network":                  {"192.0.2.0/24, 2001:db8::/32", at("192.0.2.7", "eth0"), Passes},
		"one of IPv6":                                {"192.0.2.0/24, 2001:db8::/32", at("2001:db8::7", "eth0"), Passes},
		"an address of no network":                   {"192.0.2.0/24, 2001:db8::/32", at("198.51.100.7", "eth0"), Refuses},
		"an IPv4 address at a socket for both":       {"192.0.2.0/24", at("::ffff:192.0.2.7", "eth0"), Passes},
		"a network written as IPv4-mapped":           {"::ffff:192.0.2.0/120", at("192.0.2.7", "eth0"), Passes},
		"link-local addresses, on all interfaces":    {"fe80::/10", at("fe80::7%eth1", "eth1"), Passes},
		"one link-local address on its interface":    {"fe80::7%eth0", at("fe80::7%eth0", "eth0"), Passes},
		"one link-local address on another":          {"fe80::7%eth0", at("fe80::7%eth1", "eth1"), Refuses},
		"a single address":                           {"192.0.2.7", at("192.0.2.7", "eth0"), Passes},
		"the one beside it":                          {"192.0.2.7", at("192.0.2.8", "eth0"), Refuses},
		"the interface":                              {"interface:eth0", at("198.51.100.7", "eth0"), Passes},
		"another interface":                          {"interface:eth0", at("198.51.100.7", "eth1"), Refuses},
		"an interface that could not be found out":   {"interface:eth0", at("198.51.100.7", ""), Refuses},
		"an interface or a network":                  {"interface:eth0 192.0.2.0/24", at("192.0.2.7", "eth1"), Passes},
		"an IPv4 network says nothing of IPv6":       {"0.0.0.0/0", at("2001:db8::7", "eth0"), Refuses},
		"a peer whose address is not known":          {"0.0.0.0/0, ::/0", Origin{Interface: "eth0"}, Refuses},
		"a peer on the interface without an address": {"interface:eth0", Origin{Interface: "eth0"}, Refuses},
	} {
		s := host("a", keyA)
		s.AllowFrom = c.allow
		if faults := s.Faults(); len(faults) > 0 {
			t.Errorf("%s: %v", sentence, faults[0].Err)
		}
		got := judgeAllowFrom(nil, &request{client: &client{Record: Record{Settings: s}}, origin: c.from})
		if got.Verdict != c.want || (c.want == Refuses) != (got.Refusal == NotFromThere) || (got.Note == "") != (c.allow == "") {
			t.Errorf("%s: %+v, want %s", sentence, got, c.want)
		}
	}
}

func TestWhatAllowFromCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		",":                           "allow_from has no entry; leave it empty to allow from anywhere",
		"192.0.2.7/24":                "entry 1 of allow_from has bits beyond its length; write 192.0.2.0/24",
		"eth0":                        "entry 1 of allow_from is neither an address nor a network nor an interface; write for example 192.0.2.0/24, 2001:db8::7 or interface:eth0",
		"192.0.2.0/24, 192.0.2":       "entry 2 of allow_from is neither an address nor a network nor an interface; write for example 192.0.2.0/24, 2001:db8::7 or interface:eth0",
		"interface:":                  "entry 1 of allow_from is no name of an interface; write for example interface:eth0",
		"interface:wireless-uplink-0": "entry 1 of allow_from is no name of an interface; write for example interface:eth0",
	} {
		s := host("a", keyA)
		s.AllowFrom = text
		faults := s.Faults()
		if len(faults) != 1 || faults[0].Err.Error() != want {
			t.Errorf("%q: %v, want %s", text, faults, want)
		}
	}
}

// FuzzAllowFrom: whatever is written there, it is an error or a list of places, and who
// has no address is at none of them.
func FuzzAllowFrom(f *testing.F) {
	for _, seed := range []string{"fe80::/10, 192.0.2.0/24, 2001:db8::/32, interface:eth0", "::ffff:1.2.3.4/100", "fe80::1%eth0", "0/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseAllowFrom(text)
		if (err == nil) == (len(all) == 0) {
			t.Errorf("%d places, error %v", len(all), err)
		}
		if all.allow(Origin{}) {
			t.Error("nobody is allowed")
		}
		all.allow(at("fe80::1%eth0", "eth0"))
	})
}

func TestAHandoutFromElsewhereIsRefused(t *testing.T) {
	a := host("a", keyA)
	a.AllowFrom = "interface:eth0"
	inWorld(t, []Settings{a}, func(w *world) {
		_, err := w.Release(context.Background(), Identity{RawPublicKey, keyA}, at("192.0.2.7", "eth1"))
		if refused, is := errors.AsType[*RefusedError](err); !is || refused.Refusal != NotFromThere {
			t.Errorf("it was refused with %v", err)
		}
		if e := w.lastEvent(Rejected); e.Refusal != NotFromThere || e.Note != "allow_from is interface:eth0" || e.Address.Addr().String() != "192.0.2.7" {
			t.Errorf("told %+v", e)
		}
		w.must(w.Update(context.Background(), admin, "a", Update{PropAllowFrom: "192.0.2.0/24"}))
		h, err := w.Release(context.Background(), Identity{RawPublicKey, keyA}, at("192.0.2.7", "eth1"))
		w.must(err)
		h.Received("")
		if err := w.Update(context.Background(), admin, "a", Update{PropAllowFrom: "nowhere"}); !errors.Is(err, ErrBadSetting) {
			t.Errorf("allow_from = nowhere: %v", err)
		}
	})
}

func TestAnAddressThatAClientNeverFetchedFromIsTold(t *testing.T) {
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		fetch := func(address string) (told bool) {
			w.signals()
			h, err := w.Release(context.Background(), Identity{RawPublicKey, keyA}, at(address, "eth0"))
			w.must(err)
			h.Received("")
			return slices.Contains(w.signals(), string(NewAddress))
		}
		for i, step := range []struct {
			address string
			told    bool
		}{
			{"192.0.2.7", false}, // the first of all
			{"192.0.2.7", false},
			{"192.0.2.8", true},
			{"192.0.2.7", false},
			{"2001:db8::7", true},
			{"2001:db8::8", false}, // of the same network of one host
		} {
			if told := fetch(step.address); told != step.told {
				t.Errorf("step %d, from %s: told %v", i, step.address, told)
			}
		}
		w.restart(time.Second, []Settings{host("a", keyA)})
		if fetch("192.0.2.8") {
			t.Error("a restart has forgotten an address")
		}
		for i := range 2 * maxSources {
			if !fetch(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String()) {
				t.Errorf("address %d was not told", i)
			}
		}
		if record, _ := w.disk.get("a"); len(record.Sources) > maxSources {
			t.Errorf("%d sources are remembered", len(record.Sources))
		}
	})
}

func TestExplanationsAreTheRulings(t *testing.T) {
	a, b, off := host("a", keyA), host("b", keyA), host("off", keyB)
	a.AllowFrom, off.Enabled = "192.0.2.0/24", false
	a.ApprovalDelay = time.Minute
	inWorld(t, []Settings{a, b, off}, func(w *world) {
		verdicts := func(name string, from Origin) (all []Verdict) {
			rulings, err := w.Explain(name, from)
			w.must(err)
			for i, r := range rulings {
				if r.Rule != Rules[i] {
					t.Errorf("rule %d is %s", i, r.Rule)
				}
				all = append(all, r.Verdict)
			}
			return all
		}
		for _, c := range []struct {
			name string
			from Origin
			want []Verdict
		}{
			{"a", Origin{}, []Verdict{Passes, Passes, Passes, Passes, Passes, Depends, Passes, Passes, Waits, Passes}},
			{"a", at("192.0.2.7", ""), []Verdict{Passes, Passes, Passes, Passes, Passes, Passes, Passes, Passes, Waits, Passes}},
			{"a", at("192.0.3.7", ""), []Verdict{Passes, Passes, Passes, Passes, Passes, Refuses, Passes, Passes, Waits, Passes}},
			{"b", Origin{}, []Verdict{Passes, Refuses, Passes, Passes, Passes, Passes, Passes, Passes, Passes, Passes}},
			{"off", Origin{}, []Verdict{Passes, Passes, Refuses, Passes, Passes, Passes, Passes, Passes, Passes, Passes}},
		} {
			if got := verdicts(c.name, c.from); !slices.Equal(got, c.want) {
				t.Errorf("%s from %v: %v, want %v", c.name, c.from, got, c.want)
			}
		}
		w.must(w.Approve(context.Background(), admin, "a", false))
		rulings, err := w.Explain("a", Origin{})
		w.must(err)
		if r := Decisive(rulings); r.Rule != RuleApproval || r.Refusal != WasDenied || r.Remedy != ToApprove || !r.Until.Equal(w.wall().Add(time.Second)) {
			t.Errorf("decisive is %+v", r)
		}
		if _, err := w.Explain("nosuch", Origin{}); err == nil {
			t.Error("a client is explained that is not there")
		}
	})
}

// TestNoRuleLetsThroughWhatAnotherRefuses in whatever order they are asked.
func TestNoRuleLetsThroughWhatAnotherRefuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rulings := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ruling {
			return Ruling{Verdict: rapid.SampledFrom(append(slices.Clone(Verdicts), "unknown")).Draw(t, "verdict")}
		}), 1, 8).Draw(t, "rulings")
		passes := !slices.ContainsFunc(rulings, func(r Ruling) bool { return r.Verdict != Passes })
		refuses := slices.ContainsFunc(rulings, func(r Ruling) bool { return r.Verdict == Refuses || r.Verdict == "unknown" })
		for range 4 {
			rand.Shuffle(len(rulings), func(i, j int) { rulings[i], rulings[j] = rulings[j], rulings[i] })
			got := Decisive(rulings).Verdict
			if (got == Passes) != passes || (got == Refuses || got == "unknown") != refuses {
				t.Fatalf("%v comes to %s", rulings, got)
			}
		}
	})
}
