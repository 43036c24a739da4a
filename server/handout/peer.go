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
	closeTime       = 10 * time.Second
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
		p.server.observer.NotAClient(err)
		return
	}
	p.conn.SetReadDeadline(time.Time{})

	session := keytls.Client(p.conn, &p.server.offer)
	proved, err := p.handshake(ctx, session)
	id := identity(proved)
	switch {
	case errors.Is(err, keytls.ErrUnknownKey):
		p.refuse(session, watch(ctx, session), id)
	case err != nil:
		if proved.Hex != "" {
			p.log = p.log.With(id.Kind.Field(), id.Hex)
		}
		p.log.Warn("peer refused: handshake failed", "error", err)
		p.server.observer.HandshakeFailed(err)
	default:
		p.proved = p.server.proved.join(id, p.conn)
		p.server.strangers.leave(p.stranger)
		p.serve(ctx, session, id)
	}
}

func (p *peer) handshake(ctx context.Context, session *keytls.Conn) (keytls.Identity, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeTime)
	defer cancel()
	return session.Handshake(ctx)
}

// refuse has the registry refuse a peer whose key was unknown in the handshake,
// whatever the registry knows by now: nobody has checked that the key is the peer's.
func (p *peer) refuse(session *keytls.Conn, present *presence, id client.Identity) {
	if granted, err := p.server.registry.Release(present.ctx, id, p.origin()); err == nil {
		granted.NotReceived(keytls.ErrUnknownKey)
	}
	_ = p.closeSession(session, present) // it gets nothing, however it goes
}

// serve hands the secret out to a peer that has proved a known key, or refuses.
func (p *peer) serve(ctx context.Context, session *keytls.Conn, id client.Identity) {
	present := watch(ctx, session)
	granted, err := p.server.registry.Release(present.ctx, id, p.origin())
	if err != nil {
		_ = p.closeSession(session, present) // it gets nothing, however it goes
		return
	}
	note, err := p.send(session, present, granted.Secret)
	if err != nil {
		granted.NotReceived(err)
		return
	}
	granted.Received(note)
}

// origin is where the peer is. The interface is looked up for those alone who have
// proved a key.
func (p *peer) origin() client.Origin {
	return client.Origin{Address: p.from, Interface: interfaceOf(p.conn)}
}

// send succeeds if the peer has all of the secret, see judge.
func (p *peer) send(session *keytls.Conn, present *presence, secret client.Secret) (note string, err error) {
	select {
	case <-present.closed:
		return "", errGone
	default:
	}
	session.SetWriteDeadline(time.Now().Add(closeTime))
	if _, err := session.Write(secret.Bytes()); err != nil {
		return "", err
	}
	if err := p.closeSession(session, present); err != nil {
		return "", err
	}
	return judge(p.conn, present.err)
}

// closeSession closes our side of the session and waits until the peer has closed its
// own, which it does as present.err says. To close the connection earlier could take
// data from the peer that is still on its way.
func (p *peer) closeSession(session *keytls.Conn, present *presence) error {
	session.SetDeadline(time.Now().Add(closeTime))
	if err := session.CloseWrite(); err != nil {
		return err
	}
	<-present.closed
	return nil
}

func identity(id keytls.Identity) client.Identity {
	kind := client.RawPublicKey
	if id.Kind == keytls.Fingerprint {
		kind = client.OpenPGPKey
	}
	return client.Identity{Kind: kind, Hex: id.Hex}
}
