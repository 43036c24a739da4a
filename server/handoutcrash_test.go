// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"mandos/dbusapi"
	"mandos/server/keytls/keytlstest"
)

// TestNoSecretIsOutWithoutARecord kills the server again and again while clients fetch
// their secrets, and finds each that arrived in the history of the next server: as sent,
// or as one that may have been.
func TestNoSecretIsOutWithoutARecord(t *testing.T) {
	const kills, fetchers, each = 100, 4, 10
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s, api := onBus(t, plainSection(key))
	sent, perhaps := 0, 0
	for range kills {
		var mu sync.Mutex
		arrived := make(map[string]bool) // by the addresses of those who fetched
		var all sync.WaitGroup
		for range fetchers {
			all.Go(func() {
				for range each {
					if address, got := fetchOnce(s.port, key); got {
						mu.Lock()
						arrived[address] = true
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(rand.N(60 * time.Millisecond)) // until the moment that is tried
		s.kill()
		all.Wait()
		s.start()
		known := make(map[string]dbusapi.EventKind)
		host1 := clientNamed(t, api, "host1")
		if err := api.StopChecker(t.Context(), host1); err != nil { // which is answered when all before it is told
			t.Fatal(err)
		}
		history, err := api.History(t.Context(), host1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range history {
			known[e.Address] = e.Kind
		}
		for address := range arrived {
			switch known[address] {
			case dbusapi.SecretSent:
				sent++
			case dbusapi.MayHaveBeenSent:
				perhaps++
			default:
				t.Errorf("the secret has gone to %s, of which the history says %q; it has %v", address, known[address], known)
			}
		}
	}
	t.Logf("of the secrets that arrived %d are known to have been sent, and %d to have been so perhaps", sent, perhaps)
	if perhaps == 0 {
		t.Error("nothing was tried")
	}
}

// fetchOnce is a fetch that may be cut off at any moment.
func fetchOnce(port string, key *keytlstest.Key) (address string, got bool) {
	conn, err := net.Dial("tcp", net.JoinHostPort("::1", port))
	if err != nil {
		return "", false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "1\r\n"); err != nil {
		return "", false
	}
	secret, _ := (&keytlstest.Peer{Key: key}).Fetch(conn)
	return conn.LocalAddr().String(), string(secret) == plain
}
