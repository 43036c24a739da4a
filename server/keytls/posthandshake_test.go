// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// established returns a meeting whose handshake has succeeded.
func established(t *testing.T, peer keytlstest.Peer) *meeting {
	t.Helper()
	peer.Key = anEd25519Key
	m := meet(t, &peer, &keytls.Config{})
	if m.err != nil || m.serverErr != nil {
		t.Fatalf("handshake: client %v, server %v", m.err, m.serverErr)
	}
	return m
}

func TestKeyUpdates(t *testing.T) {
	for _, suite := range inTLS13(keytls.CipherSuites()) {
		t.Run(suite.String(), func(t *testing.T) {
			m := established(t, keytlstest.Peer{CipherSuite: suite})
			for _, request := range []bool{true, false, true} {
				if err := m.server.UpdateKeys(request); err != nil {
					t.Fatal(err)
				}
				io.WriteString(m.server, "from the peer")
				p := make([]byte, 13)
				if _, err := io.ReadFull(m.client, p); err != nil || string(p) != "from the peer" {
					t.Fatalf("read %q, %v", p, err)
				}
				// The peer reads this under new keys if it asked for them.
				io.WriteString(m.client, "from us")
				if _, err := io.ReadFull(m.server, p[:7]); err != nil || string(p[:7]) != "from us" {
					t.Fatalf("the peer read %q, %v", p[:7], err)
				}
			}
			exchangeSecret(t, m)
		})
	}
}

func TestManyKeyUpdatesAreAnsweredOnce(t *testing.T) {
	var sent int
	near, far := pipe()
	m := meetOver(t, countedWrites{near, &sent}, far, &keytlstest.Peer{Key: anEd25519Key}, &keytls.Config{})
	if m.err != nil {
		t.Fatal(m.err)
	}
	for range 5 {
		m.server.UpdateKeys(true)
	}
	io.WriteString(m.server, "x")
	if _, err := m.client.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	sent = 0
	io.WriteString(m.client, "y")
	if sent != 2 {
		t.Errorf("%d records for a KeyUpdate and a byte, want 2", sent)
	}
	m.client.CloseWrite()
	if got, err := io.ReadAll(m.server); err != nil || string(got) != "y" {
		t.Errorf("the peer read %q, %v", got, err)
	}
}

type countedWrites struct {
	net.Conn
	count *int
}

func (c countedWrites) Write(p []byte) (int, error) { *c.count++; return c.Conn.Write(p) }

