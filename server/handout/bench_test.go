// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"fmt"
	"io"
	"net"
	"testing"

	"mandos/server/client"
	"mandos/server/keytls/keytlstest"
)

// BenchmarkHandout is a whole conversation, from connect to the last close, peer
// included, with one client after the other.
func BenchmarkHandout(b *testing.B) {
	for _, clients := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			s := newSite(b, DefaultLimits, nil)
			one, _ := s.Client("host1")
			configured := []client.Settings{one.Settings}
			for i := range clients - 1 {
				other := one.Settings
				other.Name = fmt.Sprintf("other%d", i)
				other.KeyID = fmt.Sprintf("%064X", i)
				configured = append(configured, other)
			}
			if _, err := s.Reload(b.Context(), client.FromConfiguration, configured); err != nil {
				b.Fatal(err)
			}
			address := net.JoinHostPort("::1", s.onLoopback(b))
			peer := &keytlstest.Peer{Key: s.key}
			b.ReportAllocs()
			for b.Loop() {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				io.WriteString(conn, "1\r\n")
				if got, err := peer.Fetch(conn); err != nil || string(got) != secret {
					b.Fatal(err)
				}
				conn.Close()
			}
		})
	}
}
