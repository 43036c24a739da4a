// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
)

// helloRetryRequest is what a HelloRetryRequest asks for (RFC 8446, section 4.1.4).
type helloRetryRequest struct {
	group  Group  // 0: the share sent will do
	cookie []byte // nil: none
}

func parseHelloRetryRequest(extensions extensions) (*helloRetryRequest, error) {
	const name = "HelloRetryRequest"
	if err := extensions.only(name, extensionSupportedVersions, extensionKeyShare, extensionCookie); err != nil {
		return nil, err
	}
	var request helloRetryRequest
	if data, ok := extensions[extensionKeyShare]; ok {
		var group uint16
		if !data.ReadUint16(&group) || !data.Empty() {
			return nil, errDecode(name)
		}
		request.group = Group(group)
	}
	if data, ok := extensions[extensionCookie]; ok {
		var cookie cryptobyte.String
		if !data.ReadUint16LengthPrefixed(&cookie) || cookie.Empty() || !data.Empty() {
			return nil, errDecode(name)
		}
		request.cookie = cookie
	}
	return &request, nil
}

// parseServerKeyShare returns the peer's half of the key exchange from its
// ServerHello (RFC 8446, section 4.2.8).
func parseServerKeyShare(extensions extensions) (Group, []byte, error) {
	const name = "ServerHello"
	if err := extensions.only(name, extensionSupportedVersions, extensionKeyShare); err != nil {
		return 0, nil, err
	}
	data, ok := extensions[extensionKeyShare]
	if !ok {
		return 0, nil, fatal(AlertMissingExtension, "peer sent a ServerHello without key_share")
	}
	var group uint16
	var exchange cryptobyte.String
	if !data.ReadUint16(&group) || !data.ReadUint16LengthPrefixed(&exchange) || !data.Empty() {
		return 0, nil, errDecode(name)
	}
	return Group(group), exchange, nil
}

// errX509 is for a peer that takes no part in RFC 7250.
func errX509() error {
	return fatal(AlertUnsupportedCertificate,
		"peer presented an X.509 certificate, not a raw public key (RFC 7250): give it a bare TLS key, as mandos-keygen makes it")
}

// parseEncryptedExtensions makes sure that the peer will present a raw public key
// (RFC 8446, section 4.3.1; RFC 7250, section 4.2).
func parseEncryptedExtensions(body []byte) error {
	const name = "EncryptedExtensions"
	in := cryptobyte.String(body)
	extensions, err := readExtensions(&in, name)
	if err != nil {
		return err
	}
	if !in.Empty() {
		return errDecode(name)
	}
	if err := extensions.only(name, extensionServerCertificateType, extensionSupportedGroups); err != nil {
		return err
	}
	data, ok := extensions[extensionServerCertificateType]
	if !ok {
		return errX509() // which is what no answer means
	}
	var certificateType uint8
	if !data.ReadUint8(&certificateType) || !data.Empty() {
		return errDecode(name)
	}
	switch certificateType {
	case certificateTypeRawPublicKey:
		return nil
	case certificateTypeX509:
		return errX509()
	}
	return fatal(AlertIllegalParameter, "peer chose certificate type %d, which we did not offer", certificateType)
}

// parseCertificateRequest checks a CertificateRequest, whose content does not
// matter to us: we have no certificate (RFC 8446, section 4.3.2).
func parseCertificateRequest(body []byte) error {
	const name = "CertificateRequest"
	in := cryptobyte.String(body)
	var context cryptobyte.String
	if !in.ReadUint8LengthPrefixed(&context) {
		return errDecode(name)
	}
	extensions, err := readExtensions(&in, name)
	if err != nil {
		return err
	}
	if !in.Empty() {
		return errDecode(name)
	}
	if !context.Empty() {
		return fatal(AlertIllegalParameter, "peer sent a CertificateRequest with a context during the handshake")
	}
	if _, ok := extensions[extensionSignatureAlgorithms]; !ok {
		return fatal(AlertMissingExtension, "peer sent a CertificateRequest without signature_algorithms")
	}
	return nil
}

// emptyCertificate declines a CertificateRequest (RFC 8446, section 4.4.2).
func emptyCertificate() []byte {
	return marshalHandshake(typeCertificate, func(b *cryptobyte.Builder) {
		b.AddUint8(0)  // certificate_request_context
		b.AddUint24(0) // certificate_list
	})
}

// parseCertificate returns the key in the peer's Certificate message: the list
// has one entry, "which contains an ASN1_subjectPublicKeyInfo" (RFC 8446, section 4.4.2).
func parseCertificate(body []byte) (*publicKey, error) {
	const name = "Certificate"
	in := cryptobyte.String(body)
	var context, list, spki cryptobyte.String
	if !in.ReadUint8LengthPrefixed(&context) || !in.ReadUint24LengthPrefixed(&list) || !in.Empty() {
		return nil, errDecode(name)
	}
	if !context.Empty() {
		return nil, fatal(AlertIllegalParameter, "peer sent a Certificate with a context during the handshake")
	}
	if list.Empty() {
		return nil, fatal(AlertDecodeError, "peer presented no key at all")
	}
	if !list.ReadUint24LengthPrefixed(&spki) {
		return nil, errDecode(name)
	}
	extensions, err := readExtensions(&list, name)
	if err != nil {
		return nil, err
	}
	if err := extensions.only(name); err != nil {
		return nil, err
	}
	if !list.Empty() {
		return nil, fatal(AlertIllegalParameter, "peer presented more than one key")
	}
	key, err := parsePublicKey(spki)
	if err == nil {
		return key, nil
	}
	if _, unsupported := errors.AsType[unsupportedKeyError](err); unsupported {
		return nil, fatal(AlertUnsupportedCertificate, "peer presented an unusable key: %v", err)
	}
	if looksLikeX509(spki) {
		return nil, errX509()
	}
	return nil, fatal(AlertBadCertificate, "peer presented a bad key: %v", err)
}

// certificateVerify is a CertificateVerify message (RFC 8446, section 4.4.3).
type certificateVerify struct {
	scheme    SignatureScheme
	signature []byte
}

func parseCertificateVerify(body []byte) (*certificateVerify, error) {
	in := cryptobyte.String(body)
	var scheme uint16
	var signature cryptobyte.String
	if !in.ReadUint16(&scheme) || !in.ReadUint16LengthPrefixed(&signature) || !in.Empty() {
		return nil, errDecode("CertificateVerify")
	}
	return &certificateVerify{SignatureScheme(scheme), signature}, nil
}

func marshalFinished(verifyData []byte) []byte {
	return marshalHandshake(typeFinished, func(b *cryptobyte.Builder) { b.AddBytes(verifyData) })
}

// The request_update of a KeyUpdate says whether the other side shall update too
// (RFC 8446, section 4.6.3).
const (
	updateNotRequested = 0
	updateRequested    = 1
)

func parseKeyUpdate(body []byte) (requested bool, err error) {
	if len(body) != 1 {
		return false, errDecode("KeyUpdate")
	}
	if body[0] != updateNotRequested && body[0] != updateRequested {
		return false, fatal(AlertIllegalParameter, "peer sent a KeyUpdate with request_update %d", body[0])
	}
	return body[0] == updateRequested, nil
}

func marshalKeyUpdate() []byte {
	return marshalHandshake(typeKeyUpdate, func(b *cryptobyte.Builder) { b.AddUint8(updateNotRequested) })
}
