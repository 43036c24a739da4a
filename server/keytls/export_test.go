// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"context"
	"crypto/ecdh"
)

// HandshakeAsAlways does a handshake with a hello that is always the same, so that
// a recorded answer fits it.
func (c *Conn) HandshakeAsAlways(ctx context.Context) (Identity, error) {
	key, err := ecdh.X25519().NewPrivateKey([]byte("the private key is no secret at "))
	if err != nil {
		return Identity{}, err
	}
	return c.handshakeWith(ctx, &clientHello{
		random:    make([]byte, 32),
		sessionID: make([]byte, 32),
		suites:    CipherSuites(),
		groups:    Groups(),
		schemes:   SignatureSchemes(),
		share:     &keyShare{X25519, key},
	})
}

// ExhaustWriteKeys makes as if the write keys had protected all records but one that
// they may.
func (c *Conn) ExhaustWriteKeys() { c.out.keys.sequence = maxRecordsPerKey - 1 }

// ExhaustReadKeys makes as if the read keys had opened all records that they may.
func (c *Conn) ExhaustReadKeys() { c.in.keys.sequence = maxRecordsPerKey }
