// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Certificate types (RFC 6091, section 3.1, and RFC 7250, section 3).
const (
	certificateTypeX509         = 0
	certificateTypeOpenPGP      = 1
	certificateTypeRawPublicKey = 2
)

// clientHello is our ClientHello (RFC 8446, section 4.1.2).
type clientHello struct {
	random    []byte
	sessionID []byte
	// suites are those of TLS 1.3; without any it is not offered.
	suites []CipherSuite
	groups []Group
	// schemes are those of TLS 1.3.
	schemes []SignatureScheme
	share   *keyShare // nil without TLS 1.3
	// cookie is what a HelloRetryRequest asked to return, or nil.
	cookie []byte
	// openPGP is what to offer besides; nil means only TLS 1.3.
	openPGP *openPGPOffer
}

// openPGPOffer is what a ClientHello offers to peers with OpenPGP certificates, in
// TLS 1.2.
type openPGPOffer struct {
	suites  []CipherSuite
	schemes []SignatureScheme
}

// generations are those of the clients that a hello has something for.
type generations struct {
	rawKeys bool // with raw public keys, in TLS 1.3
	openPGP bool // with OpenPGP certificates, in TLS 1.2
}

func (h *clientHello) generations() generations {
	return generations{rawKeys: len(h.suites) > 0, openPGP: h.openPGP != nil}
}

// String names what the generations need to know.
func (g generations) String() string {
	const rawKeys, openPGP = "TLS 1.3 with raw public keys (RFC 7250)", "TLS 1.2 with OpenPGP certificates (RFC 6091)"
	switch {
	case g.rawKeys && g.openPGP:
		return rawKeys + " or " + openPGP
	case g.openPGP:
		return openPGP
	}
	return rawKeys
}

// versions names the protocol versions of the generations.
func (g generations) versions() string {
	switch {
	case g.rawKeys && g.openPGP:
		return "TLS 1.3 or TLS 1.2"
	case g.openPGP:
		return "TLS 1.2"
	}
	return "TLS 1.3"
}

// keyShare is our half of a key exchange (RFC 8446, section 4.2.8).
type keyShare struct {
	group Group
	key   *ecdh.PrivateKey
}

func newKeyShare(group Group) (*keyShare, error) {
	key, err := group.curve().GenerateKey(rand.Reader)
	return &keyShare{group: group, key: key}, err
}

// newClientHello makes a fresh hello from the configuration.
func newClientHello(config *Config) (*clientHello, error) {
	suites, groups, schemes := CipherSuites(), Groups(), SignatureSchemes()
	if err := restrict(&suites, config.CipherSuites); err != nil {
		return nil, err
	}
	if err := restrict(&groups, config.Groups); err != nil {
		return nil, err
	}
	if err := restrict(&schemes, config.SignatureSchemes); err != nil {
		return nil, err
	}
	hello := &clientHello{
		random: make([]byte, 32),
		// A legacy_session_id makes the handshake look like TLS 1.2's to
		// middleboxes (appendix D.4).
		sessionID: make([]byte, 32),
		groups:    groups,
	}
	rand.Read(hello.random)
	rand.Read(hello.sessionID)
	hello.suites, hello.schemes = forVersion(VersionTLS13, suites, schemes)
	if config.OpenPGP != nil && config.OpenPGP() {
		if suites, schemes := forVersion(VersionTLS12, suites, schemes); suites != nil {
			hello.openPGP = &openPGPOffer{suites, schemes}
		}
	}
	if hello.suites == nil {
		if hello.openPGP == nil {
			return nil, errors.New("keytls: the configuration offers nothing for raw public keys, and nothing for OpenPGP certificates or they are not wanted")
		}
		return hello, nil
	}
	var err error
	hello.share, err = newKeyShare(groups[0])
	return hello, err
}

// forVersion returns what there is for a protocol version; nothing if one of the
// two is missing.
func forVersion(version Version, suites []CipherSuite, schemes []SignatureScheme) ([]CipherSuite, []SignatureScheme) {
	suites, schemes = ofVersion(version, suites), ofVersion(version, schemes)
	if suites == nil || schemes == nil {
		return nil, nil
	}
	return suites, schemes
}

// ofVersion returns what there is in all for a protocol version.
func ofVersion[T interface{ Version() Version }](version Version, all []T) (selected []T) {
	for _, item := range all {
		if item.Version() == version {
			selected = append(selected, item)
		}
	}
	return selected
}

// restrict replaces all that is implemented with what is configured, if anything is.
func restrict[T interface {
	comparable
	fmt.Stringer
}](all *[]T, configured []T) error {
	if configured == nil {
		return nil
	}
	if len(configured) == 0 {
		return fmt.Errorf("keytls: the configuration offers no %T at all", *new(T))
	}
	for _, item := range configured {
		if !slices.Contains(*all, item) {
			return fmt.Errorf("keytls: %v is not implemented", item)
		}
	}
	*all = configured
	return nil
}

