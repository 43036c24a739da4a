// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/hmac"
	"hash"
	"slices"
	"strings"
)

// handshake13 is the client's state machine of TLS 1.3: the methods of run, in
// their order, are the states of RFC 8446, appendix A.1.
type handshake13 struct {
	c        *Conn
	hello    *clientHello
	rawHello []byte

	transcript hash.Hash
	schedule   *keySchedule
	// The handshake traffic secrets, from which Finished is computed.
	clientSecret, serverSecret []byte
	certificateRequested       bool
	key                        *publicKey
	identity                   Identity
	known                      bool
}

// run does the handshake from the peer's first answer on. What it returns may be
// written once it has succeeded.
func (h *handshake13) run(answer *serverHello) (permission, error) {
	answer, err := h.retryIfAsked(answer)
	if err != nil {
		return mayNotWrite, err
	}
	for _, step := range []func() error{
		func() error { return h.agreeOnKeys(answer) },
		h.readEncryptedExtensions,
		h.readCertificate,
		h.readCertificateVerify,
		h.readFinished,
	} {
		if err := step(); err != nil {
			return mayNotWrite, err
		}
	}
	if err := h.finish(); err != nil {
		return mayNotWrite, err
	}
	h.c.in.record = nil // the handshake's records were the large ones
	if !h.known {
		return mayOnlyClose, nil
	}
	return mayWrite, nil
}

// checkServerHello checks what ServerHello and HelloRetryRequest have in common
// and remembers the cipher suite (RFC 8446, section 4.1.3).
func (h *handshake13) checkServerHello(answer *serverHello) error {
	version, err := answer.version()
	if err != nil {
		return err
	}
	if version != VersionTLS13 {
		return fatal(AlertIllegalParameter, "peer changed the protocol version after its HelloRetryRequest")
	}
	if !bytes.Equal(answer.sessionID, h.hello.sessionID) {
		return fatal(AlertIllegalParameter, "peer did not return our session ID")
	}
	if answer.compression != 0 {
		return fatal(AlertIllegalParameter, "peer chose compression")
	}
	if !slices.Contains(h.hello.suites, answer.cipherSuite) {
		return fatal(AlertIllegalParameter, "peer chose %v, which we did not offer", answer.cipherSuite)
	}
	if h.c.state.Retried && answer.cipherSuite != h.c.state.CipherSuite {
		return fatal(AlertIllegalParameter, "peer changed the cipher suite after its HelloRetryRequest")
	}
	h.c.state.CipherSuite = answer.cipherSuite
	return nil
}

// retryIfAsked obeys a HelloRetryRequest, if the answer is one, and returns the
// ServerHello (RFC 8446, section 4.1.4). Either way the transcript then holds our
// hellos.
func (h *handshake13) retryIfAsked(answer *serverHello) (*serverHello, error) {
	if err := h.checkServerHello(answer); err != nil {
		return nil, err
	}
	h.transcript = h.c.state.CipherSuite.hash()()
	h.transcript.Write(h.rawHello)
	if !answer.isHelloRetryRequest() {
		return answer, nil
	}
	if err := h.c.in.endsRecord("HelloRetryRequest"); err != nil {
		return nil, err
	}
	h.c.state.Retried = true
	if err := h.obeyRetryRequest(answer); err != nil {
		return nil, err
	}
	h.replaceTranscript()
	h.transcript.Write(answer.raw)
	h.rawHello = h.hello.marshal()
	h.transcript.Write(h.rawHello)
	if err := h.c.writeFlight(true, h.rawHello); err != nil {
		return nil, err
	}
	answer, err := h.c.readServerHello()
	if err != nil {
		return nil, err
	}
	if answer.isHelloRetryRequest() {
		return nil, fatal(AlertUnexpectedMessage, "peer sent a second HelloRetryRequest")
	}
	return answer, h.checkServerHello(answer)
}

// obeyRetryRequest changes our hello as the peer asks.
func (h *handshake13) obeyRetryRequest(answer *serverHello) error {
	request, err := parseHelloRetryRequest(answer.extensions)
	if err != nil {
		return err
	}
	h.hello.cookie = request.cookie
	if request.group == 0 {
		if request.cookie == nil {
			return fatal(AlertIllegalParameter, "peer sent a HelloRetryRequest that asks for nothing")
		}
		return nil
	}
	if !slices.Contains(h.hello.groups, request.group) {
		return fatal(AlertIllegalParameter, "peer asked for %v, which we did not offer", request.group)
	}
	if request.group == h.hello.share.group {
		return fatal(AlertIllegalParameter, "peer asked for %v, for which it already has our key share", request.group)
	}
	h.hello.share, err = apart(func() (*keyShare, error) { return newKeyShare(request.group) })
	return err
}

// replaceTranscript puts a message_hash in the place of the first hello, as
// RFC 8446, section 4.4.1, has it after a HelloRetryRequest.
func (h *handshake13) replaceTranscript() {
	digest := h.transcript.Sum(nil)
	h.transcript.Reset()
	h.transcript.Write([]byte{byte(typeMessageHash), 0, 0, byte(len(digest))})
	h.transcript.Write(digest)
}

