// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/client"
	"mandos/server/logging"
)

func from(address string) netip.AddrPort { return netip.MustParseAddrPort(address) }

func TestLimit(t *testing.T) {
	for name, tc := range map[string]struct {
		write func(log *slog.Logger)
		want  map[string]int // how many lines have that text
	}{
		"a few records all appear": {
			write: func(log *slog.Logger) {
				for range logging.EachBurst {
					log.Info("refused", "address", from("192.0.2.1:1"))
				}
			},
			want: map[string]int{"refused": logging.EachBurst, "left_out": 0},
		},
		"one address cannot silence another": {
			write: func(log *slog.Logger) {
				for range 10000 {
					log.Info("refused", "address", from("192.0.2.1:1"))
				}
				log.Info("quiet", "address", from("192.0.2.2:1"))
				log.With("address", from("[2001:db8::1]:1")).Info("quiet")
				log.Info("quiet", "address", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 3)})
			},
			want: map[string]int{"refused": logging.EachBurst, "quiet": 3, "left_out=9980": 1},
		},
		"the ports and the network of one host are no disguise": {
			write: func(log *slog.Logger) {
				for i := range 1000 {
					address := from("[2001:db8::1]:1").Addr().As16()
					address[14], address[15] = byte(i>>8), byte(i)
					log.Info("refused", "address", netip.AddrPortFrom(netip.AddrFrom16(address), uint16(i)))
				}
			},
			want: map[string]int{"refused": logging.EachBurst},
		},
		"IPv4 inside IPv6 is IPv4": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Info("refused", "address", from("[::ffff:192.0.2.1]:1"))
				}
				log.Info("quiet", "address", from("[::ffff:192.0.2.2]:1"))
			},
			want: map[string]int{"refused": logging.EachBurst, "quiet": 1},
		},
		"neighbours on the link are told apart": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Info("refused", "address", from("[fe80::1%eth0]:1"))
				}
				log.Info("quiet", "address", from("[fe80::2%eth0]:1"))
			},
			want: map[string]int{"refused": logging.EachBurst, "quiet": 1},
		},
		"many addresses share what there is": {
			write: func(log *slog.Logger) {
				for i := range 10 * logging.MaxSources {
					log.Info("refused", "address", netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1))
				}
			},
			want: map[string]int{"refused": logging.AllBurst, "left_out": 1},
		},
		"when many addresses have calmed down, others are told apart again": {
			write: func(log *slog.Logger) {
				many(log, "early")
				time.Sleep(time.Minute)
				for range 1000 {
					log.Info("loud", "address", from("192.0.2.1:1"))
				}
				log.Info("quiet", "address", from("192.0.2.2:1"))
			},
			want: map[string]int{"loud": logging.EachBurst, "quiet": 1},
		},
		"who has not calmed down is not forgotten with those who have": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Info("loud", "address", from("192.0.2.1:1"))
				}
				many(log, "early")
				time.Sleep(3 * time.Second) // in which two a second are allowed again
				log.Info("another", "address", from("192.0.2.2:1"))
				for range 1000 {
					log.Info("loud", "address", from("192.0.2.1:1"))
				}
			},
			want: map[string]int{"loud": logging.EachBurst + 6, "another": 1},
		},
		"records without an address are one source": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Info("refused")
				}
			},
			want: map[string]int{"refused": logging.EachBurst},
		},
		"whoever calms down is heard again": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Info("refused", "address", from("192.0.2.1:1"))
				}
				time.Sleep(time.Minute)
				log.Info("again", "address", from("192.0.2.1:1"))
			},
			want: map[string]int{"refused": logging.EachBurst, "again": 1, "left_out=980": 1},
		},
		"what is below the level costs nothing": {
			write: func(log *slog.Logger) {
				for range 1000 {
					log.Debug("refused", "address", from("192.0.2.1:1"))
				}
				log.Info("again", "address", from("192.0.2.1:1"))
			},
			want: map[string]int{"refused": 0, "again": 1, "left_out": 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				log, _, _ := newLog(logging.StreamTo(&out))
				tc.write(logging.NewLimits(log).Strangers())
				time.Sleep(2 * logging.ReportEvery)
				synctest.Wait()
				for text, want := range tc.want {
					if got := strings.Count(out.String(), text); got != want {
						t.Errorf("%q appears %d times, want %d", text, got, want)
					}
				}
			})
		})
	}
}

// many logs a record of each of as many addresses as are told apart.
func many(log *slog.Logger, text string) {
	for i := range logging.MaxSources {
		log.Info(text, "address", netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1))
	}
}

// flood logs n times each of the kinds of events that connections of foo cause.
func flood(tell func(client.Event), n int, kinds ...client.EventKind) {
	for i := range n {
		for _, kind := range kinds {
			address := netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), uint16(i+1))
			tell(client.Event{Kind: kind, Client: foo(), Identity: raw, Address: address, Refusal: client.IsDisabled})
		}
	}
}

