// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
				tc.write(logging.Limit(log))
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

// BenchmarkFlood is what a record costs that is left out, each from another
// address.
func BenchmarkFlood(b *testing.B) {
	log, _, _ := newLog(logging.StreamTo(new(bytes.Buffer)))
	log = logging.Limit(log)
	for i := 0; b.Loop(); i++ {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		log.Info("refused", "address", netip.AddrPortFrom(address, 1))
	}
}
