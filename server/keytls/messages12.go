// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// pointFormatUncompressed is the only format of points there still is (RFC 8422,
// section 5.1.2).
const pointFormatUncompressed = 0

// downgradeSentinels end the random of a peer that could do TLS 1.3 or 1.2 but was
// asked for less (RFC 8446, section 4.1.3).
var downgradeSentinels = [][]byte{[]byte("DOWNGRD\x01"), []byte("DOWNGRD\x00")}

// serverHello12 is what the extensions of a ServerHello of TLS 1.2 tell.
type serverHello12 struct{ extendedMasterSecret bool }

// parseServerHello12 makes sure that the peer will present an OpenPGP certificate
// (RFC 6091, section 3.2) and cannot be renegotiated with (RFC 5746, section 3.4).
func parseServerHello12(extensions extensions) (*serverHello12, error) {
	const name = "ServerHello"
	if err := extensions.only(name, extensionCertificateType, extensionPointFormats,
		extensionExtendedMasterSecret, extensionRenegotiationInfo); err != nil {
		return nil, err
	}
	if err := checkCertificateType(extensions); err != nil {
		return nil, err
	}
	if data, ok := extensions[extensionPointFormats]; ok {
		var formats cryptobyte.String
		if !data.ReadUint8LengthPrefixed(&formats) || !data.Empty() {
			return nil, errDecode(name)
		}
		if !bytes.Contains(formats, []byte{pointFormatUncompressed}) {
			return nil, fatal(AlertIllegalParameter, "peer knows no uncompressed points")
		}
	}
	renegotiation, ok := extensions[extensionRenegotiationInfo]
	if !ok {
		return nil, fatal(AlertHandshakeFailure, "peer knows no secure renegotiation (RFC 5746): upgrade it")
	}
	if !bytes.Equal(renegotiation, []byte{0}) {
		return nil, fatal(AlertHandshakeFailure, "peer sent a renegotiation_info as if this were not the first handshake")
	}
	data, ok := extensions[extensionExtendedMasterSecret]
	if ok && !data.Empty() {
		return nil, errDecode(name)
	}
	return &serverHello12{extendedMasterSecret: ok}, nil
}

func checkCertificateType(extensions extensions) error {
	certificateType := uint8(certificateTypeX509) // which is what no answer means
	if data, ok := extensions[extensionCertificateType]; ok && (!data.ReadUint8(&certificateType) || !data.Empty()) {
		return errDecode("ServerHello")
	}
	switch certificateType {
	case certificateTypeOpenPGP:
		return nil
	case certificateTypeX509:
		return fatal(AlertUnsupportedCertificate,
			"peer chose TLS 1.2 with an X.509 certificate, not with an OpenPGP key: it is no Mandos client, or needs a bare TLS key as mandos-keygen makes it")
	}
	return fatal(AlertIllegalParameter, "peer chose certificate type %d, which we did not offer", certificateType)
}

// Descriptors of a certificate (RFC 6091, section 3.3, and RFC 5081, section 3.3).
const (
	descriptorCertificate5081 = 0
	descriptorCertificate     = 1 // or none: RFC 6091's empty certificate
	descriptorSubkey          = 2
	descriptorFingerprint     = 3
)

// parseCertificate12 returns the primary key in a Certificate message as GnuTLS
// sends it, with a length in front that RFC 6091 does not have.
func parseCertificate12(body []byte) (*publicKey, error) {
	keyID, certificate, err := splitCertificate12(body)
	if err != nil {
		return nil, err
	}
	if len(certificate) == 0 {
		return nil, fatal(AlertBadCertificate, "peer presented no OpenPGP certificate at all")
	}
	key, err := parseOpenPGPKey(certificate)
	if _, unsupported := errors.AsType[unsupportedKeyError](err); unsupported {
		return nil, fatal(AlertUnsupportedCertificate, "peer presented an unusable key: %v", err)
	}
	if err != nil {
		return nil, fatal(AlertBadCertificate, "peer presented a bad key: %v", err)
	}
	if keyID != nil && !isKeyIDOf(keyID, key.identity) {
		return nil, fatal(AlertBadCertificate, "peer says that it signs with subkey %X: only the primary key, %s, can identify it", keyID, key.identity.Hex)
	}
	return key, nil
}