// marshal encodes the handshake message.
func (h *clientHello) marshal() []byte {
	return marshalHandshake(typeClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(uint16(VersionTLS12)) // legacy_version
		b.AddBytes(h.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			addAll(b, h.suites)
			if h.openPGP != nil {
				addAll(b, h.openPGP.suites)
			}
		})
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) }) // no compression
		b.AddUint16LengthPrefixed(h.marshalExtensions)
	})
}

func (h *clientHello) marshalExtensions(b *cryptobyte.Builder) {
	if len(h.suites) > 0 {
		addExtension(b, extensionServerCertificateType, func(b *cryptobyte.Builder) {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(certificateTypeRawPublicKey) })
		})
	}
	addExtension(b, extensionSupportedGroups, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addAll(b, h.groups) })
	})
	addExtension(b, extensionSignatureAlgorithms, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			addAll(b, h.schemes)
			if h.openPGP != nil {
				addAll(b, h.openPGP.schemes)
			}
		})
	})
	addExtension(b, extensionSupportedVersions, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) {
			if len(h.suites) > 0 {
				b.AddUint16(uint16(VersionTLS13))
			}
			if h.openPGP != nil {
				b.AddUint16(uint16(VersionTLS12))
			}
		})
	})
	if h.openPGP != nil {
		h.openPGP.marshalExtensions(b)
	}
	if h.cookie != nil {
		addExtension(b, extensionCookie, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.cookie) })
		})
	}
	if h.share != nil {
		addExtension(b, extensionKeyShare, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				b.AddUint16(uint16(h.share.group))
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
					b.AddBytes(h.share.key.PublicKey().Bytes())
				})
			})
		})
	}
}

// marshalExtensions adds the extensions that only TLS 1.2 has.
func (o *openPGPOffer) marshalExtensions(b *cryptobyte.Builder) {
	addExtension(b, extensionCertificateType, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(certificateTypeOpenPGP) })
	})
	addExtension(b, extensionPointFormats, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(pointFormatUncompressed) })
	})
	addExtension(b, extensionExtendedMasterSecret, func(*cryptobyte.Builder) {})
	addExtension(b, extensionRenegotiationInfo, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(*cryptobyte.Builder) {}) // this is the first handshake
	})
}

func addExtension(b *cryptobyte.Builder, typ extensionType, data cryptobyte.BuilderContinuation) {
	b.AddUint16(uint16(typ))
	b.AddUint16LengthPrefixed(data)
}

func addAll[T ~uint16](b *cryptobyte.Builder, values []T) {
	for _, value := range values {
		b.AddUint16(uint16(value))
	}
}

// serverHello is the peer's ServerHello, or a HelloRetryRequest, which has the
// same form (RFC 8446, section 4.1.3).
type serverHello struct {
	raw           []byte
	legacyVersion Version
	random        []byte
	sessionID     cryptobyte.String
	cipherSuite   CipherSuite
	compression   uint8
	extensions    extensions
}

func parseServerHello(raw, body []byte) (*serverHello, error) {
	hello := &serverHello{raw: raw}
	in := cryptobyte.String(body)
	var version, suite uint16
	if !in.ReadUint16(&version) || !in.ReadBytes(&hello.random, 32) ||
		!in.ReadUint8LengthPrefixed(&hello.sessionID) || len(hello.sessionID) > 32 ||
		!in.ReadUint16(&suite) || !in.ReadUint8(&hello.compression) {
		return nil, errDecode("ServerHello")
	}
	hello.legacyVersion, hello.cipherSuite = Version(version), CipherSuite(suite)
	if in.Empty() {
		return hello, nil // before TLS 1.3 the extensions could be left out
	}
	var err error
	if hello.extensions, err = readExtensions(&in, "ServerHello"); err != nil {
		return nil, err
	}
	if !in.Empty() {
		return nil, errDecode("ServerHello")
	}
	return hello, nil
}

// version tells which protocol version the peer chose (RFC 8446, section 4.2.1): TLS
// 1.3 with supported_versions, older ones without.
func (h *serverHello) version() (Version, error) {
	data, ok := h.extensions[extensionSupportedVersions]
	switch {
	case ok:
	case h.isHelloRetryRequest():
		return 0, fatal(AlertMissingExtension, "peer sent a HelloRetryRequest without supported_versions")
	case h.legacyVersion >= VersionTLS13:
		return 0, fatal(AlertIllegalParameter, "peer chose %v in legacy_version, without supported_versions", h.legacyVersion)
	default:
		return h.legacyVersion, nil
	}
	var version uint16
	if !data.ReadUint16(&version) || !data.Empty() {
		return 0, errDecode("ServerHello")
	}
	if Version(version) != VersionTLS13 {
		return 0, fatal(AlertIllegalParameter, "peer chose %v in supported_versions, where only TLS 1.3 can be chosen", Version(version))
	}
	if h.legacyVersion != VersionTLS12 {
		return 0, fatal(AlertIllegalParameter, "peer chose TLS 1.3 with %v in legacy_version, which has to be TLS 1.2 then", h.legacyVersion)
	}
	return VersionTLS13, nil
}

// helloRetryRequestRandom is the SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
var helloRetryRequestRandom = []byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

func (h *serverHello) isHelloRetryRequest() bool {
	return bytes.Equal(h.random, helloRetryRequestRandom)
}