func TestMisbehaviourAfterTheHandshake(t *testing.T) {
	message := func(typ byte, body ...byte) keytlstest.Message {
		return keytlstest.NewMessage("", typ, body)
	}
	tests := map[string]struct {
		peer keytlstest.Peer
		send func(*keytlstest.Conn)
		want keytls.Alert
	}{
		"a flood of tickets":          {send: func(c *keytlstest.Conn) { times(100, c.SendTicket) }, want: keytls.AlertUnexpectedMessage},
		"a flood of key updates":      {send: func(c *keytlstest.Conn) { times(100, func() error { return c.UpdateKeys(true) }) }, want: keytls.AlertUnexpectedMessage},
		"a flood of empty records":    {send: func(c *keytlstest.Conn) { times(100, func() error { return c.SendRecord(protected(23)) }) }, want: keytls.AlertUnexpectedMessage},
		"a flood of user_canceled":    {send: func(c *keytlstest.Conn) { times(100, func() error { return c.SendAlert(keytls.AlertUserCanceled) }) }, want: keytls.AlertUnexpectedMessage},
		"a KeyUpdate of 2":            {send: func(c *keytlstest.Conn) { c.SendMessage(message(24, 2)) }, want: keytls.AlertIllegalParameter},
		"a KeyUpdate of nothing":      {send: func(c *keytlstest.Conn) { c.SendMessage(message(24)) }, want: keytls.AlertDecodeError},
		"a KeyUpdate of two bytes":    {send: func(c *keytlstest.Conn) { c.SendMessage(message(24, 0, 0)) }, want: keytls.AlertDecodeError},
		"more behind a KeyUpdate":     {send: func(c *keytlstest.Conn) { c.SendRecord(protected(22, 24, 0, 0, 1, 0, 4)) }, want: keytls.AlertUnexpectedMessage},
		"a CertificateRequest":        {send: func(c *keytlstest.Conn) { c.SendMessage(message(13, 0, 0, 0)) }, want: keytls.AlertUnexpectedMessage},
		"a HelloRequest":              {send: func(c *keytlstest.Conn) { c.SendMessage(message(0)) }, want: keytls.AlertUnexpectedMessage},
		"a Finished":                  {send: func(c *keytlstest.Conn) { c.SendMessage(message(20, make([]byte, 32)...)) }, want: keytls.AlertUnexpectedMessage},
		"a ChangeCipherSpec":          {send: func(c *keytlstest.Conn) { c.SendRecord(ccs) }, want: keytls.AlertUnexpectedMessage},
		"an unprotected close_notify": {send: func(c *keytlstest.Conn) { c.SendRecord(keytlstest.Record{Type: 21, Content: []byte{1, 0}}) }, want: keytls.AlertUnexpectedMessage},
		"data in the middle of a ticket": {send: func(c *keytlstest.Conn) {
			c.SendRecord(protected(22, 4, 0, 0))
			io.WriteString(c, "x")
		}, want: keytls.AlertUnexpectedMessage},
		"a ticket of 16,385 bytes": {send: func(c *keytlstest.Conn) { c.SendRecord(protected(22, 4, 0, 0x40, 1)) }, want: keytls.AlertDecodeError},
		"a damaged record": {
			peer: keytlstest.Peer{Wire: damageApplicationData}, send: func(c *keytlstest.Conn) { io.WriteString(c, "damage me") }, want: keytls.AlertBadRecordMAC},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := established(t, test.peer)
			test.send(m.server)
			data, err := io.ReadAll(m.client)
			if alertOf(err) != test.want || len(data) != 0 {
				t.Errorf("read %q, %v; want alert %v", data, err, test.want)
			}
			_, serverErr := io.ReadAll(m.server)
			if received, ok := errors.AsType[*keytlstest.ReceivedAlert](serverErr); !ok || received.Alert != test.want {
				t.Errorf("the peer got %v, want alert %v", serverErr, test.want)
			}
			if _, again := m.client.Read(make([]byte, 1)); again != err {
				t.Errorf("a second read returns %v", again)
			}
			if n, err := m.client.Write([]byte("secret")); n != 0 || err == nil {
				t.Errorf("write afterwards: %d, %v", n, err)
			}
		})
	}
}

func times(n int, f func() error) {
	for range n {
		f()
	}
}

func protected(typ uint8, content ...byte) keytlstest.Record {
	return keytlstest.Record{Type: typ, Content: content, Protected: true}
}

// damageApplicationData damages the one write that is as long as the record of
// "damage me" is.
func damageApplicationData(b []byte) []byte {
	if len(b) == 5+len("damage me")+1+16 {
		b[len(b)-1] ^= 1
	}
	return b
}

func TestSecondFinishedIsNotTakenUnderTheNextKeys(t *testing.T) {
	m := established(t, keytlstest.Peer{Record: repeatFinished()})
	if _, err := m.client.Read(make([]byte, 1)); alertOf(err) != keytls.AlertBadRecordMAC {
		t.Errorf("read: %v", err)
	}
}

// repeatFinished sends the sixth record, which is Finished, twice.
func repeatFinished() recordHook {
	n := 0
	return func(r keytlstest.Record) []keytlstest.Record {
		if n++; n == 6 {
			return []keytlstest.Record{r, r}
		}
		return []keytlstest.Record{r}
	}
}