// splitCertificate12 takes a Certificate message apart. The key ID is that of the key
// that signs, also if that is the primary key; nil if there is none.
func splitCertificate12(body []byte) (keyID, certificate []byte, err error) {
	const (
		name = "Certificate"
		// wrongLength is how long the length in front is. What it says is wrong by
		// seven, and the message's own length bounds what follows.
		wrongLength = 3
		keyIDLength = 8
	)
	in := cryptobyte.String(body)
	var descriptor uint8
	if !in.Skip(wrongLength) || !in.ReadUint8(&descriptor) {
		return nil, nil, errDecode(name)
	}
	switch descriptor {
	case descriptorCertificate:
	case descriptorSubkey:
		if !in.ReadUint8LengthPrefixed((*cryptobyte.String)(&keyID)) || len(keyID) != keyIDLength {
			return nil, nil, errDecode(name)
		}
	case descriptorCertificate5081, descriptorFingerprint:
		return nil, nil, fatal(AlertUnsupportedCertificate, "peer sent only the fingerprint of its OpenPGP certificate (descriptor %d)", descriptor)
	default:
		return nil, nil, fatal(AlertUnsupportedCertificate, "peer sent an OpenPGP certificate with unknown descriptor %d", descriptor)
	}
	if !in.ReadUint24LengthPrefixed((*cryptobyte.String)(&certificate)) || !in.Empty() {
		return nil, nil, errDecode(name)
	}
	return keyID, certificate, nil
}

// isKeyIDOf reports whether keyID is "the low-order 64 bits of the fingerprint" (RFC
// 4880, section 12.2).
func isKeyIDOf(keyID []byte, identity Identity) bool {
	fingerprint, err := hex.DecodeString(identity.Hex)
	return err == nil && bytes.HasSuffix(fingerprint, keyID)
}

// serverKeyExchange is a ServerKeyExchange message (RFC 5246, section 7.4.3).
type serverKeyExchange struct {
	parameters []byte // what is signed, along with the randoms
	exchange   keyExchange
	certificateVerify
}

// parseServerKeyExchange reads a ServerKeyExchange for a suite. Its curve must be one
// of groups.
func parseServerKeyExchange(body []byte, suite CipherSuite, groups []Group) (*serverKeyExchange, error) {
	in := cryptobyte.String(body)
	var message serverKeyExchange
	var err error
	if suite.isFiniteField() {
		message.exchange, err = parseFiniteField(&in)
	} else {
		message.exchange, err = parseEllipticCurve(&in, groups)
	}
	if err != nil {
		return nil, err
	}
	message.parameters = body[:len(body)-len(in)]
	var scheme uint16
	var signature cryptobyte.String
	if !in.ReadUint16(&scheme) || !in.ReadUint16LengthPrefixed(&signature) || !in.Empty() {
		return nil, errDecode("ServerKeyExchange")
	}
	message.scheme, message.signature = SignatureScheme(scheme), signature
	return &message, nil
}

// isFiniteField reports whether the suite's key exchange is in a finite field.
func (s CipherSuite) isFiniteField() bool {
	return s == TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 || s == TLS_DHE_DSS_WITH_AES_256_GCM_SHA384
}

// fits reports whether the suite is one for that key.
func (s CipherSuite) fits(key *publicKey) bool {
	_, isDSA := key.key.(*dsaKey)
	return isDSA == (s == TLS_DHE_DSS_WITH_AES_256_GCM_SHA384)
}

// hasDowngradeSentinel reports whether the peer could do more than it was asked for.
func (h *serverHello) hasDowngradeSentinel() bool {
	end := h.random[len(h.random)-len(downgradeSentinels[0]):]
	return slices.ContainsFunc(downgradeSentinels, func(s []byte) bool { return bytes.Equal(s, end) })
}
