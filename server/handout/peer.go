// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"mandos/server/client"
	"mandos/server/keytls"
)

// How long each stage of a conversation may take. Waiting for an approval is
// bounded by the client's approval delay.
const (
	versionLineTime = 10 * time.Second
	handshakeTime   = 30 * time.Second
	farewellTime    = 10 * time.Second
)

// peer is one connection.
type peer struct {
	server   *Server
	conn     net.Conn
	from     netip.AddrPort
	stranger *member[netip.Prefix]
	proved   *member[client.Identity] // nil until it has proved a known key
	log      *slog.Logger
}

func (p *peer) leave() {
	if fault := recover(); fault != nil {
		p.log.Error("a connection ran into a defect of the server and was closed", "fault", fault, "stack", string(debug.Stack()))
	}
	p.conn.Close()
	p.server.strangers.leave(p.stranger)
	if p.proved != nil {
		p.server.proved.leave(p.proved)
	}
}

func (p *peer) converse(ctx context.Context) {
	p.log.Debug("connection")
	p.conn.SetReadDeadline(time.Now().Add(versionLineTime))
	if err := readVersionLine(p.conn); err != nil {
		p.log.Info("peer refused: it does not begin as a Mandos client", "error", err)
		return
	}
	p.conn.SetReadDeadline(time.Time{})

	tls := keytls.Client(p.conn, &p.server.tls)
	proved, err := p.handshake(ctx, tls)
	id := identity(proved)
	switch {
	case errors.Is(err, keytls.ErrUnknownKey):
		p.refuse(tls, listenTo(ctx, tls), id)
	case err != nil:
		if proved.Hex != "" {
			p.log = p.log.With(id.Kind.Field(), id.Hex)
		}
		p.log.Warn("peer refused: handshake failed", "error", err)
	default:
		p.proved = p.server.proved.join(id, p.conn)
		p.server.strangers.leave(p.stranger)
		p.serve(ctx, tls, id)
	}
}

func (p *peer) handshake(ctx context.Context, tls *keytls.Conn) (keytls.Identity, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeTime)
	defer cancel()
	return tls.Handshake(ctx)
}

// refuse has the registry refuse a peer whose key was unknown in the handshake,
// whatever the registry knows by now: nobody has checked that the key is the peer's.
func (p *peer) refuse(tls *keytls.Conn, ear *ear, id client.Identity) {
	if handout, err := p.server.registry.Release(ear.present, id, p.from); err == nil {
		handout.NotReceived(keytls.ErrUnknownKey)
	}
	p.farewell(tls, ear)
}

// serve hands the secret out to a peer that has proved a known key, or refuses.
func (p *peer) serve(ctx context.Context, tls *keytls.Conn, id client.Identity) {
	ear := listenTo(ctx, tls)
	handout, err := p.server.registry.Release(ear.present, id, p.from)
	if err != nil {
		p.farewell(tls, ear)
		return
	}
	note, err := p.send(tls, ear, handout.Secret)
	if err != nil {
		handout.NotReceived(err)
		return
	}
	handout.Received(note)
}

// send succeeds if the peer has all of the secret, see judge.
func (p *peer) send(tls *keytls.Conn, ear *ear, secret client.Secret) (note string, err error) {
	select {
	case <-ear.closed:
		return "", errGone
	default:
	}
	tls.SetWriteDeadline(time.Now().Add(farewellTime))
	if _, err := tls.Write(secret.Bytes()); err != nil {
		return "", err
	}
	if err := p.farewell(tls, ear); err != nil {
		return "", err
	}
	return judge(p.conn, ear.err)
}

// farewell closes our side of the session and waits until the peer has closed its
// own, which it does as ear.err says. To close the connection earlier could take
// data from the peer that is still on its way.
func (p *peer) farewell(tls *keytls.Conn, ear *ear) error {
	tls.SetDeadline(time.Now().Add(farewellTime))
	if err := tls.CloseWrite(); err != nil {
		return err
	}
	<-ear.closed
	return nil
}

func identity(id keytls.Identity) client.Identity {
	kind := client.RawPublicKey
	if id.Kind == keytls.Fingerprint {
		kind = client.OpenPGPKey
	}
	return client.Identity{Kind: kind, Hex: id.Hex}
}