// agreeOnKeys does the key exchange and installs the handshake keys (RFC 8446,
// sections 4.2.8 and 7).
func (h *handshake13) agreeOnKeys(answer *serverHello) error {
	group, exchange, err := parseServerKeyShare(answer.extensions)
	if err != nil {
		return err
	}
	if group != h.hello.share.group {
		return fatal(AlertIllegalParameter, "peer answered with a key share for %v instead of %v", group, h.hello.share.group)
	}
	h.c.state.Version, h.c.state.Group = VersionTLS13, group
	if err := h.c.in.endsRecord("ServerHello"); err != nil {
		return err
	}
	shared, err := apart(func() ([]byte, error) { return h.hello.share.sharedSecret(exchange) })
	if err != nil {
		return err
	}
	h.transcript.Write(answer.raw)
	h.schedule = newKeySchedule(h.c.state.CipherSuite)
	h.schedule.mix(shared)
	h.clientSecret = h.schedule.derive("c hs traffic", h.transcript)
	h.serverSecret = h.schedule.derive("s hs traffic", h.transcript)
	return h.installKeys(h.clientSecret, h.serverSecret)
}

// sharedSecret computes the (EC)DHE shared secret; points outside the group and
// an all-zero result are refused (RFC 8446, sections 4.2.8.2 and 7.4.2).
func (s *keyShare) sharedSecret(exchange []byte) ([]byte, error) {
	peer, err := s.key.Curve().NewPublicKey(exchange)
	if err == nil {
		exchange, err = s.key.ECDH(peer)
	}
	if err != nil {
		return nil, fatal(AlertIllegalParameter, "peer sent an invalid key share for %v", s.group)
	}
	return exchange, nil
}

// installKeys makes the two secrets protect all further records.
func (h *handshake13) installKeys(client, server []byte) error {
	suite := h.c.state.CipherSuite
	if err := h.c.in.keys.install(suite, server); err != nil {
		return err
	}
	h.c.out.mu.Lock()
	defer h.c.out.mu.Unlock()
	return h.c.out.keys.install(suite, client)
}

// readEncryptedExtensions is the state WAIT_EE.
func (h *handshake13) readEncryptedExtensions() error {
	message, err := h.c.readHandshake(typeEncryptedExtensions)
	if err != nil {
		return err
	}
	h.transcript.Write(message.raw)
	return parseEncryptedExtensions(message.body)
}

// readCertificate is the states WAIT_CERT_CR and WAIT_CERT. As soon as the peer's
// key ID is known it is looked up: a stranger costs no arithmetic of his choosing.
func (h *handshake13) readCertificate() error {
	message, err := h.c.readHandshake(typeCertificateRequest, typeCertificate)
	if err != nil {
		return err
	}
	if message.typ == typeCertificateRequest {
		h.certificateRequested = true
		h.transcript.Write(message.raw)
		if err := parseCertificateRequest(message.body); err != nil {
			return err
		}
		if message, err = h.c.readHandshake(typeCertificate); err != nil {
			return err
		}
	}
	h.transcript.Write(message.raw)
	if h.key, err = parseCertificate(message.body); err != nil {
		return err
	}
	h.identity = h.key.identity
	h.known = h.c.config.Known == nil || h.c.config.Known(h.identity)
	return nil
}

// readCertificateVerify is the state WAIT_CV (RFC 8446, section 4.4.3).
func (h *handshake13) readCertificateVerify() error {
	message, err := h.c.readHandshake(typeCertificateVerify)
	if err != nil {
		return err
	}
	verify, err := parseCertificateVerify(message.body)
	if err != nil {
		return err
	}
	if !slices.Contains(h.hello.schemes, verify.scheme) {
		return fatal(AlertIllegalParameter, "peer signed with %v, which we did not offer", verify.scheme)
	}
	if !slices.Contains(h.key.schemes, verify.scheme) {
		return fatal(AlertIllegalParameter, "peer signed with %v, which does not fit its %s key", verify.scheme, h.key.name)
	}
	h.c.state.SignatureScheme = verify.scheme
	if h.known {
		content := signedContent(h.transcript)
		valid, _ := apart(func() (bool, error) {
			return h.key.validSignature(verify.scheme, content, verify.signature), nil
		})
		if !valid {
			return fatal(AlertDecryptError, "peer does not own the key it presented: its signature is wrong")
		}
	}
	h.transcript.Write(message.raw)
	return nil
}

// signedContent is what a server signs in CertificateVerify.
func signedContent(transcript hash.Hash) []byte {
	content := []byte(strings.Repeat(" ", 64) + "TLS 1.3, server CertificateVerify\x00")
	return transcript.Sum(content)
}

// readFinished is the state WAIT_FINISHED (RFC 8446, section 4.4.4).
func (h *handshake13) readFinished() error {
	message, err := h.c.readHandshake(typeFinished)
	if err != nil {
		return err
	}
	if len(message.body) != h.transcript.Size() {
		return errDecode("Finished")
	}
	if !hmac.Equal(message.body, verifyData(h.c.state.CipherSuite, h.serverSecret, h.transcript)) {
		return fatal(AlertDecryptError, "peer's Finished is wrong: the handshake was changed on its way")
	}
	h.transcript.Write(message.raw)
	return h.c.in.endsRecord("Finished")
}

// finish sends our last flight and installs the application keys (RFC 8446,
// section 7.1). Both secrets cover the handshake up to the peer's Finished.
func (h *handshake13) finish() error {
	h.schedule.mix(nil)
	client := h.schedule.derive("c ap traffic", h.transcript)
	server := h.schedule.derive("s ap traffic", h.transcript)

	var flight []byte
	if h.certificateRequested {
		flight = emptyCertificate()
		h.transcript.Write(flight)
	}
	finished := verifyData(h.c.state.CipherSuite, h.clientSecret, h.transcript)
	flight = append(flight, marshalFinished(finished)...)
	if err := h.c.writeFlight(!h.c.state.Retried, flight); err != nil {
		return err
	}
	return h.installKeys(client, server)
}
