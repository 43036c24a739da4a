// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/handout"
	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
	"mandos/server/state"
	"mandos/server/statistics"
)

// forgetful is a journal that keeps nothing.
type forgetful struct{}

func (forgetful) Save([]client.Record) error           { return nil }
func (forgetful) SaveServer(client.ServerRecord) error { return nil }

// BenchmarkHandoutOnRecord is what it costs that a hand-out is on disk before the secret
// leaves: whole conversations, peers included, so many at a time, with a journal that
// keeps nothing, with the state on a file system in memory, and on the disk.
func BenchmarkHandoutOnRecord(b *testing.B) {
	for _, where := range []string{"nowhere", "/dev/shm", os.TempDir()} {
		for _, atATime := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d at a time", where, atATime), func(b *testing.B) { benchmarkOnRecord(b, where, atATime) })
		}
	}
}

func benchmarkOnRecord(b *testing.B, where string, atATime int) {
	var journal client.Journal = forgetful{}
	if where != "nowhere" {
		dir, err := os.MkdirTemp(where, "mandos-bench-")
		if err != nil {
			b.Skip(err)
		}
		defer os.RemoveAll(dir)
		store, err := state.Open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		journal = store
	}
	counted := statistics.New(nil)
	registry := client.New(nil, counted.Journal(journal))
	registry.Subscribe(counted.Tell)
	keys := make([]*keytlstest.Key, atATime)
	configured := make([]client.Settings, atATime)
	for i := range keys {
		keys[i] = keytlstest.NewKey(keytlstest.Ed25519)
		configured[i] = client.Settings{
			Name: "host" + strconv.Itoa(i), KeyID: keys[i].KeyID(), Secret: client.NewSecret([]byte(plain)), Checker: ":",
			Timeout: 1000 * time.Hour, ExtendedTimeout: time.Hour, Interval: 1000 * time.Hour, ApprovedByDefault: true, Enabled: true,
		}
	}
	if _, err := registry.Load(configured, nil); err != nil {
		b.Fatal(err)
	}
	registry.Start()
	limits := handout.DefaultLimits
	limits.PerSource = limits.Strangers // all peers are here
	server := handout.New(registry, keytls.Config{}, limits, counted, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := fetchWhole(listener.Addr().String(), key); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hand-outs/s")
	b.StopTimer()
	stop(client.ErrClosed)
	server.Finish(context.Background())
	if err := <-served; err != nil {
		b.Error(err)
	}
	if err := registry.Close(context.Background()); err != nil {
		b.Error(err)
	}
}

func fetchWhole(address string, key *keytlstest.Key) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "1\r\n"); err != nil {
		return err
	}
	got, err := (&keytlstest.Peer{Key: key}).Fetch(conn)
	if err == nil && string(got) != plain {
		return fmt.Errorf("got %q", got)
	}
	return err
}