// TestHolderOfAKeyCannotFillTheLog: nor can he hide among what he causes.
func TestHolderOfAKeyCannotFillTheLog(t *testing.T) {
	bar := foo()
	bar.Name = "bar"
	for name, tc := range map[string]struct {
		write func(tell func(client.Event))
		want  map[string]int // how many lines have that text
	}{
		"two thousand hand-outs with approval": {
			write: func(tell func(client.Event)) {
				flood(tell, 2000, client.ApprovalNeeded, client.SecretSent, client.ApprovalOver)
			},
			want: map[string]int{
				"Client foo needs approval": logging.EachBurst, "Sending secret to foo succeeded": logging.EachBurst,
				`WARNING: Too many connections of client foo to log them all client=foo event=approval-needed left_out=1980 last_address=[2001:db8::1]:2000`: 1,
				`WARNING: Too many connections of client foo to log them all client=foo event=secret-sent left_out=1980 last_address=[2001:db8::1]:2000`:     1,
				"left_out": 2,
			},
		},
		"a hand-out is not hidden behind refusals and failures": {
			write: func(tell func(client.Event)) {
				flood(tell, 2000, client.Rejected, client.SecretNotReceived)
				flood(tell, 1, client.SecretSent)
			},
			want: map[string]int{
				"Client foo is disabled": logging.EachBurst, "Sending secret to foo failed": logging.EachBurst,
				"Sending secret to foo succeeded": 1, "left_out=1980": 2,
			},
		},
		"other clients, and what becomes of this one, are not silenced": {
			write: func(tell func(client.Event)) {
				flood(tell, 2000, client.SecretSent, client.SecretNotReceived, client.Rejected, client.ApprovalNeeded)
				tell(client.Event{Kind: client.SecretSent, Client: bar, Address: peer})
				for range 2 * logging.EachBurst {
					for _, kind := range []client.EventKind{client.Disabled, client.Enabled, client.Denied, client.Approved, client.Removed, client.Changed, client.EventsDropped} {
						tell(client.Event{Kind: kind, Client: foo(), By: person, Reason: client.ByAdministrator})
					}
				}
			},
			want: map[string]int{
				"Sending secret to bar succeeded": 1, "Client foo was disabled": 2 * logging.EachBurst, "Client foo was enabled": 2 * logging.EachBurst,
				"Client foo was denied": 2 * logging.EachBurst, "Client foo was approved": 2 * logging.EachBurst,
				"Client foo was removed": 2 * logging.EachBurst, "Client foo was changed": 2 * logging.EachBurst,
				"Refusals came too fast": 2 * logging.EachBurst,
			},
		},
		"a power failure brings thousands of clients at once": {
			write: func(tell func(client.Event)) {
				for i := range 3 * logging.MaxSources {
					one := foo()
					one.Name = fmt.Sprint("host", i)
					tell(client.Event{Kind: client.SecretSent, Client: one, Address: peer})
				}
			},
			want: map[string]int{"Sending secret to host": 3 * logging.MaxSources, "left_out": 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				log, _, _ := newLog(logging.StreamTo(&out))
				tc.write(logging.Events(log, logging.NewLimits(log)))
				time.Sleep(2 * logging.ReportEvery)
				synctest.Wait()
				for text, want := range tc.want {
					if got := strings.Count(out.String(), text); got != want {
						t.Errorf("%q appears %d times, want %d", text, got, want)
					}
				}
			})
		})
	}
}

// TestStrangersHaveOneLimit whatever it is that they do.
func TestStrangersHaveOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _, _ := newLog(logging.StreamTo(&out))
		limits := logging.NewLimits(log)
		tell, peers := logging.Events(log, limits), limits.Strangers()
		for i := range 5000 {
			address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
			peers.Warn("peer refused", "address", address)
			limits.Strangers().Info("peer refused", "address", address)
			tell(client.Event{Kind: client.NotFound, Identity: raw, Address: address})
		}
		time.Sleep(2 * logging.ReportEvery)
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got != logging.AllBurst+1 {
			t.Errorf("%d records, want %d and the count of the others", got, logging.AllBurst)
		}
		if !strings.Contains(out.String(), fmt.Sprint("left_out=", 3*5000-logging.AllBurst, "\n")) {
			t.Errorf("it is not told how many are left out: %s", out.String()[max(0, out.Len()-300):])
		}
	})
}

// TestWhatWasLeftOutIsToldAtTheEnd, and once.
func TestWhatWasLeftOutIsToldAtTheEnd(t *testing.T) {
	var out bytes.Buffer
	log, _, _ := newLog(logging.StreamTo(&out))
	limits := logging.NewLimits(log)
	for range logging.EachBurst + 3 {
		limits.Strangers().Info("refused", "address", peer)
	}
	flood(logging.Events(log, limits), logging.EachBurst+2, client.SecretSent)
	for range 2 {
		limits.Report()
	}
	for text, want := range map[string]int{"left_out=3": 1, "left_out=2 ": 1, "left_out": 2} {
		if got := strings.Count(out.String(), text); got != want {
			t.Errorf("%q appears %d times, want %d: %s", text, got, want, out.String())
		}
	}
}

// BenchmarkFlood is what a record costs that is left out, each from another
// address.
func BenchmarkFlood(b *testing.B) {
	log, _, _ := newLog(logging.StreamTo(new(bytes.Buffer)))
	log = logging.NewLimits(log).Strangers()
	for i := 0; b.Loop(); i++ {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		log.Info("refused", "address", netip.AddrPortFrom(address, 1))
	}
}
