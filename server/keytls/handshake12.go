// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/hmac"
	"hash"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// handshake12 is the client's state machine of TLS 1.2: the methods of run, in their
// order, are the messages of RFC 5246, section 7.3.
type handshake12 struct {
	c        *Conn
	hello    *clientHello
	rawHello []byte

	serverRandom         []byte
	extendedMasterSecret bool
	transcript           hash.Hash
	key                  *publicKey
	identity             Identity
	known                bool
	exchange             keyExchange
	master               []byte
	serverKeys           trafficKeys
}

// run does the handshake from the peer's ServerHello on. What it returns may be
// written once it has succeeded.
func (h *handshake12) run(answer *serverHello) (permission, error) {
	for _, step := range []func() error{
		func() error { return h.obeyServerHello(answer) },
		h.readCertificate,
		h.readServerKeyExchange,
		h.readServerHelloDone,
		h.agreeOnKeys,
		h.readFinished,
	} {
		if err := step(); err != nil {
			return mayNotWrite, err
		}
	}
	h.c.in.record = nil // the handshake's records were the large ones
	if !h.known {
		return mayOnlyClose, nil
	}
	return mayWrite, nil
}

// obeyServerHello checks the ServerHello (RFC 5246, section 7.4.1.3).
func (h *handshake12) obeyServerHello(answer *serverHello) error {
	h.c.in.tls12 = true
	if len(h.hello.suites) > 0 && answer.hasDowngradeSentinel() {
		return fatal(AlertIllegalParameter, "peer could do TLS 1.3, but our offer of it did not reach it: somebody changes the connection on its way")
	}
	if bytes.Equal(answer.sessionID, h.hello.sessionID) {
		return fatal(AlertIllegalParameter, "peer wants to resume a session that there never was")
	}
	if answer.compression != 0 {
		return fatal(AlertIllegalParameter, "peer chose compression")
	}
	if !slices.Contains(h.hello.openPGP.suites, answer.cipherSuite) {
		return fatal(AlertIllegalParameter, "peer chose %v, which we did not offer in TLS 1.2", answer.cipherSuite)
	}
	extensions, err := parseServerHello12(answer.extensions)
	if err != nil {
		return err
	}
	h.extendedMasterSecret = extensions.extendedMasterSecret
	h.serverRandom = answer.random
	h.c.state.Version, h.c.state.CipherSuite = VersionTLS12, answer.cipherSuite
	h.transcript = answer.cipherSuite.hash()()
	h.transcript.Write(h.rawHello)
	h.transcript.Write(answer.raw)
	return nil
}

// readCertificate reads the peer's Certificate. As soon as the fingerprint is known
// it is looked up: a stranger costs no arithmetic of his choosing.
func (h *handshake12) readCertificate() error {
	message, err := h.c.readHandshake(typeCertificate)
	if err != nil {
		return err
	}
	h.transcript.Write(message.raw)
	if h.key, err = parseCertificate12(message.body); err != nil {
		return err
	}
	h.identity = h.key.identity
	if suite := h.c.state.CipherSuite; !suite.fits(h.key) {
		return fatal(AlertIllegalParameter, "peer chose %v, which does not fit its %s key", suite, h.key.name)
	}
	h.known = h.c.config.Known == nil || h.c.config.Known(h.identity)
	return nil
}