func TestDataAndTicketsMayComeMixed(t *testing.T) {
	m := established(t, keytlstest.Peer{Tickets: 2, Padding: 7})
	for range 40 { // more than could come without data in between
		m.server.SendTicket()
		m.server.UpdateKeys(true)
		io.WriteString(m.server, "data")
	}
	m.server.CloseWrite()
	data, err := io.ReadAll(m.client)
	if err != nil || string(data) != strings.Repeat("data", 40) {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestEndWithoutCloseNotifyIsTruncation(t *testing.T) {
	for name, end := range map[string]func(*keytlstest.Conn){
		"at a record's boundary": func(c *keytlstest.Conn) {},
		"within a record":        func(c *keytlstest.Conn) { c.SendRecord(keytlstest.Record{Type: 23, Content: make([]byte, 30)}) },
	} {
		t.Run(name, func(t *testing.T) {
			cut := func(b []byte) []byte {
				if len(b) == 35 {
					return b[:20]
				}
				return b
			}
			m := established(t, keytlstest.Peer{Wire: cut})
			end(m.server)
			m.server.Close()
			if _, err := m.client.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("read: %v", err)
			}
		})
	}
}

func TestFatalAlertWhileReading(t *testing.T) {
	m := established(t, keytlstest.Peer{})
	m.server.SendAlert(keytls.AlertInternalError)
	_, err := m.client.Read(make([]byte, 1))
	if received, ok := errors.AsType[*keytls.AlertError](err); !ok || !received.Received || received.Alert != keytls.AlertInternalError {
		t.Errorf("read: %v", err)
	}
}

func TestNothingIsSentAfterCloseNotify(t *testing.T) {
	m := established(t, keytlstest.Peer{})
	for range 2 {
		if err := m.client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := m.client.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("write: %d, %v", n, err)
	}
	m.server.SendRecord(ccs) // a fault that would be answered with an alert
	if _, err := m.client.Read(make([]byte, 1)); alertOf(err) != keytls.AlertUnexpectedMessage {
		t.Errorf("read: %v", err)
	}
	m.client.Close()
	if data, err := io.ReadAll(m.server); len(data) != 0 || err != nil {
		t.Errorf("the peer read %q, %v", data, err)
	}
}

// TestReadGoesOnAfterADeadline interrupts a Read, as is done to stop watching a
// peer that waits for approval, in the middle of a record.
func TestReadGoesOnAfterADeadline(t *testing.T) {
	near, far := tcpPair(t)
	var slow []byte
	hold := false
	peer := &keytlstest.Peer{Key: anEd25519Key, Wire: func(b []byte) []byte {
		if hold {
			slow = b
			return nil
		}
		return b
	}}
	m := meetOver(t, near, far, peer, &keytls.Config{})
	if m.err != nil {
		t.Fatal(m.err)
	}
	hold = true
	io.WriteString(m.server, strings.Repeat("slowly", 500))
	got := make([]byte, len("slowly")*500)
	for chunk := range slices.Chunk(slow, 700) {
		far.Write(chunk)
		// Of the last chunk only a part is taken, if anything.
		m.client.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if n, err := m.client.Read(got[:1]); n == 1 && len(chunk) == 700 || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %d, %v", n, err)
		} else if n == 1 {
			got = got[1:]
		}
		if _, err := m.client.Write([]byte("still there")); err != nil {
			t.Fatal(err)
		}
	}
	m.client.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.ReadFull(m.client, got); err != nil || string(got) != strings.Repeat("slowly", 500)[3000-len(got):] {
		t.Errorf("read the last %d bytes: %v", len(got), err)
	}
}

// tcpPair returns two connected sockets.
func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestReadAndWriteAtTheSameTime(t *testing.T) {
	m := established(t, keytlstest.Peer{})
	const rounds = 200
	go func() {
		for i := range rounds {
			if i%10 == 0 {
				m.server.UpdateKeys(true)
			}
			io.WriteString(m.server, "0123456789")
		}
		m.server.CloseWrite()
	}()
	received := make(chan []byte)
	go func() {
		data, _ := io.ReadAll(m.server)
		received <- data
	}()
	written := make(chan error)
	go func() {
		for range rounds {
			io.WriteString(m.client, "abcdefghij")
		}
		written <- m.client.CloseWrite()
	}()
	data, err := io.ReadAll(m.client)
	if err != nil || !bytes.Equal(data, bytes.Repeat([]byte("0123456789"), rounds)) {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if data := <-received; !bytes.Equal(data, bytes.Repeat([]byte("abcdefghij"), rounds)) {
		t.Errorf("the peer read %d bytes", len(data))
	}
}

func TestKeysAreChangedBeforeTheyHaveProtectedTooMuch(t *testing.T) {
	var sent int
	near, far := pipe()
	m := meetOver(t, countedWrites{near, &sent}, far, &keytlstest.Peer{Key: anEd25519Key}, &keytls.Config{})
	if m.err != nil {
		t.Fatal(m.err)
	}
	m.client.ExhaustWriteKeys()
	for i, want := range []int{2, 1} { // a KeyUpdate and the data; then only data
		sent = 0
		if _, err := m.client.Write([]byte("x")); err != nil || sent != want {
			t.Errorf("write %d: %d records, %v; want %d", i, sent, err, want)
		}
	}
}

func TestPeerMustChangeItsKeysInTime(t *testing.T) {
	m := established(t, keytlstest.Peer{})
	m.client.ExhaustReadKeys()
	io.WriteString(m.server, "one too many")
	if _, err := m.client.Read(make([]byte, 1)); alertOf(err) != keytls.AlertUnexpectedMessage || !strings.Contains(err.Error(), "without a key update") {
		t.Errorf("read: %v", err)
	}
}