// readServerKeyExchange reads the peer's half of the key exchange and checks that
// the primary key of its certificate has signed it (RFC 5246, section 7.4.3).
func (h *handshake12) readServerKeyExchange() error {
	message, err := h.c.readHandshake(typeServerKeyExchange)
	if err != nil {
		return err
	}
	h.transcript.Write(message.raw)
	parsed, err := parseServerKeyExchange(message.body, h.c.state.CipherSuite, h.hello.groups)
	if err != nil {
		return err
	}
	if !slices.Contains(h.hello.openPGP.schemes, parsed.scheme) {
		return fatal(AlertIllegalParameter, "peer signed with %v, which we did not offer in TLS 1.2", parsed.scheme)
	}
	if !slices.Contains(h.key.schemes, parsed.scheme) {
		return fatal(AlertIllegalParameter, "peer signed with %v, which does not fit its %s key", parsed.scheme, h.key.name)
	}
	h.c.state.SignatureScheme = parsed.scheme
	if curve, ok := parsed.exchange.(*ellipticCurve); ok {
		h.c.state.Group = curve.group
	}
	if h.known {
		content := slices.Concat(h.hello.random, h.serverRandom, parsed.parameters)
		valid, _ := apart(func() (bool, error) {
			return h.key.validSignature(parsed.scheme, content, parsed.signature), nil
		})
		if !valid {
			return fatal(AlertDecryptError, "peer does not own the primary key it presented: its signature is wrong")
		}
	}
	h.exchange = parsed.exchange
	return nil
}

// readServerHelloDone waits until it is our turn.
func (h *handshake12) readServerHelloDone() error {
	message, err := h.c.readHandshake(typeServerHelloDone)
	if err != nil {
		return err
	}
	if len(message.body) > 0 {
		return errDecode("ServerHelloDone")
	}
	h.transcript.Write(message.raw)
	return h.c.in.endsRecord("ServerHelloDone")
}

// agreeOnKeys does our half of the key exchange and sends our flight: everything
// after ChangeCipherSpec is protected (RFC 5246, sections 7.1 and 7.4.7).
func (h *handshake12) agreeOnKeys() error {
	var ours cryptobyte.BuilderContinuation
	preMaster, err := apart(func() (preMaster []byte, err error) {
		ours, preMaster, err = h.exchange.agree(h.known)
		return preMaster, err
	})
	if err != nil {
		return err
	}
	clientKeyExchange := marshalHandshake(typeClientKeyExchange, ours)
	h.transcript.Write(clientKeyExchange)
	h.master = h.masterSecret(preMaster)
	clientKeys, serverKeys, err := keyBlock12(h.c.state.CipherSuite, h.master, h.hello.random, h.serverRandom)
	if err != nil {
		return err
	}
	h.serverKeys = serverKeys
	finished := marshalFinished(verifyData12(h.c.state.CipherSuite, h.master, "client finished", h.transcript))
	h.transcript.Write(finished)

	h.c.out.mu.Lock()
	defer h.c.out.mu.Unlock()
	flight := h.c.out.keys.seal(nil, recordHandshake, clientKeyExchange)
	flight = h.c.out.keys.seal(flight, recordChangeCipherSpec, changeCipherSpec)
	h.c.out.keys = clientKeys
	return h.c.writeRaw(h.c.out.keys.seal(flight, recordHandshake, finished))
}

// changeCipherSpec is the content of a ChangeCipherSpec record.
var changeCipherSpec = []byte{1}

// readFinished reads the peer's ChangeCipherSpec and Finished (RFC 5246, section 7.4.9).
func (h *handshake12) readFinished() error {
	typ, content, err := h.c.readRecord()
	if err != nil {
		return waitingFor([]handshakeType{typeFinished}, err)
	}
	if typ != recordChangeCipherSpec || !bytes.Equal(content, changeCipherSpec) {
		return fatal(AlertUnexpectedMessage, "peer sent a record of type %d instead of ChangeCipherSpec", uint8(typ))
	}
	h.c.in.keys = h.serverKeys
	message, err := h.c.readHandshake(typeFinished)
	if err != nil {
		return err
	}
	want := verifyData12(h.c.state.CipherSuite, h.master, "server finished", h.transcript)
	if len(message.body) != len(want) {
		return errDecode("Finished")
	}
	if !hmac.Equal(message.body, want) {
		return fatal(AlertDecryptError, "peer's Finished is wrong: the handshake was changed on its way")
	}
	return h.c.in.endsRecord("Finished")
}
